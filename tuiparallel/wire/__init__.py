"""What crosses a socket: messages, objects as bytes, large buffers, the connection file.

No socket, thread or clock in this room: bytes in, values out, and back.
"""
