"""Who is connected: engines, clients, supervisors, each with its connection and what is known of it.

No socket, thread or clock in this file. A peer is a ROUTER's name for one connection; it is new after each reconnection.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tuiparallel.wire.ids import COUNTER_BITS, EngineId, SessionId, task_id
from tuiparallel.wire.known import KnownFunctions
from tuiparallel.wire.messages import ErrorText, Exited, Outcome, Place, Reply, Vital
from tuiparallel.wire.states import EngineState

Peer = bytes
OWN = "r"  # ends the name of the session in which the hub submits again for a client


@dataclass(slots=True, eq=False)
class Engine:
    """An engine, alive or remembered. Dates are seconds since the epoch, *_at are monotonic."""

    id: EngineId
    uuid: str
    host: str
    pid: int
    since: float
    peer: Peer | None = None
    state: EngineState = EngineState.IDLE
    heard: float = 0.0
    supervised: bool = False
    known: KnownFunctions = field(default_factory=KnownFunctions)
    unreachable_at: float | None = None  # its connection is gone since
    probed_at: float | None = None  # a Probe without an answer since
    exited: Exited | None = None  # reported dead, not yet read to the end
    exited_at: float = 0.0
    done: int = 0
    errors: int = 0
    reason: str = ""
    was: int | None = None
    successor: int | None = None
    vital: Vital | None = None
    replace: bool = False  # start another when it has gone
    version: int = 0  # moves when an observer should see it anew

    @property
    def alive(self) -> bool:
        return self.state is not EngineState.DEAD


@dataclass(slots=True, eq=False)
class Session:
    """A client session, connected or not. next is the first counter it has not yet submitted."""

    number: SessionId
    hex: str
    host: str
    pid: int
    name: str
    since: float
    next: int = 0
    peer: Peer | None = None
    observer: bool = False
    known: KnownFunctions = field(default_factory=KnownFunctions)
    open: int = 0  # tasks not ended
    told_ended: int | None = None  # an observer whose connection ended: tasks that had ended when it was told last
    under_way: int = 0  # bytes of outcomes sent and not got
    sizes: dict[tuple[str, int], int] = field(default_factory=dict)  # of those, by session and counter
    backlog: deque[tuple[str, int]] = field(default_factory=deque)  # outcomes to be sent when there is room
    blocked_until: float = 0.0  # its pipe was full: no outcomes before this, monotonic
    fresh: dict[str, list[Outcome]] = field(default_factory=dict)  # outcomes of this turn, by session
    places: dict[Place, int] = field(default_factory=dict)  # of their engines, numbered
    rejected: dict[int, tuple[int, ErrorText]] = field(default_factory=dict)  # Submits by first: how many, and why
    commands: dict[int, Reply | None] = field(
        default_factory=dict
    )  # by request: the answer, None while there is none
    doubtful: set[int] = field(default_factory=set)  # counters it waits for and nobody has submitted (yet)
    doubtful_at: float = 0.0  # since when, monotonic
    away_at: float = 0.0  # when it was last seen leaving, monotonic


@dataclass(slots=True, eq=False)
class Supervisor:
    """A host's supervisor."""

    uuid: str
    host: str
    pid: int
    peer: Peer | None
    engines: dict[str, int] = field(default_factory=dict)  # uuid -> pid


