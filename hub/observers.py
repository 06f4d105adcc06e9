"""Who is told of changes, and who has stopped reading: deltas go out, snapshots to those who begin or begin again.

An observer is asked now and then to confirm what it has read. One that does not gets nothing more, and costs nothing,
until it confirms: then a snapshot says where things stand, and how many tasks ended meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tuiparallel.hub.book import Book
from tuiparallel.hub.registry import Session
from tuiparallel.link.doors import Peer, Sent
from tuiparallel.wire.messages import Delta, Snapshot
from tuiparallel.wire.states import TERMINAL

ASK_EVERY = 1.0  # seconds between two questions
PATIENCE = 2.0  # seconds for the answer
GREET_RETRY = 1.0  # seconds until an observer whose pipe was full is tried again


@dataclass(slots=True)
class Reader:
    """One observer. asked: the number it is to confirm, since asked_at; None: it has confirmed."""

    asked: int | None = None
    asked_at: float = float("-inf")
    fresh: bool = True  # it gets a snapshot in this turn
    away: bool = False  # it does not read, and is told nothing
    ended: int = 0  # tasks that had ended when it was told last
    retry_at: float | None = None  # its pipe was full: when it is tried again


class Observers:
    """Sessions that get deltas. send hands a message to the transport; gone is told of connections that have ended."""

    def __init__(
        self, book: Book, send: Callable[[Peer, Snapshot | Delta], Sent], gone: Callable[[Session], None]
    ) -> None:
        self._book, self._send, self._gone = book, send, gone
        self._readers: dict[int, Reader] = {}  # by session

    def begin(self, session: Session) -> None:
        """A snapshot at the end of this turn, then deltas."""
        missed = session.told_ended
        reader = self._readers.setdefault(session.number, Reader(away=missed is not None, ended=missed or 0))
        reader.fresh, reader.asked, session.told_ended = True, None, None
        self._count()

    def end(self, session: Session) -> None:
        """Nothing more."""
        if self._readers.pop(session.number, None) is not None:
            self._count()

    def lose(self, session: Session) -> None:
        """Its connection has ended. If it is back some time, it is told what it has missed."""
        if (reader := self._readers.get(session.number)) is not None:
            session.told_ended = reader.ended
            self.end(session)

    def confirmed(self, session: Session, number: int) -> None:
        """It has read up to this number."""
        reader = self._readers.get(session.number)
        if reader is None or reader.asked is None or number < reader.asked:
            return
        reader.asked = None
        reader.fresh = reader.away

    def due(self) -> bool:
        """Whether tell() has something to say in this turn."""
        if not self._readers:
            return False
        return self._book.feed.due(self._book.now) or any(reader.fresh for reader in self._readers.values())

    def tell(self) -> None:
        """At the end of a turn: a delta to all who read, if one is due; snapshots to those who begin."""
        book = self._book
        if book.feed.due(book.now):
            self._look()
            delta = book.feed.delta(book.now, book.date, book.limits())
            if delta is not None:
                for number, reader in list(self._readers.items()):
                    if not (reader.away or reader.fresh):
                        self._tell(book.registry.sessions[number], reader, delta)
        for number, reader in list(self._readers.items()):
            if reader.fresh or (reader.retry_at is not None and book.now >= reader.retry_at):
                self._greet(book.registry.sessions[number], reader)

    def _look(self) -> None:
        """Whoever has not answered in time does not read."""
        for reader in self._readers.values():
            if reader.asked is not None and not reader.away and self._book.now - reader.asked_at > PATIENCE:
                self._put_away(reader)

    def _put_away(self, reader: Reader) -> None:
        reader.away = True
        self._count()

    def _count(self) -> None:
        """How many there are to gather for; what was gathered when there is none is in the next snapshot anyway."""
        feed = self._book.feed
        reading = sum(not reader.away for reader in self._readers.values())
        if not reading and feed.observers:
            feed.forget_changes()
        feed.observers = reading

    def _tell(self, session: Session, reader: Reader, delta: Delta) -> None:
        if session.peer is None:
            return
        if reader.asked is None and self._book.now - reader.asked_at >= ASK_EVERY:
            self._ask(reader, delta.number)
        if reader.asked == delta.number:
            delta = msgspec.structs.replace(delta, confirm=True)
        sent = self._send(session.peer, delta)
        if sent is Sent.OK:
            reader.ended = self._ended()
        elif sent is Sent.AGAIN:
            reader.retry_at = self._book.now + GREET_RETRY
            self._put_away(reader)
        else:
            self._gone(session)

    def _ask(self, reader: Reader, number: int) -> None:
        reader.asked, reader.asked_at = number, self._book.now

    def _greet(self, session: Session, reader: Reader) -> None:
        """A snapshot; a later turn tries again when the observer's pipe is full."""
        reader.fresh, reader.retry_at = False, None
        if session.peer is None:
            return
        book = self._book
        ended = self._ended()
        snapshot = book.feed.snapshot(
            book.date,
            book.boot,
            book.config.name,
            book.started,
            book.limits(),
            skipped=ended - reader.ended if reader.away else 0,
            pid=os.getpid(),
            durability=book.config.durability,
            boots=book.boots,
        )
        self._ask(reader, snapshot.number)
        sent = self._send(session.peer, snapshot)
        if sent is Sent.OK:
            reader.away, reader.ended = False, ended
        elif sent is Sent.AGAIN:
            reader.away, reader.retry_at = True, book.now + GREET_RETRY
        else:
            self._gone(session)
            return
        self._count()

    def _ended(self) -> int:
        states = self._book.tally.states
        return sum(states[state] for state in TERMINAL)
