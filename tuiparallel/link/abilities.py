"""What the installed 0MQ can do; asked at the start of a hub and by `tuipar doctor`."""

from __future__ import annotations

import zmq

OLDEST_LIBZMQ = (4, 3, 5)


def libzmq_version() -> tuple[int, int, int]:
    """The version of the library itself, not of its binding."""
    return zmq.zmq_version_info()


def supports_curve() -> bool:
    """Whether connections can be encrypted."""
    return bool(zmq.has("curve"))


def why_no_network() -> str | None:
    """Why this installation must not listen on the network, and the cure; None when it may."""
    if not supports_curve():
        return (
            "libzmq was built without CURVE, and network connections are always encrypted: install pyzmq from a wheel"
        )
    if libzmq_version() < OLDEST_LIBZMQ:
        found = ".".join(map(str, libzmq_version()))
        return f"libzmq {found} is too old to listen on the network: 4.3.5 or later is needed (pip install -U pyzmq)"
    return None
