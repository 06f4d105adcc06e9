"""The hub: the one place where decisions are taken.

Rules (task, lanes, seats, dependencies, failures; the scheduler with its parts floor, sharing, endings and aborts) are
plain objects: events in, effects out, no socket, thread or clock. The loop around them drains the sockets, handles all
events, commits one history transaction, and sends what the effects say. Nothing in this room unpickles anything.
"""
