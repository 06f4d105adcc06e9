"""The hub's two ROUTERs, one per role: who speaks at which is what its connection file allows.

A ROUTER names each connection and reports nobody's leaving. Here each connection must begin with Hello (number 0) and
count its messages; what comes out of order, or before a Hello, is dropped and answered SayHello.
"""

from __future__ import annotations

import select
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

import msgspec
import zmq

from tuiparallel.link.clock import Clock, SystemClock
from tuiparallel.link.curve import Gate, ServerKeys
from tuiparallel.link.failpoints import chance
from tuiparallel.link.frames import (
    NOBLOCK,
    SNDMORE_NOBLOCK,
    FrameDecoder,
    encode,
    following,
    number_of,
    readable,
    send_frame,
)
from tuiparallel.link.ports import bind
from tuiparallel.link.vigil import Timeout, Vigil
from tuiparallel.wire.messages import (
    ClientHello,
    EngineHello,
    EngineWelcome,
    FromClient,
    FromEngine,
    Message,
    SayHello,
    SupervisorHello,
    SupervisorWelcome,
    Welcome,
)


class Role(IntEnum):
    """Which of the two sockets."""

    CLIENT = 0
    ENGINE = 1


class Sent(Enum):
    """What became of a message: with the transport, not now (the peer's pipe is full), or nobody is there."""

    OK = 0
    AGAIN = 1
    GONE = 2


_RCVMORE = int(zmq.RCVMORE)
_ROLES = tuple(Role)
WATCH = 0.0004  # seconds to stay awake between messages in quick succession

Peer = bytes  # a ROUTER's name for one connection; new at each connection


@dataclass(slots=True)
class _Connection:
    expected: int
    sent: int


_STRANGERS = 10_000  # connections that were told to say Hello, remembered to tell them once


