"""One client's session with a hub: its link, its tasks, its requests, and what arrives for them.

Client, views and AsyncResults are faces of this. All methods may be called from any thread unless they say otherwise.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tuiparallel.client.call import Call, ended_here
from tuiparallel.client.callbacks import Callbacks
from tuiparallel.client.handover import Handover
from tuiparallel.client.ledger import Ledger
from tuiparallel.client.nesting import Nesting
from tuiparallel.client.receiver import Receiver
from tuiparallel.client.requests import Request, Requests
from tuiparallel.client.submitting import Submitter
from tuiparallel.errors import (
    LOCAL_ERRORS,
    AuthenticationError,
    ClientClosed,
    ConnectTimeout,
    HubUnreachable,
    ParallelError,
)
from tuiparallel.link.clock import Deadline
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire import pages
from tuiparallel.wire.config import read_config
from tuiparallel.wire.connection import Connection
from tuiparallel.wire.failures import to_local
from tuiparallel.wire.ids import IdRange, spans
from tuiparallel.wire.known import KnownFunctions
from tuiparallel.wire.messages import (
    COUNTED,
    MAX_BATCH,
    PROTOCOL,
    Accepted,
    ClientBye,
    ClientHello,
    Delta,
    Done,
    ErrorText,
    Got,
    Message,
    Notice,
    Observe,
    Outcome,
    Place,
    Query,
    Refused,
    Rejected,
    Reply,
    Seen,
    Snapshot,
    Submit,
    ToClient,
    Welcome,
)
from tuiparallel.wire.states import State


class Session:
    """A connection to the hub of `connection` under a name of its own (`hex`), until close().

    Durations are seconds. hub_timeout bounds every wait while the hub is away, query_timeout each request.
    """

    def __init__(
        self, connection: Connection, *, hub_timeout: float = 120.0, query_timeout: float = 10.0, name: str = ""
    ) -> None:
        self.connection = connection
        self.hex = os.urandom(8).hex()
        self.hub_timeout = hub_timeout
        self.query_timeout = query_timeout
        self.name = name or _program()
        self.engines: list[int] | None = None  # living ids, ascending; None until the hub has told
        self.notices: list[Notice] = []  # the last ones for people
        self.ended_because: str | None = None  # why there is no cluster any more
        self._observe_again = False
        self.deaths = 0  # times that an engine went away
        self.number = -1  # of this session at the hub: the upper part of TaskIds
        self.closed = False
        self._watches: dict[_Watch, None] = {}
        self._observers: dict[Callable[[Snapshot | Delta], None], None] = {}
        self._why_closed = "this client is closed: make a new Client"
        self._known = KnownFunctions()
        self.ledger = Ledger(self.hex)
        self.ledgers: dict[str, Ledger] = {self.hex: self.ledger}
        self.requests = Requests()
        self.callbacks = Callbacks(f"tuiparallel-callbacks-{connection.name}")
        self.link = self._open()
        self.clock = self.link.clock
        thread = f"tuiparallel-client-{connection.name}"
        self.handover = Handover(
            self.link, Path(connection.blobs), _budget(connection), self._unwritten, f"{thread}-blobs"
        )
        self.submitter = Submitter(self.hex, self.link, self.ledger, self.handover, self._wait_for_room)
        self.receiver = Receiver(
            self.link, self._handle, self._lapsed, self.idle, lambda: self.ledger.outstanding < 2, thread
        )
        self.nesting = Nesting(self.link, self.receiver, connection.directory)
        _sessions.add(self)

    def _open(self) -> Link:
        connection = self.connection
        try:
            return Link(
                connection.address,
                ToClient,
                self._hello,
                welcomed=self._welcomed,
                dress=self._dressed,
                keys=connection.keys,
            )
        except AuthenticationError as error:
            raise AuthenticationError(f"{error}{self._about_keys()}") from None

    # Connecting and closing -------------------------------------------------------------------------------------

    def connect(self, timeout: float) -> None:
        """Wait until the hub has welcomed this session and told its engines.

        Raises ConnectTimeout, AuthenticationError, ProtocolMismatch, or what else the hub refuses with.
        """
        ready = self.receiver.wait(lambda: self.engines is not None, Deadline(self.clock, timeout))
        if not ready:
            raise ConnectTimeout(
                f"the hub of {self.connection.name!r} at {self.connection.address} has not answered in {timeout:g} s: "
                "is it alive? `tuipar status` tells; a larger timeout= waits longer"
            )

    def check(self) -> None:
        """Raises ClientClosed after close(), and in a forked child."""
        if self.closed:
            raise ClientClosed(self._why_closed)

    def close(self, linger: float) -> None:
        """Leave the hub; what was submitted before goes out first, for at most `linger` seconds."""
        if self.closed:
            return
        self.submitter.flush()
        self.handover.close()
        if self.link.state is LinkState.LIVE:
            try:
                self.receiver.wait(lambda: not len(self.link.outbox), Deadline(self.clock, linger))
            except ParallelError:
                pass  # nobody takes it any more
            self.link.send(ClientBye())
        self.closed = True
        self.receiver.close(linger)
        gone = ClientClosed("this client was closed while the answer was awaited")
        for request in self.requests.fail(gone):
            _tell(request.watchers)
        for watch in list(self._watches):
            watch.look()
        self.callbacks.close()
        _sessions.discard(self)

    def abandon(self) -> None:
        """In a forked child: nothing of this works here."""
        self.closed = True
        self._why_closed = "this client belongs to the parent of this process: make a new Client here"
        self.receiver.abandon()

    # Waiting ----------------------------------------------------------------------------------------------------

    def wait(
        self, ready: Callable[[], bool], timeout: float | None, awaited: Callable[[], list[IdRange]] | None = None
    ) -> bool:
        """Whether ready() came true within `timeout` seconds (None, -1: for ever).

        awaited: the tasks without which ready() cannot come true, of those that have not ended. Inside a task the hub
        is told of them, so that they fail when only engines that wait in this way could run them.

        Raises HubUnreachable when the hub stays away for hub_timeout, ClientClosed when the client is closed.
        """
        if ready():
            return True
        self.check()
        self.submitter.flush()
        deadline = Deadline(self.clock, timeout)
        if awaited is not None and deadline.left() is None and (task := self.nesting.host()) is not None:
            return self.nesting.wait(ready, awaited, task)
        return self.receiver.wait(ready, deadline)

    def when(
        self, ready: Callable[[], bool], sources: Iterable[Call | Request], function: Callable[[], None]
    ) -> None:
        """Call function once, when ready() has come true or can no longer: it must not wait, and any thread may be in it.

        sources: what ready() depends on; they tell when they change.
        """
        watch = _Watch(self, ready, function)
        self._watches[watch] = None  # what is watched for must live, though nobody else may hold it
        for source in sources:
            if source.watchers is None:
                source.watchers = []
            source.watchers.append(watch.look)
        watch.look()

    def ended(self, ready: Callable[[], bool]) -> bool:
        """True when ready(); raises why it never will be."""
        if not ready():
            raise self.hopeless() or HubUnreachable("the result has not arrived")
        return True

    def _wait_for_room(self, room: Callable[[], bool]) -> None:
        self.receiver.wait(room, Deadline(self.clock, None))

    def _lapsed(self) -> None:
        """Raises when the hub has turned this client away, has been gone for too long, or the client was closed."""
        error = self.hopeless()
        if error is not None:
            raise error

    def hopeless(self) -> ParallelError | None:
        """Why no answer can be expected any more; None as long as there is hope."""
        if self.closed:
            return ClientClosed(self._why_closed)
        if self.ended_because is not None:
            return HubUnreachable(f"the cluster {self.connection.name!r} has ended: {self.ended_because}")
        state = self.link.state
        if state is LinkState.LIVE:
            return None
        if state is LinkState.REFUSED:
            return self._refusal()
        away = self.clock.monotonic() - self.link.changed_at
        if away > self.hub_timeout:
            return HubUnreachable(
                f"the hub of {self.connection.name!r} has not been reachable for {away:.0f} s (hub_timeout is "
                f"{self.hub_timeout:g}): what was submitted is kept, asking again waits again"
            )
        return None

    def _refusal(self) -> ParallelError:
        refused = self.link.refusal
        assert refused is not None
        cls = LOCAL_ERRORS.get(refused.kind, HubUnreachable)
        return cls(refused.text + (self._about_keys() if cls is AuthenticationError else ""))

    def _about_keys(self) -> str:
        file = Path(self.connection.directory) / "client.json"
        return f" (keys: {file}; has the cluster been restarted since it was read?)"

    # Requests ---------------------------------------------------------------------------------------------------

    def ask(self, what: str, make: Callable[[int], Message]) -> Request:
        """Send a question or command; after a reconnection it goes out again."""
        self.check()
        self.submitter.flush()
        request, message = self.requests.begin(what, make, self.clock.monotonic())
        self.link.post(("request", request.number), message)
        return request

    def answer(self, request: Request, timeout: float | None = None) -> Any:
        """The body of its Reply. Raises its error, or HubUnreachable after query_timeout (or `timeout`)."""
        limit = self.query_timeout if timeout is None else timeout
        try:
            in_time = self.receiver.wait(lambda: request.done, Deadline(self.clock, limit))
        except BaseException:
            self.give_up(request)
            raise
        if not in_time:
            self.give_up(request)
            raise HubUnreachable(
                f"the hub of {self.connection.name!r} has not answered {request.what} within {limit:g} s"
            )
        if request.error is not None:
            raise error_of(request.error)
        return request.raw

    def give_up(self, request: Request) -> None:
        """Forget a request."""
        self.requests.give_up(request)
        self.link.ack([("request", request.number)])

    # Receiving: whoever turns the link ----------------------------------------------------------------------------

    def _handle(self, messages: list[Message]) -> None:
        now = self.clock.time()
        got: dict[str, list[int]] = {}
        for message in messages:
            match message:
                case Done(session, outcomes, accepted, places):
                    if accepted:
                        self.submitter.accepted(accepted)
                    self.settle(session, outcomes, now, places)
                    large = [outcome.task for outcome in outcomes if outcome.blobs or len(outcome.body) > COUNTED]
                    if large:
                        got.setdefault(session, []).extend(large)
                case Accepted(firsts):
                    self.submitter.accepted(firsts)
                case Rejected(first, error):
                    self.submitter.rejected(first, error, lambda ended: self.settle(self.hex, ended, now))
                case Reply():
                    self.link.ack([("request", message.request)])
                    request = self.requests.reply(message)
                    if request is not None:
                        _tell(request.watchers)
                case Notice():
                    self._notice(message)
                case Snapshot() | Delta():
                    for observer in list(self._observers):
                        observer(message)
                    if isinstance(message, Snapshot) or message.confirm:
                        self.link.send(Seen(message.number))
                case Refused():
                    pass  # whoever waits finds the link's state
                case _:  # a Welcome was handled by the link; a Probe comes now and then and needs no answer
                    pages.drop_nameless()
        if self._observe_again and self.link.state is LinkState.LIVE:
            self._observe_again = False
            self.link.send(Observe())
        if got:
            ranges = [(session, *span) for session, tasks in got.items() for span in spans(sorted(tasks))]
            self.link.send(Got(ranges))

    def settle(self, session: str, outcomes: Sequence[Outcome], now: float, places: Sequence[Place] = ()) -> None:
        """Hand outcomes to those who want them."""
        ledger = self.ledgers.get(session)
        if ledger is not None:
            ledger.settle(outcomes, now, _call_changed, places)

    def idle(self) -> None:
        """Called now and then by the background: whoever waits for a hub that stays away must be told."""
        if self._watches and self.hopeless() is not None:
            for watch in list(self._watches):
                watch.look()

    def _notice(self, notice: Notice) -> None:
        if notice.kind in ("engines", "welcome"):
            living = sorted(notice.engines)
            if self.engines is not None and not set(self.engines) <= set(living):
                self.deaths += 1
            self.engines = living
        elif notice.kind == "ended":
            self.ended_because = notice.text
        if notice.text:
            self.notices = [*self.notices[-99:], notice]

    def _unwritten(self, submit: Submit, error: ErrorText) -> None:
        counters = range(submit.first, submit.first + submit.count)
        self.settle(self.hex, [ended_here(c, State.ERROR, error) for c in counters], self.clock.time())
        self.receiver.look()

    # The link's calls -------------------------------------------------------------------------------------------

    def _hello(self, boot: str) -> Message:
        self._known.clear()
        return ClientHello(
            PROTOCOL, self.hex, self.connection.cluster, boot, socket.gethostname(), os.getpid(), self.name,
            self.ledger.awaited(),
        )  # fmt: skip

    def _welcomed(self, message: Message) -> None:
        assert isinstance(message, Welcome)
        self.number = message.number
        self.submitter.welcomed(message.next)
        if self.engines is not None:
            self._fetch_again()
        self._observe_again = bool(self._observers)

    def _dressed(self, message: Message) -> Message:
        if isinstance(message, Submit) and message.code is not None:
            if not self._known.needs_code(message.function, len(message.code)):
                return Submit(
                    message.first, message.count, message.work, message.function, None, message.calls, message.blobs
                )
        return message

    def obituary(self, engine: int) -> str:
        """What became of an engine, for messages; empty when it is not known."""
        for notice in reversed(self.notices):
            if notice.text.startswith(f"engine {engine} "):
                return f"; {notice.text}"
        return ""

    def last_words(self) -> str:
        """What the last notice about an engine said, for messages."""
        for notice in reversed(self.notices):
            if notice.text.startswith("engine "):
                return f": {notice.text}"
        return ""

    # Observing --------------------------------------------------------------------------------------------------

    def observe(self, observer: Callable[[Snapshot | Delta], None]) -> Callable[[], None]:
        """Tell observer what the hub tells consoles, in whichever thread receives; returns what ends that."""
        self.check()
        first = not self._observers
        self._observers[observer] = None
        if first:
            self.link.send(Observe())

        def end() -> None:
            self._observers.pop(observer, None)
            if not self._observers:
                self.link.send(Observe(False))

        return end

    # Tasks that the hub is asked for ------------------------------------------------------------------------------

    def fetch(self, calls: list[Call]) -> None:
        """Have the hub deliver these: Calls of one task each, of any session, whose ledgers know them."""
        from tuiparallel.client.works import tell_works

        tasks = [(call.session, call.first, 1) for call in calls]
        request = self.ask("get_result", lambda number: Query(number, "get_result", {"tasks": tasks}))

        def answered() -> None:
            for call, error in tell_works(calls, request):
                self.settle(call.session, [ended_here(call.first, State.ERROR, error)], self.clock.time())

        request.watchers.append(answered)
        if request.done:
            answered()

    def _fetch_again(self) -> None:
        """After a reconnection: the hub may have forgotten who wanted other clients' tasks."""
        for hex, ledger in list(self.ledgers.items()):
            calls = [call for call in ledger.living() if call.foreign and call.left and call.work is not None]
            if hex != self.hex and calls:
                for start in range(0, len(calls), MAX_BATCH):
                    self.fetch(calls[start : start + MAX_BATCH])

    def ledger_of(self, session: str) -> Ledger:
        """The ledger for tasks of this session, ours or another client's."""
        found = self.ledgers.get(session)
        return found if found is not None else self.ledgers.setdefault(session, Ledger(session))


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _forked() -> None:
    for session in list(_sessions):
        if not session.closed:
            session.abandon()


