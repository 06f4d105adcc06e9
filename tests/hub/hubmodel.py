"""A hub of the rules alone: what its doors do around them, in as few words as possible, and the disk it begins from.

A turn takes in messages, settles, records, and only then sends. Whatever is not recorded dies with the hub.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from tests.hub.net import (
    AbortAnswer,
    AbortRequest,
    Acknowledged,
    ClientEnd,
    EngineEnd,
    Exit,
    Greeting,
    Hail,
    Kill,
    Moment,
    Peer,
    Pulse,
    Start,
    Submission,
    Supervisor,
    Told,
)
from tests.hub.oracle import BrokenError, Ended, Oracle
from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.events import (
    AbortAsked,
    AbortSettled,
    AttemptEnded,
    Death,
    DropLeases,
    Effect,
    EngineBack,
    EngineClosing,
    EngineJoined,
    EngineLost,
    EngineRuns,
    Event,
    InterruptTask,
    LeasesGivenBack,
    LeasesReturned,
    ReplaceEngine,
    RevokeTasks,
    RunTasks,
    TaskBegan,
    TaskEnded,
    TasksRan,
    TasksSubmitted,
)
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId, counter_of, session_of
from tuiparallel.wire.messages import (
    EngineWelcome,
    Interrupt,
    Kept,
    Lease,
    Probe,
    Ran,
    Results,
    Returned,
    Revoke,
    Run,
    RunBatch,
    Work,
)
from tuiparallel.wire.states import State

ENGINE_TIMEOUT = 30.0
OWN_GAP = 5.0  # seconds between turns that mean that the hub itself was stopped
DRAIN_PATIENCE = 1.0
PROBES = 2.0  # seconds between probes, which also show a peer that something before them is missing


@dataclass
class Disk:
    """What a kill of the hub leaves."""

    oracle: Oracle
    batches: dict[int, tuple[int, Work]] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)  # by session
    last_lease: int = 0
    places: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # engine, lease, place in it
    attempts: dict[int, int] = field(default_factory=dict)
    engines: dict[int, int] = field(default_factory=dict)  # id by uuid
    living: dict[int, None] = field(default_factory=dict)  # ids

    def lease(self, lease: int, engine: int, ids: list[int]) -> None:
        self.last_lease = max(self.last_lease, lease)
        self.places.update((id, (engine, lease, place)) for place, id in enumerate(ids))
        self.oracle.leased(lease, engine, ids)


@dataclass
class Record:
    """An engine as the hub's door knows it."""

    end: EngineEnd
    unreachable_at: float | None = None
    exited: Exit | None = None
    exited_at: float = 0.0


