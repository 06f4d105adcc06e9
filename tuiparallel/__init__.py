"""Interactive parallel computing over 0MQ, with a console."""
