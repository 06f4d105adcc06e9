"""A real hub in this process, over real ipc sockets, with clients and engines that do what a test says.

The hub's clock stands still unless a test moves it: every round of pump() lets two milliseconds pass. Nothing here
sleeps; until() turns everybody's loop until a condition holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tuiparallel.hub.history import History
from tuiparallel.hub.loop import Loop
from tuiparallel.hub.recovery import taken_up
from tuiparallel.link.clock import Deadline, FakeClock, SystemClock
from tuiparallel.link.doors import Doors, Role
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire.config import ClusterConfig
from tuiparallel.wire.ids import IdRange, Span
from tuiparallel.wire.messages import (
    PROTOCOL,
    Accepted,
    Answer,
    ClientHello,
    Delta,
    Done,
    EngineHello,
    EngineWelcome,
    ErrorText,
    Exited,
    ExitKept,
    Extras,
    Got,
    Kept,
    Lease,
    Message,
    Notice,
    Observe,
    Outcome,
    Place,
    Query,
    Ran,
    Rejected,
    Reply,
    Results,
    Returned,
    Revoke,
    Run,
    RunBatch,
    Seen,
    Snapshot,
    Started,
    Submit,
    SupervisorHello,
    ToClient,
    ToEngine,
    Work,
)
from tuiparallel.wire.states import State

T = TypeVar("T", bound=Message)
PATIENCE = 10.0
ROUND = 0.002  # seconds of the hub's time in a round


def make_config(folder: Path, **changes: Any) -> ClusterConfig:
    """start.json of a cluster whose hub runs here."""
    (folder / "blobs").mkdir(mode=0o700, exist_ok=True)
    values: dict[str, Any] = {
        "name": "test",
        "cluster": "c1",
        "directory": str(folder),
        "sockets": str(folder),
        "blobs": str(folder / "blobs"),
        "n": 0,
        "work_dir": str(folder),
        "free_disk": 0,
        "hwm": 1000,  # all that waits is given out at once
    }
    return ClusterConfig(**(values | changes))


def balanced(name: str = "f", **facts: Any) -> Work:
    return Work(0, name, True, 1000.0, **facts)


def direct(targets: list[int], name: str = "f", **facts: Any) -> Work:
    return Work(0, name, False, 1000.0, targets, **facts)


class ClientPeer:
    """A client's end: what it got, by kind; it counts its tasks, and keeps what is not accepted."""

    def __init__(self, stage: Stage, hex: str, *, observer: bool = False, protocol: int = PROTOCOL) -> None:
        self.stage = stage
        self.hex = hex
        self.waits: list[Span] = []
        self.next = 0
        self.heard: list[Message] = []
        self.outcomes: dict[tuple[str, int], list[Outcome]] = {}
        self.places: dict[tuple[str, int], Place] = {}  # uuid and host of the engine that ended a task
        self.sends_got = self.confirms = True
        self._request = 0
        self.protocol, self.observer = protocol, observer
        self.link = Link(f"ipc://{stage.folder}/c.ipc", ToClient, self._hello, resend_interval=0.5)
        stage.peers.append(self)

    def _hello(self, boot: str) -> Message:
        return ClientHello(
            self.protocol, self.hex, self.stage.config.cluster, boot, "here", 1, "scripted", self.waits, self.observer
        )

    def turn(self) -> None:
        for message in self.link.turn(0):
            self.heard.append(message)
            match message:
                case Accepted(firsts):
                    self.link.ack(firsts)
                case Rejected(first):
                    self.link.ack([first])
                case Done(session, outcomes, accepted, places):
                    self.link.ack(accepted)
                    for outcome in outcomes:
                        if outcome.place >= 0:
                            self.places[session, outcome.task] = places[outcome.place]
                        self.outcomes.setdefault((session, outcome.task), []).append(outcome)
                    if self.sends_got:
                        self.link.send(Got([(session, outcome.task, 1) for outcome in outcomes]))
                case Snapshot(number) | Delta(number, confirm=True) if self.confirms:
                    self.link.send(Seen(number))
                case _:
                    pass

    def submit(
        self, work: Work, count: int = 1, calls: list[bytes] | None = None, first: int | None = None, **more: Any
    ) -> int:
        """Send new tasks; returns the first counter."""
        first = self.next if first is None else first
        self.next = max(self.next, first + count)
        self.waits.append((first, count))
        self.link.post(first, Submit(first, count, work, b"hash", b"code", calls or [b"call"], **more))
        return first

    def unaccepted(self) -> int:
        return len(self.link.outbox)

    def request(self, make: Callable[[int], Message]) -> int:
        """Send a question or command; returns its number."""
        self._request += 1
        assert self.link.send(make(self._request))
        return self._request

    def reply(self, number: int) -> Reply:
        """Its answer, waited for."""

        def found() -> Reply | None:
            return next((m for m in self.heard if isinstance(m, Reply) and m.request == number), None)

        self.stage.until(lambda: found() is not None, f"the answer to {number}")
        answer = found()
        assert answer is not None
        return answer

    def ask(self, what: str, **arguments: Any) -> Any:
        """The answer to a query; an ErrorText when it failed."""
        answer = self.reply(self.request(lambda number: Query(number, what, arguments)))
        return answer.error if answer.error is not None else answer.body

    def outcome(self, counter: int, hex: str | None = None) -> Outcome:
        """How a task ended, waited for."""
        key = (hex or self.hex, counter)
        self.stage.until(lambda: key in self.outcomes, f"the outcome of {key}")
        return self.outcomes[key][0]

    def uuid(self, counter: int, hex: str | None = None) -> str:
        """Of the engine that a task ended on, waited for."""
        self.outcome(counter, hex)
        return self.places[hex or self.hex, counter][0]

    def state(self, counter: int) -> State:
        return State(self.outcome(counter).state)

    def error(self, counter: int, hex: str | None = None) -> ErrorText:
        outcome = self.outcome(counter, hex)
        assert outcome.extras is not None and outcome.extras.error is not None, outcome
        return outcome.extras.error

    def of(self, kind: type[T]) -> list[T]:
        return [message for message in self.heard if isinstance(message, kind)]

    def watch(self) -> Snapshot:
        """Become an observer; the snapshot."""
        self.link.send(Observe())
        self.stage.until(lambda: self.of(Snapshot), "a snapshot")
        return self.of(Snapshot)[-1]

    def deltas(self) -> list[Delta]:
        return self.of(Delta)

    def notices(self, kind: str) -> list[str]:
        return [notice.text for notice in self.of(Notice) if notice.kind == kind]


