"""The hub's loop: drain every socket, handle all events, commit one transaction, send what follows.

So a batch costs one transaction, and nothing is acknowledged, started or delivered before it is on disk.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from math import inf

from tuiparallel.hub.book import Book
from tuiparallel.hub.clients import ClientDesk
from tuiparallel.hub.delivery import Delivery
from tuiparallel.hub.effects import Executor
from tuiparallel.hub.engines import EngineDesk
from tuiparallel.hub.keeping import Keeping
from tuiparallel.hub.observers import Observers
from tuiparallel.hub.queries import UNFIT, QueryDesk
from tuiparallel.hub.requests import Requests
from tuiparallel.link.clock import Clock
from tuiparallel.link.doors import Doors, Peer, Role, Sent
from tuiparallel.link.failpoints import failpoint
from tuiparallel.link.vigil import Timeout
from tuiparallel.wire.messages import (
    Accepted,
    ClearNamespace,
    Done,
    EndCluster,
    Fenced,
    Got,
    Inquiry,
    Interrupt,
    Kept,
    Leave,
    Message,
    Notice,
    Probe,
    Query,
    Refused,
    Rejected,
    Reply,
    Results,
    SayHello,
    Seen,
    SignalEngine,
    Submit,
    SupervisorWelcome,
    Welcome,
)

log = logging.getLogger("tuiparallel.hub")

RETRY = 1.0  # seconds between tries to commit while the disk refuses
STALLED_RETRY = 0.01  # seconds between tries to send to a peer whose pipe is full
UNRECORDED = frozenset({"status", "engines", "why", "queue_status"})  # questions that the history has no part in
FREE = (
    Welcome, Refused, SupervisorWelcome, Notice, Rejected, Reply, Probe, Fenced, Leave, EndCluster, SignalEngine,
    Interrupt, Inquiry, ClearNamespace,
)  # fmt: skip
"""Messages that may leave though the turn is not on record."""
TASKS = (Submit, Results, Got, Seen)  # messages that do not look at what account() counts
FOLDING_LOOK = 0.005  # seconds between looks whether the history can be written to
CHORES = 0.05  # seconds between looks at what time alone brings, while messages arrive without a pause
MOST_STALLED = 10_000  # messages kept for a peer whose pipe is full; beyond it, its connection is given up


class Loop:
    """One hub. run() returns the exit code when the cluster has been ended."""

    def __init__(self, book: Book, doors: Doors, clock: Clock) -> None:
        self.book, self.doors, self.clock = book, doors, clock
        self.requests = Requests(book)
        self.delivery = Delivery(book)
        self.engines = EngineDesk(book, self.requests)
        self.observers = Observers(
            book,
            lambda peer, message: self.doors.send(Role.CLIENT, peer, message),
            lambda session: self.clients.gone(session),
        )
        self.clients = ClientDesk(book, self.engines, self.requests, self.delivery, self.observers)
        self.queries = QueryDesk(book, self.delivery)
        self.executor = Executor(book, self.engines, self.requests, self.delivery)
        self.keeping = Keeping(book)
        self._stalled: dict[tuple[Role, Peer], deque[Message]] = {}
        self._retry_commit = 0.0
        self.end_asked = ""  # the signal that asked the hub to end
        self._next_probe = 0.0
        self._chores_at = 0.0  # when what time alone brings is looked at again, however much arrives

    def run(self) -> int:
        """Until the cluster ends."""
        while not self.book.stopping:
            self.turn(self._timeout)
        self.turn(0)
        return 0

    def turn(self, timeout: Timeout) -> None:
        """Drain, handle, commit, send. What nobody waits for comes last."""
        book = self.book
        readable = self.doors.wait(timeout)
        book.now, book.date = self.clock.monotonic(), self.clock.time()
        arrived = self.doors.drain() if readable else []
        failpoint("hub.drained")
        for role, peer, message in arrived:
            if not isinstance(message, TASKS):
                self.executor.account()  # whatever it asks for, it goes by counts that are true
            try:
                if role is Role.CLIENT:
                    self.clients.receive(peer, message)  # type: ignore[arg-type]
                else:
                    self.engines.receive(peer, message)  # type: ignore[arg-type]
            except UNFIT:
                # One peer's message must not end the hub, or it would be sent again to the next one.
                log.exception("a message could not be handled: %.500r", message)
                self.doors.malformed += 1
                self.clients.apologise(role, peer, message)
        if self.end_asked and not book.stopping:
            self.clients.end_cluster(f"the hub was asked to end by {self.end_asked}")
        chores = not arrived or book.now >= self._chores_at
        if chores:
            self._chores_at = book.now + CHORES
            self.clients.upkeep()
            self.engines.upkeep()
            self.engines.judge(not arrived, self._reachable)
        self._handle()
        failpoint("hub.handled")
        if not self._commit():
            self.executor.account()
            self._go_on()
            if chores:
                self._keep_house()
            return
        failpoint("hub.committed")
        if book.after_commit:
            self.executor.account()
            self._answer()
        self._send()
        if chores or self.executor.due() or self.observers.due():
            self.executor.account()
        if chores:
            self._keep_house()
        if book.journal.pending_bytes or book.journal.others:
            self._settle()
        if chores and not book.storage_error:
            book.fold()
        self.observers.tell()
        self._probe_clients()

    def _handle(self) -> None:
        """Carry out effects until there are none; the rules settle once."""
        book = self.book
        effects, book.effects = book.effects, []
        effects += book.scheduler.settle(book.now, book.date)
        self.executor.carry_out(effects)
        while book.effects:  # carrying out may tell the rules something more
            effects, book.effects = book.effects, []
            self.executor.carry_out(effects)

    # Recording -----------------------------------------------------------------------------------------------------

    def _commit(self) -> bool:
        """Put the turn on record; False when the disk refuses."""
        book = self.book
        failed = bool(book.storage_error)
        if not book.journal and not failed:
            return True
        if failed and book.now < self._retry_commit:
            return not book.journal
        if not self._written(self._record_all if failed else book.record):
            return not book.journal
        if failed:
            self._can_write_again()
        return True

    def _record_all(self) -> None:
        self.book.record()
        self.book.settle()

    def _keep_house(self) -> None:
        """What keeps the history within its bounds: nobody waits for it, so it comes when everything has been sent."""
        if self.book.folding:
            return  # it would wait for the disk
        self.keeping.upkeep()
        if self.keeping.homeless and not self.book.stopping:
            self.clients.end_cluster(f"its directory {self.book.config.directory} has been removed")

    def _settle(self) -> None:
        """Move what is on record into the history, when it is time."""
        book = self.book
        if book.storage_error or (book.folding and book.journal.patient()):
            return
        if book.journal.others:
            self._written(book.record)
        elif book.journal.ripe(book.now) or self._to_spare():
            self._written(book.settle)

    def _to_spare(self) -> bool:
        """Whether nobody waits for the hub while it moves the logbook.

        There is more to be given out, so that one turn that comes late is nobody's last; or all engines are busy for
        long enough, and nothing has arrived.
        """
        scheduler, seconds = self.book.scheduler, self.book.journal.seconds
        if seconds == inf:
            return False
        if len(scheduler.lanes):
            return True
        return scheduler.ahead() > seconds and not self.doors.waiting()

    def _written(self, write: Callable[[], None]) -> bool:
        """Write; False when the disk refuses, and then it is tried again later."""
        book = self.book
        try:
            failpoint("hub.commit")
            write()
        except (sqlite3.Error, OSError) as error:
            where = f"{book.config.directory}/history.db"
            if not book.storage_error:
                book.notice("storage", f"the hub cannot write {where}: {error}")
            book.storage_error = f"{where}: {error}"
            self._retry_commit = book.now + RETRY
            log.error("commit failed, trying again in %g s: %s", RETRY, error)
            return False
        return True

    def _can_write_again(self) -> None:
        """Say so, and ask for the results that came meanwhile and stayed with their engines."""
        book = self.book
        book.storage_error = ""
        book.notice("storage", "the hub can write its history again")
        unheard, book.unheard = book.unheard, set()
        for peer in unheard:
            book.out.peer(Role.ENGINE, peer, SayHello())

    # Sending -------------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        """Questions, now that this turn's rows are on record."""
        questions, self.book.after_commit = self.book.after_commit, []
        for session, message in questions:
            if isinstance(message, Query):
                self.queries.answer(session, message)
            else:
                self.book.out.client(session, message)  # an answer that names what is on record now

    def _send(self) -> None:
        """Work to engines first, for they can begin on it; then outcomes, and what nothing else took along."""
        failpoint("hub.sending")
        if self._stalled:
            self._send_stalled()
        self._send_out()
        self.delivery.send()
        self._send_out()
        self._acknowledge()
        self._send_out()
        failpoint("hub.sent")

    def _send_out(self) -> None:
        if not self.book.out.messages:
            return
        messages, self.book.out.messages = self.book.out.messages, []
        for role, peer, message in messages:
            waiting = self._stalled.get((role, peer))
            if waiting is not None:
                self._stall(role, peer, message, waiting)
                continue
            sent = self.doors.send(role, peer, message)
            if sent is Sent.AGAIN:
                self._stall(role, peer, message, None)
            elif sent is Sent.GONE:
                self._gone(role, peer)

    def _acknowledge(self) -> None:
        """What nothing else has taken along."""
        book = self.book
        for number, firsts in book.accepted.ripe(book.now):
            book.out.client(book.registry.sessions[number], Accepted(firsts))
        for engine, numbers in book.kept.ripe(book.now):
            book.out.engine(book.registry.engines[engine], Kept(numbers))

    def _go_on(self) -> None:
        """While nothing can be committed: refusals, questions and control, but nothing that speaks of a record."""
        book = self.book
        waiting, book.after_commit = book.after_commit, []
        for session, message in waiting:
            if isinstance(message, Query) and message.what in UNRECORDED:
                self.queries.answer(session, message)
            else:
                book.after_commit.append((session, message))
        messages, book.out.messages = book.out.messages, []
        for role, peer, message in messages:
            if not isinstance(message, FREE) or self.doors.send(role, peer, message) is Sent.AGAIN:
                book.out.messages.append((role, peer, message))
        self.observers.tell()
        self._probe_clients()

    def _stall(self, role: Role, peer: Peer, message: Message, waiting: deque[Message] | None) -> None:
        """The peer's pipe is full: outcomes go back to the history, the rest waits its turn."""
        session = self.book.registry.session_of_peer.get(peer) if role is Role.CLIENT else None
        if session is not None and isinstance(message, Done):
            self.delivery.take_back(session, message)
            return
        if waiting is None:
            waiting = self._stalled[role, peer] = deque()
        waiting.append(message)
        if len(waiting) > MOST_STALLED:
            self.doors.forget(role, peer)  # whatever it says next is answered SayHello, and begins anew
            self._gone(role, peer)

    def _send_stalled(self) -> None:
        for (role, peer), waiting in list(self._stalled.items()):
            while waiting:
                sent = self.doors.send(role, peer, waiting[0])
                if sent is Sent.AGAIN:
                    break
                if sent is Sent.GONE:
                    self._gone(role, peer)
                    break
                waiting.popleft()
            if not waiting:
                self._stalled.pop((role, peer), None)

    def _gone(self, role: Role, peer: Peer) -> None:
        self._stalled.pop((role, peer), None)
        if role is Role.ENGINE:
            self.engines.unreachable(peer)
        elif session := self.book.registry.session_of_peer.get(peer):
            self.clients.gone(session)

    def _reachable(self, peer: Peer) -> bool:
        return self.doors.send(Role.ENGINE, peer, Probe()) is not Sent.GONE

    def _probe_clients(self) -> None:
        """Clients never say that they were killed: sending shows it."""
        book = self.book
        if book.now < self._next_probe:
            return
        self._next_probe = book.now + book.config.probe_interval
        for session in list(book.registry.sessions.values()):
            if session.peer is not None and self.doors.send(Role.CLIENT, session.peer, Probe()) is Sent.GONE:
                self.clients.gone(session)

    # Time ----------------------------------------------------------------------------------------------------------

    def _timeout(self) -> float:
        """Seconds until something is due."""
        book = self.book
        if book.effects or (book.journal and not book.storage_error):
            return 0.0  # an answer has asked for something that is to be on record
        now = self.clock.monotonic()
        at = min(self.engines.next_deadline(), self._next_probe)
        deadlines = (
            book.scheduler.next_deadline(),
            book.feed.next_deadline(),
            self.keeping.next_deadline(),
            book.accepted.next_deadline(),
            book.kept.next_deadline(),
            book.journal.next_deadline(),
            self.executor.next_deadline(),
        )
        for other in deadlines:
            if other is not None:
                at = min(at, other)
        if book.folding:
            at = max(at, now + FOLDING_LOOK)  # what is due otherwise may have to wait for it
        if self._stalled:
            at = min(at, now + STALLED_RETRY)
        if book.storage_error:
            at = min(at, self._retry_commit)
        return max(0.0, at - now)
