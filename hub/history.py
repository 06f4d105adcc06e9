"""What the hub remembers: SQLite, one connection, one transaction per turn.

Nothing is acknowledged, started or delivered before it is here. Bodies are stored as they came, one row per batch and
one per Results message, each with its crc32; a row that fails it is answered as forgotten. The connection is exclusive:
whoever wants to know something asks the hub.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from tuiparallel.hub.evictions import Evictions
from tuiparallel.hub.folding import Folding
from tuiparallel.hub.forgotten import Forgotten
from tuiparallel.hub.logbook import Logbook
from tuiparallel.hub.printed import Printed, output_of
from tuiparallel.hub.runs import Runs
from tuiparallel.hub.schema import TABLES, VERSION, TaskRecord
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import COUNTER_BITS, COUNTER_MASK, Span, TaskId
from tuiparallel.wire.messages import Ran, Work

log = logging.getLogger("tuiparallel.hub.history")

_pack = msgspec.msgpack.Encoder().encode
_calls = msgspec.msgpack.Decoder(list[bytes])
_work = msgspec.msgpack.Decoder(Work)
_bundle = msgspec.msgpack.Decoder(list[Ran])
_spans = msgspec.msgpack.Decoder(list[Span])

_ROW = 100  # bytes of a task's row, with its share of what is written around it
_COLUMNS = 9  # of a TaskRecord
_AT_ONCE = 50  # rows of one statement: half the time of a statement per row
_INSERT_ONE = f"INSERT OR IGNORE INTO tasks VALUES({','.join('?' * _COLUMNS)})"
_INSERT_MANY = _INSERT_ONE + f",({','.join('?' * _COLUMNS)})" * (_AT_ONCE - 1)
_SYNCHRONOUS = {"process": "NORMAL", "full": "FULL", "none": "OFF"}


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A client session: next is the first counter not yet accepted."""

    id: int
    hex: str
    host: str
    pid: int
    who: str
    next: int
    since: float


