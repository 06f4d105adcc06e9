"""The feed against a scripted hub on a real socket: subscribing, gaps, loss, paging, wake-ups, leaving."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.monitor.samples import T, delta, engine, snapshot, task
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.link.doors import Doors, Peer, Role
from tuiparallel.monitor import feed as feeds
from tuiparallel.monitor import paging
from tuiparallel.monitor.feed import Feed
from tuiparallel.monitor.rows import LinkState, Section
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.connection import Connection, write_connection
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import (
    PROTOCOL,
    ClientBye,
    ClientHello,
    Counters,
    Message,
    Observe,
    Query,
    Refused,
    Reply,
    Snapshot,
    TaskRow,
    Welcome,
)
from tuiparallel.wire.states import State


class Hub:
    """The hub's end, driven by the test's thread; answers what is not under test."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o700)
        self.folder = folder
        self.file = folder / "client.json"
        self.history: list[TaskRow] = []
        self.heard: list[Message] = []
        self.snapshot: Snapshot = snapshot(engines=[engine(0)])
        self.boot = "b1"
        self.away = 0.0
        self.peer: Peer | None = None
        self.answers = True
        self.doors: Doors | None = None

    def open(self, name: str = "c") -> None:
        address = f"ipc://{self.folder}/{name}"
        self.doors = Doors({Role.CLIENT: address, Role.ENGINE: f"ipc://{self.folder}/{name}e"})
        write_connection(
            self.file,
            Connection(PROTOCOL, "client", "lab", "c1", address, str(self.folder), str(self.folder), "here"),
        )

    def close(self) -> None:
        if self.doors is not None:
            self.doors.close()
            self.doors = None

    def send(self, message: Message) -> None:
        assert self.doors is not None and self.peer is not None
        self.doors.send(Role.CLIENT, self.peer, message)

    def turn(self) -> None:
        if self.doors is None:
            threading.Event().wait(0.01)
            return
        self.doors.wait(0.01)
        for _, peer, message in self.doors.drain():
            self.heard.append(message)
            match message:
                case ClientHello():
                    self.peer = peer
                    self.send(Welcome(PROTOCOL, self.boot, "c1", 1, 0, self.away, 7))
                case Observe() if self.answers:
                    self.send(self.snapshot)
                case Query(request, "page", arguments) if self.answers:
                    self.send(Reply(request, self.page(arguments)))
                case Query(request):
                    self.send(Reply(request, {}))
                case _:
                    pass

    def page(self, arguments: dict[str, Any]) -> Any:
        start = (arguments["before"] or [0])[0]
        rows = self.history[start : start + arguments["limit"]]
        after = start + len(rows)
        body = {"tasks": rows, "before": [after] if after < len(self.history) else None}
        return msgspec.to_builtins(body)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = Deadline(SystemClock(), 10)
        while not condition():
            assert not deadline.passed(), self.heard[-20:]
            self.turn()

    def asked(self, kind: type[Message]) -> int:
        return sum(isinstance(message, kind) for message in self.heard)

    def pages(self) -> list[Query]:
        return [message for message in self.heard if isinstance(message, Query) and message.what == "page"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path)
    yield hub
    hub.close()


@pytest.fixture
def store() -> ClusterStore:
    return ClusterStore()


