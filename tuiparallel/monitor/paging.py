"""Which page of the hub's history to ask for next. No link here: the feed sends the questions.

A page is asked for by Query("page", {"before": cursor, "limit": n}) and answered by {"tasks": [TaskRow, ...],
"before": cursor or None}: ended tasks, those that the hub had last first. The cursor is the hub's word for where the
next page begins; None asks for the newest page, and as an answer means that there is nothing older.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
        self._cursor: Any = None
        self._complete = False
        self._asked: tuple[int, float] | None = None  # request, when
        self._settling = False  # the fate of tasks from before a gap is being found out

    def begin(self) -> None:
        """A snapshot has come: reading starts from the newest page."""
        self._cursor, self._complete, self._asked = None, False, None
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
        return Query(request, "page", {"before": self._cursor, "limit": PAGE})

    def _unsettled(self) -> bool:
        return self._settling and self._read < MOST_AFTER_GAP and self._store.doubtful()[0] > 0

    def answer(self, reply: Reply) -> bool:
        """Take in a reply; False when it answers another question."""
        if self._asked is None or reply.request != self._asked[0]:
            return False
        self._asked = None
        rows, self._cursor = _page(reply)
        self._read += 1
        self._complete = self._cursor is None
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


def _page(reply: Reply) -> tuple[list[TaskRow], Any]:
    """Rows and cursor of a reply. After an error, or what is no page, nothing older is asked for until a snapshot."""
    if reply.error is not None or not isinstance(reply.body, Mapping):
        return [], None
    try:
        return msgspec.convert(reply.body.get("tasks"), list[TaskRow]), reply.body.get("before")
    except msgspec.ValidationError:
        return [], None
