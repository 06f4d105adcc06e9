"""A hub begins: from an empty history, or from what a killed one left.

Open tasks that no engine had go back to their queues in the old order; those that one had are in limbo until it says
Hello, which tells what it still runs, has queued, or holds the result of.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from pathlib import Path

import msgspec

from tuiparallel.hub.book import Book
from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.events import Death, TasksSubmitted
from tuiparallel.hub.history import History
from tuiparallel.hub.registry import Engine, Session
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.config import ClusterConfig
from tuiparallel.wire.ids import EngineId, SessionId, TaskId, unspan
from tuiparallel.wire.messages import Need
from tuiparallel.wire.states import EngineState, State


def taken_up(config: ClusterConfig, history: History, now: float, date: float) -> Book:
    """The book of a hub that begins: with what the history says, or, when that cannot be read, with a new history."""
    try:
        book = Book(config, history, now, date)
        recover(book)
    except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError) as error:
        if isinstance(error, sqlite3.OperationalError) and _of_the_disk(error):
            raise
        history.begin_anew(error)
        book = Book(config, history, now, date)
        recover(book)
    if history.moved_aside is not None:
        book.event("storage", f"the history was damaged and moved to {history.moved_aside.name}")
    return book


def _of_the_disk(error: sqlite3.OperationalError) -> bool:
    """Whether it is of the disk, not of what is on it: a damaged schema or text is a plain error, or has no code."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF != sqlite3.SQLITE_ERROR


def recover(book: Book) -> None:
    """Fill the book from its history, and note this boot there."""
    history = book.history
    history.keep_calls = book.config.keep_calls
    same_run = history.fact("cluster") == book.config.cluster
    if not same_run:
        history.begin_run()
    boots = int(history.fact("boots") or 0) + 1 if same_run else 1
    last = _last_sign(Path(book.config.directory) / "alive", book.date)
    book.boots = boots
    book.away = max(0.0, book.date - last) if same_run and boots > 1 else 0.0
    book.scheduler.next_lease = max(1, history.next_lease())
    if not same_run:
        # Engines that outlived a lost history refuse leases that they have seen.
        book.scheduler.next_lease = max(book.scheduler.next_lease, int(book.date * 1000))
    for record in history.sessions():
        number = SessionId(record.id)
        session = Session(number, record.hex, record.host, record.pid, record.who, record.since, record.next)
        session.away_at = book.now
        book.registry.add_session(session)
    book.registry.next_engine = history.next_engine_id()
    book.registry.expected = book.config.n
    book.registry.coming = (
        0 if same_run or history.moved_aside else book.config.n
    )  # the supervisor starts these by itself
    book.journal.others.append(lambda history: _note_boot(history, book, last))
    if same_run:
        _restore_engines(book)
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


def _note_boot(history: History, book: Book, last: float) -> None:
    history.note_run(last)
    history.put_fact("cluster", book.config.cluster)
    history.put_fact("boots", str(book.boots))


def _restore_engines(book: Book) -> None:
    for record in book.history.living_engines():
        engine = Engine(EngineId(record.id), record.uuid, record.host, record.pid, record.joined)
        engine.state = EngineState.LIMBO
        engine.unreachable_at = book.now
        book.registry.add_engine(engine)
        book.scheduler.restore_engine(engine.id, book.now)


def _restore_tasks(book: Book) -> None:
    """Open tasks, oldest submission first, each where it was."""
    places: dict[int, tuple[int, int, int]] = {}  # engine, lease, place within it
    for lease, engine, runs in book.history.leases():
        for place, id in enumerate(unspan(runs)):
            places[id] = (engine, lease, place)
    attempts = book.history.attempts_by_task()
    leased: list[tuple[int, int, int, Task]] = []
    waiting: list[tuple[Batch, list[Task]]] = []
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
        queued: list[Task] = []
        allowed: frozenset[int] | None = None
        looked = False
        for id in open_ids:
            task = Task(TaskId(id), batch)
            task.attempt = attempts.get(id, 0) + 1
            engine, lease, place = places.get(id, (-1, 0, 0))
            if engine >= 0 and engine in book.scheduler.seats:
                if not looked:
                    allowed, looked = _allowed(book, batch, engine), True
                task.places = allowed
                leased.append((engine, lease, place, task))
            else:
                task.lease = lease
                queued.append(task)
        if queued:
            waiting.append((batch, queued))
    # In the order in which they were given out: that is how an engine runs them, and a start mark is read.
    for engine, lease, _, task in sorted(leased, key=lambda one: one[:3]):
        book.scheduler.restore_lease(task, engine, lease)
    _restore_waiting(book, waiting)
    for first, _ in book.history.damaged:
        book.journal.ended.append(first)
    if book.history.damaged:
        lost = sum(count for _, count in book.history.damaged)
        book.event("storage", f"up to {lost} open tasks were lost: their arguments are damaged on disk")


def _allowed(book: Book, batch: Batch, engine: int) -> frozenset[int] | None:
    """Where tasks of a batch may run that this engine has, should it give them back; None: anywhere."""
    follow = batch.work.follow
    if follow is None:
        return book.scheduler.places_of(batch, {})
    rows = book.history.tasks(list(book.task_ids(follow.tasks)[0]))
    if not rows:  # where it was to follow to is forgotten; where it was sent was right
        return frozenset({engine})
    return book.scheduler.places_of(
        batch, {TaskId(id): Fact(row[2] == State.DONE, row[3]) for id, row in rows.items()}
    )


def _restore_waiting(book: Book, waiting: list[tuple[Batch, list[Task]]]) -> None:
    """Tasks that no engine had, each after those that it depends on: two sessions' may have come in one turn."""
    firsts = [batch.first for batch, _ in waiting]
    firsts.sort()
    unrestored = {batch.first: batch for batch, _ in waiting}

    def still_to_come(batch: Batch) -> bool:
        for need in (batch.work.after, batch.work.follow):
            for id in book.task_ids(need.tasks)[0] if need is not None else ():
                at = bisect_right(firsts, id) - 1
                other = unrestored.get(firsts[at]) if at >= 0 else None
                if other is not None and other is not batch and id < other.first + other.count:
                    return True
        return False

    while waiting:
        later = [entry for entry in waiting if still_to_come(entry[0])]
        if len(later) == len(waiting):
            later = []  # a circle there cannot be; whatever this is, it ends as a dependency that cannot be met
        held = {batch.first for batch, _ in later}
        for batch, queued in waiting:
            if batch.first not in held:
                needs, ended, invalid = _needs(book, batch)
                event = TasksSubmitted(batch, needs, ended, invalid)
                book.effects += book.scheduler.restore_queued(event, queued, book.now, book.date)
                del unrestored[batch.first]
        waiting = later


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
    """The cluster was started anew in this directory: what the old run left open will never run."""
    book.effects += book.scheduler.end_all(Death("its cluster ended before it was started"), book.date)
    book.taken_over = 0