@pytest.fixture
def feed(hub: Hub, store: ClusterStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    monkeypatch.setattr(feeds, "REREAD", 0.05)
    monkeypatch.setattr(feeds, "TURN", 0.02)
    feed = Feed(store, hub.file)
    yield feed
    feed.stop()
    assert not feed._thread.is_alive()


def is_live(store: ClusterStore) -> bool:
    return store.link.state is LinkState.LIVE


def test_it_subscribes_as_an_observer_and_follows(hub: Hub, store: ClusterStore, feed: Feed) -> None:
    hub.open()
    feed.start()
    hub.until(lambda: is_live(store))
    hello = next(message for message in hub.heard if isinstance(message, ClientHello))
    assert hello.observer and hello.name == "tuipar"
    hub.send(delta(2, tasks=[task(1)]))
    hub.until(lambda: store.task(task_id(1, 1)) is not None)
    assert store.header(T).cluster == "lab"
    assert hub.asked(Observe) == 1


def test_a_missing_delta_asks_for_a_new_snapshot(hub: Hub, store: ClusterStore, feed: Feed) -> None:
    hub.open()
    feed.start()
    hub.until(lambda: is_live(store))
    hub.answers = False
    hub.send(delta(2, counters=Counters(done=1)))
    hub.send(delta(4, counters=Counters(done=4)))
    hub.until(lambda: hub.asked(Observe) == 2)
    hub.until(lambda: store.link.state is LinkState.STALE)
    assert store.header(T).counters.done == 1, "what came after the gap is not applied"
    hub.send(snapshot(10, counters=Counters(done=20), skipped=8))
    hub.until(lambda: is_live(store))
    hub.send(delta(11, counters=Counters(done=21)))
    hub.until(lambda: store.header(T).counters.done == 21)
    assert store.header(T).skipped == 8


def test_a_lost_hub_is_awaited_and_read_anew_at_another_address(hub: Hub, store: ClusterStore, feed: Feed) -> None:
    hub.open()
    feed.start()
    hub.until(lambda: is_live(store))
    hub.send(delta(2, tasks=[task(1)]))
    hub.until(lambda: store.task(task_id(1, 1)) is not None)
    hub.close()
    hub.until(lambda: store.link.state is LinkState.LOST)
    assert store.task(task_id(1, 1)) is not None, "what was known stays"
    hub.boot, hub.away = "b2", 1.2
    hub.snapshot = snapshot(1, T + 60, boot="b2", engines=[engine(0)])
    hub.history = [task(2), task(1)]
    hub.open("elsewhere")
    hub.until(lambda: is_live(store) and store.boot == "b2")
    hub.until(lambda: store.task(task_id(1, 2)) is not None)
    found = store.task_list()
    found.refresh()
    assert list(found.ids()) == [task_id(1, 2), task_id(1, 1)]
    texts = [event.text for event in store.events(0, 100)]
    assert "the hub is back after 1.2 s, 7 tasks taken over" in texts


def test_no_file_yet_is_said_and_awaited(hub: Hub, store: ClusterStore, feed: Feed) -> None:
    feed.start()
    hub.until(lambda: store.link.state is LinkState.LOST and store.link.tries > 0)
    assert "client.json" in store.link.reason
    hub.open()
    hub.until(lambda: is_live(store))
    assert store.link.reason == ""


def test_a_file_without_keys_is_said_and_a_better_one_awaited(hub: Hub, store: ClusterStore, feed: Feed) -> None:
    connection = Connection(
        PROTOCOL, "client", "lab", "c1", "tcp://127.0.0.1:9", str(hub.folder), str(hub.folder), "here"
    )
    write_connection(hub.file, connection)
    feed.start()
    hub.until(lambda: store.link.state is LinkState.LOST and "has no keys" in store.link.reason)
    hub.open()
    hub.until(lambda: is_live(store))


def test_a_refusal_is_shown(hub: Hub, store: ClusterStore, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST_DELAY", 0.05)
    hub.open()
    feed.start()
    hub.until(lambda: is_live(store))
    hub.send(Refused("ProtocolMismatch", "speak 2"))
    hub.until(lambda: "ProtocolMismatch: speak 2" in [event.text for event in store.events(0, 9)])


def test_history_loads_behind_and_on_demand(
    hub: Hub, store: ClusterStore, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 10)
    hub.snapshot = snapshot(at=T + 100, engines=[engine(0)])
    hub.history = [task(counter) for counter in reversed(range(80))]
    hub.open()
    feed.start()
    hub.until(lambda: is_live(store) and store.task_counts()[0] == 50)
    assert not store.history_complete()
    feed.load_older()
    hub.until(lambda: store.task_counts()[0] == 60)
    feed.load_older()
    feed.load_older()
    hub.until(store.history_complete)
    assert store.task_counts()[0] == 80
    pages = len(hub.pages())
    feed.load_older()
    before = store.version(Section.HEADER)
    hub.send(delta(2, counters=Counters(done=5)))
    hub.until(lambda: store.version(Section.HEADER) != before)
    assert len(hub.pages()) == pages, "there is nothing older"


def test_tasks_open_before_a_gap_are_settled_by_history(hub: Hub, store: ClusterStore, feed: Feed) -> None:
    hub.open()
    feed.start()
    hub.until(lambda: is_live(store))
    open_ = Counters(queued=9)
    hub.send(delta(2, counters=open_, tasks=[task(1), task(2), task(3, State.ASSIGNED), task(4, State.QUEUED)]))
    hub.until(lambda: store.task_counts()[0] == 4)
    hub.snapshot = snapshot(50, T + 50, counters=Counters(done=3))
    hub.history = [task(4), task(2), task(1)]
    feed.resync()
    hub.until(lambda: store.doubtful()[0] == 0 and store.task_counts()[0] == 3)
    found = store.task_list()
    found.refresh()
    assert {row.phase.value for row in found.rows(0, 9)} == {"done"}


def test_one_wake_up_until_it_was_seen(hub: Hub, store: ClusterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "TURN", 0.02)
    calls: list[int] = []
    hub.open()
    feed = Feed(store, hub.file, lambda: calls.append(1))
    feed.start()
    try:
        hub.until(lambda: is_live(store))
        for number in range(2, 302):
            hub.send(delta(number, counters=Counters(done=number)))
        hub.until(lambda: store.header(T).counters.done == 301)
        assert len(calls) == 1
        feed.seen()
        hub.send(delta(302, counters=Counters(done=302)))
        hub.until(lambda: len(calls) == 2)
    finally:
        feed.stop()
    hub.until(lambda: hub.asked(ClientBye) == 1)


def test_silence_is_probed_and_then_called_stale(
    hub: Hub, store: ClusterStore, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PROBE", 0.05)
    monkeypatch.setattr(feeds, "STALE", 0.3)
    hub.open()
    feed.start()
    hub.until(lambda: is_live(store))
    hub.until(lambda: any(isinstance(message, Query) and message.what == "status" for message in hub.heard))
    assert is_live(store), "an idle hub that answers is live"
    deadline = Deadline(SystemClock(), 10)
    while store.link.state is not LinkState.STALE:  # the hub is stuck: nobody reads
        assert not deadline.passed()
        threading.Event().wait(0.01)
    hub.until(lambda: is_live(store))


def test_it_stops_at_once_without_a_hub(store: ClusterStore, tmp_path: Path) -> None:
    feed = Feed(store, tmp_path / "nothing.json")
    feed.start()
    clock = SystemClock()
    before = clock.monotonic()
    feed.stop()
    assert clock.monotonic() - before < 0.3
    assert not feed._thread.is_alive()