class Hub:
    """One life of the hub."""

    def __init__(
        self, moment: Moment, disk: Disk, ends: dict[int, EngineEnd], scheme: str, hwm: int, check: bool
    ) -> None:
        self.moment, self.disk, self.oracle, self.ends, self.check = moment, disk, disk.oracle, ends, check
        self.rules = Scheduler(hwm=hwm, scheme=scheme, random=Random(len(disk.engines)))
        self.engines: dict[int, Record] = {}  # living ones, by id
        self.clients: dict[int, ClientEnd] = {}
        self.next = dict(disk.next)
        self.ids = dict(disk.engines)
        self.effects: list[Effect] = []
        self.rows: list[tuple[object, ...]] = []
        self.out: list[tuple[Peer, object]] = []
        self.kept: list[tuple[EngineEnd, int, list[Ran]]] = []
        self.tickets: dict[int, ClientEnd] = {}
        self.answers: dict[int, AbortAnswer | None] = {}  # by request; None while there is none
        self.supervisor: Supervisor | None = None
        self.last_turn = self.next_probe = moment.now
        self._recover()

    def tell(self, event: Event) -> list[Effect]:
        try:
            effects = self.rules.handle(event, self.moment.now, self.moment.wall)
        except Exception as error:
            raise BrokenError(f"P1: the rules raised {error!r} at {type(event).__name__}") from error
        self.effects += effects
        return effects

    # From the disk -------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        disk, rules, now = self.disk, self.rules, self.moment.now
        rules.next_lease = disk.last_lease + 1
        uuids = {id: uuid for uuid, id in disk.engines.items()}
        for id in disk.living:
            self.engines[id] = Record(self.ends[uuids[id]], unreachable_at=now)
            rules.restore_engine(id, now)
        leased: list[tuple[int, int, int, Task]] = []
        waiting: list[tuple[Batch, list[Task]]] = []
        for first, (count, work) in disk.batches.items():
            open_ids = [id for id in range(first, first + count) if id not in self.oracle.outcomes]
            batch = Batch(TaskId(first), count, work, b"f", b"code", [b"x"])
            batch.open = len(open_ids)
            queued = []
            places = rules.places_of(
                batch, self._facts([] if work.follow is None else [i for _, i, _ in work.follow.tasks])
            )
            for id in open_ids:
                task = Task(TaskId(id), batch)
                task.attempt = disk.attempts.get(id, 0) + 1
                engine, lease, place = disk.places.get(id, (-1, 0, 0))
                if engine in self.engines:
                    task.places = places
                    leased.append((engine, lease, place, task))
                else:
                    task.lease = lease
                    queued.append(task)
            if queued:
                waiting.append((batch, queued))
        for engine, lease, _, task in sorted(leased, key=lambda one: one[:3]):
            rules.restore_lease(task, engine, lease)
        for batch, queued in waiting:
            self.effects += rules.restore_queued(self._submitted(batch), queued, now, self.moment.wall)

    def _submitted(self, batch: Batch) -> TasksSubmitted:
        needs = []
        ended: dict[TaskId, Fact] = {}
        for need, follow in ((batch.work.after, False), (batch.work.follow, True)):
            if need is None:
                continue
            ids = [TaskId(id) for _, id, _ in need.tasks]
            needs.append((need, follow, ids))
            ended.update(self._facts(ids))
        for effect in self.effects:
            if isinstance(effect, TaskEnded):
                ended[effect.task.id] = Fact(effect.state is State.DONE, effect.task.engine)
        asked = {id for _, _, ids in needs for id in ids}
        return TasksSubmitted(batch, needs, {id: fact for id, fact in ended.items() if id in asked})

    def _facts(self, ids: Iterable[int]) -> dict[TaskId, Fact]:
        known = self.oracle.outcomes
        return {TaskId(id): Fact(known[id].state is State.DONE, known[id].engine) for id in ids if id in known}

    # Clients -------------------------------------------------------------------------------------------------------

    def from_client(self, end: ClientEnd, message: object) -> None:
        match message:
            case Hail(waits=waits):
                end.line.known = True
                self.clients[end.session] = end
                self.out.append((end, Greeting(self.next.get(end.session, 0))))
                told = [(id, self.oracle.outcomes[id]) for id in waits if id in self.oracle.outcomes]
                if told:
                    self.out.append((end, Told(told)))
            case Submission(first, count, work) if end.line.known:
                if counter_of(first) >= self.next.get(end.session, 0):
                    self.next[end.session] = counter_of(first) + count
                    batch = Batch(TaskId(first), count, work, b"f", b"code", [b"x"])
                    self.rows.append(("batch", first, count, work, self.moment.now))
                    self.tell(self._submitted(batch))
                self.out.append((end, Acknowledged([first])))
            case AbortRequest(request, ids, running) if end.line.known:
                if request in self.answers:  # a copy: its answer may have been lost
                    if (answer := self.answers[request]) is not None:
                        self.out.append((end, answer))
                    return
                self.answers[request] = None
                self.tickets[request] = end
                self.oracle.abort_heard(ids, running)
                self.tell(AbortAsked(request, [TaskId(id) for id in ids], running, 0.2))

    # Engines -------------------------------------------------------------------------------------------------------

    def from_engine(self, end: EngineEnd, message: object) -> None:
        if isinstance(message, Hail):
            self._welcome(end, message)
            return
        if not end.line.known:
            return
        id = self.ids[end.uuid]
        match message:
            case Results(number, ran):
                self.tell(TasksRan(id, ran))
                self.kept.append((end, number, ran))
            case Returned(number, leases, refused):
                self.tell(LeasesReturned(id, leases, refused))
                self.kept.append((end, number, []))
            case Start(task, lease, at):
                self.tell(TaskBegan(id, task, lease, at))
            case Pulse(running, at):
                self.tell(EngineRuns(id, running))
                seat = self.rules.seats[id]
                known = seat.held.get(running) if running is not None and seat.guest != running else None
                if known is not None and known.started is None:
                    self.tell(TaskBegan(id, known.id, known.lease, at))

    def _welcome(self, end: EngineEnd, hail: Hail) -> None:
        id = self.ids.get(end.uuid)
        leases = list(hail.leases)
        drop: list[Lease] = []
        if id is None:
            id = self.ids[end.uuid] = max(self.ids.values(), default=-1) + 1
            self.rows.append(("engine", end.uuid, id))
            self.tell(EngineJoined(id))
        elif id not in self.engines:
            drop, leases = leases, []
            self.rows.append(("engine", end.uuid, id))
            self.tell(EngineJoined(id))
        else:
            self.rules.welcome_back(id)
        before = self.engines.get(id)
        self.engines[id] = Record(end)
        if before is not None and before.exited is not None:
            self.engines[id].exited, self.engines[id].exited_at = before.exited, before.exited_at
        end.line.known = True
        for effect in self.tell(EngineBack(id, leases)):
            if isinstance(effect, DropLeases):
                drop += effect.leases
        self.tell(EngineRuns(id, hail.running))
        self.out.append((end, EngineWelcome(1, "", "", id, drop)))

    def from_supervisor(self, end: Supervisor, message: object) -> None:
        match message:
            case Hail():
                end.line.known = True
                self.supervisor = end
                self.out.append((end, Greeting()))
            case Exit(number, uuid):
                record = self.engines.get(self.ids.get(uuid, -1))
                if record is None:
                    self.out.append((end, Acknowledged([number])))
                elif record.exited is None:
                    record.exited, record.exited_at = message, self.moment.now

    def close(self, id: int) -> None:
        """Somebody stops this engine."""
        self.tell(EngineClosing(id))

    def lose(self, id: int, mark: Lease | None = None, exact: bool = False) -> None:
        record = self.engines.pop(id)
        record.end.line.known = False
        self.rows.append(("gone", id, exact))
        self.tell(EngineLost(id, Death("is gone"), mark, exact))
        if record.exited is not None and self.supervisor is not None:
            self.out.append((self.supervisor, Acknowledged([record.exited.number])))

    def upkeep(self) -> None:
        """The dead whose last messages were read, and the silent, are lost."""
        now = self.moment.now
        away = now - self.last_turn > OWN_GAP
        self.last_turn = now
        if now >= self.next_probe:
            self.next_probe = now + PROBES
            peers = [*self.clients.values(), *(record.end for record in self.engines.values())]
            self.out += [(peer, Probe()) for peer in peers]
        for id, record in list(self.engines.items()):
            line = record.end.line
            if record.exited is not None:
                read = not line.known or (not line.up and not line.parted_up)
                if read or now - record.exited_at > DRAIN_PATIENCE:
                    self.lose(id, record.exited.mark, record.exited.exact)
            elif line.known:
                record.unreachable_at = None
            elif record.unreachable_at is None or away:
                record.unreachable_at = now
            elif now - record.unreachable_at > ENGINE_TIMEOUT:
                self.moment.counts["given up"] += 1
                self.lose(id)

    # The end of a turn ---------------------------------------------------------------------------------------------

    def turn(self, unsent: bool = False) -> None:
        """Settle, record, send. unsent: the hub is killed between the last two."""
        self.upkeep()
        try:
            self.effects += self.rules.settle(self.moment.now, self.moment.wall)
        except Exception as error:
            raise BrokenError(f"P1: the rules raised {error!r} at the end of a turn") from error
        deadline = self.rules.next_deadline()
        if deadline is not None and deadline <= self.moment.now:
            raise BrokenError(f"P1: what was due at {deadline} is still to be done at {self.moment.now}")
        if self.check:
            self.rules.check()
        effects, self.effects = self.effects, []
        told: dict[int, list[tuple[int, Ended]]] = {}
        for effect in effects:
            self._carry_out(effect, told)
        for session, outcomes in told.items():
            if session in self.clients:
                self.out.append((self.clients[session], Told(outcomes)))
        self._commit()
        out, self.out, kept, self.kept = self.out, [], self.kept, []
        if unsent:
            return
        for end, message in out:
            self._send(end, message)
        for engine, number, ran in kept:
            self.oracle.keeps(self.ids[engine.uuid], ran)
            self._send(engine, Kept([number]))

    def _send(self, end: Peer, message: object) -> None:
        if end.line.known:
            end.line.down.append((self.moment.stamp(), message))

    def _commit(self) -> None:
        disk, oracle, now = self.disk, self.oracle, self.moment.now
        rows, self.rows = self.rows, []
        for row in rows:
            match row:
                case ("batch", int(first), int(count), Work() as work, float(taken)):
                    disk.batches[first] = (count, work)
                    disk.next[session_of(TaskId(first))] = counter_of(TaskId(first)) + count
                    oracle.recorded(first, count, taken)
                case ("engine", int(uuid), int(id)):
                    disk.engines[uuid] = id
                    disk.living[id] = None
                case ("gone", int(id), bool(exact)):
                    disk.living.pop(id, None)
                    oracle.lost(id, exact)
        for row in rows:
            match row:
                case ("lease", int(lease), int(engine), list(ids)):
                    disk.lease(lease, engine, ids)
                case ("attempt", int(id), int(attempt)):
                    disk.attempts[id] = attempt
                case ("ended", int(id), Ended() as ended):
                    oracle.recorded_end(id, ended, now)
                    if ended.state is State.EXPIRED:
                        self.moment.counts["time out"] += 1

    def _carry_out(self, effect: Effect, told: dict[int, list[tuple[int, Ended]]]) -> None:
        counts = self.moment.counts
        match effect:
            case TaskEnded(task, state, ran):
                ended = _ended(task, state, ran)
                self.rows.append(("ended", task.id, ended))
                told.setdefault(session_of(task.id), []).append((task.id, ended))
            case RunTasks(engine, tasks, again):
                if not again:
                    counts["assign"] += len(tasks)
                    self.rows.append(("lease", tasks[0].lease, engine, [task.id for task in tasks]))
                self._to_engine(engine, Run([_part(task) for task in tasks]))
            case RevokeTasks(engine, tasks):
                counts["revoke"] += len(tasks)
                self._to_engine(engine, Revoke([Lease(task.id, task.lease) for task in tasks]))
            case InterruptTask(engine, id):
                counts["interrupt"] += 1
                self._to_engine(engine, Interrupt(2, id))
            case LeasesGivenBack(tasks, lease):
                self.rows.append(("lease", lease, -1, [task.id for task in tasks]))
            case AttemptEnded(task, attempt, _, _, _, outcome):
                counts["retry"] += outcome != "unmet"
                if outcome != "unmet":
                    self.rows.append(("attempt", task.id, attempt))
            case ReplaceEngine(engine):
                counts["replace"] += 1
                if engine in self.engines and self.supervisor is not None:
                    self.out.append((self.supervisor, Kill(self.engines[engine].end.uuid)))
            case AbortSettled(ticket, aborted, running, done):
                self.answers[ticket] = answer = AbortAnswer(ticket, aborted, running, done)
                self.out.append((self.tickets.pop(ticket), answer))
            case DropLeases():
                pass

    def _to_engine(self, id: int, message: object) -> None:
        if id in self.engines:
            self.out.append((self.engines[id].end, message))


def _ended(task: Task, state: State, ran: Ran) -> Ended:
    error = ran.extras.error if ran.extras is not None else None
    engine = task.engine if task.engine is not None else None
    if error is None:
        return Ended(state, ran.lease, engine, ran.body, "")
    return Ended(state, ran.lease, engine, error.evalue.encode(), error.ename, error.facts)


def _part(task: Task) -> RunBatch:
    return RunBatch(0, "f", "", b"f", [task.id], [task.lease], [b"x"], task.attempt)
