"""Connections that lose, repeat, hold back and break, and what clients, engines and a supervisor do at their ends.

The ends keep what is unacknowledged in the product's own outbox; engines decide with the product's own queue. A message
that is lost shows as a gap in the numbers when the next one arrives: then everything under way is void, and the peer
says Hello and sends again what was not acknowledged.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from tests.hub.oracle import Ended, Oracle
from tuiparallel.engine.queue import TaskQueue
from tuiparallel.link.outbox import Outbox
from tuiparallel.wire.messages import (
    EngineWelcome,
    ErrorText,
    Extras,
    Interrupt,
    Kept,
    Lease,
    Probe,
    Ran,
    Results,
    Returned,
    Revoke,
    Run,
    Work,
)

PAST = 10  # messages per direction of which a copy may come


@dataclass(frozen=True, slots=True)
class Hail:
    """The first message of a connection: an engine's leases, or what a client waits for."""

    leases: Sequence[Lease] = ()
    running: int | None = None
    waits: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    first: int
    count: int
    work: Work


@dataclass(frozen=True, slots=True)
class AbortRequest:
    request: int
    ids: Sequence[int]
    running: bool


@dataclass(frozen=True, slots=True)
class Exit:
    """An engine has ended; mark: the last it started; exact: there is one to go by."""

    number: int
    uuid: int
    mark: Lease | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Kill:
    """To the supervisor: this engine is to be killed, and another started."""

    uuid: int


@dataclass(frozen=True, slots=True)
class Start:
    """A task has been running for a while."""

    task: int
    lease: int
    at: float


@dataclass(frozen=True, slots=True)
class Pulse:
    """The answer to a Probe: what an engine works on, since when."""

    running: int | None
    at: float


@dataclass(frozen=True, slots=True)
class Greeting:
    """The hub knows the connection. next: a client's first counter it has not seen."""

    next: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    numbers: Sequence[int]


@dataclass(frozen=True, slots=True)
class Told:
    outcomes: Sequence[tuple[int, Ended]]


@dataclass(frozen=True, slots=True)
class AbortAnswer:
    request: int
    aborted: Sequence[int]
    running: Sequence[int]
    done: Sequence[int]


class Lost:
    """Where a message was."""


LOST = Lost()