class EnginePeer:
    """An engine's end: the tasks it was given wait in `queue` until the test runs them, or at once with auto."""

    def __init__(
        self,
        stage: Stage,
        uuid: str,
        *,
        auto: bool = False,
        pid: int = 100,
        was: int | None = None,
        protocol: int = PROTOCOL,
        resend_interval: float = 0.5,
    ) -> None:
        self.stage, self.uuid, self.auto, self.pid, self.was = stage, uuid, auto, pid, was
        self.protocol = protocol
        self.id = -1
        self.heard: list[Message] = []
        self.queue: list[Lease] = []
        self.calls: dict[int, bytes] = {}
        self.batches: list[RunBatch] = []
        self.running: list[Lease] = []
        self.seen: list[Lease] = []
        self.unkept: dict[int, Results | Returned] = {}
        self.starts: list[int] = []
        self._number = 0
        self.link = Link(f"ipc://{stage.folder}/e.ipc", ToEngine, self._hello, resend_interval=resend_interval)
        stage.peers.append(self)

    def _hello(self, boot: str) -> Message:
        holding = [
            Lease(ran.task, ran.lease) for m in self.unkept.values() if isinstance(m, Results) for ran in m.ran
        ]
        returned = [lease for m in self.unkept.values() if isinstance(m, Returned) for lease in m.leases]
        return EngineHello(
            self.protocol,
            self.uuid,
            self.stage.config.cluster,
            boot,
            "here",
            self.pid,
            True,
            list(self.running),
            list(self.queue),
            holding,
            returned,
            {},
            self.was,
        )

    def turn(self) -> None:
        for message in self.link.turn(0):
            self.heard.append(message)
            match message:
                case EngineWelcome():
                    self.id = message.engine
                    self.queue = [lease for lease in self.queue if lease not in message.drop]
                case Run(batches, _, kept):
                    self._kept(kept)
                    for batch in batches:
                        self._take(batch)
                case Kept(numbers):
                    self._kept(numbers)
                case Revoke() if self.auto:
                    self.give_back(message)
                case _:
                    pass
        if self.auto and self.queue:
            self.finish(*list(self.queue))

    def _kept(self, numbers: Sequence[int]) -> None:
        self.link.ack(numbers)
        for number in numbers:
            self.unkept.pop(number, None)

    def _take(self, batch: RunBatch) -> None:
        self.batches.append(batch)
        for index, (task, lease) in enumerate(zip(batch.tasks, batch.leases, strict=True)):
            key = Lease(task, lease)
            if key not in self.seen:
                self.seen.append(key)
                self.queue.append(key)
                self.calls[task] = batch.calls[0] if len(batch.calls) == 1 else batch.calls[index]

    def start(self) -> Lease:
        """Begin the first task of the queue."""
        lease = self.queue.pop(0)
        self.running.append(lease)
        self.starts.append(lease.task)
        return lease

    def finish(
        self, *leases: Lease, error: str = "", body: bytes | None = None, seconds: float = 0.001, **more: Any
    ) -> int:
        """Send the results of these (by default all it was given); returns the message's number."""
        ran: list[Ran] = []
        for lease in leases or (*self.running, *self.queue):
            if lease in self.queue:
                self.queue.remove(lease)
                self.starts.append(lease.task)
            if lease in self.running:
                self.running.remove(lease)
            extras = Extras(error=ErrorText(error, "it failed", "", self.id)) if error else None
            now = self.stage.clock.time()
            value = (b"value of " + self.calls.get(lease.task, b"?")) if body is None else body
            facts: dict[str, Any] = {"extras": extras} | more
            ran.append(Ran(lease.task, lease.lease, not error, now - seconds, now, b"" if error else value, **facts))
        return self.post(lambda number: Results(number, ran))

    def post(self, make: Callable[[int], Results | Returned]) -> int:
        self._number += 1
        self.unkept[self._number] = make(self._number)
        self.link.post(self._number, self.unkept[self._number])
        return self._number

    def give_back(self, revoke: Revoke) -> None:
        """Answer a Revoke as an engine does: what never arrived goes back as well, and a late copy finds nobody."""
        back = [lease for lease in revoke.leases if lease in self.queue or lease not in self.seen]
        self.seen += [lease for lease in back if lease not in self.seen]
        self.queue = [lease for lease in self.queue if lease not in back]
        refused = [lease for lease in revoke.leases if lease in self.running]
        self.post(lambda number: Returned(number, back, refused))

    def answer(self, request: int, body: Any = None) -> None:
        self.link.send(Answer(request, body))

    def of(self, kind: type[T]) -> list[T]:
        return [message for message in self.heard if isinstance(message, kind)]


