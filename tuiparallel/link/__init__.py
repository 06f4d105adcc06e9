"""How messages cross: sockets, numbering, the outbox, clocks. The only room that names 0MQ."""