class History(Evictions, Forgotten, Printed, Runs):
    """The database of one cluster. Writes are gathered between begin() and commit().

    keep_aside: a damaged file is moved aside and a new one begun; otherwise sqlite3.DatabaseError is raised.
    """

    def __init__(self, path: Path, durability: str = "process", keep_aside: bool = True) -> None:
        self.path = path
        self.moved_aside: Path | None = None
        self._durability = durability
        self.folding = Folding()
        self._db = self._open(durability) if keep_aside else self._connect(durability)
        self.logbook = self._log(path.with_name(f"{path.stem}.log"), durability)
        if self.moved_aside is not None:
            self.logbook.clear()  # it names sessions by numbers that will be given anew
        self.damaged: list[tuple[int, int]] = []  # submissions that were to be taken over and cannot be read
        self.keep_calls = True  # arguments stay as long as their tasks' rows; otherwise until all of them have ended
        self.released: set[str] = set()  # blobs of arguments that have gone
        try:
            self.run, self.output = self._recorded_run(), self._recorded_output()
        except (sqlite3.DatabaseError, ValueError) as error:
            if not keep_aside:
                raise
            self.begin_anew(error)

    # Opening -------------------------------------------------------------------------------------------------------

    def _open(self, durability: str) -> sqlite3.Connection:
        try:
            return self._connect(durability)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise
            log.error("the history %s is damaged (%s): it is moved aside", self.path, error)
        self._put_aside()
        return self._connect(durability)

    def _log(self, path: Path, durability: str) -> Logbook:
        return Logbook(path, sync=durability == "full")

    def _put_aside(self) -> None:
        number = 0
        while (aside := self.path.with_name(f"history.corrupt-{number}.db")).exists():
            number += 1
        os.replace(self.path, aside)
        for suffix in ("-wal", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.moved_aside = aside

    def begin_anew(self, why: object) -> None:
        """What is in the file cannot be used, though it could be opened: it is moved aside, and an empty one begins."""
        log.error("the history %s is damaged (%s): it is moved aside", self.path, why)
        self.folding.wait()
        self._db.close()
        self._put_aside()
        self.logbook.clear()
        self._db = self._connect(self._durability)
        self.run = self.output = 0

    def _connect(self, durability: str) -> sqlite3.Connection:
        handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        os.close(handle)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={_SYNCHRONOUS[durability]}")
            db.execute("PRAGMA journal_size_limit=67108864")
            db.execute("PRAGMA wal_autocheckpoint=16000")  # pages: in case that folding does not keep up
            db.execute("PRAGMA mmap_size=0")
            db.execute("PRAGMA temp_store=MEMORY")
            found = db.execute("PRAGMA quick_check").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executescript(f"BEGIN; {TABLES} PRAGMA user_version={VERSION}; COMMIT")
            elif version != VERSION:
                raise sqlite3.DatabaseError(f"schema {version}, not {VERSION}")
        except UnicodeDecodeError as error:  # SQLite's own words about a damaged schema are not text either
            db.close()
            raise sqlite3.DatabaseError(f"the schema is damaged: {error}") from error
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Fold the write-ahead log into the file, and close it."""
        self.folding.wait()
        self._db.close()
        self.logbook.close()

    # One transaction per turn --------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def fold(self) -> None:
        """Begin to copy what was committed into the file, if there is much of it; no transaction may be open."""
        self.folding.begin(self._db)

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
            self.output = self._recorded_output()

    def put_batch(self, batch: Batch, received: float) -> None:
        """A new submission, with its bodies. The session's `next` follows from its newest one."""
        body = _pack(batch.calls)
        self.folding.written += len(body)
        work = batch.work
        packed = _pack(work)
        self._db.execute(
            "INSERT OR IGNORE INTO batches(first, count, function, work, calls, crc, name, label, submitted, received,"
            " run) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
            (
                batch.first,
                batch.count,
                batch.function,
                packed,
                body,
                zlib.crc32(body, zlib.crc32(packed)),
                work.name,
                work.label,
                work.submitted,
                received,
                self.run,
            ),
        )
        if batch.blobs:
            self._db.executemany(
                "INSERT OR IGNORE INTO blobs VALUES(?,?,?,0)",
                [(name, batch.first + index, size) for index, name, size in batch.blobs],
            )

    def put_function(self, hash: bytes, code: bytes) -> None:
        self._db.execute("INSERT OR IGNORE INTO functions VALUES(?,?)", (hash, code))

    def put_bundle(self, id: int, ran: Sequence[Ran], at: float) -> None:
        """Results as they came."""
        body = _pack(ran)
        self.folding.written += len(body)
        printed = output_of(ran)
        stored = self._db.execute(
            "INSERT OR IGNORE INTO bundles VALUES(?,?,?,?,?)", (id, body, zlib.crc32(body), at, printed)
        )
        if printed and stored.rowcount:
            self.output += printed
        self._db.execute("INSERT OR IGNORE INTO uses VALUES(?,?)", (id, len(ran)))
        blobs = [(name, result.task, size) for result in ran for name, size in result.blobs]
        if blobs:
            self._db.executemany("INSERT OR IGNORE INTO blobs VALUES(?,?,?,1)", blobs)

    def put_tasks(self, rows: Sequence[TaskRecord]) -> None:
        """Tasks that have ended."""
        self.folding.written += _ROW * len(rows)
        rows = sorted(rows)  # engines take turns: in the order of their ids they are appended, mostly
        whole = len(rows) - len(rows) % _AT_ONCE
        for start in range(0, whole, _AT_ONCE):
            self._db.execute(_INSERT_MANY, list(chain.from_iterable(rows[start : start + _AT_ONCE])))
        self._db.executemany(_INSERT_ONE, rows[whole:])

    def end_batches(self, firsts: Iterable[int]) -> None:
        """All tasks of these have ended; with keep_calls off their arguments go, the blobs of those into `released`."""
        ended = [(first,) for first in firsts]
        self._db.executemany("UPDATE batches SET ended=1 WHERE first=?", ended)
        if not self.keep_calls:
            for (first,) in ended:
                self.released.update(self.forget_calls(first))

    def put_lease(self, lease: int, engine: int, runs: list[Span]) -> None:
        """An engine is about to be given these tasks under this lease."""
        self._db.execute("INSERT OR IGNORE INTO leases VALUES(?,?,?)", (lease, engine, _sealed(_pack(runs))))

    def drop_leases(self, below: int) -> None:
        """Leases that name no open task any more."""
        self._db.execute("DELETE FROM leases WHERE id < ?", (below,))

    def put_attempt(
        self, task: int, attempt: int, engine: int, began: float | None, ended: float | None, outcome: str
    ) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO attempts VALUES(?,?,?,?,?,?)", (task, attempt, engine, began, ended, outcome)
        )

    def put_session(self, id: int, hex: str, host: str, pid: int, who: str, now: float) -> None:
        """A session, new or seen again."""
        self._db.execute(
            "INSERT INTO sessions(id, hex, host, pid, who, since, seen) VALUES(?,?,?,?,?,?,?)"
            " ON CONFLICT(id) DO UPDATE SET seen=excluded.seen",
            (id, hex, host, pid, who, now, now),
        )

    def put_fact(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES(?,?)", (name, value))

    # Reading -------------------------------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name=?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def sessions(self) -> list[SessionRecord]:
        rows = self._db.execute("SELECT id, hex, host, pid, who, next, since FROM sessions ORDER BY id").fetchall()
        return [
            SessionRecord(id, hex, host, pid, who, max(next, self._next_of(id)), since)
            for id, hex, host, pid, who, next, since in rows
        ]

    def _next_of(self, session: int) -> int:
        """The counter after a session's newest submission that is not forgotten."""
        newest = self._db.execute(
            "SELECT first, count FROM batches WHERE first >= ? AND first < ? ORDER BY first DESC LIMIT 1",
            (session << COUNTER_BITS, (session + 1) << COUNTER_BITS),
        ).fetchone()
        return 0 if newest is None else (newest[0] & COUNTER_MASK) + newest[1]

    def next_bundle(self) -> int:
        return int(self._db.execute("SELECT ifnull(max(id), 0) + 1 FROM bundles").fetchone()[0])

    def next_lease(self) -> int:
        return int(self._db.execute("SELECT ifnull(max(id), 0) + 1 FROM leases").fetchone()[0])

    def counts(self) -> dict[int, int]:
        """How many rows there are in each terminal state."""
        return dict(self._db.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall())

    def open_batches(self) -> Iterator[tuple[Batch, list[int]]]:
        """Every submission that is not over, oldest first, with its open tasks."""
        rows = self._db.execute(
            "SELECT b.first, b.count, b.function, b.work, b.calls, b.crc, f.code FROM batches b"
            " LEFT JOIN functions f ON f.hash = b.function WHERE b.ended = 0 ORDER BY b.received, b.first"
        ).fetchall()
        for first, count, function, work, calls, crc, code in rows:
            if _damaged(work, calls, crc):
                self.damaged.append((first, count))
                log.error("the arguments of batch %d are damaged in %s: its tasks are lost", first, self.path)
                continue
            batch = Batch(TaskId(first), count, _work.decode(work), function, code, _calls.decode(calls))
            ended = {
                row[0]
                for row in self._db.execute(
                    "SELECT id FROM tasks WHERE id>=? AND id<? UNION ALL SELECT id FROM purged WHERE id>=? AND id<?",
                    2 * (first, first + count),
                )
            }
            yield batch, [id for id in range(first, first + count) if id not in ended]

    def leases(self) -> Iterator[tuple[int, int, list[Span]]]:
        """All leases on record, oldest first: id, engine (-1: given back), tasks."""
        for id, engine, body in self._db.execute("SELECT id, engine, tasks FROM leases ORDER BY id"):
            yield id, engine, _spans.decode(_unsealed(body, f"lease {id}"))

    def attempts_of(self, task: int) -> list[tuple[int, int, float | None, float | None, str]]:
        """attempt, engine, began, ended, outcome of all attempts that were not the last."""
        return self._db.execute(
            "SELECT attempt, engine, began, ended, outcome FROM attempts WHERE task=? ORDER BY attempt", (task,)
        ).fetchall()

    def attempts_by_task(self) -> dict[int, int]:
        """How many attempts each task has behind it, for those that have any."""
        return dict(
            self._db.execute(
                "SELECT task, max(attempt) FROM attempts WHERE outcome != 'unmet' GROUP BY task"
            ).fetchall()
        )

    def bundle(self, id: int) -> list[Ran]:
        """The results of a bundle; empty when it is forgotten or damaged."""
        row = self._db.execute("SELECT body, crc FROM bundles WHERE id=?", (id,)).fetchone()
        if row is None:
            return []
        if zlib.crc32(row[0]) != row[1]:
            log.error("bundle %d is damaged in %s: its results are lost", id, self.path)
            return []
        return _bundle.decode(row[0])

    def batch_row(self, task: int) -> tuple[int, int, bytes, Work, str, str | None, float] | None:
        """The submission a task belongs to: first, count, function, work, name, label, received."""
        row = self._db.execute(
            "SELECT first, count, function, work, name, label, received FROM batches WHERE first<=? ORDER BY first DESC LIMIT 1",
            (task,),
        ).fetchone()
        if row is None or task >= row[0] + row[1]:
            return None
        return (row[0], row[1], row[2], _work_or_none(row[3]), row[4], row[5], row[6])

    def calls_of(self, first: int) -> tuple[list[bytes], bytes | None] | None:
        """Arguments and function code of a submission, None when they are forgotten or damaged."""
        row = self._db.execute(
            "SELECT b.calls, b.crc, f.code, b.work FROM batches b LEFT JOIN functions f ON f.hash=b.function WHERE b.first=?",
            (first,),
        ).fetchone()
        if row is None or row[0] is None or _damaged(row[3], row[0], row[1]):
            return None
        return _calls.decode(row[0]), row[2]

    def blobs_of(self, first: int, count: int) -> list[tuple[int, str, int]]:
        """Large buffers that these tasks use: task, name, size."""
        return self._db.execute(
            "SELECT owner, name, size FROM blobs WHERE owner>=? AND owner<?", (first, first + count)
        ).fetchall()

    def blobs_of_calls(self, first: int, count: int) -> list[tuple[int, str, int]]:
        """Those of them that the arguments of these tasks are in."""
        return self._db.execute(
            "SELECT owner, name, size FROM blobs WHERE owner>=? AND owner<? AND side=0", (first, first + count)
        ).fetchall()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Any reading statement."""
        return self._db.execute(sql, parameters).fetchall()

    def define(self, name: str, arguments: int, function: Callable[..., Any]) -> None:
        """A function that statements can call."""
        self._db.create_function(name, arguments, function)

    def fill(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert into a temporary table, in a transaction of its own. Raises sqlite3.Error."""
        self._db.execute("BEGIN")
        try:
            self._db.executemany(sql, rows)
        finally:
            self._db.execute("COMMIT")

    def work_of(self, first: int) -> Work:
        """What a submission's tasks share."""
        return _work_or_none(self._db.execute("SELECT work FROM batches WHERE first=?", (first,)).fetchone()[0])

    def put_resubmit(self, old: int, new: int) -> None:
        """A task was submitted again under another id."""
        self._db.execute("INSERT OR REPLACE INTO resubmits VALUES(?,?)", (old, new))

    def resubmitted_as(self, old: int) -> int | None:
        """What a task was submitted again as, last."""
        row = self._db.execute("SELECT new FROM resubmits WHERE old=?", (old,)).fetchone()
        return None if row is None else int(row[0])


def _damaged(work: bytes, calls: bytes, crc: int) -> bool:
    return zlib.crc32(calls, zlib.crc32(work)) != crc


def _work_or_none(body: bytes) -> Work:
    """What a submission's tasks share; nothing but defaults when it is damaged."""
    try:
        return _work.decode(body)
    except msgspec.DecodeError:
        return Work(0, "damaged", True, 0.0)


def _sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def _unsealed(body: bytes, what: str) -> bytes:
    """Raises sqlite3.DatabaseError when it is damaged: what may have started is not known then."""
    if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        raise sqlite3.DatabaseError(f"{what} is damaged")
    return body[:-4]
