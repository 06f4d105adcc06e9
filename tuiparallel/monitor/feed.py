"""The observer's thread: its own link to the hub, the store it fills, one wake-up for whoever draws.

The thread subscribes, applies what comes, reads history behind it, and starts again with a new snapshot whenever a
message is missing. A hub that is lost is awaited for ever; its connection file is read again meanwhile, since a
restarted cluster has another address and other keys.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock, Thread

from tuiparallel.errors import InsecureFile
from tuiparallel.link import link as links
from tuiparallel.link.clock import Clock, SystemClock
from tuiparallel.link.link import Link
from tuiparallel.monitor.paging import Pager
from tuiparallel.monitor.rows import LinkState, LinkView
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.connection import Connection, read_connection
from tuiparallel.wire.messages import (
    PROTOCOL,
    ClientBye,
    ClientHello,
    Delta,
    Message,
    Observe,
    Query,
    Refused,
    Reply,
    Seen,
    Snapshot,
    ToClient,
    Welcome,
)

TURN = 0.25  # seconds a turn waits at most, so that ages and link states move
TICK = 1.0  # seconds between two judgements of the warnings
PROBE = 3.0  # seconds of silence after which the hub is asked for a sign of life
STALE = 6.0  # seconds of silence after which what is shown is called stale
ASLEEP = 5.0  # seconds by which a turn must be late to mean that we were stopped
FIRST_DELAY, MOST_DELAY = 0.1, 2.0  # seconds between two attempts to open a connection
REREAD = 1.0  # seconds between two looks at the connection file while the hub is away


class Feed:
    """Keeps a store up to date from its own daemon thread, until stop().

    connection: a connection file's path (read again when the hub is lost) or a Connection.
    on_change is called in that thread when the store has changed, and not again before seen(): a screen schedules one
    pull then. It must not block.
    """

    def __init__(
        self,
        store: ClusterStore,
        connection: Path | Connection,
        on_change: Callable[[], None] | None = None,
        *,
        name: str = "tuipar",
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.session = os.urandom(8).hex()
        self._source = connection
        self._on_change = on_change
        self._name = name
        self._clock = clock or SystemClock()
        self._pager = Pager(store)
        self._thread = Thread(target=self._run, name="tuiparallel-feed", daemon=True)
        self._stopped = Event()
        self._waiting = Lock()
        self._pending = False
        self._link: Link | None = None
        self._request = 0
        self._heard = self._clock.monotonic()
        self._probed = self._heard
        self._synced = False  # the store holds a snapshot of this connection, and every delta since
        self._observing = False
        self._asked = 0.0  # when a snapshot was asked for
        self._resync = False
        self._older = 0

    # For any thread ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread and close its link."""
        self._stopped.set()
        if link := self._link:
            link.wake()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def seen(self) -> None:
        """The last wake-up was noticed: the next change calls on_change again. To be called before reading."""
        with self._waiting:
            self._pending = False

    def resync(self) -> None:
        """Ask for a new snapshot, as after having been suspended."""
        self._resync = True
        if link := self._link:
            link.wake()

    def load_older(self) -> None:
        """Ask the hub for one more page of history."""
        self._older += 1
        if link := self._link:
            link.wake()

    # The thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        delay = FIRST_DELAY
        tries = 0
        while not self._stopped.is_set():
            tries += 1
            try:
                connection = self._connection()
                link = self._link = self._open(connection)
            except (OSError, ValueError, InsecureFile) as error:
                self._lost(f"{error}", tries)
                self._stopped.wait(delay)
                delay = min(2 * delay, MOST_DELAY)
                continue
            try:
                if self._follow(link, connection):
                    delay, tries = FIRST_DELAY, 0
            except Exception as error:  # the loop's edge: the reason is shown, and the feed goes on
                self._lost(f"{type(error).__name__}: {error}", tries)
            finally:
                self._link = None
                link.send(ClientBye())
                link.close()
            self._stopped.wait(delay)
            delay = min(2 * delay, MOST_DELAY)

    def _connection(self) -> Connection:
        return self._source if isinstance(self._source, Connection) else read_connection(self._source)

    def _open(self, connection: Connection) -> Link:
        def hello(boot: str) -> Message:
            return ClientHello(
                PROTOCOL,
                self.session,
                connection.cluster,
                boot,
                socket.gethostname(),
                os.getpid(),
                self._name,
                observer=True,
            )

        return Link(connection.address, ToClient, hello, clock=self._clock, keys=connection.keys)

    def _follow(self, link: Link, connection: Connection) -> bool:
        """Drive one link until it must be replaced; whether it ever was live."""
        self._synced = self._observing = False
        self._heard = reread = ticked = self._clock.monotonic()
        was_live = False
        while not self._stopped.is_set():
            before = self._clock.monotonic()
            messages = link.turn(TURN)
            now = self._clock.monotonic()
            if now - before > TURN + ASLEEP:
                self._resync = True
            if messages:
                self._heard = now
            for message in messages:
                self._take(message)
                if isinstance(message, Snapshot) or (isinstance(message, Delta) and message.confirm):
                    link.send(Seen(message.number))
            was_live = was_live or link.state is links.LinkState.LIVE
            if link.state is links.LinkState.LIVE:
                self._converse(link, now)
            else:
                self._synced = self._observing = False
                if now - reread >= REREAD:
                    reread = now
                    if self._moved(connection):
                        return was_live
            if now - ticked >= TICK:
                ticked = now
                self.store.tick(self._clock.time())
            self._show_link(link, now)
            if messages:
                self._wake()
            if link.state in (links.LinkState.REFUSED, links.LinkState.CLOSED):
                self._stopped.wait(MOST_DELAY)
                return False
        return was_live

    def _moved(self, connection: Connection) -> bool:
        """Whether the connection file names another hub now."""
        try:
            return self._connection() != connection
        except (OSError, ValueError, InsecureFile):
            return False

    def _take(self, message: Message) -> None:
        now = self._clock.time()
        match message:
            case Snapshot():
                self.store.apply(message, now)
                self._synced, self._resync = True, False
                self._pager.begin()
            case Delta():
                if self._synced and message.number == self.store.next_number():
                    self.store.apply(message, now)
                elif self._synced and message.number > (self.store.next_number() or 0):
                    self._synced = False
                    self._resync = True
            case Reply():
                self._pager.answer(message)
            case Welcome():
                self._observing = False
                if message.away > 0:
                    text = f"the hub is back after {message.away:.1f} s, {message.taken_over:,} tasks taken over"
                    self.store.note("hub", text, now)
            case Refused():
                self.store.note("hub", f"{message.kind}: {message.text}", now)
            case _:
                pass  # outcomes and notices are for those who submit

    def _converse(self, link: Link, now: float) -> None:
        """Say what is to be said to a hub that listens."""
        if not self._observing or (self._resync and now - self._asked > 1.0):
            self._observing = link.send(Observe())
            self._asked = now
        while self._older > 0:
            self._older -= 1
            self._pager.more()
        if self._synced and (question := self._pager.question(self._next_request(), now)):
            link.send(question)
        if now - self._heard > PROBE and now - self._probed > PROBE:
            self._probed = now
            link.send(Query(self._next_request(), "status"))

    def _next_request(self) -> int:
        self._request += 1
        return self._request

    def _show_link(self, link: Link, now: float) -> None:
        reason = f"{link.refusal.kind}: {link.refusal.text}" if link.refusal else ""
        silent = now - self._heard
        match link.state:
            case links.LinkState.LIVE if self._synced and silent <= STALE:
                state, since = LinkState.LIVE, link.changed_at
            case links.LinkState.LIVE if self.store.boot and (silent > STALE or not self._synced):
                state, since = LinkState.STALE, self._heard if silent > STALE else self._asked
            case links.LinkState.CONNECTING | links.LinkState.LIVE if not self.store.boot:
                state, since = LinkState.CONNECTING, link.changed_at
            case _:
                state, since = LinkState.LOST, link.changed_at
        self._set_link(state, self._clock.time() - (now - since), link.tries, reason)

    def _lost(self, reason: str, tries: int) -> None:
        self._set_link(LinkState.LOST, self._clock.time(), tries, reason)

    def _set_link(self, state: LinkState, since: float, tries: int, reason: str) -> None:
        known = self.store.link
        # The moment at which a state began is told once; the two clocks never agree to the microsecond.
        if known.state is state or (known.state is LinkState.LOST and state is LinkState.CONNECTING):
            state, since = known.state, known.since
        if (known.state, known.tries, known.reason) == (state, tries, reason) and known.since:
            return
        self.store.set_link(LinkView(state, since, tries, reason))
        self._wake()

    def _wake(self) -> None:
        if self._on_change is None:
            return
        with self._waiting:
            if self._pending:
                return
            self._pending = True
        self._on_change()