class SupervisorPeer:
    """A supervisor's end."""

    def __init__(self, stage: Stage, uuid: str = "s1") -> None:
        self.stage, self.uuid = stage, uuid
        self.engines: list[tuple[str, int]] = []
        self.heard: list[Message] = []
        self._number = 0
        self.link = Link(f"ipc://{stage.folder}/e.ipc", ToEngine, self._hello, resend_interval=0.5)
        stage.peers.append(self)

    def _hello(self, boot: str) -> Message:
        cluster = self.stage.config.cluster
        return SupervisorHello(PROTOCOL, self.uuid, cluster, boot, "here", 9, self.engines)

    def turn(self) -> None:
        for message in self.link.turn(0):
            self.heard.append(message)
            if isinstance(message, ExitKept):
                self.link.ack(message.numbers)

    def watches(self, *engines: EnginePeer) -> None:
        started = [(engine.uuid, engine.pid) for engine in engines]
        self.engines += started
        self.link.send(Started([(uuid, pid, None) for uuid, pid in started]))

    def exited(self, engine: EnginePeer, mark: Lease | None = None, marked: bool = True, **facts: Any) -> None:
        """Report an engine's end."""
        self._number += 1
        values: dict[str, Any] = {"exitcode": None, "signum": 9, "peak_rss": 1000, "stderr_tail": "the end"} | facts
        message = Exited(
            self._number,
            engine.uuid,
            engine.pid,
            values["exitcode"],
            values["signum"],
            values["peak_rss"],
            values["stderr_tail"],
            mark,
            self.stage.clock.time(),
            marked,
        )
        self.link.post(self._number, message)

    def of(self, kind: type[T]) -> list[T]:
        return [message for message in self.heard if isinstance(message, kind)]


