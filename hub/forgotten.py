"""What the history has forgotten: when, and by which limit, so that whoever asks for it is told. A part of History."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

from tuiparallel.wire.ids import COUNTER_BITS, spans

MOST_FORGOTTEN = 10_000  # ranges of tasks of which it is known why they went
PURGED = "purge"
COUNTED = {
    "history_rows": "ended tasks",
    "history_bytes": "bytes of history",
    "history_age": "seconds",
    "blob_bytes": "bytes of large buffers",
}
"""The limits by their keys, with what they count."""


class Forgotten:
    """Ranges of tasks that are gone: neighbours that went for the same reason are one row."""

    _db: sqlite3.Connection

    def note_forgotten(self, tasks: Iterable[int], at: float, why: str) -> None:
        """These tasks, ascending, are forgotten now: PURGED, or by the limit of that name."""
        for start, count in spans(tasks):
            before = self._db.execute(
                "SELECT first, count, why FROM forgotten WHERE first<=? ORDER BY first DESC LIMIT 1", (start,)
            ).fetchone()
            first = start
            if before is not None and before[2] == why and before[0] + before[1] == start:
                if before[0] >> COUNTER_BITS == start >> COUNTER_BITS:
                    first, count = before[0], before[1] + count
            self._db.execute("INSERT OR REPLACE INTO forgotten VALUES(?,?,?,?)", (first, count, at, why))

    def forgotten(self, task: int) -> tuple[float, str] | None:
        """When and why a task was forgotten; None when nobody knows (any more)."""
        row = self._db.execute(
            "SELECT first, count, at, why FROM forgotten WHERE first<=? ORDER BY first DESC LIMIT 1", (task,)
        ).fetchone()
        return None if row is None or task >= row[0] + row[1] else (float(row[2]), str(row[3]))

    def trim_forgotten(self) -> None:
        """Keep the newest ones."""
        self._db.execute(
            "DELETE FROM forgotten WHERE first IN (SELECT first FROM forgotten ORDER BY at DESC LIMIT -1 OFFSET ?)",
            (MOST_FORGOTTEN,),
        )

    def why_gone(self, task: int, limits: object) -> str:
        """What became of a task that is gone, to be said after its name. limits: has the limits as attributes."""
        found = self.forgotten(task)
        if found is None:
            return "is forgotten: it was purged, or a limit of the history was reached"
        at, why = found
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        if why == PURGED:
            return f"was purged on {when}: submit it anew"
        limit = f"{why}={getattr(limits, why, 0):,.15g} ({COUNTED.get(why, 'limit')})"
        return f"was forgotten on {when} by the history's limit {limit}: raise it to keep more, or submit it anew"
