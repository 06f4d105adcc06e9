"""Keys of encrypted connections, and who may connect with which: the hub's answers to 0MQ's question at each handshake.

CURVE alone lets in everybody who knows the server's public key. So each ROUTER has a domain and a list of its own, and
0MQ asks over inproc, by ZAP, whether a client's public key is on the list of its domain. Keys are text, Z85.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from tuiparallel.errors import AuthenticationError
from tuiparallel.link.clock import Clock, SystemClock
from tuiparallel.link.wakeup import Wakeup
from tuiparallel.wire.connection import Keys

log = logging.getLogger("tuiparallel.link")

_ASKED_AT = "inproc://zeromq.zap.01"  # RFC 27
_LOG_INTERVAL = 1.0  # seconds between two lines about refused keys
_CONNECT_TIMEOUT = 3000  # milliseconds for a connection's start; the kernel's own patience is minutes


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One party's keys."""

    public: str
    secret: str

    def __repr__(self) -> str:  # keys must not reach a log or a traceback
        return "<KeyPair>"


def new_pair() -> KeyPair:
    """Keys that nobody else has."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """What a hub needs: its own pair, and the public keys that may connect, by domain."""

    pair: KeyPair
    allowed: Mapping[str, frozenset[str]]

    def __repr__(self) -> str:
        return "<ServerKeys>"


class Gate:
    """Answers for all sockets of one context which keys may connect, until close().

    Must be open before a socket is bound. Without it, or when its thread has died, every handshake fails: `guard`
    tells 0MQ to insist on an answer.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: ServerKeys, clock: Clock | None = None) -> None:
        self.refused = 0
        self._keys = keys
        self._allowed = {
            domain.encode(): frozenset(z85.decode(key) for key in allowed) for domain, allowed in keys.allowed.items()
        }
        self._clock = clock or SystemClock()
        self._logged = float("-inf")
        self._stop = Wakeup()
        self._socket = context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_ASKED_AT)
        self._thread = threading.Thread(target=self._serve, name="tuiparallel-gate", daemon=True)
        self._thread.start()

    def guard(self, socket: zmq.Socket[bytes], domain: str) -> None:
        """Let this socket, not yet bound, take encrypted connections of its domain's keys only."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.pair.secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def close(self) -> None:
        """Stop answering. The guarded sockets must be closed first."""
        self._stop.set()
        self._thread.join()
        self._stop.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._stop.fileno(), zmq.POLLIN)
        try:
            while not any(found == self._stop.fileno() for found, _ in poller.poll()):
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        finally:
            self._socket.close()

    def _answer(self, question: list[bytes]) -> list[bytes]:
        version, number, domain, address, _, mechanism, *credentials = [*question, *[b""] * (6 - len(question))]
        known = version == b"1.0" and mechanism == b"CURVE" and len(credentials) == 1
        if known and credentials[0] in self._allowed.get(domain, ()):
            return [b"1.0", number, b"200", b"", b"", b""]
        self.refused += 1
        now = self._clock.monotonic()
        if now - self._logged >= _LOG_INTERVAL:
            self._logged = now
            place = address.decode(errors="backslashreplace")
            log.warning("%s refused at the %s' port: unknown key; %d so far", place, domain.decode(), self.refused)
        return [b"1.0", number, b"400", b"unknown key", b"", b""]


def dress_client(socket: zmq.Socket[bytes], address: str, keys: Keys | None) -> None:
    """Make a socket, not yet connected, use these keys.

    Raises AuthenticationError when there are none for a network address, or they are no keys: nothing is ever sent
    over the network in clear text.
    """
    if keys is None:
        if address.startswith("tcp:"):
            raise AuthenticationError(
                f"the connection file for {address} has no keys, and network connections are always encrypted: take "
                "the file that the running hub has written (client.json, engine.json)"
            )
        return
    try:
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
    except zmq.ZMQError:
        raise AuthenticationError(f"the keys of the connection file for {address} are damaged") from None
    socket.setsockopt(zmq.CONNECT_TIMEOUT, _CONNECT_TIMEOUT)
    if "[" in address:
        socket.setsockopt(zmq.IPV6, 1)
