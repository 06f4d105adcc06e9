"""Which page of the hub's history to ask for next. No link here: the feed sends the questions.

A page is asked for by Query("page", {"before": time, "limit": n, "offset": k}) and answered by a list of TaskRows:
ended tasks the hub had received by that time, the newest first. `before` is the time of the snapshot, so that history
ends where the snapshot began.
"""

from __future__ import annotations

import msgspec

from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.messages import Query, Reply, TaskRow

PAGE = 1_000  # tasks in a page
AT_ONCE = 5  # pages loaded without being asked for
MOST_AFTER_GAP = 50  # pages read to find out what became of tasks that were open before a gap
PATIENCE = 10.0  # seconds until an unanswered question is asked again


class Pager:
    """One question at a time; newest pages first, then older ones as they are wanted."""

    def __init__(self, store: ClusterStore) -> None:
        self._store = store
        self._wanted = 0
        self._read = 0
        self._before = 0.0
        self._offset = 0
        self._complete = False
        self._asked: tuple[int, float] | None = None  # request, when
        self._settling = False  # the fate of tasks from before a gap is being found out

    def begin(self, at: float) -> None:
        """A snapshot of this (hub) time has come: reading starts from the newest page."""
        self._before, self._offset, self._complete, self._asked = at, 0, False, None
        self._read = 0
        self._wanted = AT_ONCE
        self._settling = True

    def more(self) -> bool:
        """One more page is wanted, because somebody scrolled there; False when there is none."""
        if self._complete:
            return False
        self._wanted = max(self._wanted, self._read) + 1
        return True

    def question(self, request: int, now: float) -> Query | None:
        """What to ask now, if anything; now is monotonic."""
        if self._asked is not None:
            if now - self._asked[1] < PATIENCE:
                return None
        elif self._complete or not (self._read < self._wanted or self._unsettled()):
            return None
        self._asked = (request, now)
        return Query(request, "page", {"before": self._before, "limit": PAGE, "offset": self._offset})

    def _unsettled(self) -> bool:
        return self._settling and self._read < MOST_AFTER_GAP and self._store.doubtful()[0] > 0

    def answer(self, reply: Reply) -> bool:
        """Take in a reply; False when it answers another question."""
        if self._asked is None or reply.request != self._asked[0]:
            return False
        self._asked = None
        try:
            rows = [] if reply.error is not None else msgspec.convert(reply.body, list[TaskRow])
        except msgspec.ValidationError:
            rows = []  # as with an error: what cannot be read is not asked for again before the next snapshot
        self._read += 1
        self._offset += len(rows)
        self._complete = len(rows) < PAGE
        self._store.apply_page(rows, self._complete)
        if self._settling and self._past_gap(rows):
            self._settling = False
            self._store.settle()
        return True

    def _past_gap(self, rows: list[TaskRow]) -> bool:
        """Whether every task that ended in the gap has been met."""
        count, since = self._store.doubtful()
        if count == 0 or since is None or self._complete or self._read >= MOST_AFTER_GAP:
            return True
        return any(row.received is not None and row.received < since for row in rows)
