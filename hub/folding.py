"""Copying what was committed from the write-ahead log into the history's file, beside the hub's work.

It waits for the disk, a tenth of a second for 40 MB; meanwhile turns go on with the logbook, which needs no database.
"""

from __future__ import annotations

import logging
import sqlite3
import threading

log = logging.getLogger("tuiparallel.hub")

WORTH_FOLDING = 24 << 20  # bytes of rows, about, after which it is done


class Folding:
    """Of one connection, which the thread shares: whoever uses it meanwhile waits, and loses nothing."""

    def __init__(self) -> None:
        self.written = 0  # bytes of rows since the last time
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether it is under way."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, db: sqlite3.Connection) -> None:
        """Begin if it is worth it and not under way; no transaction may be open."""
        if self.written < WORTH_FOLDING or self.busy:
            return
        self.written = 0
        self._thread = threading.Thread(target=_fold, args=(db,), name="tuiparallel-folding", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until it is not under way."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def _fold(db: sqlite3.Connection) -> None:
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error as error:  # the disk is full, or a transaction was faster: what is in the log stays there
        log.debug("the write-ahead log was not folded: %s", error)
