"""What the rules want done, turned into rows to record and messages to send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from tuiparallel.hub.book import Book
from tuiparallel.hub.delivery import Delivery
from tuiparallel.hub.engines import EngineDesk
from tuiparallel.hub.events import (
    AbortSettled,
    AttemptEnded,
    DropLeases,
    Effect,
    InterruptTask,
    LeasesGivenBack,
    ReplaceEngine,
    RevokeTasks,
    RunTasks,
    TaskEnded,
)
from tuiparallel.hub.requests import Requests
from tuiparallel.hub.tally import Merged
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import session_of, spans
from tuiparallel.wire.messages import Interrupt, Lease, Ran, Revoke, Run, RunBatch
from tuiparallel.wire.states import State

FRAME_LIMIT = 4 << 20  # bytes of bodies in one Run
COUNTED_AT_ONCE = 200  # tasks that have ended after which they are counted
COUNTING_PATIENCE = 0.005  # seconds that they wait for others


class Executor:
    """Carries out effects. Within a turn their order is kept per engine."""

    def __init__(self, book: Book, engines: EngineDesk, requests: Requests, delivery: Delivery) -> None:
        self.book, self.engines, self.requests, self.delivery = book, engines, requests, delivery
        self._changed: list[Task] = []  # given out, not yet shown
        self._uncounted: list[tuple[list[TaskEnded], list[Batch], float]] = []  # ended, batches over, when
        self._ended_uncounted = 0  # tasks in it
        self._count_at: float | None = None  # when account() has waited long enough; None: it has nothing to do

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """All effects of a turn."""
        book = self.book
        ended: list[TaskEnded] = []
        for effect in effects:
            match effect:
                case TaskEnded():
                    ended.append(effect)
                case RunTasks(engine, tasks, again):
                    self._run(engine, tasks, again)
                case RevokeTasks(engine, tasks):
                    leases = [Lease(task.id, task.lease) for task in tasks]
                    self._to(engine, Revoke(leases))
                case AttemptEnded(task, attempt, engine, started, finished, outcome):
                    book.journal.attempts.append((task.id, attempt, engine, started, finished, outcome))
                case LeasesGivenBack(tasks, lease):
                    book.journal.leases.append((lease, -1, spans(task.id for task in tasks)))
                    book.feed.tasks_changed(tasks)
                case InterruptTask(engine, id):
                    self._to(engine, Interrupt(2, id))
                case ReplaceEngine(engine, reason):
                    self.engines.replace(engine, reason)
                case DropLeases():
                    pass  # said in the engine's Welcome
                case AbortSettled():
                    self.requests.abort_settled(effect)
                case _:
                    assert_never(effect)
        if ended:
            self._end(ended)

    def _to(self, engine: int, message: Revoke | Interrupt) -> None:
        record = self.book.registry.engines.get(engine)
        if record is not None:
            self.book.out.engine(record, message)

    # Ended tasks ---------------------------------------------------------------------------------------------------

    def _end(self, ended: list[TaskEnded]) -> None:
        book = self.book
        date = book.date
        bundle: list[Ran] = [effect.ran for effect in ended]
        bundle_id = book.next_bundle
        book.next_bundle += 1
        book.journal.bundles.append((bundle_id, bundle, date))
        rows = book.journal.tasks
        over: list[Batch] = []
        for effect in ended:
            task, ran, state = effect.task, effect.ran, effect.state
            batch = task.batch
            engine = task.engine if task.engine is not None else batch.target(task.id)
            started = ran.started or None
            rows.append((task.id, batch.first, state, engine, task.attempt, started, ran.completed, date, bundle_id))
            if ran.blobs:
                book.holdings.add(ran.blobs)
            if not batch.open and not batch.over:
                batch.over = True
                over.append(batch)
        book.rows += len(ended)
        self.delivery.ended(ended)
        self._uncounted.append((ended, over, date))
        self._ended_uncounted += len(ended)

    def due(self) -> bool:
        """Whether account() should not wait: it has enough to do, has waited long enough, or no task is open."""
        book = self.book
        if not (self._uncounted or book.submitted or self._changed):
            return False
        if self._count_at is None:
            self._count_at = book.now + COUNTING_PATIENCE
        return self._ended_uncounted >= COUNTED_AT_ONCE or book.now >= self._count_at or not len(book.scheduler.tasks)

    def next_deadline(self) -> float | None:
        """When account() has waited long enough."""
        return self._count_at

    def account(self) -> None:
        """Count what was submitted and what has ended, for people who watch.

        After the results have left, and those that are about to come, since somebody waits for them.
        """
        uncounted, self._uncounted, self._ended_uncounted = self._uncounted, [], 0
        self._count_at = None
        book = self.book
        submitted, book.submitted = book.submitted, []
        for batch in submitted:
            book.tally.submitted(batch)
        if book.feed.observers:
            for batch in submitted:
                book.feed.client_changed(batch.session)
                book.feed.submitted(batch)
            if self._changed:
                book.feed.tasks_changed([task for task in self._changed if task.id in book.scheduler.tasks])
        self._changed = []
        for ended, over, date in uncounted:
            merged = book.tally.ended(ended, date)
            self._count(merged, ended)
            for batch in over:
                self._batch_over(batch)
            book.feed.tasks_ended(ended, merged, date)

    def _count(self, merged: list[Merged], ended: list[TaskEnded]) -> None:
        """What has ended, by the engines it ended on; or was meant for, if it is direct and never got there."""
        registry, feed = self.book.registry, self.book.feed
        for group in merged:
            session = registry.sessions[session_of(group.batch)]
            session.open -= group.count
            feed.client_changed(session.number)
            record = registry.engines.get(group.engine)
            if record is None:
                continue
            if group.state == State.DONE:
                record.done += group.count
            else:
                record.errors += group.count
            feed.touched(record.id)
        for effect in ended if any(group.engine < 0 for group in merged) else ():
            target = effect.task.batch.target(effect.task.id) if effect.task.engine is None else None
            record = registry.engines.get(target) if target is not None else None
            if record is not None:
                record.errors += 1
                feed.touched(record.id)

    def _batch_over(self, batch: Batch) -> None:
        self.book.journal.ended.append(batch.first)
        self.book.registry.batch_over(batch.first, self.book.registry.sessions[batch.session])
        self.book.open_bytes -= batch.size
        self.book.tally.batch_over(batch.first)
        if batch.blobs:
            self.book.holdings.done({name for _, name, _ in batch.blobs})

    # Runs ----------------------------------------------------------------------------------------------------------

    def _run(self, engine: int, tasks: list[Task], again: bool) -> None:
        book = self.book
        record = book.registry.engines.get(engine)
        if record is None:
            return
        if not again:
            lease = tasks[0].lease
            book.journal.leases.append((lease, engine, spans([task.id for task in tasks])))
            if book.feed.shows_tasks:
                self._changed += tasks
        book.feed.touched(engine)
        if record.peer is None:
            return  # it gets them after its Hello
        run: list[RunBatch] = []
        functions: dict[bytes, bytes] = {}
        size = 0
        for group in _groups(tasks):
            batch = group[0].batch
            if batch.code is not None and record.known.needs_code(batch.function, len(batch.code)):
                functions[batch.function] = batch.code
                size += len(batch.code)
            for part in _parts(group):
                calls = (
                    batch.calls if len(batch.calls) == 1 else [batch.calls[task.id - batch.first] for task in part]
                )
                weight = sum(map(len, calls))
                if run and size + weight > FRAME_LIMIT:
                    book.out.engine(record, Run(run, functions))
                    run, functions, size = [], {}, 0
                size += weight
                run.append(self._run_batch(batch, part, calls))
        book.out.engine(record, Run(run, functions, book.kept.take(engine)))

    def _run_batch(self, batch: Batch, tasks: list[Task], calls: list[bytes]) -> RunBatch:
        work = batch.work
        return RunBatch(
            work.kind,
            work.name,
            self.book.registry.sessions[batch.session].hex,
            batch.function,
            [task.id for task in tasks],
            [task.lease for task in tasks],
            calls,
            tasks[0].attempt,
            work.label,
            work.time_limit,
        )


def _groups(tasks: list[Task]) -> Iterable[list[Task]]:
    """Neighbours of the same batch and attempt."""
    group: list[Task] = []
    batch, attempt = None, 0
    for task in tasks:
        if task.batch is not batch or task.attempt != attempt:
            if group:
                yield group
            group, batch, attempt = [], task.batch, task.attempt
        group.append(task)
    if group:
        yield group


def _parts(group: list[Task]) -> Iterable[list[Task]]:
    """A group in pieces whose bodies fit a frame."""
    batch = group[0].batch
    if len(batch.calls) == 1 or batch.size <= FRAME_LIMIT:
        yield group
        return
    part: list[Task] = []
    size = 0
    for task in group:
        weight = len(batch.call(task.id))
        if part and size + weight > FRAME_LIMIT:
            yield part
            part, size = [], 0
        part.append(task)
        size += weight
    if part:
        yield part
