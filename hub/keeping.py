"""Keeping the history within its bounds: what is oldest is forgotten, nothing open, nothing a connected client awaits.

Work is done in small steps, so that no turn becomes long.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from tuiparallel.hub.book import Book
from tuiparallel.hub.history import History
from tuiparallel.hub.registry import Session
from tuiparallel.wire.ids import SessionId

log = logging.getLogger("tuiparallel.hub")

INTERVAL = 2.0  # seconds between looks
SWEEPS = 3  # looks at buffers, INTERVAL apart, after somebody has left: its connection ends before its process does
STEP = 256  # submissions forgotten at a time, about 4 ms
STEP_TASKS = 4000  # tasks forgotten at a time
STEP_PAUSE = 0.02  # seconds between steps while a bound is passed
SLOW_INTERVAL = 60.0  # seconds between looks at what grows slowly
SWEEP_INTERVAL = 600.0  # seconds between looks for functions that no submission names
SESSION_KEPT = 86400.0  # seconds a client that has left, and of which nothing is on record, is remembered
MOST_DEAD = 1000  # engines that are gone and still shown


def _mark(_: History) -> None:
    """Submissions that are over are marked so whenever something else is written."""


def _stretches(step: dict[tuple[int, int], str]) -> list[tuple[int, int, str]]:
    """Submissions that follow each other and go by the same limit, as one: a statement for all costs what one costs."""
    found: list[tuple[int, int, str]] = []
    for (first, count), why in step.items():
        if found and (found[-1][0] + found[-1][1], found[-1][2]) == (first, why):
            found[-1] = (found[-1][0], found[-1][1] + count, why)
        else:
            found.append((first, count, why))
    return found


class Keeping:
    """Bounds of rows, bytes, age and blobs; and of clients and engines that are gone."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._next = book.now + INTERVAL
        self._slow_next = book.now + SLOW_INTERVAL
        self._sweep_next = book.now + SWEEP_INTERVAL
        self._blob_sweeps, self._blobs_next = 0, book.now
        self._leases_pruned = 0
        self._departures = book.registry.departures
        self._output_stuck = False  # all that may be forgotten has been
        self.homeless = False  # the cluster's directory has been removed: nobody can find it any more
        self._alive = Path(book.config.directory) / "alive"
        self._touch()
        book.holdings.sweep()

    def next_deadline(self) -> float:
        return self._next

    def upkeep(self) -> None:
        """Forget a step's worth if a bound is passed."""
        book = self.book
        if book.holdings.doomed and not book.journal.others:
            self._unlink()
        if book.now < self._next:
            return
        self._next = book.now + INTERVAL
        self._touch()
        if not book.feed.observers:
            book.feed.forget_changes()
        if book.storage_error:
            return
        if not book.journal:
            self._measure()
        self._prune_leases()
        self._mark_delivered()
        if not book.config.keep_calls and book.journal.ended:
            book.journal.others.append(_mark)
        more = self._forget()
        more = self._forget_output() or more
        if self._move_out(more) or more:
            self._next = book.now + STEP_PAUSE
        if book.now >= self._slow_next:
            self._slow_next = book.now + SLOW_INTERVAL
            self._forget_the_gone()
            self._departures = -1
        if book.registry.departures != self._departures:  # whoever left may have left buffers, too
            self._departures = book.registry.departures
            self._blob_sweeps, self._blobs_next = SWEEPS, book.now
        if self._blob_sweeps and book.now >= self._blobs_next:
            self._blob_sweeps, self._blobs_next = self._blob_sweeps - 1, book.now + INTERVAL
            book.holdings.sweep()

    def _touch(self) -> None:
        """Say on disk that the hub lives, so that the next one knows how long it was away."""
        try:
            self.homeless = not self._alive.parent.is_dir()
            os.close(os.open(self._alive, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            os.utime(self._alive, (self.book.date, self.book.date))
        except OSError as error:
            log.warning("%s cannot be touched: %s", self._alive, error)

    def _measure(self) -> None:
        try:
            history = self.book.history
            self.book.holdings.doomed |= history.released  # of arguments that have gone
            history.released.clear()
            self.book.bytes = history.bytes()
            self.book.history.vacuum()
        except sqlite3.Error as error:
            log.error("the history cannot be made smaller: %s", error)

    def _unlink(self) -> None:
        """Files of blobs whose last task is forgotten, now that this is on record."""
        holdings = self.book.holdings
        doomed, holdings.doomed = holdings.doomed, set()
        holdings.unlink(self.book.history.unused(doomed))

    def _mark_delivered(self) -> None:
        """Whose client is away without having had them, and who has come back: what goes first when room is short."""
        registry = self.book.registry
        if not (registry.undelivered or registry.returned):
            return
        returned, registry.returned = registry.returned, set()
        undelivered, registry.undelivered = registry.undelivered, set()

        def mark(history: History) -> None:
            for session in returned:
                history.mark_delivered(session)
            history.mark_undelivered(sorted(undelivered))

        self.book.journal.others.append(mark)

    # Forgetting ended tasks ----------------------------------------------------------------------------------------

    def _forget(self) -> bool:
        """Forget the oldest if a bound is passed; returns whether there may be more to forget."""
        book, config = self.book, self.book.config
        rows = max(0, book.rows - config.history_rows)
        if book.bytes > config.history_bytes:  # about so many rows have the bytes that are too many
            rows = max(rows, 1 + book.rows * (book.bytes - config.history_bytes) // book.bytes)
        blobs = book.holdings.bytes - book.holdings.limit if book.holdings.over() else 0
        oldest_kept = book.date - config.history_age
        if rows and book.journal.ended:
            book.journal.others.append(_mark)
        step: dict[tuple[int, int], str] = {}  # submissions, and the limits they go by
        tasks = 0
        for first, count, received in self._candidates(oldest_kept, rows > 0, blobs > 0):
            if received < oldest_kept:
                why = "history_age"
            elif tasks < rows:
                why = "history_rows" if book.rows - tasks > config.history_rows else "history_bytes"
            else:
                why = "blob_bytes"
            if (why == "blob_bytes" and blobs <= 0) or (step and tasks >= STEP_TASKS):
                break
            step[first, count] = why
            tasks += count
            if blobs > 0:
                blobs -= sum(size for _, _, size in book.history.blobs_of(first, count))
        if not step:
            return False

        date = book.date

        def forget(history: History) -> None:
            for first, count, why in _stretches(step):
                names, number = history.forget_batch(first, count)
                history.note_forgotten(range(first, first + count), date, why)
                book.holdings.doomed.update(names)
                book.rows = max(0, book.rows - number)
            if book.now >= self._sweep_next:
                self._sweep_next = book.now + SWEEP_INTERVAL
                history.sweep()
                history.trim_forgotten()
                book.stored_functions.clear()

        book.journal.others.append(forget)
        return True

    def _candidates(self, oldest_kept: float, rows: bool, blobs: bool) -> Iterable[tuple[int, int, float]]:
        """What may be forgotten, first what goes first: too old; delivered, oldest first; then of sessions away longest."""
        history, spared = self.book.history, self._awaited()
        for delivered in (True, False):
            yield from history.oldest_ended(STEP, spared, delivered=delivered, before=oldest_kept)
        if not (rows or blobs):
            return
        with_blobs = blobs and not rows
        yield from (row for row in history.oldest_ended(STEP, spared, with_blobs) if row[2] >= oldest_kept)
        if history.has_undelivered():
            for session in self.book.registry.away_longest():
                if session.number not in spared:
                    found = history.undelivered_of(session.number, STEP, with_blobs)
                    yield from (row for row in found if row[2] >= oldest_kept)

    def _forget_output(self) -> bool:
        """Forget the oldest of what tasks printed, if there is too much of it; returns whether there may be more."""
        book = self.book
        over = book.history.output - book.config.output_bytes
        if over <= 0:
            return False
        spared = self._awaited()

        def forget(history: History) -> None:
            self._output_stuck = history.forget_output(over, spared) == 0

        book.journal.others.append(forget)
        stuck, self._output_stuck = self._output_stuck, False
        return not stuck

    def _move_out(self, more: bool) -> bool:
        """Move buffers to the disk when none of those in memory can be forgotten; returns whether that goes on."""
        book = self.book
        holdings = book.holdings
        if more or not holdings.over():
            holdings.exhausted = False
            return False
        try:
            moving = holdings.move_out(book.config.free_disk)
        except OSError as error:
            log.error("large buffers cannot be moved to the disk: %s", error)
            moving = False
        if not moving and not holdings.exhausted:
            book.event("storage", "large buffers fill their limit (blob_bytes), and no more can be moved to the disk")
        holdings.exhausted = not moving
        return moving

    def _awaited(self) -> set[SessionId]:
        """Sessions with outcomes that a connected client is still to be sent, or has not confirmed."""
        registry = self.book.registry
        hexes: set[str] = set()
        for session in registry.session_of_peer.values():
            hexes.update(hex for hex, _ in session.backlog)
            hexes.update(hex for hex, _ in session.sizes)
        return {registry.session_of_hex[hex].number for hex in hexes if hex in registry.session_of_hex}

    # What grows slowly ---------------------------------------------------------------------------------------------

    def _forget_the_gone(self) -> None:
        """Clients and engines that have gone long ago."""
        book = self.book
        registry = book.registry
        gone = [session for session in registry.sessions.values() if self._forgettable(session)]
        for session in gone[:100]:
            registry.forget_session(session)
            book.tally.session_gone(session.number)
            book.journal.others.append(lambda history, id=session.number: history.forget_session(id))  # type: ignore[misc]
        dead = [engine for engine in registry.engines.values() if not engine.alive]
        for engine in dead[: max(0, len(dead) - MOST_DEAD)]:
            registry.forget_engine(engine)
        if dead:
            before = book.date - book.config.history_age
            book.journal.others.append(lambda history: history.forget_engines(before))

    def _forgettable(self, session: Session) -> bool:
        return (
            session.peer is None
            and not session.open
            and self.book.now - session.away_at > SESSION_KEPT
            and not self.book.history.has_batches(session.number)
        )

    def _prune_leases(self) -> None:
        """Leases below the lowest one that an open task has say nothing any more."""
        scheduler = self.book.scheduler
        lowest = scheduler.next_lease - 1
        for seat in scheduler.seats.values():
            lowest = min(lowest, min((task.lease for task in seat.held.values()), default=lowest))
        if lowest > self._leases_pruned:
            self._leases_pruned = lowest
            self.book.journal.others.append(lambda history: history.drop_leases(lowest))
