"""Outcomes to the clients that wait for them, as many as each can take; the rest stays in the history until it can."""

from __future__ import annotations

from tuiparallel.hub.book import Book
from tuiparallel.hub.events import TaskEnded
from tuiparallel.hub.registry import Session
from tuiparallel.wire.ids import COUNTER_MASK, SessionId, TaskId, counter_of, task_id, unspan
from tuiparallel.wire.messages import COUNTED, Attempt, Done, ErrorText, Extras, Got, Outcome, Place, Ran
from tuiparallel.wire.states import State

UNDER_WAY = 48 << 20  # bytes of outcomes a client may have been sent and not got; they take half as much again here
FRAME_LIMIT = 4 << 20
LIGHT_LIMIT = (
    64 << 10
)  # bytes in one Done of outcomes that are not counted: a full pipe of these is within bounds too
OVERHEAD = 64  # bytes of an outcome beside its body
MOST_OUTCOMES = 1000
FULL_RETRY = 0.05  # seconds until a client whose pipe was full is tried again


class Delivery:
    """Who waits for which outcome."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.subscribers: dict[TaskId, list[int]] = {}  # sessions that asked for a task that is not theirs
        self._ended: list[TaskEnded] = []
        self._mapped: dict[int, dict[tuple[str, int], list[str]]] = {}  # buffers under way: by session, by outcome
        self.busy: set[int] = set()  # sessions with a backlog or fresh outcomes

    def ended(self, effects: list[TaskEnded]) -> None:
        """These have ended in this turn; they are sent after its commit."""
        self._ended += effects

    def want(self, session: Session, hex: str, counter: int) -> None:
        """This session wants an outcome that is in the history."""
        session.backlog.append((hex, counter))
        self.busy.add(session.number)

    def tell(self, session: Session, hex: str, outcome: Outcome) -> None:
        """This session is to be sent an outcome that is in no history."""
        self._put(session, hex, outcome)
        self.busy.add(session.number)

    def lost(self, session: Session, counter: int) -> None:
        """A task of this session's own was acknowledged, and no history knows it."""
        self.tell(session, session.hex, _lost(counter))

    def subscribe(self, session: Session, task: TaskId) -> None:
        """This session wants the outcome of an open task."""
        sessions = self.subscribers.setdefault(task, [])
        if session.number not in sessions:
            sessions.append(session.number)

    def gone(self, session: Session) -> None:
        """The session is not connected any more."""
        self.busy.discard(session.number)
        for names in self._mapped.pop(session.number, {}).values():
            self.book.holdings.done(names, retire=False)
        for task in [task for task, sessions in self.subscribers.items() if session.number in sessions]:
            self.subscribers[task].remove(session.number)
            if not self.subscribers[task]:
                del self.subscribers[task]

    def got(self, session: Session, message: Got) -> None:
        """The client has these; there is room for more."""
        for hex, first, count in message.tasks if session.sizes or self._mapped else ():
            for counter in unspan([(first, count)]):
                session.under_way -= session.sizes.pop((hex, counter), 0)
                self._let_go(session, hex, counter, has_it=True)

    def send(self) -> None:
        """After the commit: queue Done messages for all who have room."""
        effects, self._ended = self._ended, []
        sessions = self.book.registry.sessions
        owner: Session | None = None
        here: Session | None = None  # session, engine, and what goes for all of these
        last: int | None = None
        place = number = -1
        fresh: list[Outcome] = []
        for effect in effects:
            task = effect.task
            if task.batch.session != number or owner is None:
                number = task.batch.session
                owner = sessions[SessionId(number)]
                if owner.peer is not None and not owner.observer:
                    self.busy.add(number)
            if self.subscribers:
                self._tell_subscribers(effect, owner)
            if owner.peer is None or owner.observer:
                continue
            if owner.backlog or owner.under_way > UNDER_WAY:
                owner.backlog.append((owner.hex, counter_of(task.id)))
            else:
                engine = task.engine
                if engine != last or here is not owner:
                    last, here, place = engine, owner, self._place_number(owner, engine, None)
                    fresh = owner.fresh.setdefault(owner.hex, [])
                ran = effect.ran
                if task.attempt > 1:
                    outcome = self._outcome(task.id, effect.state, engine, task.attempt, ran, place)
                else:
                    outcome = Outcome(
                        task.id & COUNTER_MASK, effect.state, engine, ran.started or None, ran.completed, 1,
                        ran.body, ran.extras, (), ran.blobs, None, place,
                    )  # fmt: skip
                fresh.append(outcome)
                if len(outcome.body) > COUNTED or outcome.blobs:
                    self._watch(owner, owner.hex, outcome)
        for number in list(self.busy):
            self._pump(sessions[SessionId(number)])

    def _tell_subscribers(self, effect: TaskEnded, owner: Session) -> None:
        """Those who asked for somebody else's task read it from the history, where it is now."""
        for number in self.subscribers.pop(effect.task.id, ()):
            session = self.book.registry.sessions.get(SessionId(number))
            if session is not None and session is not owner and session.peer is not None:
                self.want(session, owner.hex, counter_of(effect.task.id))

    def _outcome(
        self,
        task: int,
        state: State,
        engine: int | None,
        attempt: int,
        ran: Ran,
        place: int,
        received: float | None = None,
    ) -> Outcome:
        attempts: tuple[Attempt, ...] = ()
        if attempt > 1:
            attempts = tuple(
                Attempt(engine_, began, ended, outcome)
                for _, engine_, began, ended, outcome in self.book.history.attempts_of(task)
            )
        return Outcome(
            task & COUNTER_MASK,
            state,
            engine,
            ran.started or None,
            ran.completed,
            attempt,
            ran.body,
            ran.extras,
            attempts,
            ran.blobs,
            received,
            place,
        )

    def _place_number(self, session: Session, engine: int | None, batch: int | None) -> int:
        """The number of an engine's place among those of this session's next Done; -1 when it is not known.

        batch: the submission of a task that may be of an earlier run, when other engines had these ids.
        """
        place = self._place(engine, batch)
        return -1 if place is None else session.places.setdefault(place, len(session.places))

    def _place(self, engine: int | None, batch: int | None) -> Place | None:
        """uuid and host of the engine that a task ended on; None when there was none, or it is not known."""
        if engine is None:
            return None
        history = self.book.history if batch is not None else None
        if history is not None and batch is not None and (run := history.run_of(batch)) != history.run:
            return history.engine_of(run, engine) if run is not None else None
        record = self.book.registry.engines.get(engine)
        if record is not None:
            return record.uuid, record.host
        return history.engine_of(history.run, engine) if history is not None else None

    def _put(self, session: Session, hex: str, outcome: Outcome) -> None:
        session.fresh.setdefault(hex, []).append(outcome)
        self._watch(session, hex, outcome)

    def _watch(self, session: Session, hex: str, outcome: Outcome) -> None:
        """Count what is under way, where it is large."""
        size = len(outcome.body)
        if size > COUNTED:
            session.under_way += size - session.sizes.get((hex, outcome.task), 0)
            session.sizes[hex, outcome.task] = size
        if outcome.blobs:
            names = [name for name, _ in outcome.blobs]
            self.book.holdings.use(names)
            self._mapped.setdefault(session.number, {})[hex, outcome.task] = names

    def _let_go(self, session: Session, hex: str, counter: int, has_it: bool) -> None:
        """An outcome with large buffers is no longer under way: the client has it, or it goes again later."""
        names = self._mapped.get(session.number, {}).pop((hex, counter), None)
        if names is not None:
            self.book.holdings.done(names, retire=has_it)

    def _pump(self, session: Session) -> None:
        """Fill the client's window from its backlog, and pack what is fresh into messages."""
        if session.peer is None:
            self.busy.discard(session.number)
            return
        if session.backlog and self._has_room(session):
            # A turn's worth: a client with a million outcomes to come must not keep the others waiting.
            part = [session.backlog.popleft() for _ in range(min(len(session.backlog), MOST_OUTCOMES))]
            self._read(session, part)
        for hex, outcomes in session.fresh.items():
            self._pack(session, hex, outcomes)
        session.fresh, session.places = {}, {}
        if not session.backlog:
            self.busy.discard(session.number)

    def _has_room(self, session: Session) -> bool:
        return session.under_way <= UNDER_WAY and self.book.now >= session.blocked_until

    def _pack(self, session: Session, hex: str, outcomes: list[Outcome]) -> None:
        places = list(session.places)
        accepted = self.book.accepted.take(session.number)
        if len(outcomes) <= MOST_OUTCOMES:
            weights = sum([len(outcome.body) for outcome in outcomes])
            if weights + OVERHEAD * len(outcomes) <= LIGHT_LIMIT:
                self.book.out.client(session, Done(hex, outcomes, accepted, places))
                return
        start = size = light = 0
        for position, outcome in enumerate(outcomes):
            weight = len(outcome.body)
            full = size + weight > FRAME_LIMIT or light > LIGHT_LIMIT or position - start >= MOST_OUTCOMES
            if position > start and full:
                self.book.out.client(session, Done(hex, outcomes[start:position], accepted, places))
                start, size, light, accepted = position, 0, 0, []
            size += weight
            light += weight + OVERHEAD if weight <= COUNTED else 0
        self.book.out.client(session, Done(hex, outcomes[start:], accepted, places))

    def _read(self, session: Session, names: list[tuple[str, int]]) -> None:
        """Outcomes from the history, as long as the client's window has room; the rest goes back to the backlog."""
        registry, history = self.book.registry, self.book.history
        owners = [registry.session_of_hex.get(hex) for hex, _ in names]
        ids = [
            task_id(owner.number, counter) if owner is not None else -1
            for owner, (_, counter) in zip(owners, names, strict=True)
        ]
        rows = history.tasks([id for id in ids if id >= 0])
        bundles: dict[int, dict[int, Ran]] = {}
        for position, (owner, id, (hex, counter)) in enumerate(zip(owners, ids, names, strict=True)):
            if session.under_way > UNDER_WAY:
                session.backlog.extendleft(reversed(names[position:]))
                return
            row = rows.get(id)
            if owner is None or row is None:
                known = owner is not None and counter < owner.next
                gone = f"{hex}-{counter} {history.why_gone(id, self.book.config)}" if known else ""
                self._put(session, hex, _error(counter, "ResultExpired", gone) if known else _lost(counter))
                continue
            bundle = bundles.get(row[8])
            if bundle is None:
                bundle = bundles[row[8]] = {ran.task: ran for ran in history.bundle(row[8])}
            ran = bundle.get(id)
            if ran is None:
                text = f"the result of {hex}-{counter} is damaged on disk: submit it anew"
                self._put(session, hex, _error(counter, "ResultExpired", text))
            else:
                place = self._place_number(session, row[3], row[1])
                self._put(session, hex, self._outcome(id, State(row[2]), row[3], row[4], ran, place, row[7]))

    def take_back(self, session: Session, message: Done) -> None:
        """The client's connection is full: these go again later, from the history."""
        for outcome in reversed(message.outcomes):
            session.under_way -= session.sizes.pop((message.session, outcome.task), 0)
            self._let_go(session, message.session, outcome.task, has_it=False)
            session.backlog.appendleft((message.session, outcome.task))
        session.blocked_until = self.book.now + FULL_RETRY
        self.busy.add(session.number)
        for first in message.accepted:
            self.book.accepted.add(session.number, first, self.book.now, False)

    def next_deadline(self) -> float | None:
        """When some client can be sent more."""
        sessions = self.book.registry.sessions
        return min(
            (sessions[n].blocked_until for n in self.busy if sessions[n].under_way <= UNDER_WAY),
            default=None,
        )


def outcome_without_value(counter: int, state: State, error: ErrorText) -> Outcome:
    """How a task ended that no engine ended."""
    return Outcome(counter, state, None, None, None, 1, b"", Extras(error=error))


def _error(counter: int, ename: str, evalue: str) -> Outcome:
    return outcome_without_value(counter, State.ERROR, ErrorText(ename, evalue, ""))


def _lost(counter: int) -> Outcome:
    return _error(
        counter, "TaskLost", "the hub has no record of this task, though it was submitted: its history was reset"
    )
