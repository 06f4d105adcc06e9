"""Link and Doors over real ipc sockets: greeting, loss, resending, gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tuiparallel.link.clock import Deadline, FakeClock, SystemClock
from tuiparallel.link.doors import Doors, Peer, Role, Sent
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire.messages import (
    PROTOCOL,
    Accepted,
    ClientHello,
    Got,
    Message,
    Observe,
    ToClient,
    Welcome,
)


def hello(boot: str) -> Message:
    return ClientHello(PROTOCOL, "ab12", "c1", boot, "here", 1, "test")


def welcome(boot: str = "b1") -> Welcome:
    return Welcome(PROTOCOL, boot, "c1", 1, 0)


def open_doors(folder: Path) -> Doors:
    return Doors({Role.CLIENT: f"ipc://{folder}/c", Role.ENGINE: f"ipc://{folder}/e"})


class Pair:
    """One link and the hub's end of it, driven by the test."""

    def __init__(self, folder: Path, doors: Doors | None = None) -> None:
        self.folder = folder
        self.doors = doors or open_doors(folder)
        self.clock = FakeClock()
        self.link = Link(f"ipc://{folder}/c", ToClient, hello, clock=self.clock, resend_interval=5.0)
        self.at_hub: list[tuple[Peer, Message]] = []
        self.at_link: list[Message] = []

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = Deadline(SystemClock(), 10)
        while not condition():
            assert not deadline.passed(), (self.at_hub, self.at_link, self.link.state)
            self.at_link += self.link.turn(0.01)
            self.doors.wait(0.01)
            self.at_hub += [(peer, message) for _, peer, message in self.doors.drain()]

    def greet(self, boot: str = "b1") -> Peer:
        self.at_hub.clear()
        self.until(lambda: any(isinstance(message, ClientHello) for _, message in self.at_hub))
        peer = self.at_hub[-1][0]
        self.at_hub.clear()
        assert self.doors.send(Role.CLIENT, peer, welcome(boot)) is Sent.OK
        self.until(lambda: self.link.state is LinkState.LIVE and self.link.boot == boot)
        return peer

    def close(self) -> None:
        self.link.close()
        self.doors.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.close()


def test_a_link_greets_first_and_is_live_after_the_welcome(pair: Pair) -> None:
    pair.greet()
    assert pair.link.send(Observe())
    pair.until(lambda: bool(pair.at_hub))
    assert pair.at_hub[0][1] == Observe()


def test_what_was_posted_before_the_welcome_follows_it(pair: Pair) -> None:
    pair.link.post("a", Got([("ab12", 0, 1)]))
    assert not pair.link.send(Observe()), "what may be lost is not kept"
    pair.greet()
    pair.until(lambda: len(pair.at_hub) == 1)
    assert pair.at_hub[0][1] == Got([("ab12", 0, 1)])


def test_unacknowledged_messages_are_sent_again_to_a_new_hub_and_acknowledged_ones_are_not(pair: Pair) -> None:
    pair.greet()
    for key in range(3):
        pair.link.post(key, Got([("ab12", key, 1)]))
    pair.until(lambda: len(pair.at_hub) == 3)
    pair.link.ack([1])
    pair.doors.close()
    pair.doors = open_doors(pair.folder)
    pair.greet("b2")
    pair.until(lambda: len(pair.at_hub) == 2)
    assert [message for _, message in pair.at_hub] == [Got([("ab12", 0, 1)]), Got([("ab12", 2, 1)])]


def test_a_message_that_was_overlooked_is_sent_again_however_often_others_are_acknowledged(pair: Pair) -> None:
    pair.greet()
    pair.link.post(0, Got([("ab12", 0, 1)]))
    for key in range(1, 9):
        pair.link.post(key, Got([("ab12", key, 1)]))
        pair.until(lambda key=key: len(pair.at_hub) > key)  # type: ignore[misc]
        pair.link.ack([key])
        pair.clock.advance(1.0)
    pair.until(lambda: [message for _, message in pair.at_hub].count(Got([("ab12", 0, 1)])) == 2)


def test_nothing_is_sent_again_while_the_oldest_are_acknowledged_in_time(pair: Pair) -> None:
    pair.greet()
    for key in range(9):
        pair.link.post(key, Got([("ab12", key, 1)]))
        pair.until(lambda key=key: len(pair.at_hub) > key)  # type: ignore[misc]
        pair.link.ack([key - 1])
        pair.clock.advance(1.0)
    for _ in range(3):
        pair.until(lambda: True)
    assert len(pair.at_hub) == 9


def test_a_gap_from_the_hub_makes_the_link_greet_again(pair: Pair) -> None:
    peer = pair.greet()
    pair.doors._connections[Role.CLIENT][peer].sent += 1
    pair.doors.send(Role.CLIENT, peer, Accepted([1]))
    pair.until(lambda: any(isinstance(message, ClientHello) for _, message in pair.at_hub))
    assert not any(isinstance(message, Accepted) for message in pair.at_link)


def test_a_gap_from_the_link_is_answered_with_say_hello(pair: Pair) -> None:
    pair.greet()
    pair.link._sent += 5
    pair.link.post("a", Got([]))
    pair.until(lambda: any(isinstance(message, ClientHello) for _, message in pair.at_hub))
    assert not any(isinstance(message, Got) for _, message in pair.at_hub)
    peer = pair.at_hub[-1][0]
    pair.at_hub.clear()
    pair.doors.send(Role.CLIENT, peer, welcome())
    pair.until(lambda: any(isinstance(message, Got) for _, message in pair.at_hub))


def test_sending_to_a_peer_that_left_says_so(pair: Pair) -> None:
    peer = pair.greet()
    pair.link.close()
    deadline = Deadline(SystemClock(), 10)
    while pair.doors.send(Role.CLIENT, peer, Accepted([])) is not Sent.GONE:
        assert not deadline.passed()
        pair.doors.wait(0.01)


def test_answers_of_several_are_read_in_one_turn(pair: Pair) -> None:
    doors = pair.doors
    links = [pair, Pair(pair.folder, doors)]
    peers = [each.greet() for each in links]
    deadline = Deadline(SystemClock(), 10)
    most = 0
    while most < 2:
        assert not deadline.passed(), "the first answer alone was read each time"
        while doors.wait(0):
            doors.drain()
        for peer in peers:
            doors.send(Role.CLIENT, peer, Accepted([1]))
        assert not doors.wait(0), "nobody has said anything yet"
        for each in links:
            assert each.link.send(Observe())
        doors.wait(10)
        most = max(most, len(doors.drain()))
    links[1].link.close()
