"""What observers are told: a snapshot, then numbered deltas, at most so many a second.

No socket, thread or clock in this file. A single task gets a row of its own while few end; above that they are merged
by function, engine and outcome. An observer that does not read gets "skipped n" and a new snapshot later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tuiparallel.hub.events import TaskEnded
from tuiparallel.hub.registry import Engine, Registry
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.tally import Merged, Tally
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.messages import (
    BatchRow,
    Chunk,
    ClientRow,
    Counters,
    Delta,
    EngineRow,
    EventRow,
    LimitRow,
    Snapshot,
    TaskRow,
    Vital,
)
from tuiparallel.wire.states import EngineState, State

ROWS_A_SECOND = 2000  # tasks that get rows of their own; above it they are merged
BURST = 2000  # rows of open tasks that may be sent at once
SNAPSHOT_TASKS = 2000
MOST_OUTPUT = 1 << 20  # characters of output in one delta; the offsets tell a reader what it missed
MOST_EVENTS = 1000


@dataclass(slots=True)
class Window:
    """What has come since the last delta."""

    tasks: dict[int, TaskRow] = field(default_factory=dict)
    ended: int = 0
    merged: dict[tuple[int, str, int], Merged] = field(default_factory=dict)
    output: list[Chunk] = field(default_factory=list)
    output_size: int = 0
    events: list[EventRow] = field(default_factory=list)
    engines: set[int] = field(default_factory=set)
    clients: set[int] = field(default_factory=set)
    vitals: dict[str, Vital] = field(default_factory=dict)


class Feed:
    """Gathers what happens; delta() and snapshot() make the messages."""

    def __init__(self, scheduler: Scheduler, registry: Registry, tally: Tally, rate: float = 20.0) -> None:
        self.scheduler, self.registry, self.tally = scheduler, registry, tally
        self.interval = 1.0 / rate
        self.rows_per_window = max(1, int(ROWS_A_SECOND * self.interval))
        self.observers = 0
        self.number = 0
        self.events: list[EventRow] = []  # the newest, for who attaches late
        self._window = Window()
        self._due = 0.0
        self._told_running: dict[int, int] = {}  # by submission
        self._allowance = float(BURST)  # rows of open tasks that may be sent now
        self._merging = False
        self._long = False  # this window is twice as long, since much is merged in it

    # What happens --------------------------------------------------------------------------------------------------

    def touched(self, engine: int) -> None:
        self._window.engines.add(engine)

    def client_changed(self, session: int) -> None:
        self._window.clients.add(session)

    def event(self, row: EventRow) -> None:
        self.events.append(row)
        del self.events[:-MOST_EVENTS]
        self._window.events.append(row)
        del self._window.events[:-MOST_EVENTS]

    def vitals(self, vitals: list[Vital]) -> None:
        for vital in vitals:
            self._window.vitals[vital.uuid] = vital

    def output(self, chunks: list[Chunk]) -> None:
        if not self.observers:
            return
        for chunk in chunks:
            self._window.output_size += len(chunk.text)
            if self._window.output_size <= MOST_OUTPUT:
                self._window.output.append(chunk)

    @property
    def shows_tasks(self) -> bool:
        """Whether open tasks get rows now: not while tasks end so fast that they are merged."""
        return self.observers > 0 and not self._merging and self._allowance >= 1

    def tasks_changed(self, tasks: list[Task]) -> None:
        """Submitted, assigned, begun or given back: rows for the first of them, as far as the allowance goes.

        None while they are merged: their rows would never hear of their end.
        """
        if not self.shows_tasks:
            return
        shown = tasks[: int(self._allowance)]
        self._allowance -= len(shown)
        rows = self._window.tasks
        for task in shown:
            rows[task.id] = self._task_row(task)

    def submitted(self, batch: Batch) -> None:
        """A new submission: its first tasks get rows."""
        if self.shows_tasks:
            tasks = self.scheduler.tasks
            ids = range(batch.first, batch.first + min(batch.count, int(self._allowance)))
            self.tasks_changed([tasks[id] for id in ids if id in tasks])

    def tasks_ended(self, effects: list[TaskEnded], merged: list[Merged], date: float) -> None:
        window = self._window
        if not self.observers:
            return
        window.ended += len(effects)
        if not self._merging and window.ended <= self.rows_per_window:
            for effect in effects:
                window.tasks[effect.task.id] = _ended_row(effect, self._submission(effect.task), date)
            return
        self._merging = True
        for effect in effects if window.tasks else ():
            window.tasks.pop(effect.task.id, None)
        for group in merged:
            key = (group.engine, group.name, group.state)
            known = window.merged.get(key)
            if known is None:
                window.merged[key] = group
            else:
                known.absorb(group)

    # What is told --------------------------------------------------------------------------------------------------

    def due(self, now: float) -> bool:
        """Whether a delta should be made now."""
        if now > self._due + self.interval:  # nothing has been told for a while
            self._merging = self._long = False
            self._allowance = float(BURST)
        return self.observers > 0 and now >= self._due

    def next_deadline(self) -> float | None:
        """When the next delta may be made, if there is anything to tell."""
        if not self.observers or not self._anything():
            return None
        return self._due

    def _anything(self) -> bool:
        window = self._window
        return bool(
            window.tasks
            or window.merged
            or window.output
            or window.events
            or window.engines
            or window.clients
            or window.vitals
            or self.tally.dirty_submissions
        )

    def delta(self, now: float, date: float, limits: list[LimitRow]) -> Delta | None:
        """All changes since the last one; None when there are none."""
        if not self._anything():
            return None
        self._allowance = min(BURST, self._allowance + self.rows_per_window)
        self._merging = self._window.ended > self.rows_per_window * (1 + self._long)
        self._long = self._merging
        self._due = now + self.interval * (1 + self._long)
        window, self._window = self._window, Window()
        tally = self.tally
        functions = [tally.functions[name].row() for name in tally.dirty_functions if name in tally.functions]
        batches = self._batches()
        failures = tally.fresh_failures
        tally.dirty_functions, tally.dirty_submissions, tally.fresh_failures = set(), {}, []
        self.number += 1
        engines = self.registry.engines
        return Delta(
            self.number,
            date,
            self.counters(),
            [self.engine_row(engines[id]) for id in sorted(window.engines) if id in engines],
            list(window.tasks.values()),
            [group.row() for group in window.merged.values()],
            batches,
            [self._client_row(number) for number in sorted(window.clients) if number in self.registry.sessions],
            functions,
            failures,
            window.output,
            window.events,
            list(window.vitals.values()),
            limits,
            self.registry.expected,
        )

    def _batches(self) -> list[BatchRow]:
        """The submissions that have changed, in what has ended or in what runs."""
        dirty, running = self.tally.dirty_submissions, self._running()
        for id in self._told_running.keys() | running.keys():
            submission = self.tally.submissions.get(id)
            if submission is not None and self._told_running.get(id, 0) != running.get(id, 0):
                dirty[id] = submission
        self._told_running = running
        return [submission.row(running.get(id, 0)) for id, submission in dirty.items()]

    def _running(self) -> dict[int, int]:
        """How many tasks of each submission engines work on: the first of what each one holds."""
        counts: dict[int, int] = {}
        for seat in self.scheduler.seats.values():
            task = seat.running or next(iter(seat.held.values()), None)
            if task is not None:
                id = self._submission(task)
                counts[id] = counts.get(id, 0) + 1
        return counts

    def forget_changes(self) -> None:
        """Nobody watches: what has changed is in the next snapshot anyway."""
        self._window = Window()
        self.tally.dirty_functions.clear()
        self.tally.dirty_submissions.clear()
        self.tally.fresh_failures.clear()

    def snapshot(
        self, date: float, boot: str, cluster: str, started: float, limits: list[LimitRow], **facts: int | str
    ) -> Snapshot:
        """Everything, as it is now."""
        rows: list[TaskRow] = []
        for task in self.scheduler.open_tasks():
            if len(rows) >= SNAPSHOT_TASKS:
                break
            rows.append(self._task_row(task))
        tally = self.tally
        submissions = [*tally.over, *tally.submissions.values()]
        running = self._running()
        vitals = [engine.vital for engine in self.registry.living() if engine.vital is not None]
        return Snapshot(
            self.number,
            date,
            boot,
            cluster,
            started,
            self.counters(),
            [self.engine_row(engine) for engine in self.registry.engines.values()],
            rows,
            [submission.row(running.get(submission.id, 0)) for submission in submissions],
            [self._client_row(number) for number in self.registry.sessions],
            [function.row() for function in tally.functions.values()],
            list(tally.failures),
            limits,
            vitals,
            self.registry.expected,
            **facts,  # type: ignore[arg-type]
        )

    def counters(self) -> Counters:
        scheduler, states = self.scheduler, self.tally.states
        assigned = sum(len(seat.held) for seat in scheduler.seats.values())
        return Counters(
            queued=len(scheduler.tasks) - assigned,
            waiting=scheduler.waiting,
            assigned=assigned,
            running=sum(1 for seat in scheduler.seats.values() if seat.held),
            done=states[State.DONE],
            error=states[State.ERROR],
            lost=states[State.LOST],
            aborted=states[State.ABORTED],
            expired=states[State.EXPIRED],
            late=scheduler.late,
        )

    def engine_row(self, engine: Engine) -> EngineRow:
        seat = self.scheduler.seats.get(engine.id)
        running = None
        if seat is not None:
            running = seat.running or next(iter(seat.held.values()), None)
        state = engine.state
        if state in (EngineState.IDLE, EngineState.BUSY):
            state = EngineState.BUSY if seat is not None and seat.held else EngineState.IDLE
        return EngineRow(
            engine.id,
            engine.uuid,
            engine.host,
            engine.pid,
            state,
            engine.since,
            engine.heard,
            len(seat.direct) if seat is not None else 0,
            len(seat.held) if seat is not None else 0,
            engine.done,
            engine.errors,
            running.id if running is not None else None,
            running.batch.work.name if running is not None else "",
            running.batch.work.label if running is not None else None,
            running.started if running is not None else None,
            0,
            engine.reason,
            engine.was,
            engine.successor,
        )

    def _client_row(self, number: int) -> ClientRow:
        session = self.registry.sessions[number]
        connected = session.peer is not None
        return ClientRow(
            session.number,
            session.hex,
            session.host,
            session.pid,
            session.name,
            session.since,
            connected,
            session.open,
        )

    def _submission(self, task: Task) -> int:
        submission = self.tally.submission_of(task.batch.first)
        return submission.id if submission is not None else task.batch.first

    def _task_row(self, task: Task) -> TaskRow:
        work = task.batch.work
        return TaskRow(
            task.id,
            task.state,
            task.engine if task.engine is not None else task.batch.target(task.id),
            work.name,
            work.label,
            self._submission(task),
            work.submitted,
            task.started,
            attempt=task.attempt,
            size=len(task.batch.call(task.id)),
            waiting=task.state is State.QUEUED and self.scheduler.is_waiting(task.id),
            running=task.started is not None,
        )


def _ended_row(effect: TaskEnded, submission: int, date: float) -> TaskRow:
    task, ran = effect.task, effect.ran
    work = task.batch.work
    error = ran.extras.error if ran.extras is not None else None
    return TaskRow(
        task.id,
        effect.state,
        task.engine if task.engine is not None else task.batch.target(task.id),
        work.name,
        work.label,
        submission,
        work.submitted,
        ran.started or None,
        ran.completed,
        date,
        task.attempt,
        len(task.batch.call(task.id)),
        len(ran.body),
        error.ename if error is not None else "",
        error.evalue[:200] if error is not None else "",
    )
