"""Questions of clients and consoles, answered from the rules' state and the history after the turn's commit."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from tuiparallel.hub.book import Book
from tuiparallel.hub.dbquery import db_query
from tuiparallel.hub.delivery import Delivery
from tuiparallel.hub.forgotten import PURGED
from tuiparallel.hub.history import History
from tuiparallel.hub.registry import Session
from tuiparallel.wire.ids import IdRange, TaskId, counter_of, session_of
from tuiparallel.wire.messages import MAX_FRAME, Chunk, ErrorText, Query, Ran, Reply, TaskRow, Work
from tuiparallel.wire.states import State

log = logging.getLogger("tuiparallel.hub")

_pack = msgspec.msgpack.Encoder().encode

UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
"""What arguments that do not fit lead to."""
PAGE = 2000  # rows of one page at the most


class QuestionError(Exception):
    """A question that has no answer: its text goes to whoever asked."""

    def __init__(self, ename: str, evalue: str) -> None:
        super().__init__(evalue)
        self.ename, self.evalue = ename, evalue


class QueryDesk:
    """All of wire.messages.Query."""

    def __init__(self, book: Book, delivery: Delivery) -> None:
        self.book, self.delivery = book, delivery
        self._verbs: dict[str, Callable[[Session, dict[str, Any]], Any]] = {
            "queue_status": self._queue_status,
            "result_status": self._result_status,
            "get_result": self._get_result,
            "history": self._history,
            "engines": self._engines,
            "status": self._status,
            "page": self._page,
            "task": self._task,
            "why": self._why,
            "output": self._output,
            "purge": self._purge,
            "db_query": self._db_query,
        }

    def answer(self, session: Session, query: Query) -> None:
        """Answer one question."""
        verb = self._verbs.get(query.what)
        if verb is None:
            error = ErrorText("ValueError", f"the hub knows no query {query.what!r}", "")
            self.book.out.client(session, Reply(query.request, None, error))
            return
        try:
            body = verb(session, query.arguments)
        except QuestionError as error:
            text = ErrorText(error.ename, error.evalue, "")
            self.book.out.client(session, Reply(query.request, None, text))
        except UNFIT as error:
            text = ErrorText(type(error).__name__, f"{query.what}: {error}", "")
            self.book.out.client(session, Reply(query.request, None, text))
        except sqlite3.Error as error:
            log.exception("%s failed", query.what)
            text = ErrorText("StorageFull", f"the history cannot be read: {error}", "")
            self.book.out.client(session, Reply(query.request, None, text))
        else:
            reply = self._reply(query, body)
            if self.book.journal.others:
                self.book.after_commit.append(
                    (session, reply)
                )  # it has changed something: said when that is on record
            else:
                self.book.out.client(session, reply)

    def _reply(self, query: Query, body: Any) -> Reply:
        packed = _pack(body)
        if len(packed) > MAX_FRAME:
            what = f"the answer to {query.what} has {len(packed):,} bytes, and one message at most {MAX_FRAME:,}"
            return Reply(
                query.request, None, ErrorText("MessageTooLarge", f"{what}: ask for fewer tasks or keys", "")
            )
        return Reply(query.request, msgspec.Raw(packed))

    def _db_query(self, session: Session, arguments: dict[str, Any]) -> Any:
        return db_query(self.book, arguments["query"], arguments.get("keys"))

    # Queues and engines --------------------------------------------------------------------------------------------

    def _queue_status(self, session: Session, arguments: dict[str, Any]) -> Any:
        book = self.book
        ids = book.registry.ids() if arguments.get("targets") is None else list(arguments["targets"])
        verbose = bool(arguments.get("verbose"))
        engines: dict[int, list[Any]] = {}
        for id in ids:
            seat = book.scheduler.seats.get(id)
            record = book.registry.engines.get(id)
            if seat is None or record is None:
                continue
            direct = [task.id for task in seat.direct if task.state is State.QUEUED]
            direct += [task.id for task in seat.held.values() if not task.batch.work.balanced]
            balanced = [task.id for task in seat.held.values() if task.batch.work.balanced]
            if verbose:
                rows = [TaskId(row) for row in book.history.tasks_of_engines([id])]
                engines[id] = [book.ranges(direct), book.ranges(rows), book.ranges(balanced)]
            else:
                engines[id] = [len(direct), record.done + record.errors, len(balanced)]
        if not verbose:
            return {"engines": engines, "unassigned": len(book.scheduler.lanes) + book.scheduler.waiting}
        waiting = [
            task.id for task in book.scheduler.open_tasks() if task.state is State.QUEUED and task.batch.work.balanced
        ]
        return {"engines": engines, "unassigned": book.ranges(waiting)}

    def _engines(self, session: Session, arguments: dict[str, Any]) -> Any:
        return [self.book.feed.engine_row(engine) for engine in self.book.registry.engines.values()]

    def _status(self, session: Session, arguments: dict[str, Any]) -> Any:
        book = self.book
        counters = book.feed.counters()
        states = [book.feed.engine_row(engine).state for engine in book.registry.living()]
        return {
            "pid": os.getpid(),
            "since": book.started,
            "boots": book.boots,
            "durability": book.config.durability,
            "engines": states,
            "expected": book.registry.expected,
            "clients": sum(1 for other in book.registry.sessions.values() if other.peer is not None),
            "counters": counters,
            "supervisors": sum(1 for supervisor in book.registry.supervisors.values() if supervisor.peer is not None),
            "storage_error": book.storage_error,
            "limits": book.limits(),
        }

    # Results -------------------------------------------------------------------------------------------------------

    def _sorted_out(self, ranges: list[IdRange]) -> tuple[list[TaskId], list[TaskId], list[IdRange]]:
        """Open tasks, tasks that have ended (or are forgotten), and what nobody knows."""
        book = self.book
        ids, unknown = book.task_ids([(hex, first, count) for hex, first, count in ranges])
        pending: list[TaskId] = []
        ended: list[TaskId] = []
        for id in ids:
            if id in book.scheduler.tasks:
                pending.append(id)
            elif counter_of(id) < book.registry.sessions[session_of(id)].next:
                ended.append(id)
            else:
                unknown += book.ranges([id])
        return pending, ended, unknown

    def _result_status(self, session: Session, arguments: dict[str, Any]) -> Any:
        pending, ended, unknown = self._sorted_out(arguments["tasks"])
        return {"pending": self.book.ranges(pending), "completed": self.book.ranges(ended), "unknown": unknown}

    def _get_result(self, session: Session, arguments: dict[str, Any]) -> Any:
        book = self.book
        pending, ended, unknown = self._sorted_out(arguments["tasks"])
        for id in pending:
            self.delivery.subscribe(session, id)
        rows = book.history.tasks(list(ended))
        expired = [id for id in ended if id not in rows]
        for id in ended:
            if id in rows:
                self.delivery.want(session, book.registry.sessions[session_of(id)].hex, counter_of(id))
        return {
            "unknown": unknown,
            "expired": book.ranges(expired),
            "whys": self._whys(expired),
            "works": self._works([*pending, *(id for id in ended if id in rows)]),
        }

    def _whys(self, expired: list[TaskId]) -> list[tuple[IdRange, str]]:
        """When and why these were forgotten: a text, to follow a name, for those that went together."""
        book, history = self.book, self.book.history
        groups: dict[tuple[float, str] | None, list[TaskId]] = {}
        for id in expired:
            groups.setdefault(history.forgotten(id), []).append(id)
        found: list[tuple[IdRange, str]] = []
        for ids in groups.values():
            text = history.why_gone(ids[0], book.config)
            found += [(part, text) for part in book.ranges(ids)]
        return found

    def _works(self, ids: list[TaskId]) -> list[dict[str, Any]]:
        """What their submissions said, for each batch that these tasks belong to."""
        works: dict[int, dict[str, Any]] = {}
        done: set[int] = set()
        for id in sorted(ids):
            if id in done:
                continue
            task = self.book.scheduler.tasks.get(id)
            if task is not None:
                first, count, work = task.batch.first, task.batch.count, task.batch.work
            else:
                row = self.book.history.batch_row(id)
                if row is None:
                    continue
                first, count, work = TaskId(row[0]), row[1], row[3]
            done.update(range(first, first + count))
            works[first] = {
                "session": self.book.registry.sessions[session_of(first)].hex,
                "first": counter_of(first),
                "count": count,
                "work": work,
                "sizes": self._sizes(first, [one for one in ids if first <= one < first + count]),
            }
        return list(works.values())

    def _sizes(self, first: TaskId, ids: list[TaskId]) -> dict[int, int]:
        """Bytes of the calls of these tasks of one submission with their blobs, by counter; empty when forgotten."""
        task = next((found for id in ids if (found := self.book.scheduler.tasks.get(id)) is not None), None)
        if task is not None:
            calls = task.batch.calls
        else:
            kept = self.book.history.calls_of(first)
            if kept is None:
                return {}
            calls = kept[0]
        return {
            counter_of(id): len(calls[0] if len(calls) == 1 else calls[id - first]) + self._call_blobs(id)
            for id in ids
        }

    def _call_blobs(self, id: TaskId) -> int:
        """Bytes of the large buffers of a task's call."""
        return sum(size for _, _, size in self.book.history.blobs_of_calls(id, 1))

    def _history(self, session: Session, arguments: dict[str, Any]) -> Any:
        limit = arguments.get("limit")
        rows = self.book.history.query(
            "SELECT first, count FROM batches ORDER BY received DESC, first DESC LIMIT ?",
            (-1 if limit is None else limit,),
        )
        found: list[IdRange] = []
        left = limit
        for first, count in rows:
            take = count if left is None else min(count, left)
            found.append((self.book.registry.sessions[session_of(first)].hex, counter_of(first) + count - take, take))
            if left is not None:
                left -= take
                if left <= 0:
                    break
        return found[::-1]

    # Pages of the past ---------------------------------------------------------------------------------------------

    def _page(self, session: Session, arguments: dict[str, Any]) -> Any:
        """Ended tasks, those that the hub had last first: {"tasks": rows, "before": where the next page begins, or None}.

        before: the cursor of the page before, None for the newest. Bundles are in the order of arrival, so a page reads
        a few of them and sorts nothing.
        """
        history = self.book.history
        limit = max(1, min(int(arguments.get("limit") or PAGE), PAGE))
        cursor = arguments.get("before")
        bundle, left = (1 << 62, -1) if cursor is None else (int(cursor[0]), int(cursor[1]))
        rows: list[TaskRow] = []
        while True:
            found = history.query("SELECT max(id) FROM bundles WHERE id <= ?", (bundle,))[0][0]
            if found is None:
                return {"tasks": rows, "before": None}
            rest = history.bundle(found)
            if found == bundle and left >= 0:
                rest = rest[:left]
            while rest and len(rows) < limit:
                take = rest[len(rows) - limit :]
                rest = rest[: len(rest) - len(take)]
                rows += self._page_rows(take[::-1], found)
            if len(rows) >= limit:
                return {"tasks": rows, "before": [found, len(rest)]}
            bundle, left = found - 1, -1

    def _page_rows(self, results: list[Ran], bundle: int) -> list[TaskRow]:
        """Rows of those results that are still on record as their tasks' outcomes."""
        history = self.book.history
        records = history.tasks([ran.task for ran in results])
        batches: dict[int, tuple[int, int, bytes, Work, str, str | None, float]] = {}
        runs: dict[int, bool] = {}  # whether a submission is of this run
        rows: list[TaskRow] = []
        for ran in results:
            record = records.get(ran.task)
            if record is None or record[8] != bundle:
                continue
            batch = batches.get(record[1])
            if batch is None:
                found = history.batch_row(ran.task)
                if found is None:
                    continue
                batch = batches[record[1]] = found
                runs[record[1]] = history.run_of(record[1]) == history.run
            error = ran.extras.error if ran.extras is not None else None
            rows.append(
                TaskRow(
                    record[0],
                    record[2],
                    record[3] if runs[record[1]] else None,  # that engine's id is another one's now
                    batch[4],
                    batch[5],
                    record[1],
                    batch[3].submitted,
                    record[5],
                    record[6],
                    record[7],
                    record[4],
                    0,
                    len(ran.body) + sum(size for _, size in ran.blobs),
                    error.ename if error is not None else "",
                    error.evalue[:200] if error is not None else "",
                )
            )
        return rows

    def _one(self, arguments: dict[str, Any]) -> TaskId:
        ids, _ = self.book.task_ids([tuple(arguments["task"])])
        if not ids:
            raise QuestionError("KeyError", "the hub knows no such task")
        return ids[0]

    def _task(self, session: Session, arguments: dict[str, Any]) -> Any:
        """Everything about one task but its buffers: for the inspector."""
        id = self._one(arguments)
        book = self.book
        task = book.scheduler.tasks.get(id)
        if task is not None:
            work: Work = task.batch.work
            body: dict[str, Any] = {"state": int(task.state), "engine": task.engine, "attempt": task.attempt}
            body["started"] = task.started
            body["why"] = book.scheduler.why(id)
        else:
            row = book.history.tasks([id]).get(id)
            batch = book.history.batch_row(id)
            if row is None or batch is None:
                raise QuestionError("ResultExpired", f"{book.name_of(id)} {book.history.why_gone(id, book.config)}")
            work = batch[3]
            body = {"state": row[2], "engine": row[3], "attempt": row[4], "started": row[5], "completed": row[6]}
            body["received"] = row[7]
            ran = next((ran for ran in book.history.bundle(row[8]) if ran.task == id), None)
            if ran is not None:
                body["result_size"] = len(ran.body) + sum(size for _, size in ran.blobs)
                body["extras"] = ran.extras
        body["work"] = work
        body["attempts"] = book.history.attempts_of(id)
        return body

    def _why(self, session: Session, arguments: dict[str, Any]) -> Any:
        return self.book.scheduler.why(self._one(arguments))

    def _output(self, session: Session, arguments: dict[str, Any]) -> Any:
        """What the newest `limit` tasks that printed anything left, oldest first, as Chunks."""
        limit = min(int(arguments.get("limit") or 200), PAGE)
        chunks: list[Chunk] = []
        for id, _, _ in self.book.history.query("SELECT id, at, 0 FROM bundles ORDER BY id DESC LIMIT 500"):
            for ran in reversed(self.book.history.bundle(id)):
                if ran.extras is None:
                    continue
                engine = self._engine_of(ran.task)
                for stream, text in (("stdout", ran.extras.stdout), ("stderr", ran.extras.stderr)):
                    if text:
                        chunks.append(Chunk(engine, ran.task, stream, text, ran.completed, 0))
            if len(chunks) >= limit:
                break
        return chunks[:limit][::-1]

    def _engine_of(self, task: int) -> int:
        """The engine of this run that a task ended on; -1 for none, and for one of an earlier run."""
        history = self.book.history
        row = history.tasks([task]).get(task)
        if row is None or row[3] is None or history.run_of(row[1]) != history.run:
            return -1
        return row[3]

    # Forgetting ----------------------------------------------------------------------------------------------------

    def _purge(self, session: Session, arguments: dict[str, Any]) -> Any:
        """Forget ended tasks: by id, by engine, or all. Whole submissions at a time leave files and rows."""
        book = self.book
        history = book.history
        if arguments.get("all"):
            ids = [row[0] for row in history.query("SELECT id FROM tasks ORDER BY id")]
        else:
            targets = arguments.get("targets") or []
            chosen = history.tasks_of_engines(targets)
            pending, ended, unknown = self._sorted_out(arguments.get("tasks") or [])
            if pending:
                name = book.ranges(pending[:1])[0]
                raise QuestionError(
                    "IndexError", f"{name[0]}-{name[1]} is pending: abort it, or wait, before purging"
                )
            if unknown:
                raise QuestionError("KeyError", f"no such task: {unknown[0][0]}-{unknown[0][1]}")
            ids = sorted({*history.tasks(ended), *chosen})

        date, everything = book.date, bool(arguments.get("all"))

        def forget(history: History) -> None:
            names, number = history.forget_all() if everything else history.forget_tasks(ids)
            history.note_forgotten(ids, date, PURGED)
            book.holdings.doomed.update(names)
            book.rows = max(0, book.rows - number)

        book.journal.others.append(forget)
        return {"purged": len(ids)}
