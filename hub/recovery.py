"""A hub begins: from an empty history, or from what a killed one left.

Open tasks that no engine had go back to their queues in the old order; those that one had are in limbo until it says
Hello, which tells what it still runs, has queued, or holds the result of.
"""

from __future__ import annotations

from pathlib import Path

from tuiparallel.hub.book import Book
from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.events import Death, EngineLost, TasksSubmitted
from tuiparallel.hub.history import History
from tuiparallel.hub.registry import Engine, Session
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import EngineId, SessionId, TaskId, unspan
from tuiparallel.wire.messages import Need
from tuiparallel.wire.states import EngineState, State


def recover(book: Book) -> None:
    """Fill the book from its history, and note this boot there."""
    history = book.history
    same_run = history.fact("cluster") == book.config.cluster
    boots = int(history.fact("boots") or 0) + 1 if same_run else 1
    last = _last_sign(Path(book.config.directory) / "alive", book.date)
    book.boots = boots
    book.away = max(0.0, book.date - last) if same_run and boots > 1 else 0.0
    book.scheduler.next_lease = max(1, history.next_lease())
    for record in history.sessions():
        number = SessionId(record.id)
        session = Session(number, record.hex, record.host, record.pid, record.who, record.since, record.next)
        session.away_at = book.now
        book.registry.add_session(session)
    book.registry.next_engine = history.next_engine_id()
    book.registry.expected = book.config.n
    book.registry.coming = 0 if same_run else book.config.n  # the supervisor starts these by itself
    book.journal.others.append(lambda history: _note_boot(history, book))
    _restore_engines(book, same_run)
    _restore_tasks(book)
    if not same_run:
        _end_what_an_old_run_left(book)
    if book.away:
        book.event("hub", f"the hub is back, away {book.away:.1f} s, {book.taken_over} tasks taken over")


def _last_sign(path: Path, now: float) -> float:
    """When the hub before said last that it lives."""
    try:
        return path.stat().st_mtime
    except OSError:
        return now


def _note_boot(history: History, book: Book) -> None:
    history.put_fact("cluster", book.config.cluster)
    history.put_fact("boots", str(book.boots))


def _restore_engines(book: Book, same_run: bool) -> None:
    for record in book.history.living_engines():
        engine = Engine(EngineId(record.id), record.uuid, record.host, record.pid, record.joined)
        engine.state = EngineState.LIMBO
        engine.unreachable_at = book.now
        book.registry.add_engine(engine)
        book.scheduler.restore_engine(engine.id, book.now)


def _restore_tasks(book: Book) -> None:
    """Open tasks, oldest submission first, each where it was."""
    places: dict[int, tuple[int, int]] = {}
    for lease, engine, runs in book.history.leases():
        for id in unspan(runs):
            places[id] = (engine, lease)
    attempts = book.history.attempts_by_task()
    for batch, open_ids in book.history.open_batches():
        batch.open = len(open_ids)
        if not open_ids:
            book.journal.ended.append(batch.first)
        session = book.registry.sessions.get(batch.session)
        if session is None or not open_ids:
            continue
        session.open += batch.open
        book.open_bytes += batch.size
        book.taken_over += batch.open
        book.tally.submitted(batch)
        book.tally.resumed(batch.first, batch.count - batch.open, book.date)
        _restore_batch(book, batch, open_ids, places, attempts)


def _restore_batch(
    book: Book, batch: Batch, open_ids: list[int], places: dict[int, tuple[int, int]], attempts: dict[int, int]
) -> None:
    queued: list[Task] = []
    for id in open_ids:
        task = Task(TaskId(id), batch)
        task.attempt = attempts.get(id, 0) + 1
        engine, lease = places.get(id, (-1, 0))
        if engine >= 0 and engine in book.scheduler.seats:
            book.scheduler.restore_lease(task, engine, lease)
        else:
            task.lease = lease
            queued.append(task)
    if queued:
        needs, ended, invalid = _needs(book, batch)
        event = TasksSubmitted(batch, needs, ended, invalid)
        book.effects += book.scheduler.restore_queued(event, queued, book.now, book.date)


def _needs(book: Book, batch: Batch) -> tuple[list[tuple[Need, bool, list[TaskId]]], dict[TaskId, Fact], str]:
    needs: list[tuple[Need, bool, list[TaskId]]] = []
    ended: dict[TaskId, Fact] = {}
    for need, follow in ((batch.work.after, False), (batch.work.follow, True)):
        if need is None:
            continue
        ids, strangers = book.task_ids(need.tasks)
        missing = [id for id in ids if id not in book.scheduler.tasks]
        rows = book.history.tasks(list(missing))
        if strangers or len(rows) < len(set(missing)):
            return [], {}, "a task it depends on is forgotten"
        ended.update((TaskId(id), Fact(row[2] == State.DONE, row[3])) for id, row in rows.items())
        needs.append((need, follow, ids))
    return needs, ended, ""


def _end_what_an_old_run_left(book: Book) -> None:
    """The cluster was started anew in this directory: engines and open tasks of the old run are gone."""
    for engine in book.registry.living():
        engine.state = EngineState.DEAD
        engine.reason = "its cluster ended"
        book.journal.others.append(
            lambda history, id=engine.id: history.engine_gone(id, book.date, "its cluster ended")  # type: ignore[misc]
        )
        book.tell(EngineLost(engine.id, Death("its cluster ended", engine.host, engine.pid)))
    death = Death("its cluster ended before it was started")
    book.effects += book.scheduler.end_all(death, book.date)
    book.taken_over = 0
