"""The clients' door: sessions, submissions, control requests, observers."""

from __future__ import annotations

from math import inf
from typing import assert_never

from tuiparallel.hub.book import Book
from tuiparallel.hub.delivery import Delivery
from tuiparallel.hub.engines import EngineDesk
from tuiparallel.hub.events import AbortAsked, Death, TaskWaits
from tuiparallel.hub.intake import Intake, RefusedError
from tuiparallel.hub.observers import Observers
from tuiparallel.hub.queries import UNFIT
from tuiparallel.hub.registry import Session
from tuiparallel.hub.requests import Requests
from tuiparallel.hub.task import Batch
from tuiparallel.link.doors import Peer, Role
from tuiparallel.wire.blobs import NAME
from tuiparallel.wire.ids import COUNTER_MASK, IdRange, SessionId, Span, TaskId, task_id
from tuiparallel.wire.messages import (
    MAX_BATCH,
    PROTOCOL,
    Abort,
    Ask,
    Blocked,
    Clear,
    ClearNamespace,
    ClientBye,
    ClientHello,
    EndCluster,
    ErrorText,
    FromClient,
    Got,
    Inquiry,
    Interrupt,
    Leave,
    Message,
    Notice,
    Observe,
    Query,
    Refused,
    Rejected,
    Reply,
    Scale,
    Seen,
    Shutdown,
    Signal,
    SignalEngine,
    Submit,
    Welcome,
)

_INTERRUPT = 2
DOUBT = 5.0  # seconds a client has to submit again what it waits for
MOST_DOUBTFUL = 1_000_000
COMMANDS = (Abort, Clear, Signal, Shutdown, Scale, Ask, Query)
MOST_COMMANDS = 256  # commands per client that are remembered, with their answers
MOST_REJECTED = 1000  # submissions per client whose refusal is remembered


