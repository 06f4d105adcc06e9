"""What the hub's desks share: the rules, who is connected, what this turn must record and what it must send."""

from __future__ import annotations

import logging
import os
import random
import secrets
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from tuiparallel.hub.acks import CLIENT_PATIENCE, ENGINE_PATIENCE, Acks
from tuiparallel.hub.events import Effect, Event
from tuiparallel.hub.feed import Feed
from tuiparallel.hub.history import History
from tuiparallel.hub.holdings import Holdings
from tuiparallel.hub.journal import Journal, replay
from tuiparallel.hub.registry import Engine, Registry, Session
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.spill import spill_beside
from tuiparallel.hub.tally import Tally
from tuiparallel.hub.task import Batch
from tuiparallel.link.doors import Peer, Role
from tuiparallel.wire.config import ClusterConfig
from tuiparallel.wire.ids import IdRange, TaskId, counter_of, session_of, spans, task_id
from tuiparallel.wire.messages import EventRow, LimitRow, Message, Notice, Reply

log = logging.getLogger("tuiparallel.hub")


@dataclass(slots=True)
class Outgoing:
    """What leaves after the commit, in order per connection."""

    messages: list[tuple[Role, Peer, Message]] = field(default_factory=list)

    def client(self, session: Session, message: Message) -> None:
        if isinstance(message, Reply) and message.request in session.commands:
            session.commands[message.request] = message
        if session.peer is not None:
            self.messages.append((Role.CLIENT, session.peer, message))

    def engine(self, engine: Engine, message: Message) -> None:
        if engine.peer is not None:
            self.messages.append((Role.ENGINE, engine.peer, message))

    def peer(self, role: Role, peer: Peer, message: Message) -> None:
        self.messages.append((role, peer, message))


class Book:
    """One hub's state. now is monotonic and date is seconds since the epoch: both are set at the start of each turn."""

    def __init__(self, config: ClusterConfig, history: History, now: float, date: float) -> None:
        self.config = config
        replay(history)
        self._history = history
        self.boot = secrets.token_hex(8)
        self.now, self.date = now, date
        self.started = date
        self.boots = 1
        self.away = 0.0  # seconds between the last hub and this one
        self.taken_over = 0
        self.scheduler = Scheduler(
            config.window_seconds, config.hwm, config.scheme, random.Random(secrets.randbits(64))
        )
        self.registry = Registry()
        self.tally = Tally(history.counts())
        self.feed = Feed(self.scheduler, self.registry, self.tally, config.observer_rate)
        self.journal = Journal()
        self.accepted = Acks(CLIENT_PATIENCE)  # Submits, by session
        self.kept = Acks(ENGINE_PATIENCE)  # Results and Returned, by engine
        self.out = Outgoing()
        blobs = Path(config.blobs)
        spill = spill_beside(blobs, Path(config.directory), config.spill_bytes)
        self.holdings = Holdings(blobs, history.blobs(), config.blob_bytes, config.blob_keep, spill)
        self.next_bundle = history.next_bundle()
        self.stored_functions: set[bytes] = set()  # hashes that are in the history; emptied when it forgets some
        self.effects: list[Effect] = []  # of this turn, not yet carried out
        self.submitted: list[Batch] = []  # of this turn, not yet counted
        self.after_commit: list[tuple[Session, Message]] = []  # questions that need this turn's rows
        self.open_bytes = 0  # bodies of open tasks
        self.rows, self.bytes = history.size()
        self._room = 0  # bytes free on the history's disk, lately
        self._room_at = -1.0
        self.storage_error = ""  # why the last commit failed; empty when it did not
        self.unheard: set[Peer] = set()  # engines whose results came meanwhile, and could not be taken
        self.stopping = False
        self.stop_reason = ""

    @property
    def history(self) -> History:
        """The history, with everything in it that is on record: for reading."""
        try:
            self.settle()
        except sqlite3.Error as error:  # it stays in the log, and what is read lacks it
            log.error("the logbook cannot be settled: %s", error)
        return self._history

    def record(self) -> None:
        """Put this turn on record. Raises sqlite3.Error or OSError."""
        self.journal.record(self._history, self.now)

    def settle(self) -> None:
        """Move the logbook into the history. Raises sqlite3.Error or OSError."""
        if self.journal.pending:
            self.journal.settle(self._history)

    @property
    def folding(self) -> bool:
        """Whether the history is being folded: whoever uses it has to wait for the disk."""
        return self._history.folding.busy

    def fold(self) -> None:
        """Begin to fold the history if it is worth it."""
        self._history.fold()

    def tell(self, event: Event) -> None:
        """Hand an event to the rules; what follows is carried out in this turn."""
        self.effects += self.scheduler.handle(event, self.now, self.date)

    def room(self) -> int:
        """Bytes free on the history's disk, not older than a second."""
        if self.now - self._room_at > 1.0 or self._room_at < 0:
            found = os.statvfs(self.config.directory)
            self._room, self._room_at = found.f_bavail * found.f_frsize, self.now
        return self._room

    # Names of tasks ------------------------------------------------------------------------------------------------

    def task_ids(self, ranges: list[IdRange]) -> tuple[list[TaskId], list[IdRange]]:
        """TaskIds of ranges, and those ranges, or parts of them, that nobody has submitted."""
        ids: list[TaskId] = []
        strangers: list[IdRange] = []
        for hex, first, count in ranges:
            session = self.registry.session_of_hex.get(hex)
            if session is None or first < 0 or count < 0:
                strangers.append((hex, first, count))
                continue
            known = min(count, max(0, session.next - first))
            start = task_id(session.number, first)
            ids += [TaskId(id) for id in range(start, start + known)]
            if known < count:
                strangers.append((hex, first + known, count - known))
        return ids, strangers

    def name_of(self, id: TaskId) -> str:
        """Its msg_id."""
        session = self.registry.sessions.get(session_of(id))
        return f"{session.hex}-{counter_of(id)}" if session is not None else str(id)

    def ranges(self, ids: list[TaskId]) -> list[IdRange]:
        """TaskIds as ranges of their sessions."""
        found: list[IdRange] = []
        for first, count in spans(ids):
            session = self.registry.sessions.get(session_of(first))
            if session is not None:
                found.append((session.hex, counter_of(first), count))
        return found

    # Telling people ------------------------------------------------------------------------------------------------

    def event(self, kind: str, text: str, engine: int | None = None) -> None:
        """Something happened to the cluster: into the feed and the log."""
        log.info("%s: %s", kind, text)
        self.feed.event(EventRow(self.date, kind, text, engine))

    def notice(self, kind: str, text: str) -> None:
        """Tell every connected client."""
        message = Notice(kind, text, self.registry.present())
        for session in self.registry.session_of_peer.values():
            self.out.client(session, message)

    def limits(self) -> list[LimitRow]:
        """The bounded stores, used and limit."""
        config = self.config
        rows = [
            LimitRow("history: ended tasks", self.rows, config.history_rows),
            LimitRow("history: bytes", self.bytes, config.history_bytes),
            LimitRow("history: output", self._history.output, config.output_bytes),
            LimitRow("open tasks: bytes", self.open_bytes, config.open_bytes),
        ]
        if self.holdings.limit:
            rows.append(LimitRow("blobs: bytes", self.holdings.bytes, self.holdings.limit))
        if self.holdings.spill is not None and self.holdings.spill.bytes:
            rows.append(LimitRow("blobs on disk: bytes", self.holdings.spill.bytes, self.holdings.spill.limit))
        return rows