class Line:
    """One peer's connection. up is to the hub, down from it; each entry has the moment it was sent at."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.up: deque[tuple[int, object]] = deque()
        self.down: deque[tuple[int, object]] = deque()
        self.past_up: deque[object] = deque(maxlen=PAST)  # of this connection
        self.past_down: deque[object] = deque(maxlen=PAST)
        self.known = False  # the hub has read Hello
        self.live = False  # the peer has read Welcome
        self.parted_up = self.parted_down = False
        self.parted_at = 0.0
        self._gap_up = self._gap_down = False

    @property
    def parted(self) -> bool:
        return self.parted_up or self.parted_down

    def void(self) -> None:
        """The connection is gone, and with it what was under way."""
        self.up.clear()
        self.down.clear()
        self.past_up.clear()
        self.past_down.clear()
        self.known = self.live = self._gap_up = self._gap_down = False

    def take_up(self) -> object | None:
        """What the hub reads next; None for nothing, or for what shows it that something is missing."""
        _, message = self.up.popleft()
        if message is LOST:
            self._gap_up = True
        elif self._gap_up:
            self.void()
        else:
            self.past_up.append(message)
            return message
        return None

    def take_down(self) -> object | None:
        _, message = self.down.popleft()
        if message is LOST:
            self._gap_down = True
        elif self._gap_down:
            self.void()
        else:
            self.past_down.append(message)
            return message
        return None


class Peer:
    """An end that keeps what is not acknowledged."""

    def __init__(self, world: Moment, oracle: Oracle) -> None:
        self.world, self.oracle = world, oracle
        self.line = Line(world.counts)
        self.outbox: Outbox[Hashable, object] = Outbox()

    def send(self, message: object) -> None:
        if self.line.live:
            self.line.up.append((self.world.stamp(), message))

    def post(self, key: Hashable, message: object) -> None:
        self.outbox.put(key, message)
        self.send(message)

    def greet(self) -> None:
        self.line.void()
        self.line.up.append((self.world.stamp(), self.hail()))

    def resend(self) -> None:
        for message in self.outbox.resend():
            self.send(message)

    def hail(self) -> Hail:
        return Hail()

    def hear(self, message: object) -> None:
        """One message of the hub."""
        match message:
            case Greeting():
                self.line.live = True
                self.resend()
            case Acknowledged(numbers):
                self.outbox.ack(numbers)


@dataclass
class Moment:
    """What everybody shares: both clocks, the order of sending, what has been counted."""

    now: float = 1000.0
    wall: float = 1.7e9
    counts: Counter[str] = field(default_factory=Counter)
    stubborn: set[int] = field(default_factory=set)  # tasks that nothing but a kill ends
    doomed: set[int] = field(default_factory=set)  # tasks that raise wherever they run
    stamps: int = 0

    def stamp(self) -> int:
        self.stamps += 1
        return self.stamps


class ClientEnd(Peer):
    """A client: it submits, asks for aborts, and waits for every one of its tasks."""

    def __init__(self, world: Moment, oracle: Oracle, session: int) -> None:
        super().__init__(world, oracle)
        self.session = session
        self.next = 0
        self.waits: dict[int, None] = {}
        self.aborts: dict[int, AbortRequest] = {}

    def submit(self, first: int, count: int, work: Work) -> None:
        self.next += count
        self.waits.update(dict.fromkeys(range(first, first + count)))
        self.post(first, Submission(first, count, work))

    def ask_abort(self, request: AbortRequest) -> None:
        self.oracle.asked.update(request.ids)
        self.aborts[request.request] = request
        self.post(("abort", request.request), request)

    def hail(self) -> Hail:
        return Hail(waits=list(self.waits))

    def hear(self, message: object) -> None:
        match message:
            case Acknowledged(numbers):
                for first in numbers:
                    self.oracle.accepted(first)
                self.outbox.ack(numbers)
            case Told(outcomes):
                for id, ended in outcomes:
                    self.oracle.gets(id, ended)
                    self.waits.pop(id, None)
            case AbortAnswer(request, aborted, running, done):
                self.outbox.ack([("abort", request)])
                asked = self.aborts.pop(request, None)
                if asked is not None:
                    self.oracle.abort_answered(asked.ids, set(aborted), set(running), set(done))
            case _:
                super().hear(message)


class EngineEnd(Peer):
    """An engine: what it runs is told by the world."""

    def __init__(self, world: Moment, oracle: Oracle, uuid: int) -> None:
        super().__init__(world, oracle)
        self.uuid = uuid
        self.id = -1  # as the hub has named it
        self.alive = True
        self.queue = TaskQueue(1 << 20)
        self.mark: Lease | None = None
        self.started = 0.0  # what runs: by the wall clock
        self.calls = False  # whether the function itself was called

    def hail(self) -> Hail:
        running, queued, holding, returned = self.queue.hello()
        return Hail([*running, *queued, *holding, *returned], running[0].task if running else None)

    def start(self) -> bool:
        """Begin the next task; whether there was one."""
        assignment = self.queue.start()
        if assignment is None:
            return False
        self.mark = Lease(assignment[0], assignment[1])
        self.started = self.world.wall
        self.calls = self.oracle.starts_on(self.id, self.mark.task, self.mark.lease, self.world.now)
        return True

    def end(self, ok: bool, ename: str = "ValueError") -> None:
        """The running task returns or raises."""
        assert self.queue.running is not None
        id, lease = self.queue.running[0], self.queue.running[1]
        ok, ename = ok and self.calls and id not in self.world.doomed, ename if self.calls else "UnmetDependency"
        body = f"{id} {lease} {self.id}".encode()
        self.world.counts["finish" if ok else "raise"] += 1
        self.oracle.ends(id, ok, body)
        extras = None if ok else Extras(error=ErrorText(ename, body.decode(), ""))
        ran = Ran(id, lease, ok, self.started, self.world.wall + 0.0001, body if ok else b"", extras)
        if self.queue.finish(1):
            number = self.queue.send([ran], 1)
            self.post(number, Results(number, [ran]))

    def say_what_runs(self) -> None:
        if self.queue.running is not None:
            self.send(Start(self.queue.running[0], self.queue.running[1], self.started))

    def hear(self, message: object) -> None:
        match message:
            case EngineWelcome(engine=id):
                self.id = id
                self.line.live = True
                self.outbox.ack(self.queue.welcomed(message))
                self.resend()
            case Run(batches):
                self.queue.run(batches)
            case Revoke(leases):
                back, refused = self.queue.revoke(leases)
                self.world.counts["returned"] += len(back)
                self.world.counts["refused"] += len(refused)
                number = self.queue.send(back, 0)
                self.post(number, Returned(number, back, refused))
            case Kept(numbers):
                self.queue.kept(numbers)
                self.outbox.ack(numbers)
            case Probe():
                now = self.queue.running
                self.send(Pulse(None if now is None else now[0], self.started))
            case Interrupt(_, task):
                self.interrupted(task)
            case _:
                super().hear(message)

    def interrupted(self, task: int | None) -> None:
        running = self.queue.running
        if running is not None and running[0] == task and task not in self.world.stubborn:
            self.end(False, "KeyboardInterrupt")


class Supervisor(Peer):
    """It reports exits until they are acknowledged."""

    def __init__(self, world: Moment, oracle: Oracle) -> None:
        super().__init__(world, oracle)
        self.exits = 0
        self.kills: list[int] = []  # engines that the hub wants killed

    def hear(self, message: object) -> None:
        match message:
            case Kill(uuid):
                self.kills.append(uuid)
            case _:
                super().hear(message)

    def report(self, uuid: int, mark: Lease | None, exact: bool) -> None:
        self.exits += 1
        self.post(self.exits, Exit(self.exits, uuid, mark, exact))
