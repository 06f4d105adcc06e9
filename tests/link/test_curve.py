"""Encrypted doors over real TCP sockets: who has the role's key gets in, nobody else, and hears so soon."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import zmq
from zmq.utils import z85

from tests.link.test_link import hello, welcome
from tuiparallel.errors import AuthenticationError
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.link.curve import KeyPair, ServerKeys, new_pair
from tuiparallel.link.doors import Doors, Role, Sent
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire.connection import Keys
from tuiparallel.wire.messages import Accepted, ClientHello, Got, Message, Refused, ToClient, Welcome

BAR = 3.0  # seconds until a refused peer knows
LOCAL = {Role.CLIENT: "tcp://127.0.0.1:*", Role.ENGINE: "tcp://127.0.0.1:*"}


class Hub:
    """Doors with keys, at random ports of the loopback."""

    def __init__(self) -> None:
        self.server, self.client, self.engine = new_pair(), new_pair(), new_pair()
        self.keys = ServerKeys(
            self.server, {"client": frozenset([self.client.public]), "engine": frozenset([self.engine.public])}
        )
        self.doors = Doors(LOCAL, keys=self.keys)
        self.arrived: list[Message] = []

    def address(self, role: Role = Role.CLIENT) -> str:
        return self.doors.addresses[role]

    def of(self, pair: KeyPair, server: KeyPair | None = None) -> Keys:
        return Keys((server or self.server).public, pair.public, pair.secret)

    def turn(self) -> None:
        self.doors.wait(0.01)
        for role, peer, message in self.doors.drain():
            self.arrived.append(message)
            assert self.doors.send(role, peer, welcome()) is Sent.OK


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.doors.close()


def drive(hub: Hub, link: Link, until: Callable[[], bool], seconds: float = 10.0) -> list[Message]:
    """Turn both ends until something holds; what the link received."""
    deadline = Deadline(SystemClock(), seconds)
    received: list[Message] = []
    while not until():
        assert not deadline.passed(), (link.state, hub.arrived)
        received += link.turn(0.01)
        hub.turn()
    return received


def test_who_has_the_keys_gets_in_at_the_port_of_its_role(hub: Hub) -> None:
    for role, pair in ((Role.CLIENT, hub.client), (Role.ENGINE, hub.engine)):
        link = Link(hub.address(role), ToClient, hello, keys=hub.of(pair))
        try:
            if role is Role.CLIENT:
                drive(hub, link, lambda link=link: link.state is LinkState.LIVE)  # type: ignore[misc]
            else:  # a client's greeting is malformed there: it has come through the gate, and no further
                drive(hub, link, lambda: hub.doors.malformed > 0)
        finally:
            link.close()
    assert len(hub.arrived) == 1 and isinstance(hub.arrived[0], ClientHello)


@pytest.mark.parametrize("case", ["unknown key", "engine's key at the clients' port", "wrong server key"])
def test_f33_a_wrong_key_is_told_so_in_time(hub: Hub, case: str) -> None:
    keys = {
        "unknown key": hub.of(new_pair()),
        "engine's key at the clients' port": hub.of(hub.engine),
        "wrong server key": hub.of(hub.client, new_pair()),
    }[case]
    link = Link(hub.address(), ToClient, hello, keys=keys)
    try:
        received = drive(hub, link, lambda: link.state is LinkState.REFUSED, BAR)
        received += link.turn(0.0)
        assert [message.kind for message in received if isinstance(message, Refused)] == ["AuthenticationError"]
        assert link.refusal is not None and hub.address() in link.refusal.text
        assert not hub.arrived
        for key in (keys.server, keys.public, keys.secret):
            assert key not in f"{link.refusal!r} {keys!r} {hub.keys!r} {hub.server!r}"
    finally:
        link.close()


def test_f33_the_clients_key_is_refused_at_the_engines_port(hub: Hub) -> None:
    link = Link(hub.address(Role.ENGINE), ToClient, hello, keys=hub.of(hub.client))
    try:
        drive(hub, link, lambda: link.state is LinkState.REFUSED, BAR)
    finally:
        link.close()
    assert hub.doors.malformed == 0 and not hub.arrived


@pytest.mark.parametrize("keys", [None, Keys("short", "x" * 40, "y" * 40)])
def test_f33_without_usable_keys_nothing_is_even_tried(keys: Keys | None) -> None:
    with pytest.raises(AuthenticationError, match=r"connection file for tcp://127\.0\.0\.1:9"):
        Link("tcp://127.0.0.1:9", ToClient, hello, keys=keys)


@pytest.mark.parametrize("mechanism", ["NULL", "PLAIN"])
def test_f33_other_mechanisms_get_nothing_in(hub: Hub, mechanism: str) -> None:
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    if mechanism == "PLAIN":
        dealer.plain_username, dealer.plain_password = b"root", b"root"
    monitor = dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    try:
        dealer.connect(hub.address())
        dealer.send(b"\0\0\0\0" + b"x" * 50)
        deadline = Deadline(SystemClock(), BAR)
        refusals = 0
        while not refusals:
            assert not deadline.passed()
            hub.turn()
            while monitor.poll(0):
                monitor.recv_multipart()
                refusals += 1
        assert not hub.arrived and hub.doors.malformed == hub.doors.dropped == 0
    finally:
        dealer.disable_monitor()
        monitor.close(0)
        dealer.close(0)
        context.term()


def test_a_dead_gate_lets_nobody_in(hub: Hub) -> None:
    gate = hub.doors._gate
    assert gate is not None
    gate._stop.set()
    gate._thread.join()
    link = Link(hub.address(), ToClient, hello, keys=hub.of(hub.client))
    try:
        drive(hub, link, lambda: link._failures >= 3)  # each of its handshakes fails
        assert not hub.arrived and link.state is not LinkState.LIVE
    finally:
        link.close()


def test_ports_without_keys_are_not_opened() -> None:
    with pytest.raises(ValueError, match="without keys"):
        Doors(LOCAL)


def test_a_link_that_was_live_outlasts_a_hub_that_is_replaced(hub: Hub) -> None:
    link = Link(hub.address(), ToClient, hello, keys=hub.of(hub.client))
    try:
        drive(hub, link, lambda: link.state is LinkState.LIVE)
        addresses = dict(hub.doors.addresses)
        hub.doors.close()
        other = new_pair()  # for a moment something else has the port: no reason to give up
        hub.doors = Doors(addresses, keys=ServerKeys(other, hub.keys.allowed))
        drive(hub, link, lambda: link._failures >= 4)
        assert link.state is LinkState.LOST
        hub.doors.close()
        hub.doors = Doors(addresses, keys=hub.keys)
        hub.arrived.clear()
        drive(hub, link, lambda: link.state is LinkState.LIVE)
    finally:
        link.close()


def test_what_the_gate_is_asked_wrongly_it_refuses(hub: Hub) -> None:
    gate = hub.doors._gate
    assert gate is not None
    key = z85.decode(hub.client.public)
    good = [b"1.0", b"7", b"client", b"127.0.0.1", b"", b"CURVE", key]
    assert gate._answer(good)[:3] == [b"1.0", b"7", b"200"]
    bad = [
        good[:6],
        [],
        [*good, key],
        [*good[:5], b"NULL"],
        [*good[:2], b"", *good[3:]],
        [*good[:2], b"*", *good[3:]],
    ]
    bad += [[*good[:2], b"engine", *good[3:]], [b"2.0", *good[1:]], [*good[:6], hub.client.public.encode()]]
    for question in bad:
        assert gate._answer(question)[2] == b"400", question
    assert gate.refused == len(bad)


class Meddler:
    """Stands between a link and the hub, and flips a bit of what the hub says when told to."""

    def __init__(self, port: int) -> None:
        self.flip = False
        self.direction = 0
        self.connections = 0
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        others: dict[socket.socket, socket.socket] = {}
        from_hub: set[socket.socket] = set()
        while not self._stop.is_set():
            for ready in select.select([self._listener, *others], [], [], 0.02)[0]:
                if ready is self._listener:
                    peer, hub = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._port))
                    others |= {peer: hub, hub: peer}
                    from_hub.add(hub)
                    self.connections += 1
                elif ready in others:
                    try:
                        content = bytearray(ready.recv(65536))
                        if content and self.flip and self.direction == (ready in from_hub):
                            self.flip = False
                            content[-1] ^= 1
                        others[ready].sendall(content)
                    except OSError:
                        content = bytearray()
                    if not content:
                        other = others.pop(ready)
                        del others[other]
                        ready.close()
                        other.close()
        for each in [self._listener, *others]:
            each.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def test_f19_a_flipped_bit_ends_a_connection_and_the_link_makes_another_one(hub: Hub) -> None:
    meddler = Meddler(int(hub.address().rpartition(":")[2]))
    link = Link(meddler.address, ToClient, hello, keys=hub.of(hub.client))
    try:
        drive(hub, link, lambda: link.state is LinkState.LIVE)
        for connections in (2, 3):
            meddler.flip = True  # once in what the hub says, once in what it hears
            meddler.direction = connections % 2
            link.send(Got([]))
            peer = list(hub.doors._connections[Role.CLIENT])[-1]
            hub.doors.send(Role.CLIENT, peer, Accepted([7]))
            received = drive(hub, link, lambda n=connections: meddler.connections >= n)  # type: ignore[misc]
            received += drive(hub, link, lambda: link.state is LinkState.LIVE)
            assert any(isinstance(message, Welcome) for message in received)
    finally:
        link.close()
        meddler.close()


def test_closing_leaves_no_thread(hub: Hub) -> None:
    hub.doors.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "tuiparallel-gate"]
    hub.doors = Doors(hub.doors.addresses, keys=hub.keys)  # the ports are free again
