"""What the hub has to put on record, gathered per turn.

A small turn goes into the logbook with one write, and from there into the history together with others; a large one
goes straight into a transaction of its own. Either way it is on record before anything of it is sent. Rows wait here
when the disk refuses them, and go with the next try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf

import msgspec

from tuiparallel.hub.history import History
from tuiparallel.hub.schema import TaskRecord
from tuiparallel.hub.task import Batch
from tuiparallel.link.failpoints import failpoint
from tuiparallel.wire.ids import Span, TaskId
from tuiparallel.wire.messages import Ran, Work

# That a batch is over follows from its tasks, so the mark (which spares a restarted hub the look) may lag.
_ENDED_AT_ONCE = 256
LIGHT_TASKS = 2000  # of a turn: above it, or above LIGHT_BYTES, it is worth a transaction of its own
LIGHT_BYTES = 512 << 10
WORTH_SETTLING = 1800  # tasks in the log that go into the history when nobody waits for the hub meanwhile
SETTLING = 3e-6  # seconds a task takes on its way from the log into the history, about
MOST_PENDING = 6000  # tasks in the log after which the history must have them
MOST_WAITING = 20_000  # ... while the history waits for the disk
MOST_PENDING_BYTES = 4 << 20
QUIET = 0.02  # seconds without another turn after which the history gets what is in the log
LONGEST_PENDING = 0.4  # ... while turns follow each other

Attempt = tuple[int, int, int, "float | None", "float | None", str]


class Rows(msgspec.Struct, gc=False):
    """Rows by table, in the order of their events: a struct, since each turn makes one."""

    batches: list[tuple[Batch, float]] = []
    functions: dict[bytes, bytes] = {}
    bundles: list[tuple[int, list[Ran], float]] = []
    tasks: list[TaskRecord] = []
    leases: list[tuple[int, int, list[Span]]] = []
    attempts: list[Attempt] = []

    def __bool__(self) -> bool:
        return bool(self.batches or self.bundles or self.tasks or self.leases or self.attempts or self.functions)

    def extend(self, other: Rows) -> None:
        self.batches += other.batches
        self.functions.update(other.functions)
        self.bundles += other.bundles
        self.tasks += other.tasks
        self.leases += other.leases
        self.attempts += other.attempts

    def light(self) -> bool:
        """Whether these few rows should not cost a transaction."""
        if len(self.tasks) > LIGHT_TASKS:
            return False
        count = size = 0
        for batch, _ in self.batches:
            count += batch.count
            size += batch.size
        for code in self.functions.values():
            size += len(code)
        for _, bundle, _ in self.bundles:
            for ran in bundle:
                size += len(ran.body)
        return count <= LIGHT_TASKS and size < LIGHT_BYTES

    def write(self, history: History) -> None:
        """Into the history's open transaction."""
        for hash, code in self.functions.items():
            history.put_function(hash, code)
        for batch, received in self.batches:
            history.put_batch(batch, received)
        for id, ran, at in self.bundles:
            history.put_bundle(id, ran, at)
        if self.tasks:
            history.put_tasks(self.tasks)
        for attempt in self.attempts:
            history.put_attempt(*attempt)
        for lease in self.leases:
            history.put_lease(*lease)


class _Entry(msgspec.Struct, array_like=True):
    """One turn in the logbook."""

    batches: Sequence[tuple[int, int, Work, bytes, list[bytes], list[tuple[int, str, int]], float]]
    functions: dict[bytes, bytes]
    bundles: list[tuple[int, list[Ran], float]]
    tasks: list[TaskRecord]
    leases: list[tuple[int, int, list[Span]]]
    attempts: list[Attempt]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode


def _entry(rows: Rows) -> bytes:
    batches = [
        (batch.first, batch.count, batch.work, batch.function, batch.calls, batch.blobs, received)
        for batch, received in rows.batches
    ]
    return _encode(_Entry(batches, rows.functions, rows.bundles, rows.tasks, rows.leases, rows.attempts))


def _rows(body: bytes) -> Rows:
    entry = _decode(body)
    batches = [
        (Batch(TaskId(first), count, work, function, None, calls, blobs), received)
        for first, count, work, function, calls, blobs, received in entry.batches
    ]
    return Rows(batches, entry.functions, entry.bundles, entry.tasks, entry.leases, entry.attempts)