class Registry:
    """All of them, by id and by connection."""

    def __init__(self) -> None:
        self.engines: dict[int, Engine] = {}
        self.engine_of_uuid: dict[str, Engine] = {}
        self.engine_of_peer: dict[Peer, Engine] = {}
        self.next_engine = 0
        self.sessions: dict[int, Session] = {}
        self.session_of_hex: dict[str, Session] = {}
        self.session_of_peer: dict[Peer, Session] = {}
        self.next_session = 1
        self.supervisors: dict[str, Supervisor] = {}
        self.supervisor_of_peer: dict[Peer, Supervisor] = {}
        self.expected = 0  # engines the cluster should have
        self.coming = 0  # engines that were asked for and have not joined
        # Not on record yet: what ended, or was under way, while its client was away; and who has come back since.
        self.undelivered: set[int] = set()
        self.departures = 0  # connections of engines and clients that have ended
        self.returned: set[int] = set()

    def living(self) -> list[Engine]:
        """Engines that are not dead, by id."""
        return [engine for engine in self.engines.values() if engine.alive]

    def staying(self) -> list[Engine]:
        """Living engines that are not about to leave."""
        return [engine for engine in self.living() if engine.state is not EngineState.LEAVING]

    def ids(self) -> list[int]:
        """The engines that can be addressed now."""
        return [
            engine.id
            for engine in self.engines.values()
            if engine.state not in (EngineState.DEAD, EngineState.LEAVING, EngineState.LIMBO, EngineState.STARTING)
        ]

    def present(self) -> list[int]:
        """The engines that clients count on: those, and after a restart of the hub those that have yet to come back."""
        limbo: list[int] = [engine.id for engine in self.engines.values() if engine.state is EngineState.LIMBO]
        return sorted(self.ids() + limbo) if limbo else self.ids()

    def add_engine(self, engine: Engine) -> None:
        self.engines[engine.id] = engine
        self.engine_of_uuid[engine.uuid] = engine
        self.next_engine = max(self.next_engine, engine.id + 1)

    def connect_engine(self, engine: Engine, peer: Peer) -> Peer | None:
        """This connection speaks for the engine now; returns the one that did before."""
        before = engine.peer
        if before is not None:
            self.engine_of_peer.pop(before, None)
        engine.peer = peer
        self.engine_of_peer[peer] = engine
        engine.unreachable_at = engine.probed_at = None
        engine.known = KnownFunctions()
        return before if before != peer else None

    def disconnect_engine(self, engine: Engine) -> None:
        self.departures += 1
        if engine.peer is not None:
            self.engine_of_peer.pop(engine.peer, None)
            engine.peer = None

    def add_session(self, session: Session) -> None:
        self.sessions[session.number] = session
        self.session_of_hex[session.hex] = session
        self.next_session = max(self.next_session, session.number + 1)

    def connect_session(self, session: Session, peer: Peer) -> None:
        if self.undelivered:
            self.undelivered = {id for id in self.undelivered if id >> COUNTER_BITS != session.number}
        self.returned.add(session.number)
        if session.peer is not None:
            self.session_of_peer.pop(session.peer, None)
        session.peer = peer
        session.known = KnownFunctions()
        session.under_way = 0
        session.blocked_until = 0.0
        session.sizes.clear()
        session.backlog.clear()
        session.fresh.clear()
        session.places.clear()
        self.session_of_peer[peer] = session

    def disconnect_session(self, session: Session) -> None:
        self.departures += 1
        if session.peer is not None:
            self.session_of_peer.pop(session.peer, None)
            session.peer = None
        unsent = (name for names in (session.sizes, session.backlog) for name in names)
        self.undelivered.update(task_id(session.number, counter) for hex, counter in unsent if hex == session.hex)
        session.under_way = 0
        session.sizes.clear()
        session.backlog.clear()
        session.fresh.clear()
        session.places.clear()

    def forget_session(self, session: Session) -> None:
        """A session that left long ago, and of which nothing is on record."""
        self.disconnect_session(session)
        del self.sessions[session.number]
        del self.session_of_hex[session.hex]

    def batch_over(self, first: int, session: Session) -> None:
        """All tasks of a submission have ended; if nobody takes their outcomes now, that is to be remembered."""
        if session.peer is None:
            asker = self.session_of_hex.get(session.hex.removesuffix(OWN)) if session.hex.endswith(OWN) else None
            if asker is None or asker.peer is None:
                self.undelivered.add(first)

    def away_longest(self) -> list[Session]:
        """Sessions that are not connected, by how long."""
        away = [session for session in self.sessions.values() if session.peer is None]
        return sorted(away, key=lambda session: (session.away_at, session.number))

    def forget_engine(self, engine: Engine) -> None:
        """An engine that is dead, and no longer shown."""
        del self.engines[engine.id]
        if self.engine_of_uuid.get(engine.uuid) is engine:
            del self.engine_of_uuid[engine.uuid]

    def supervisor_for(self, engine: Engine) -> Supervisor | None:
        """The supervisor that watches an engine's process, if one does."""
        for supervisor in self.supervisors.values():
            if engine.uuid in supervisor.engines and supervisor.peer is not None:
                return supervisor
        return None
