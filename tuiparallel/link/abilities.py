"""What the installed 0MQ can do; asked at the start of a hub and by `tuipar doctor`."""

from __future__ import annotations

import zmq


def libzmq_version() -> tuple[int, int, int]:
    """The version of the library itself, not of its binding."""
    return zmq.zmq_version_info()


def supports_curve() -> bool:
    """Whether connections can be encrypted."""
    return bool(zmq.has("curve"))