class Doors:
    """Both ROUTERs, bound. addresses are 0MQ endpoints by Role; a tcp port may be '*', see `addresses` for what it became.

    keys, which tcp must have: only encrypted connections are taken, of the keys in the list of the role's name.
    """

    def __init__(
        self,
        addresses: dict[Role, str],
        *,
        heartbeat: tuple[float, float] = (2.0, 10.0),
        keys: ServerKeys | None = None,
        clock: Clock | None = None,
    ) -> None:
        if keys is None and any(address.startswith("tcp:") for address in addresses.values()):
            raise ValueError("network ports are never opened without keys")
        self.malformed = 0
        self.dropped = 0
        self._context = zmq.Context()
        self._gate = None if keys is None else Gate(self._context, keys)
        self.addresses: dict[Role, str] = {}
        self._sockets: list[zmq.Socket[bytes]] = []
        self._decoders = [FrameDecoder(FromClient), FrameDecoder(FromEngine)]
        self._connections: list[dict[Peer, _Connection]] = [{}, {}]
        self._strangers: list[dict[Peer, None]] = [{}, {}]
        self._vigil = Vigil(clock or SystemClock(), WATCH)
        self._poll = select.poll()
        self._role_of: dict[int, Role] = {}  # by descriptor
        # Sockets to be looked at before waiting: a descriptor of 0MQ signals only what comes after somebody has looked
        # and found nothing, and sending counts as looking.
        self._unsure = [True, True]
        for role in Role:
            socket = self._context.socket(zmq.ROUTER)
            self._sockets.append(socket)
            _configure(socket, heartbeat)
            try:
                if self._gate is not None:
                    self._gate.guard(socket, role.name.lower())
                self.addresses[role] = bind(socket, addresses[role])
            except (zmq.ZMQError, OSError):
                self.close()
                raise
            handle = int(socket.getsockopt(zmq.FD))
            self._role_of[handle] = role
            self._poll.register(handle, select.POLLIN)
        self._addressed = [0, 0]  # messages sent since something was read: as many may come back at once
        self._ready: list[Role] = list(Role)  # what the last wait has found
        self._crowded: list[Role] = []  # those of them that had something before the wait began

    def watch(self, handle: int) -> None:
        """Let wait() also end when this descriptor is readable."""
        self._poll.register(handle, select.POLLIN)

    def wait(self, timeout: Timeout) -> bool:
        """Whether something can be read, after at most `timeout` seconds. May return early.

        timeout: also what says how many; it is asked when there is nothing to be read.
        """
        self._crowded = [role for role in _ROLES if self._unsure[role] and self._look(role)]
        if self._crowded:
            self._ready = self._crowded
            return True
        self._ready = []
        found = self._vigil.wait(self._poll.poll, timeout, lone=max(self._addressed) < 2)
        for handle, _ in found:
            role = self._role_of.get(handle)
            if role is not None:
                self._ready.append(role)
        return bool(found)

    def waiting(self) -> bool:
        """Whether something can be read now."""
        return any(self._look(role) for role in _ROLES)

    def _look(self, role: Role) -> bool:
        """Whether a message can be taken from this socket."""
        found = self._unsure[role] = readable(self._sockets[role])
        return found

    def drain(self, messages_limit: int = 512, bytes_limit: int = 8 << 20) -> list[tuple[Role, Peer, Message]]:
        """What wait() has found, a fair share from each socket, in order per connection."""
        arrived: list[tuple[Role, Peer, Message]] = []
        for role in self._ready:
            socket = self._sockets[role]
            # Where one message was answered, a lone one comes back as a rule, and looking for a second one costs more
            # than reading it: the next wait begins with a look.
            most = messages_limit if role in self._crowded or self._addressed[role] > 1 else 1
            self._addressed[role] = 0
            size = count = 0
            while size < bytes_limit and count < most and (count == 0 or self._look(role)):
                try:
                    peer, frame, whole = _receive(socket)
                except zmq.Again:
                    self._unsure[role] = False
                    break  # what made the socket readable was for 0MQ itself
                count += 1
                self._unsure[role] = True
                if not whole:
                    self.malformed += 1
                    continue
                size += len(frame)
                message = self._admit(role, peer, frame)
                if message is not None:
                    arrived.append((role, peer, message))
        return arrived

    def _admit(self, role: Role, peer: Peer, frame: bytes) -> Message | None:
        number = number_of(frame)
        connection = self._connections[role].get(peer)
        if number != 0 and (connection is None or number != connection.expected):
            self.dropped += 1
            self._say_hello(role, peer)
            return None
        try:
            message = self._decoders[role].decode(frame)
        except msgspec.DecodeError:
            self.malformed += 1
            if connection is not None:
                connection.expected = following(number)
            return None
        if number == 0:
            if not isinstance(message, (ClientHello, EngineHello, SupervisorHello)):
                self.dropped += 1
                self._say_hello(role, peer)
                return None
            self._strangers[role].pop(peer, None)
            self._connections[role][peer] = _Connection(expected=1, sent=0)
        else:
            assert connection is not None
            connection.expected = following(number)
        return message

    def _say_hello(self, role: Role, peer: Peer) -> None:
        """Once per connection and mishap: a peer that sends a thousand leftovers is told once."""
        strangers = self._strangers[role]
        if peer in strangers:
            return
        if len(strangers) >= _STRANGERS:
            strangers.clear()
        strangers[peer] = None
        self._connections[role].pop(peer, None)
        self._unsure[role] = True
        try:
            self._sockets[role].send_multipart([peer, encode(0, SayHello())], NOBLOCK)
        except zmq.ZMQError:
            del strangers[peer]  # full or gone: it will speak, or connect, again

    def send(self, role: Role, peer: Peer, message: Message) -> Sent:
        """Send to one connection, never waiting. The greeting (a Welcome) starts the count of this direction."""
        connection = self._connections[role].get(peer)
        if connection is None:
            return Sent.GONE
        if isinstance(message, (Welcome, EngineWelcome, SupervisorWelcome)):
            connection.sent = 0
        self._unsure[role] = True
        self._addressed[role] += 1
        socket = self._sockets[role]
        if chance("link.drop"):
            connection.sent = following(connection.sent)
            return Sent.OK
        try:
            # Both parts, or neither: only the first one of a message can be refused.
            send_frame(socket, peer, SNDMORE_NOBLOCK)
            send_frame(socket, encode(connection.sent, message), NOBLOCK)
            if chance("link.repeat"):
                socket.send_multipart([peer, encode(connection.sent, message)], NOBLOCK)
        except zmq.Again:
            return Sent.AGAIN
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.forget(role, peer)
            return Sent.GONE
        connection.sent = following(connection.sent)
        return Sent.OK

    def forget(self, role: Role, peer: Peer) -> None:
        """This connection is over, or was turned away."""
        self._connections[role].pop(peer, None)
        self._strangers[role].pop(peer, None)

    def close(self, linger: float = 0.0) -> None:
        """Close both sockets; what was sent just before gets `linger` seconds to leave."""
        for socket in self._sockets:
            socket.close(int(linger * 1000))
        if self._gate is not None:
            self._gate.close()
        self._context.term()


def _receive(socket: zmq.Socket[bytes]) -> tuple[Peer, bytes, bool]:
    """The next message: who sent it, its frame, and whether that was all of it. Raises zmq.Again."""
    peer = socket.recv(NOBLOCK)
    frame = socket.recv(NOBLOCK, False)
    if not frame.more:
        return peer, frame.bytes, True
    while socket.getsockopt(_RCVMORE):
        socket.recv(NOBLOCK)
    return peer, b"", False


def _configure(socket: zmq.Socket[bytes], heartbeat: tuple[float, float]) -> None:
    interval, timeout = heartbeat
    options: dict[int, Any] = {
        zmq.LINGER: 0,
        zmq.ROUTER_MANDATORY: 1,
        zmq.SNDHWM: 1000,
        zmq.RCVHWM: 1000,
        zmq.BACKLOG: 1024,
        zmq.MAXMSGSIZE: 16 << 20,
        zmq.HANDSHAKE_IVL: 5000,
        zmq.HEARTBEAT_IVL: int(interval * 1000),
        zmq.HEARTBEAT_TIMEOUT: int(timeout * 1000),
        zmq.HEARTBEAT_TTL: int(timeout * 1000),
    }
    for option, value in options.items():
        socket.setsockopt(option, value)