class Journal:
    """The rows of this turn, by table, and those of earlier turns that are in the logbook only."""

    def __init__(self) -> None:
        self.ended: list[int] = []  # batches that are over
        self.pending = Rows()  # on record in the logbook, not yet in the history
        self.pending_since = self.logged_at = 0.0  # the first of it, the last of it
        self.pending_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._turn = turn = Rows()
        self.batches, self.functions, self.bundles = turn.batches, turn.functions, turn.bundles
        self.tasks, self.leases, self.attempts = turn.tasks, turn.leases, turn.attempts
        self.others: list[Callable[[History], object]] = []  # rare: sessions, engines, facts, forgetting

    def __bool__(self) -> bool:
        return bool(
            self.leases
            or self.bundles
            or self.batches
            or self.others
            or self.tasks
            or self.attempts
            or self.functions
            or len(self.ended) >= _ENDED_AT_ONCE
        )

    def record(self, history: History, now: float) -> None:
        """Put this turn on record. Raises sqlite3.Error or OSError, and then nothing of it is."""
        if not self:
            return
        if self.others or len(self.ended) >= _ENDED_AT_ONCE or not self._turn.light():
            self.flush(history)
            return
        entry = _entry(self._turn)
        history.logbook.append(entry)
        failpoint("hub.logged")
        if self.pending_bytes:
            self.pending.extend(self._turn)
        else:
            self.pending, self.pending_since = self._turn, now
        self.pending_bytes += len(entry)
        self.logged_at = now
        self._begin()

    def ripe(self, now: float) -> bool:
        """Whether what is in the log must go into the history now, or can since nothing has come lately."""
        return bool(self.pending_bytes) and (
            len(self.pending.tasks) > MOST_PENDING
            or self.pending_bytes > MOST_PENDING_BYTES
            or now - self.logged_at > QUIET
            or now - self.pending_since > LONGEST_PENDING
        )

    @property
    def seconds(self) -> float:
        """How long it takes to move what is in the log into the history, if it is enough to be worth it; else inf."""
        tasks = len(self.pending.tasks)
        return SETTLING * tasks if tasks > WORTH_SETTLING else inf

    def patient(self) -> bool:
        """Whether what is in the log can wait until the history has been folded."""
        return len(self.pending.tasks) < MOST_WAITING and self.pending_bytes < 2 * MOST_PENDING_BYTES

    def next_deadline(self) -> float | None:
        if not self.pending_bytes:
            return None
        return min(self.logged_at + QUIET, self.pending_since + LONGEST_PENDING)

    def settle(self, history: History) -> None:
        """What earlier turns have logged goes into the history, so that it can be read there. Raises sqlite3.Error."""
        with _transaction(history):
            self.pending.write(history)
        self._forget_pending(history)

    def flush(self, history: History) -> None:
        """All of it into the history, in one transaction. Raises sqlite3.Error, and then all stays as it was."""
        with _transaction(history):
            self.pending.write(history)
            self._turn.write(history)
            if self.ended:
                history.end_batches(self.ended)
            for other in self.others:
                other(history)
        self.ended = []
        self._begin()
        self._forget_pending(history)

    def _forget_pending(self, history: History) -> None:
        self.pending, self.pending_bytes = Rows(), 0
        history.logbook.clear()


def replay(history: History) -> int:
    """What a killed hub had in its logbook goes into the history; returns the number of turns. Repeating it is harmless."""
    turns = 0
    rows = Rows()
    for body in history.logbook.records():
        rows.extend(_rows(body))
        turns += 1
    if rows:
        history.begin()
        try:
            rows.write(history)
            history.commit()
        except BaseException:
            history.rollback()
            raise
    history.logbook.clear()
    return turns


@contextmanager
def _transaction(history: History) -> Iterator[None]:
    """All that is written within is on record at its end, or none of it."""
    history.begin()
    try:
        yield
        failpoint("hub.writing")
        history.commit()
    except BaseException:
        history.rollback()
        raise
    failpoint("hub.settled")
