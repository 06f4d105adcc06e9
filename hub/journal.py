"""What one turn has to put on record, gathered until the turn's transaction.

No socket, thread or clock in this file. Rows wait here when the disk refuses them, and go with the next commit.
"""

from __future__ import annotations

from collections.abc import Callable

from tuiparallel.hub.history import History, TaskRecord
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import Span
from tuiparallel.wire.messages import Ran

# That a batch is over follows from its tasks, so the mark (which spares a restarted hub the look) may lag.
_ENDED_AT_ONCE = 256


class Journal:
    """Rows by table, in the order of their events. write() and clear() belong together."""

    def __init__(self) -> None:
        self.ended: list[int] = []  # batches that are over
        self.clear()

    def clear(self) -> None:
        self.batches: list[tuple[Batch, float]] = []
        self.functions: dict[bytes, bytes] = {}
        self.bundles: list[tuple[int, list[Ran], float]] = []
        self.tasks: list[TaskRecord] = []
        self.leases: list[tuple[int, int, list[Span]]] = []
        self.attempts: list[tuple[int, int, int, float | None, float | None, str]] = []
        self.others: list[Callable[[History], object]] = []  # rare: sessions, engines, facts, forgetting

    def __bool__(self) -> bool:
        return bool(
            self.batches
            or self.bundles
            or self.tasks
            or len(self.ended) >= _ENDED_AT_ONCE
            or self.leases
            or self.attempts
            or self.others
            or self.functions
        )

    def write(self, history: History) -> None:
        """Everything, in one transaction. Raises sqlite3.Error, and then nothing of it is on record."""
        history.begin()
        try:
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
            mark = bool(self.others) or len(self.ended) >= _ENDED_AT_ONCE
            if mark:
                history.end_batches(self.ended)
            for other in self.others:
                other(history)
            history.commit()
            if mark:
                self.ended = []
        except BaseException:
            history.rollback()
            raise
