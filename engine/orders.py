"""What template and supervisor tell one another over their pair of sockets: one message per packet."""

from __future__ import annotations

import socket

import msgspec

PACKET = 256 << 10  # bytes; a thousand engines fit
MOST_AT_ONCE = 1000  # engines that one Fork or Forked names


class Order(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """One message; its tag is the name of its class."""


class Fork(Order, frozen=True):
    """Supervisor to template: fork these engines: (uuid, the id each replaces or None)."""

    engines: list[tuple[str, int | None]]


class Kill(Order, frozen=True):
    """Supervisor to template: signal this engine."""

    uuid: str
    signum: int


class End(Order, frozen=True):
    """Supervisor to template: the cluster is to end."""

    reason: str


class Forked(Order, frozen=True):
    """Template to supervisor: these engines run: (uuid, pid, the id it replaces). also: and what it has inherited."""

    engines: list[tuple[str, int, int | None]]
    inherited: bool = False  # they were there before this supervisor


class Gone(Order, frozen=True):
    """Template to supervisor: an engine has ended. Sizes are bytes, at is seconds since the epoch."""

    uuid: str
    pid: int
    exitcode: int | None
    signum: int | None
    peak_rss: int
    at: float


class Hub(Order, frozen=True):
    """Template to supervisor: the hub's process."""

    pid: int


class Ending(Order, frozen=True):
    """Template to supervisor: the cluster ends; restart nothing."""

    reason: str


Up = Fork | Kill | End
Down = Forked | Gone | Hub | Ending

_encode = msgspec.msgpack.Encoder().encode
_decode_up = msgspec.msgpack.Decoder(Up).decode
_decode_down = msgspec.msgpack.Decoder(Down).decode


def pair() -> tuple[socket.socket, socket.socket]:
    """The template's end and the supervisor's end."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (one, other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * PACKET)
    return one, other


def send(end: socket.socket, order: Order) -> bool:
    """Whether the other end is still there."""
    try:
        end.sendall(_encode(order))
    except OSError:
        return False
    return True


def receive_up(end: socket.socket) -> Up | None:
    """The next message to the template; None when the supervisor has gone."""
    data = _receive(end)
    return _decode_up(data) if data else None


def receive_down(end: socket.socket) -> Down | None:
    """The next message to the supervisor; None when the template has gone."""
    data = _receive(end)
    return _decode_down(data) if data else None


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(PACKET)
    except OSError:
        return b""
