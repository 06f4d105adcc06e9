"""All tasks an observer knows, one row each, in columns: a million rows in well under 100 MB.

Rows are found by TaskId through small blocks of neighbouring ids, and kept in the order of submission. When there are
too many, the oldest that are done go first, then aborted and failed ones, open ones never.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable

from tuiparallel.monitor.names import Names
from tuiparallel.monitor.order import Order
from tuiparallel.monitor.rows import FAILED_PHASES, OPEN_PHASES, Phase, TaskView
from tuiparallel.monitor.sanitize import clean_line
from tuiparallel.wire.ids import COUNTER_BITS, counter_of
from tuiparallel.wire.messages import MergedRow, TaskRow
from tuiparallel.wire.states import State

PHASES = tuple(Phase)
OPEN_NUMBERS = frozenset(PHASES.index(phase) for phase in OPEN_PHASES)
FAILED_NUMBERS = frozenset(PHASES.index(phase) for phase in FAILED_PHASES)
DONE_NUMBER = PHASES.index(Phase.DONE)
_PHASE_OF_STATE = {
    State.DONE: PHASES.index(Phase.DONE),
    State.ERROR: PHASES.index(Phase.ERROR),
    State.LOST: PHASES.index(Phase.LOST),
    State.ABORTED: PHASES.index(Phase.ABORTED),
    State.EXPIRED: PHASES.index(Phase.EXPIRED),
}

NONE = 0xFFFFFFFF
LARGE = 0xFFFFFFFE
MERGED, SKEW, UNSTARTED = 1, 2, 4
_BLOCK_BITS = 8
_BLOCK = 1 << _BLOCK_BITS
_TEXT = 120  # characters of an error's message that a row keeps
NO_LABEL = 0xFFFF


class Packed:
    """A column of whole numbers in four bytes each; what does not fit stands in a dict."""

    __slots__ = ("large", "values")

    def __init__(self) -> None:
        self.values = array("I")
        self.large: dict[int, int] = {}

    def get(self, slot: int) -> int | None:
        """The number of a slot."""
        value = self.values[slot]
        if value < LARGE:
            return value
        return None if value == NONE else self.large[slot]

    def set(self, slot: int, value: int | None) -> None:
        """Store a number, or None."""
        if self.values[slot] == LARGE:
            del self.large[slot]
        if value is None:
            self.values[slot] = NONE
        elif 0 <= value < LARGE:
            self.values[slot] = value
        else:
            self.values[slot] = LARGE
            self.large[slot] = value

    def seconds(self, slot: int) -> float | None:
        """The number of a slot, as seconds where it counts microseconds."""
        value = self.get(slot)
        return None if value is None else value / 1e6


class Journal:
    """Which rows changed, came or went, for lists that follow: (TaskId, submitted), numbered without end."""

    LIMIT = 100_000

    def __init__(self) -> None:
        self.ids = array("q")
        self.submitted = array("d")
        self.base = 0

    @property
    def end(self) -> int:
        """The number the next entry will have."""
        return self.base + len(self.ids)

    def note(self, task: int, submitted: float) -> None:
        """Write an entry; the oldest half goes when there are too many."""
        if len(self.ids) >= self.LIMIT:
            half = self.LIMIT // 2
            del self.ids[:half], self.submitted[:half]
            self.base += half
        self.ids.append(task)
        self.submitted.append(submitted)

    def since(self, number: int) -> set[tuple[int, float]] | None:
        """The different entries from a number on; None when some of them are gone.

        A task whose time of submission was corrected has an entry for where it stood and one for where it stands.
        """
        if number < self.base:
            return None
        at = number - self.base
        return set(zip(self.ids[at:], self.submitted[at:], strict=True))


class TaskTable:
    """The rows. `names` is shared with whoever else counts by function."""

    def __init__(self, names: Names, limit: int = 1_000_000) -> None:
        self.names = names
        self.labels = Names()
        self.limit = limit
        self.sessions: dict[int, str] = {}  # session number -> hex
        self.ids = array("q")
        self.phases = array("B")
        self.flags = array("B")
        self.engines = array("i")  # -1: none
        self.functions = array("H")
        self.label = array("H")  # NO_LABEL: none; of a merged row: its interval in milliseconds
        self.batches = Packed()  # how far before the task its submission begins; of a merged row: its count
        self.submitted = array("d")
        self.wait, self.run, self.back = Packed(), Packed(), Packed()  # microseconds
        self.attempts = array("B")
        self.size, self.result = Packed(), Packed()
        self._packed = (self.wait, self.run, self.back, self.size, self.result, self.batches)
        self.errors: dict[int, tuple[str, str]] = {}  # slot -> type, message
        self._known_errors: dict[tuple[str, str], tuple[str, str]] = {}
        self._blocks: dict[int, array[int]] = {}
        self._free: list[int] = []
        self.order = Order(self._key)
        self.journal = Journal()
        self.represented = 0  # tasks that rows stand for, merged ones counted fully
        self.refused = 0  # open tasks there was no room for
        self.by_phase = [0] * len(PHASES)
        self.by_name: Counter[int] = Counter()
        self.by_engine: Counter[int] = Counter()
        self.by_session: Counter[int] = Counter()
        self.by_label: Counter[int] = Counter()
        self.open: dict[int, None] = {}  # TaskIds of open rows, in the order in which they were met

    def __len__(self) -> int:
        return len(self.order)

    def _key(self, slot: int) -> tuple[float, int]:
        return self.submitted[slot], self.ids[slot]

    # Finding -------------------------------------------------------------------------------------------------------

    def slot(self, task: int) -> int | None:
        """Where a task's row is."""
        block = self._blocks.get(task >> _BLOCK_BITS)
        if block is None:
            return None
        slot = block[task & (_BLOCK - 1)]
        return None if slot < 0 else slot

    def view(self, slot: int) -> TaskView:
        """A row as people see it."""
        task = self.ids[slot]
        flags = self.flags[slot]
        submitted = self.submitted[slot]
        wait, run, back = self.wait.seconds(slot), self.run.seconds(slot), self.back.seconds(slot)
        started = completed = received = None
        batch, count = task - (self.batches.get(slot) or 0), 1
        if flags & UNSTARTED:
            completed = None if wait is None else submitted + wait
            wait = None
        else:
            started = None if wait is None else submitted + wait
            if started is not None and run is not None:
                completed = started + run
        if flags & MERGED and started is not None:
            completed = started + self.label[slot] / 1e3
            count, batch = task - batch, task
        elif completed is not None and back is not None:
            received = completed + back
        engine = self.engines[slot]
        label = NO_LABEL if flags & MERGED else self.label[slot]
        ename, evalue = self.errors.get(slot, ("", ""))
        return TaskView(
            id=task,
            msg_id=self.msg_id(task),
            phase=PHASES[self.phases[slot]],
            name=self.names.texts[self.functions[slot]],
            label=None if label == NO_LABEL else self.labels.texts[label],
            engine=None if engine < 0 else engine,
            session=task >> COUNTER_BITS,
            client=self.client(task >> COUNTER_BITS),
            batch=batch,
            submitted=submitted,
            started=started,
            completed=completed,
            received=received,
            wait=wait,
            run=run,
            back=back,
            size=self.size.get(slot) or 0,
            result_size=self.result.get(slot),
            attempt=self.attempts[slot],
            ename=ename,
            evalue=evalue,
            count=count,
            skew=bool(flags & SKEW),
        )

    def client(self, session: int) -> str:
        """The hex of a session, `#n` while it is not known."""
        return self.sessions.get(session) or f"#{session}"

    def msg_id(self, task: int) -> str:
        """The name people see of a TaskId."""
        return f"{self.client(task >> COUNTER_BITS)}-{counter_of(task)}"

    # Taking in -----------------------------------------------------------------------------------------------------

    def put(self, row: TaskRow) -> bool:
        """Take in a row; False when it says nothing new. An ended task never opens again."""
        phase = _phase(row)
        slot = self.slot(row.id)
        if slot is None:
            if phase in OPEN_NUMBERS and len(self) >= self.limit and not self._make_room():
                self.refused += 1
                return False
            slot = self._new(row.id, row.submitted)
            new = True
        else:
            if phase in OPEN_NUMBERS and self.phases[slot] not in OPEN_NUMBERS:
                return False
            self._uncount(slot)
            new = self.submitted[slot] != row.submitted
            if new:
                self.order.remove(slot)
                self.journal.note(row.id, self.submitted[slot])
                self.submitted[slot] = row.submitted
                self.order.add(slot)
        changed = self._write(slot, row, phase) or new
        self._count(slot)
        if phase not in OPEN_NUMBERS:
            self.open.pop(row.id, None)
        if changed:
            self.journal.note(row.id, row.submitted)
        if len(self) > self.limit:
            self._make_room()
        return changed

    def put_merged(self, row: MergedRow, at: float) -> bool:
        """Take in many ended tasks as one row; False when it is there already. at: when, if none of them ran."""
        count = max(row.count, 1)
        submitted = (row.start or at) - row.wait / count
        slot = self.slot(row.first)
        if slot is not None:
            if self.flags[slot] & MERGED or self.phases[slot] not in OPEN_NUMBERS:
                return False
            self._uncount(slot)
            self.order.remove(slot)
            self.journal.note(row.first, self.submitted[slot])
            self.submitted[slot] = submitted
            self.order.add(slot)
        else:
            slot = self._new(row.first, submitted)
        self.phases[slot] = _PHASE_OF_STATE[State(row.state)]
        self.flags[slot] = MERGED
        self.engines[slot] = row.engine
        self.functions[slot] = self.names.index(row.name)
        self.label[slot] = min(max(round((row.end - row.start) * 1e3), 0), 0xFFFF)
        self.batches.set(slot, count)
        self.wait.set(slot, _micros(row.wait / count))
        self.run.set(slot, _micros(row.busy / count))
        self.back.set(slot, _micros(row.back / count))
        self.attempts[slot] = 1
        self.size.set(slot, row.size)
        self.result.set(slot, row.result_size)
        self._count(slot)
        self.open.pop(row.first, None)
        self.journal.note(row.first, submitted)
        if len(self) > self.limit:
            self._make_room()
        return True

    def _write(self, slot: int, row: TaskRow, phase: int) -> bool:
        """Fill a slot; True when that changed anything."""
        flags, wait, run, back = _stamps(row)
        engine = -1 if row.engine is None else row.engine
        function = self.names.index(row.name)
        label = NO_LABEL if row.label is None else self.labels.index(row.label)
        error = self._error(row.ename, row.evalue) if row.ename else None
        attempt = min(row.attempt, 255)
        before = (
            self.phases[slot],
            self.flags[slot],
            self.engines[slot],
            self.functions[slot],
            self.label[slot],
            self.attempts[slot],
            self.errors.get(slot),
        )
        after = (phase, flags, engine, function, label, attempt, error)
        changed = before != after
        if changed:
            self.phases[slot] = phase
            self.flags[slot] = flags
            self.engines[slot] = engine
            self.functions[slot] = function
            self.label[slot] = label
            self.attempts[slot] = attempt
            if error is not None:
                self.errors[slot] = error
            else:
                self.errors.pop(slot, None)
        for column, value in (
            (self.wait, wait),
            (self.run, run),
            (self.back, back),
            (self.size, row.size),
            (self.result, row.result_size),
            (self.batches, row.id - row.batch),
        ):
            if column.get(slot) != value:
                column.set(slot, value)
                changed = True
        return changed

    def _error(self, ename: str, evalue: str) -> tuple[str, str]:
        """Type and message, short, and one object for all equal ones."""
        error = (clean_line(ename[:_TEXT]), clean_line(evalue[:_TEXT]))
        if len(self._known_errors) > 10_000:
            self._known_errors.clear()
        return self._known_errors.setdefault(error, error)

    def _new(self, task: int, submitted: float) -> int:
        if self._free:
            slot = self._free.pop()
            self.ids[slot] = task
            self.submitted[slot] = submitted
        else:
            slot = len(self.ids)
            self.ids.append(task)
            self.submitted.append(submitted)
            self.phases.append(0)
            self.flags.append(0)
            self.attempts.append(1)
            self.engines.append(-1)
            self.functions.append(0)
            self.label.append(NO_LABEL)
            for column in self._packed:
                column.values.append(NONE)
        block = self._blocks.get(task >> _BLOCK_BITS)
        if block is None:
            block = self._blocks[task >> _BLOCK_BITS] = array("i", [-1]) * _BLOCK + array("i", [0])
        block[task & (_BLOCK - 1)] = slot
        block[_BLOCK] += 1  # how many ids of the block are in use
        self.order.add(slot)
        return slot

    def _count(self, slot: int, by: int = 1) -> None:
        phase, name = self.phases[slot], self.functions[slot]
        self.by_phase[phase] += by
        merged = self.flags[slot] & MERGED
        self.represented += by * ((self.batches.get(slot) or 1) if merged else 1)
        self.by_name[name] += by
        self.by_engine[self.engines[slot]] += by
        self.by_session[self.ids[slot] >> COUNTER_BITS] += by
        if not merged and self.label[slot] != NO_LABEL:
            self.by_label[self.label[slot]] += by
        if phase in OPEN_NUMBERS and by > 0:
            self.open[self.ids[slot]] = None

    def _uncount(self, slot: int) -> None:
        self._count(slot, -1)

    # Letting go ----------------------------------------------------------------------------------------------------

    def _make_room(self) -> bool:
        """Forget a thousandth of the rows, done ones first; False when nothing may go."""
        wanted = len(self) - self.limit + max(self.limit // 1000, 1)
        found: list[int] = []
        for phases in (
            frozenset({DONE_NUMBER}),
            frozenset(range(len(PHASES))) - OPEN_NUMBERS - FAILED_NUMBERS - {DONE_NUMBER},
            FAILED_NUMBERS,
        ):
            if sum(self.by_phase[phase] for phase in phases):
                for slot in self.order:
                    if len(found) >= wanted:
                        break
                    if self.phases[slot] in phases:
                        found.append(slot)
        for slot in found:
            self._forget(slot)
        return bool(found)

    def forget(self, tasks: Iterable[int]) -> None:
        """Drop rows the hub no longer has."""
        for task in tasks:
            if (slot := self.slot(task)) is not None:
                self._forget(slot)

    def _forget(self, slot: int) -> None:
        task = self.ids[slot]
        self._uncount(slot)
        self.open.pop(task, None)
        self.order.remove(slot)
        self.journal.note(task, self.submitted[slot])
        self.errors.pop(slot, None)
        for column in self._packed:
            column.set(slot, None)
        block = self._blocks[task >> _BLOCK_BITS]
        block[task & (_BLOCK - 1)] = -1
        block[_BLOCK] -= 1
        if block[_BLOCK] == 0:
            del self._blocks[task >> _BLOCK_BITS]
        self.ids[slot] = -1
        self._free.append(slot)


def _phase(row: TaskRow) -> int:
    if row.state == State.QUEUED:
        return 1 if row.waiting else 0
    if row.state == State.ASSIGNED:
        return 3 if row.running else 2
    return _PHASE_OF_STATE[State(row.state)]


def _stamps(row: TaskRow) -> tuple[int, int | None, int | None, int | None]:
    """Flags, and the microseconds of waiting, running and returning; a stamp of 0 is one that was never made."""
    flags = 0
    wait = run = back = None
    ended = row.completed or row.received
    if row.started:
        wait, flags = _phase_length(row.submitted, row.started)
        if row.completed:
            run, skew = _phase_length(row.started, row.completed)
            flags |= skew
    elif ended:
        wait, skew = _phase_length(row.submitted, ended)
        flags = UNSTARTED | skew
    if ended and row.received and (row.completed or not row.started):
        back, skew = _phase_length(ended, row.received)
        flags |= skew
    return flags, wait, run, back


def _phase_length(start: float, end: float) -> tuple[int, int]:
    """Microseconds from start to end, and SKEW where that had to be corrected to nothing."""
    length = round((end - start) * 1e6)
    return (length, 0) if length >= 0 else (0, SKEW)


def _micros(seconds: float) -> int:
    return max(round(seconds * 1e6), 0)
