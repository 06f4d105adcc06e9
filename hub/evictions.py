"""What the history forgets, and how it finds what comes first. A part of History."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from math import inf

from tuiparallel.hub.schema import TaskRecord
from tuiparallel.wire.ids import COUNTER_BITS, COUNTER_MASK, spans

_HAS_BLOBS = "EXISTS (SELECT 1 FROM blobs WHERE owner >= first AND owner < first + count)"


class Evictions:
    """Every removal takes along what belongs to it, so that nothing is left that no row names."""

    _db: sqlite3.Connection
    output: int

    def tasks(self, ids: Sequence[int]) -> dict[int, TaskRecord]:
        """The rows of those of these tasks that have ended and are not forgotten."""
        found: dict[int, TaskRecord] = {}
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            marks = ",".join("?" * len(part))
            for row in self._db.execute(f"SELECT * FROM tasks WHERE id IN ({marks})", part):
                found[row[0]] = row
        return found

    def size(self) -> tuple[int, int]:
        """Ended tasks, and bytes in use."""
        rows = self._db.execute("SELECT count(*) FROM tasks").fetchone()[0]
        return int(rows), self.bytes()

    def bytes(self) -> int:
        """Bytes in use."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        page = self._db.execute("PRAGMA page_size").fetchone()[0]
        return int((pages - free) * page)

    def forget_batch(self, first: int, count: int) -> tuple[list[str], int]:
        """Remove an ended submission, or several of a session that follow each other, with all that belongs to them.

        Returns blobs nobody names any more, and how many tasks there were.
        """
        last = first + count
        used = self._db.execute(
            "SELECT bundle, count(*) FROM tasks WHERE id>=? AND id<? GROUP BY bundle", (first, last)
        ).fetchall()
        names = {
            row[0] for row in self._db.execute("SELECT name FROM blobs WHERE owner>=? AND owner<?", (first, last))
        }
        self._db.execute("DELETE FROM blobs WHERE owner>=? AND owner<?", (first, last))
        self._db.execute("DELETE FROM tasks WHERE id>=? AND id<?", (first, last))
        self._db.execute("DELETE FROM resubmits WHERE old>=? AND old<?", (first, last))
        self._db.execute("DELETE FROM attempts WHERE task>=? AND task<?", (first, last))
        self._db.execute("DELETE FROM purged WHERE id>=? AND id<?", (first, last))
        self._db.execute("DELETE FROM batches WHERE first>=? AND first<?", (first, last))
        # What is forgotten must never be taken for new.
        self._db.execute(
            "UPDATE sessions SET next=max(next, ?) WHERE id=?",
            ((first & COUNTER_MASK) + count, first >> COUNTER_BITS),
        )
        self._release(used)
        return self.unused(names), sum(number for _, number in used)

    def forget_calls(self, first: int) -> list[str]:
        """Remove the arguments of a submission whose tasks have all ended; returns blobs nobody names any more."""
        row = self._db.execute("SELECT count FROM batches WHERE first=?", (first,)).fetchone()
        if row is None:
            return []
        span = (first, first + row[0])
        self._db.execute("UPDATE batches SET calls=NULL WHERE first=?", (first,))
        names = self._db.execute("SELECT name FROM blobs WHERE owner>=? AND owner<? AND side=0", span).fetchall()
        self._db.execute("DELETE FROM blobs WHERE owner>=? AND owner<? AND side=0", span)
        return self.unused({name for (name,) in names})

    def forget_tasks(self, ids: Sequence[int]) -> tuple[list[str], int]:
        """Remove single ended tasks, and submissions of which nothing is left; returns as forget_batch."""
        names: set[str] = set()
        batches: dict[int, list[int]] = {}
        bundles: dict[int, int] = {}
        for id, row in self.tasks(ids).items():
            batches.setdefault(row[1], []).append(id)
            bundles[id] = row[8]
        for first, some in batches.items():
            row = self._db.execute("SELECT count FROM batches WHERE first=? AND ended=1", (first,)).fetchone()
            if row is not None and self._left(first, row[0]) == len(some):
                names.update(self.forget_batch(first, row[0])[0])
                continue
            if row is None:  # a restarted hub must not take them for tasks that have not ended
                self._db.executemany("INSERT OR IGNORE INTO purged VALUES(?)", [(id,) for id in some])
            used: Counter[int] = Counter()
            for id in some:
                used[bundles[id]] += 1
                names.update(name[0] for name in self._db.execute("SELECT name FROM blobs WHERE owner=?", (id,)))
                self._db.execute("DELETE FROM blobs WHERE owner=?", (id,))
                self._db.execute("DELETE FROM tasks WHERE id=?", (id,))
                self._db.execute("DELETE FROM attempts WHERE task=?", (id,))
            self._release(list(used.items()))
        return self.unused(names), len(bundles)

    def _left(self, first: int, count: int) -> int:
        """How many tasks of a submission are on record as ended."""
        sql = "SELECT count(*) FROM tasks WHERE id>=? AND id<?"
        return int(self._db.execute(sql, (first, first + count)).fetchone()[0])

    def forget_all(self) -> tuple[list[str], int]:
        """Remove all ended tasks at once, which costs little however many they are; returns as forget_batch."""
        run = self._db.execute
        number = int(run("SELECT count(*) FROM tasks").fetchone()[0])
        names = {row[0] for row in run("SELECT DISTINCT name FROM blobs")}
        # What is forgotten must never be taken for new.
        run(
            f"UPDATE sessions SET next=max(next, ifnull((SELECT (first & {COUNTER_MASK}) + count FROM batches"
            f" WHERE first>=sessions.id<<{COUNTER_BITS} AND first<(sessions.id+1)<<{COUNTER_BITS}"
            " ORDER BY first DESC LIMIT 1), 0))"
        )
        run("DELETE FROM batches WHERE ended=1")  # from here on there are open ones alone
        run("INSERT OR IGNORE INTO purged SELECT t.id FROM tasks t JOIN batches b ON b.first=t.batch")
        run("DELETE FROM blobs WHERE owner IN (SELECT id FROM tasks)")
        run("DELETE FROM attempts WHERE task IN (SELECT id FROM tasks)")
        nobodys = "ifnull((SELECT first+count FROM batches WHERE first<={id} ORDER BY first DESC LIMIT 1), 0) <= {id}"
        for table, id in (("blobs", "owner"), ("attempts", "task"), ("resubmits", "old"), ("purged", "id")):
            run(f"DELETE FROM {table} WHERE {nobodys.format(id=f'{table}.{id}')}")
        for table in ("tasks", "bundles", "uses"):
            run(f"DELETE FROM {table}")
        self.output = 0
        return self.unused(names), number

    def _release(self, used: list[tuple[int, int]]) -> None:
        """So many tasks of these bundles are forgotten: bundles that no task names go too."""
        if not used:
            return
        self._db.executemany(
            "UPDATE uses SET left=left-? WHERE bundle=?", [(number, bundle) for bundle, number in used]
        )
        bundles = [bundle for bundle, _ in used]
        among = (min(bundles), max(bundles))
        gone = self._db.execute("SELECT bundle FROM uses WHERE bundle>=? AND bundle<=? AND left<=0", among).fetchall()
        if self.output:
            sizes = (self._db.execute("SELECT output FROM bundles WHERE id=?", one).fetchone() for one in gone)
            self.output -= sum(row[0] for row in sizes if row is not None)
        self._db.executemany("DELETE FROM bundles WHERE id=?", gone)
        self._db.execute("DELETE FROM uses WHERE bundle>=? AND bundle<=? AND left<=0", among)

    def unused(self, names: Iterable[str]) -> list[str]:
        """Those of these blobs that no task names."""
        used = "SELECT 1 FROM blobs WHERE name=? LIMIT 1"
        return [name for name in names if not self._db.execute(used, (name,)).fetchone()]

    def blobs(self) -> dict[str, int]:
        """All blobs that tasks name, with their sizes."""
        return dict(self._db.execute("SELECT name, max(size) FROM blobs GROUP BY name").fetchall())

    def oldest_ended(
        self,
        limit: int,
        spared: Collection[int] = (),
        with_blobs: bool = False,
        delivered: bool = True,
        before: float = inf,
    ) -> list[tuple[int, int, float]]:
        """The oldest ended submissions of other sessions than these: first, count, when it was received.

        delivered: those whose client has their outcomes, or those whose client left without them; before: only those
        received before this date.
        """
        marks = ",".join("?" * len(spared))
        having = f"AND {_HAS_BLOBS}" if with_blobs else ""
        return self._db.execute(
            f"SELECT first, count, received FROM batches WHERE ended=1 AND delivered=? AND received < ?"
            f" AND (first >> {COUNTER_BITS}) NOT IN ({marks}) {having} ORDER BY received LIMIT ?",
            (int(delivered), before, *spared, limit),
        ).fetchall()

    def undelivered_of(self, session: int, limit: int, with_blobs: bool = False) -> list[tuple[int, int, float]]:
        """The oldest ended submissions of a session that left without their outcomes, as oldest_ended."""
        having = f"AND {_HAS_BLOBS}" if with_blobs else ""
        return self._db.execute(
            "SELECT first, count, received FROM batches WHERE first>=? AND first<? AND ended=1 AND delivered=0"
            f" {having} ORDER BY first LIMIT ?",
            (session << COUNTER_BITS, (session + 1) << COUNTER_BITS, limit),
        ).fetchall()

    def has_undelivered(self) -> bool:
        """Whether any client left without outcomes that are on record."""
        sql = "SELECT 1 FROM batches WHERE ended=1 AND delivered=0 LIMIT 1"
        return self._db.execute(sql).fetchone() is not None

    def mark_undelivered(self, tasks: Iterable[int]) -> None:
        """The client of these tasks is away, and has not had their outcomes: so of the submissions they belong to."""
        self._db.executemany(
            "UPDATE batches SET delivered=0 WHERE first<? AND first>="
            "(SELECT first FROM batches WHERE first<=? ORDER BY first DESC LIMIT 1)",
            [(first + count, first) for first, count in spans(tasks)],
        )

    def mark_delivered(self, session: int) -> None:
        """A client is back: what it still waits for is sent, and it is asked for nothing else."""
        self._db.execute(
            "UPDATE batches SET delivered=1 WHERE first>=? AND first<? AND delivered=0",
            (session << COUNTER_BITS, (session + 1) << COUNTER_BITS),
        )

    def has_batches(self, session: int) -> bool:
        """Whether anything that a session submitted is on record."""
        first, last = session << COUNTER_BITS, (session + 1) << COUNTER_BITS
        found = self._db.execute("SELECT 1 FROM batches WHERE first>=? AND first<? LIMIT 1", (first, last)).fetchone()
        return found is not None

    def forget_session(self, id: int) -> None:
        self._db.execute("DELETE FROM sessions WHERE id=?", (id,))

    def sweep(self) -> None:
        """Drop functions and bundles that nothing names: a look at every submission, for now and then."""
        self._db.execute("DELETE FROM functions WHERE hash NOT IN (SELECT function FROM batches)")
        self._db.execute("DELETE FROM bundles WHERE id < (SELECT ifnull(min(bundle), 1 << 60) FROM tasks)")
        self._db.execute("DELETE FROM uses WHERE bundle < (SELECT ifnull(min(id), 1 << 60) FROM bundles)")

    def vacuum(self, pages: int = 256) -> None:
        """Give free pages back, beyond those that will be filled again soon; outside a transaction."""
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        spare = self._db.execute("PRAGMA page_count").fetchone()[0] // 8
        if free > spare:
            # As a script: execute() would end after the first page.
            self._db.executescript(f"PRAGMA incremental_vacuum({min(pages, free - spare)})")
