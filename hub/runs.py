"""The runs of a cluster, and the engines of each, on record. A part of History.

Engine ids begin at 0 in every run, so what a task of an earlier run says of its engine is read with that run's number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """An engine that had not gone when the hub ended."""

    id: int
    uuid: str
    host: str
    pid: int
    joined: float


class Runs:
    """run: the number of the present run; what is written belongs to it."""

    _db: sqlite3.Connection
    run: int

    def begin_run(self) -> None:
        """Another run of this cluster: its engines are others. To be noted with note_run in a transaction."""
        self.run += 1

    def note_run(self, ended: float) -> None:
        """Put the number of this run on record; engines of earlier runs that nobody saw leaving have left by `ended`."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES('run', ?)", (str(self.run),))
        self._db.execute(
            "UPDATE engines SET gone=max(joined, ?), why='its cluster ended' WHERE gone IS NULL AND run<?",
            (ended, self.run),
        )

    def _recorded_run(self) -> int:
        row = self._db.execute("SELECT value FROM facts WHERE name='run'").fetchone()
        return 0 if row is None else int(row[0])

    def run_of(self, batch: int) -> int | None:
        """The run that a submission (its first task) belongs to; None when it is forgotten."""
        row = self._db.execute("SELECT run FROM batches WHERE first=?", (batch,)).fetchone()
        return None if row is None else int(row[0])

    # Engines -------------------------------------------------------------------------------------------------------

    def put_engine(self, id: int, uuid: str, host: str, pid: int, joined: float, was: int | None) -> None:
        """An engine of this run has joined."""
        self._db.execute(
            "INSERT INTO engines(run, id, uuid, host, pid, joined, was) VALUES(?,?,?,?,?,?,?)",
            (self.run, id, uuid, host, pid, joined, was),
        )

    def engine_gone(self, id: int, at: float, why: str) -> None:
        self._db.execute("UPDATE engines SET gone=?, why=? WHERE run=? AND id=?", (at, why, self.run, id))

    def engine_back(self, id: int) -> None:
        self._db.execute("UPDATE engines SET gone=NULL, why=NULL WHERE run=? AND id=?", (self.run, id))

    def living_engines(self) -> list[EngineRecord]:
        """Engines of this run that have not gone."""
        rows = self._db.execute(
            "SELECT id, uuid, host, pid, joined FROM engines WHERE run=? AND gone IS NULL ORDER BY id", (self.run,)
        )
        return [EngineRecord(*row) for row in rows]

    def next_engine_id(self) -> int:
        """The first id that no engine of this run had."""
        row = self._db.execute("SELECT max(id) FROM engines WHERE run=?", (self.run,)).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def engine_of(self, run: int, id: int) -> tuple[str, str] | None:
        """uuid and host of an engine of any run; None when it is forgotten."""
        row = self._db.execute("SELECT uuid, host FROM engines WHERE run=? AND id=?", (run, id)).fetchone()
        return None if row is None else (str(row[0]), str(row[1]))

    def tasks_of_engines(self, ids: Sequence[int]) -> list[int]:
        """Tasks that ended on these engines of this run, by the end of their work."""
        marks = ",".join("?" * len(ids))
        return [
            row[0]
            for row in self._db.execute(
                "SELECT t.id FROM tasks t JOIN batches b ON b.first=t.batch"
                f" WHERE t.engine IN ({marks}) AND b.run=? ORDER BY t.completed",
                (*ids, self.run),
            )
        ]

    def forget_engines(self, before: float) -> None:
        """Engines that have gone before this date; the newest of this run stays, since no id is given twice in it."""
        self._db.execute(
            "DELETE FROM engines WHERE gone < ? AND NOT (run=? AND id=?)",
            (before, self.run, self.next_engine_id() - 1),
        )
