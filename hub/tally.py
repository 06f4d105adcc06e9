"""Counts and sums of everything that has happened, for people who watch: per state, per function, per submission.

No socket, thread or clock in this file. One pass over the tasks that a turn ended feeds all of it, and is what observers
get instead of single tasks when tasks end faster than a person can see.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log2
from operator import sub

from tuiparallel.hub.events import TaskEnded
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.messages import (
    RUN_BUCKETS_PER_DOUBLING,
    BatchRow,
    FailureRow,
    FunctionRow,
    MergedRow,
)
from tuiparallel.wire.states import State

MOST_FUNCTIONS = 2000
MOST_BATCHES = 200  # submissions that are over and still shown
MOST_FAILURES = 500
OTHERS = "others"
_MICROSECOND = RUN_BUCKETS_PER_DOUBLING * log2(1e6)  # buckets from a second down to a microsecond


@dataclass(slots=True)
class FunctionTally:
    """One function, all engines; seconds all together."""

    name: str
    done: int = 0
    failed: int = 0
    run: float = 0.0
    wait: float = 0.0
    back: float = 0.0
    slowest: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    def row(self) -> FunctionRow:
        return FunctionRow(
            self.name, self.done, self.failed, self.run, self.wait, self.back, self.slowest, dict(self.buckets)
        )


@dataclass(slots=True, eq=False)
class Submission:
    """Consecutive Submits of one session with the same function and label: one bar on the screen."""

    id: int
    name: str
    label: str | None
    session: int
    balanced: bool
    submitted: float
    total: int = 0
    done: int = 0
    failed: int = 0  # all that ended otherwise than done
    aborted: int = 0  # of those
    last: float = 0.0

    @property
    def over(self) -> bool:
        return self.done + self.failed >= self.total

    def row(self, running: int = 0) -> BatchRow:
        return BatchRow(
            self.id,
            self.name,
            self.label,
            self.session,
            self.total,
            self.done,
            self.failed,
            running,
            self.submitted,
            self.last,
            self.balanced,
            self.aborted,
        )


@dataclass(slots=True)
class Merged:
    """Tasks of one function, engine and outcome that ended in one turn."""

    engine: int
    name: str
    state: int
    first: int
    count: int = 0
    busy: float = 0.0
    start: float = 0.0
    end: float = 0.0
    wait: float = 0.0
    back: float = 0.0
    size: int = 0
    result_size: int = 0
    times: list[list[float]] = field(default_factory=list)  # run times, until they are counted
    batch: int = 0  # the first task of the Submit

    def row(self) -> MergedRow:
        return MergedRow(
            self.engine,
            self.name,
            self.state,
            self.count,
            self.busy,
            self.start,
            self.end,
            self.first,
            self.wait,
            self.back,
            self.size,
            self.result_size,
        )

    def absorb(self, other: Merged) -> None:
        self.count += other.count
        self.busy += other.busy
        self.start = min(self.start, other.start)
        self.end = max(self.end, other.end)
        self.wait += other.wait
        self.back += other.back
        self.size += other.size
        self.result_size += other.result_size


def bucket_of(seconds: float) -> int:
    """The logarithmic bucket of a run time: 16 to a doubling, bucket 0 at one microsecond."""
    return round(RUN_BUCKETS_PER_DOUBLING * log2(max(seconds, 1e-6) * 1e6))


class Tally:
    """All counts. What has changed since the last look stands in the dirty sets, which the reader empties."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.states = {state: 0 for state in State}
        for state, count in (counts or {}).items():
            self.states[State(state)] = count
        self.functions: OrderedDict[str, FunctionTally] = OrderedDict()
        self.submissions: dict[int, Submission] = {}  # open ones
        self.over: deque[Submission] = deque(maxlen=MOST_BATCHES)
        self.failures: deque[FailureRow] = deque(maxlen=MOST_FAILURES)
        self.dirty_functions: set[str] = set()
        self.dirty_submissions: dict[int, Submission] = {}
        self.fresh_failures: list[FailureRow] = []
        self._of_batch: dict[int, Submission] = {}
        self._latest: dict[int, Submission] = {}  # per session

    def submitted(self, batch: Batch) -> None:
        """A Submit has come: it continues its session's latest submission, or begins one."""
        work = batch.work
        latest = self._latest.get(batch.session)
        if (
            latest is None
            or latest.name != work.name
            or latest.label != work.label
            or latest.balanced != work.balanced
            or (latest.over and work.submitted - latest.last > 1.0)
        ):
            latest = Submission(batch.first, work.name, work.label, batch.session, work.balanced, work.submitted)
            self._latest[batch.session] = latest
        if latest.over and latest.total:
            try:
                self.over.remove(latest)
            except ValueError:
                pass
        latest.total += batch.count
        self.submissions[latest.id] = latest
        self._of_batch[batch.first] = latest
        self.dirty_submissions[latest.id] = latest

    def resumed(self, batch: int, ended: int, date: float) -> None:
        """So many tasks of an open batch had ended before this hub began."""
        submission = self._of_batch[batch]
        submission.done += ended
        submission.last = date

    def submission_of(self, batch: int) -> Submission | None:
        """The submission that an open batch (by its first task) belongs to."""
        return self._of_batch.get(batch)

    def ended(self, effects: Iterable[TaskEnded], date: float) -> list[Merged]:
        """Tasks have ended: count them, and return what this turn comes to."""
        groups: dict[tuple[int, int | None, int], Merged] = {}
        run: list[TaskEnded] = []  # neighbours of one batch, engine and state
        same: Batch | None = None
        engine: int | None = None
        how = State.DONE
        for effect in effects:
            task = effect.task
            if task.batch is not same or task.engine != engine or effect.state is not how:
                if run:
                    self._gather(groups, run, date)
                same, engine, how, run = task.batch, task.engine, effect.state, []
            run.append(effect)
        if run:
            self._gather(groups, run, date)
        for (batch_id, _, ended), group in groups.items():
            self.states[State(ended)] += group.count
            self._fold(batch_id, group, date)
        return list(groups.values())

    def _gather(self, groups: dict[tuple[int, int | None, int], Merged], run: list[TaskEnded], date: float) -> None:
        """Count tasks of one batch, engine and state."""
        first = run[0]
        batch, state = first.task.batch, first.state
        group = self._group(groups, (batch.first, first.task.engine, state), first)
        rans = [effect.ran for effect in run]
        begun = first.ran.started or first.ran.completed
        group.start = min(group.start, begun) if group.count else begun
        group.end = rans[-1].completed
        group.count += len(rans)
        group.result_size += sum([len(ran.body) for ran in rans])
        started = [ran.started for ran in rans if ran.started]
        completed = rans if len(started) == len(rans) else [ran for ran in rans if ran.started]
        ends = [ran.completed for ran in completed]
        group.times.append(list(map(sub, ends, started)))
        submitted = batch.work.submitted
        group.wait += sum([at - submitted for at in started])
        group.back += sum([date - at for at in ends])
        if state is not State.DONE:
            for effect in run:
                self._failed(effect.task, state, effect, date)

    @staticmethod
    def _group(
        groups: dict[tuple[int, int | None, int], Merged], key: tuple[int, int | None, int], effect: TaskEnded
    ) -> Merged:
        group = groups.get(key)
        if group is None:
            task = effect.task
            work = task.batch.work
            group = groups[key] = Merged(-1 if task.engine is None else task.engine, work.name, effect.state, task.id)
            group.size = len(task.batch.calls[0])
            group.batch = task.batch.first
        return group

    def _function(self, name: str) -> FunctionTally:
        tally = self.functions.get(name)
        if tally is None:
            if len(self.functions) >= MOST_FUNCTIONS:
                name = OTHERS
                tally = self.functions.get(name)
            if tally is None:
                tally = self.functions[name] = FunctionTally(name)
        return tally

    @staticmethod
    def _count(tally: FunctionTally, times: list[float]) -> None:
        """Run times into their logarithmic buckets."""
        tally.slowest = max(tally.slowest, max(times))
        if not (min(times) > 1e-6 and sum(times) < 1e9):  # a clock was set, or says nan
            times = [min(run, 1e9) if run > 1e-6 else 1e-6 for run in times]
        tally.buckets.update([round(RUN_BUCKETS_PER_DOUBLING * log2(run) + _MICROSECOND) for run in times])

    def _fold(self, batch: int, group: Merged, date: float) -> None:
        tally = self._function(group.name)
        self.dirty_functions.add(tally.name)
        for times in group.times:
            if times:
                self._count(tally, times)
                group.busy += sum(times)
        group.times = []
        ok = group.state == State.DONE
        tally.done += group.count if ok else 0
        tally.failed += 0 if ok else group.count
        tally.run += group.busy
        tally.wait += group.wait
        tally.back += group.back
        submission = self._of_batch.get(batch)
        if submission is not None:
            submission.done += group.count if ok else 0
            submission.failed += 0 if ok else group.count
            submission.aborted += group.count if group.state == State.ABORTED else 0
            submission.last = date
            self.dirty_submissions[submission.id] = submission
            if submission.over and submission.id in self.submissions:
                del self.submissions[submission.id]
                self.over.append(submission)

    def _failed(self, task: Task, state: State, effect: TaskEnded, date: float) -> None:
        extras = effect.ran.extras
        error = extras.error if extras is not None else None
        if error is None:
            return
        row = FailureRow(
            task.id,
            task.engine,
            task.batch.work.name,
            error.ename,
            error.evalue[:500],
            error.traceback[:8000],
            date,
            state,
        )
        self.failures.append(row)
        if len(self.fresh_failures) < MOST_FAILURES:
            self.fresh_failures.append(row)

    def batch_over(self, first: int) -> None:
        """All tasks of a Submit have ended."""
        self._of_batch.pop(first, None)

    def session_gone(self, session: int) -> None:
        self._latest.pop(session, None)