class Stage:
    """The hub, and everybody who speaks with it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        folder.chmod(0o700)
        self.folder = folder
        self.config = make_config(folder, **changes)
        self.clock = FakeClock()
        self.peers: list[ClientPeer | EnginePeer | SupervisorPeer] = []
        self.open()

    def open(self) -> None:
        """Start a hub on this directory."""
        history = History(self.folder / "history.db", self.config.durability)
        self.book = taken_up(self.config, history, self.clock.monotonic(), self.clock.time())
        self._history = history
        addresses = {Role.CLIENT: f"ipc://{self.folder}/c.ipc", Role.ENGINE: f"ipc://{self.folder}/e.ipc"}
        self.doors = Doors(addresses)
        self.loop = Loop(self.book, self.doors, self.clock)
        self.up = True

    @property
    def history(self) -> History:
        """For reading."""
        return self.book.history

    def kill(self) -> None:
        """The hub is gone: what is not on record is forgotten."""
        self.doors.close()
        self._history.close()
        self.up = False

    def restart(self, seconds: float = 0.5) -> None:
        self.kill()
        self.clock.advance(seconds)
        self.open()

    def pump(self) -> None:
        """One round: the hub's turn, then everybody's."""
        self.clock.advance(ROUND)
        if self.up:
            self.loop.turn(0.001)
            self.book.scheduler.check()
        for peer in self.peers:
            if peer.link.state is not LinkState.CLOSED:
                peer.turn()

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        deadline = Deadline(SystemClock(), PATIENCE)
        while not condition():
            if deadline.passed():
                heard = [(peer, peer.heard[-5:]) for peer in self.peers]
                pytest.fail(f"not within {PATIENCE} s: {what}; heard {heard}")
            self.pump()

    def rounds(self, count: int = 10) -> None:
        for _ in range(count):
            self.pump()

    def advance(self, seconds: float, step: float = 0.5) -> None:
        """Let the hub's time pass as it does for a hub that lives: in steps."""
        passed = 0.0
        while passed < seconds:
            self.clock.advance(min(step, seconds - passed))
            passed += step
            self.pump()

    def client(self, hex: str = "aa", **facts: Any) -> ClientPeer:
        """A client that has been welcomed."""
        peer = ClientPeer(self, hex, **facts)
        self.until(lambda: peer.link.state is LinkState.LIVE, "a client's welcome")
        return peer

    def engine(self, uuid: str = "", **facts: Any) -> EnginePeer:
        """An engine that has been welcomed."""
        peer = EnginePeer(self, uuid or f"e{len(self.peers)}", **facts)
        self.until(lambda: peer.link.state is LinkState.LIVE, "an engine's welcome")
        return peer

    def supervisor(self, *engines: EnginePeer) -> SupervisorPeer:
        peer = SupervisorPeer(self)
        self.until(lambda: peer.link.state is LinkState.LIVE, "a supervisor's welcome")
        peer.watches(*engines)
        self.rounds(5)
        return peer

    def close(self) -> None:
        for peer in self.peers:
            peer.link.close()
        if self.up:
            self.kill()


def ranges(hex: str, first: int, count: int = 1) -> list[IdRange]:
    return [(hex, first, count)]


def plain(value: Any) -> Any:
    """As it would look on the other side of the wire."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def stages(folder: Path) -> Iterator[Callable[..., Stage]]:
    """For the fixture: makes stages, and closes them."""
    made: list[Stage] = []

    def make(**changes: Any) -> Stage:
        place = folder / f"{len(made)}"
        place.mkdir()
        made.append(Stage(place, **changes))
        return made[-1]

    yield make
    for stage in made:
        stage.close()
