"""Keeping the history within its bounds: what is oldest is forgotten, nothing open, nothing a connected client awaits.

Work is done in small steps, so that no turn becomes long.
"""

from __future__ import annotations

from tuiparallel.hub.book import Book

INTERVAL = 2.0  # seconds between looks
STEP = 64  # submissions forgotten at a time


class Keeping:
    """Bounds of rows, bytes, age and blobs."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._next = book.now + INTERVAL
        self._leases_pruned = 0

    def next_deadline(self) -> float:
        return self._next

    def upkeep(self) -> None:
        """Forget a step's worth if a bound is passed."""
        book = self.book
        if book.now < self._next:
            return
        self._next = book.now + INTERVAL
        if not book.journal and not book.storage_error:
            book.rows, book.bytes = book.history.size()
            book.history.vacuum()
        self._prune_leases()
        if self._over():
            self._forget()
            self._next = book.now + 0.02 if self._over() else self._next

    def _over(self) -> bool:
        book, config = self.book, self.book.config
        return (
            book.rows > config.history_rows
            or book.bytes > config.history_bytes
            or (config.blob_bytes > 0 and book.blob_bytes > config.blob_bytes)
        )

    def _forget(self) -> None:
        book = self.book
        oldest = book.history.oldest_ended(STEP)
        if not oldest:
            return
        # The names must leave the directory after the commit, and a crash in between leaves files that the next start
        # sweeps; so unlinking may come first only for what nobody can ask for any more.
        names: list[str] = []

        def forget(history: object) -> None:
            for first, count in oldest:
                names.extend(book.history.forget_batch(first, count))
            book.history.sweep()
            if names:
                book.blobs.unlink(names)

        book.journal.others.append(forget)
        book.rows -= sum(count for _, count in oldest)

    def _prune_leases(self) -> None:
        """Leases below the lowest one that an open task has say nothing any more."""
        scheduler = self.book.scheduler
        lowest = scheduler.next_lease - 1
        for seat in scheduler.seats.values():
            for task in seat.held.values():
                lowest = min(lowest, task.lease)
                break
        if lowest > self._leases_pruned:
            self._leases_pruned = lowest
            self.book.journal.others.append(lambda history: history.drop_leases(lowest))