def _leave() -> None:
    """At the end of the program: what was submitted goes out, sockets are closed in order."""
    for session in list(_sessions):
        session.close(1.0)


os.register_at_fork(after_in_child=_forked)
atexit.register(_leave)


class _Watch:
    """Something to be done once, when a condition holds or nothing can be expected any more."""

    __slots__ = ("__weakref__", "_function", "_lock", "_ready", "_session")

    def __init__(self, session: Session, ready: Callable[[], bool], function: Callable[[], None]) -> None:
        self._session = session
        self._ready = ready
        self._function: Callable[[], None] | None = function
        self._lock = threading.Lock()

    def look(self) -> None:
        if self._function is None or not (self._ready() or self._session.hopeless()):
            return
        with self._lock:
            function, self._function = self._function, None
        if function is not None:
            self._session._watches.pop(self, None)
            function()


def error_of(error: ErrorText | Exception) -> Exception:
    """What to raise for a Reply's error."""
    return error if isinstance(error, Exception) else to_local(error)


def _call_changed(call: Call) -> None:
    _tell(call.watchers)


def _tell(watchers: list[Callable[[], None]] | None) -> None:
    for watcher in list(watchers or ()):
        watcher()


def _budget(connection: Connection) -> int | None:
    """Bytes that one blob of this cluster may have; None when there is no such limit, or it is not known here."""
    try:
        return read_config(Path(connection.directory) / "start.json").blob_bytes or None
    except (OSError, ValueError, ParallelError):
        return None  # a cluster on another host: its hub refuses what is too large


def _program() -> str:
    name = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    return name or "python"