class ClientDesk:
    """Everything that comes through the clients' door."""

    def __init__(
        self, book: Book, engines: EngineDesk, requests: Requests, delivery: Delivery, observers: Observers
    ) -> None:
        self.book, self.engines, self.requests, self.delivery = book, engines, requests, delivery
        self.observers = observers
        self.intake = Intake(book)

    def receive(self, peer: Peer, message: FromClient) -> None:
        """One message."""
        session = self.book.registry.session_of_peer.get(peer)
        if isinstance(message, Submit):  # first, as it is what people wait for
            if session is not None:
                self._submit(session, message)
            return
        if isinstance(message, ClientHello):
            self._hello(peer, message)
            return
        if session is None:
            return  # its Hello was refused
        if isinstance(message, COMMANDS) and self._is_copy(session, message):
            return
        match message:
            case Got():
                self.delivery.got(session, message)
            case Query():
                again = self._resubmit(session, message) if message.what == "resubmit" else message
                self.book.after_commit.append((session, again))
            case Abort():
                self._abort(session, message)
            case Clear(request, targets):
                self._clear(session, request, targets)
            case Signal():
                self._signal(session, message)
            case Shutdown():
                self._shutdown(session, message)
            case Scale():
                self._scale(session, message)
            case Ask():
                self._ask(session, message)
            case Observe(on):
                if on:
                    self.observers.begin(session)
                else:
                    self.observers.end(session)
            case Seen(number):
                self.observers.confirmed(session, number)
            case Blocked():
                self._blocked(session, message)
            case ClientBye():
                self.gone(session)
            case _:
                assert_never(message)

    def _is_copy(self, session: Session, command: Abort | Clear | Signal | Shutdown | Scale | Ask | Query) -> bool:
        """Whether a command came before: it must not be carried out twice, but its answer may have been lost."""
        if isinstance(command, Query) and command.what != "resubmit":
            return False
        if command.request in session.commands:
            answer = session.commands[command.request]
            if answer is not None:
                self.book.out.client(session, answer)
            return True
        session.commands[command.request] = None
        if len(session.commands) > MOST_COMMANDS:
            del session.commands[next(iter(session.commands))]
        return False

    def apologise(self, role: Role, peer: Peer, message: Message) -> None:
        """A message that could not be handled: whoever waits for its answer gets one."""
        session = self.book.registry.session_of_peer.get(peer) if role is Role.CLIENT else None
        if session is None:
            return
        text = f"the hub could not handle this {type(message).__name__}: its log says why"
        if isinstance(message, Submit):
            self._reject(session, message, ErrorText("ValueError", text, ""))
        elif isinstance(message, (Abort, Ask, Clear, Query, Scale, Shutdown, Signal)):
            self.book.out.client(session, Reply(message.request, None, ErrorText("ValueError", text, "")))

    # Sessions ------------------------------------------------------------------------------------------------------

    def _hello(self, peer: Peer, hello: ClientHello) -> None:
        book = self.book
        registry = book.registry
        if hello.protocol != PROTOCOL:
            older = "the hub" if hello.protocol > PROTOCOL else "this client"
            text = f"the hub speaks protocol {PROTOCOL}, this client {hello.protocol}: {older} is older, upgrade it"
            book.out.peer(Role.CLIENT, peer, Refused("ProtocolMismatch", text))
            return
        if hello.cluster != book.config.cluster:
            text = f"this is another run of cluster {book.config.name!r}: read its connection file again"
            book.out.peer(Role.CLIENT, peer, Refused("AuthenticationError", text))
            return
        session = registry.session_of_hex.get(hello.session)
        if session is None:
            number = SessionId(registry.next_session)
            session = Session(number, hello.session, hello.host, hello.pid, hello.name, book.date)
            registry.add_session(session)
            made = session
            book.journal.others.append(
                lambda history, at=book.date: history.put_session(  # type: ignore[misc]
                    made.number, made.hex, made.host, made.pid, made.name, at
                )
            )
        session.observer = hello.observer
        registry.connect_session(session, peer)
        welcome = Welcome(
            PROTOCOL, book.boot, book.config.cluster, session.number, session.next, book.away, book.taken_over
        )
        book.out.client(session, welcome)
        book.out.client(session, Notice("engines", "", registry.present()))
        self._waits(session, hello.waits)
        book.feed.client_changed(session.number)

    def _waits(self, session: Session, waits: list[Span]) -> None:
        """What a client that has just connected wants to hear of."""
        book = self.book
        told = {c for first, (count, _) in session.rejected.items() for c in range(first, first + count)}
        session.doubtful, session.doubtful_at = set(), book.now
        for first, count in waits:
            for counter in range(max(0, first), min(first + count, session.next)):
                if task_id(session.number, counter) not in book.scheduler.tasks and counter not in told:
                    self.delivery.want(session, session.hex, counter)
            # The rest is in its outbox and comes in a moment, unless the history has been lost.
            beyond = max(first, session.next)
            session.doubtful.update(range(beyond, min(first + count, beyond + MOST_DOUBTFUL - len(session.doubtful))))

    def upkeep(self) -> None:
        """Tasks that a client waits for, and that it has not submitted again, were in a history that is lost."""
        for session in self.book.registry.session_of_peer.values():
            if session.doubtful and self.book.now - session.doubtful_at > DOUBT:
                for counter in sorted(session.doubtful):
                    self.delivery.lost(session, counter)
                session.doubtful.clear()

    def gone(self, session: Session) -> None:
        """A client has left, or cannot be reached; what it left open goes on."""
        book = self.book
        if session.peer is None:
            return
        self.observers.lose(session)
        book.accepted.drop(session.number)
        book.registry.disconnect_session(session)
        session.away_at = book.now
        session.doubtful.clear()
        self.delivery.gone(session)
        self.requests.client_gone(session)
        book.tell(TaskWaits(session.number, TaskId(-1), []))
        book.tally.session_gone(session.number)
        book.feed.client_changed(session.number)

    # Submitting ----------------------------------------------------------------------------------------------------

    def _submit(self, session: Session, submit: Submit) -> None:
        book = self.book
        code = self._code(session, submit)
        if known := session.rejected.get(submit.first):
            book.out.client(session, Rejected(submit.first, known[1]))
            return
        if submit.first < session.next:
            book.accepted.add(session.number, submit.first, book.now, False)  # a copy: its acknowledgement was lost
            return
        error = self._unacceptable(submit)
        if submit.function and code is None and error is None:
            error = ErrorText("SerializationError", "the hub has lost the function's code: submit it again", "")
        if error is not None:
            self._reject(session, submit, error)
            return
        first = task_id(session.number, submit.first)
        batch = Batch(
            first,
            submit.count,
            submit.work,
            submit.function,
            code,
            submit.calls,
            [(use.index, use.name, use.size) for use in submit.blobs],
        )
        self.intake.take(session, batch)
        book.accepted.add(session.number, submit.first, book.now, submit.count == 1)

    def _reject(self, session: Session, submit: Submit, error: ErrorText) -> None:
        """Not stored, and never will be: said again when the answer was lost."""
        self.book.out.client(session, Rejected(submit.first, error))
        if 0 < submit.count <= MAX_BATCH and submit.first + submit.count <= COUNTER_MASK:
            session.next = submit.first + submit.count
            session.doubtful.difference_update(range(submit.first, session.next))
            session.rejected[submit.first] = (submit.count, error)
            while len(session.rejected) > MOST_REJECTED:
                del session.rejected[next(iter(session.rejected))]

    @staticmethod
    def _code(session: Session, submit: Submit) -> bytes | None:
        """The function's code. Every Submit counts, copies too: both ends must see the same sequence."""
        if submit.code is not None:
            session.known.learn(submit.function, submit.code)
            return submit.code
        try:
            return session.known.get(submit.function)
        except KeyError:
            return None

    def _unacceptable(self, submit: Submit) -> ErrorText | None:
        """Why a submission cannot be stored; None when it can."""
        work = submit.work
        if not 1 <= submit.count <= MAX_BATCH or submit.first + submit.count > COUNTER_MASK:
            return ErrorText("ValueError", f"a submission has 1 to {MAX_BATCH} tasks, not {submit.count}", "")
        if len(submit.calls) not in (1, submit.count):
            return ErrorText("ValueError", "a submission needs one body, or one for each task", "")
        if not (_is_limit(work.timeout) and _is_limit(work.time_limit)):
            return ErrorText("ValueError", "timeout and time_limit are seconds, 0 or more", "")
        for use in submit.blobs:
            if not (0 <= use.index < submit.count and NAME.fullmatch(use.name)):
                return ErrorText("ValueError", f"no task of this submission can have the blob {use.name!r:.100}", "")
        if not work.balanced and (work.targets is None or len(work.targets) != submit.count):
            return ErrorText("ValueError", "a direct submission needs one target for each task", "")
        return self.intake.full(bool(submit.blobs))

    def _resubmit(self, session: Session, query: Query) -> Reply:
        """Submit tasks again, as they were; the answer, for after the commit, names the new ones."""
        try:
            return Reply(query.request, self.intake.again(session, query.arguments["tasks"]))
        except RefusedError as error:
            return Reply(query.request, None, error.text)
        except UNFIT as error:
            return Reply(query.request, None, ErrorText(type(error).__name__, f"resubmit: {error}", ""))

    # Control -------------------------------------------------------------------------------------------------------

    def _abort(self, session: Session, abort: Abort) -> None:
        book = self.book
        unknown: list[IdRange] = []
        if abort.tasks is not None:
            ids, unknown = book.task_ids(abort.tasks)
        else:
            targets = set(abort.targets) if abort.targets is not None else None
            ids = [
                task.id
                for task in book.scheduler.open_tasks()
                if (abort.everyone or targets is not None or task.batch.session == session.number)
                and (
                    targets is None
                    or (task.engine if task.engine is not None else task.batch.target(task.id)) in targets
                )
            ]
        ticket = self.requests.open_abort(session, abort.request, unknown)
        book.tell(AbortAsked(ticket, ids, abort.running, abort.grace))

    def _blocked(self, session: Session, blocked: Blocked) -> None:
        """Its task waits for tasks; while engines are on their way, or it waits for more than is known here, let it."""
        book = self.book
        hosts, _ = book.task_ids([blocked.inside])
        ids, unknown = book.task_ids(blocked.tasks)
        if hosts:
            unsure = bool(unknown) or book.registry.coming > 0
            book.tell(TaskWaits(session.number, hosts[0], [] if unsure else ids))

    def _targets(self, targets: list[int] | None) -> list[int]:
        ids = self.book.registry.ids()
        return ids if targets is None else [id for id in dict.fromkeys(targets) if id in ids]

    def _clear(self, session: Session, request: int, targets: list[int] | None) -> None:
        engines = self._targets(targets)
        self.requests.send(session, request, "clear", engines, ClearNamespace)
        self.book.event("clear", f"{session.name or session.hex} cleared engines {', '.join(map(str, engines))}")

    def _signal(self, session: Session, signal: Signal) -> None:
        book = self.book
        task: TaskId | None = None
        if signal.task is not None:
            ids, _ = book.task_ids([signal.task])
            task = ids[0] if ids else None
            held = book.scheduler.tasks.get(task) if task is not None else None
            engines = [held.engine] if held is not None and held.engine is not None else []
        else:
            engines = self._targets(signal.targets)
        for id in engines:
            engine = book.registry.engines[id]
            supervisor = book.registry.supervisor_for(engine)
            if signal.signum != _INTERRUPT and supervisor is not None and supervisor.peer is not None:
                book.out.peer(Role.ENGINE, supervisor.peer, SignalEngine(engine.uuid, signal.signum))
            else:
                book.out.engine(engine, Interrupt(signal.signum, task))
        book.out.client(session, Reply(signal.request, {"signalled": engines}))
        if engines:
            who = session.name or session.hex
            book.event("signal", f"{who} sent signal {signal.signum} to {', '.join(map(str, engines))}")

    def _shutdown(self, session: Session, shutdown: Shutdown) -> None:
        book = self.book
        who = session.name or session.hex
        if shutdown.hub:
            self.end_cluster(f"{who} shut the cluster down")
            book.out.client(session, Reply(shutdown.request, {"stopped": book.registry.ids()}))
            return
        ids = [
            engine.id
            for engine in book.registry.living()
            if shutdown.targets is None or engine.id in shutdown.targets
        ]
        verb = "restart" if shutdown.restart else "stop"
        self.requests.open(session, shutdown.request, verb, set(ids))
        for id in ids:
            engine = book.registry.engines[id]
            engine.replace = shutdown.restart
            self.engines.leave(engine, f"{who} {'restarted' if shutdown.restart else 'stopped'} it")
        if not shutdown.restart:
            book.registry.expected = max(0, book.registry.expected - len(ids))
        book.notice("engines", "")

    def end_cluster(self, reason: str) -> None:
        """Everything ends: open tasks are lost, engines and supervisors leave, and after this turn so does the hub."""
        book = self.book
        book.event("hub", reason)
        for supervisor in book.registry.supervisors.values():
            if supervisor.peer is not None:
                book.out.peer(Role.ENGINE, supervisor.peer, EndCluster(reason))
        for engine in book.registry.living():
            book.out.engine(engine, Leave(reason))
            engine.replace = False
            self.engines.lose(engine, Death("the cluster was shut down", engine.host, engine.pid))
        open_tasks = [task.id for task in book.scheduler.open_tasks()]
        if open_tasks:
            book.tell(AbortAsked(self.requests.nobody(), open_tasks))
        book.notice("ended", reason)
        book.stopping, book.stop_reason = True, reason

    def _scale(self, session: Session, scale: Scale) -> None:
        book = self.book
        staying = book.registry.staying()
        present = len(staying) + book.registry.coming
        add = scale.add if scale.total is None else scale.total - present
        if add > 0 and not self.engines.spawn(add, []):
            error = ErrorText("StartError", "too many requests for engines wait for a supervisor already", "")
            book.out.client(session, Reply(scale.request, None, error))
            return
        book.registry.expected = max(0, present + add)
        if add < 0:
            seats = book.scheduler.seats
            # Idle ones first, then the youngest.
            staying.sort(key=lambda engine: (len(seats[engine.id].held) if engine.id in seats else 0, -engine.id))
            for engine in staying[:-add]:
                self.engines.leave(engine, f"{session.name or session.hex} scaled the cluster down")
            book.notice("engines", "")
        book.out.client(session, Reply(scale.request, {"engines": book.registry.ids()}))

    def _ask(self, session: Session, ask: Ask) -> None:
        book = self.book
        engine = book.registry.engines.get(ask.engine)
        if engine is None or not engine.alive or engine.peer is None:
            error = ErrorText("NoSuchEngine", f"engine {ask.engine} cannot be asked: it is not there", "")
            book.out.client(session, Reply(ask.request, None, error))
            return
        self.requests.send(
            session, ask.request, "ask", [engine.id], lambda number: Inquiry(number, ask.what, ask.text, ask.cursor)
        )


def _is_limit(seconds: float | None) -> bool:
    return seconds is None or 0 <= seconds < inf
