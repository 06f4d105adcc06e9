"""The engines' door: engines and supervisors, how they come, answer, go silent and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from tuiparallel.hub.book import Book
from tuiparallel.hub.events import (
    Death,
    DropLeases,
    EngineBack,
    EngineClosing,
    EngineJoined,
    EngineLost,
    EngineRuns,
    LeasesReturned,
    TaskBegan,
    TasksRan,
)
from tuiparallel.hub.failures import describe
from tuiparallel.hub.registry import Engine, Supervisor
from tuiparallel.hub.requests import Requests
from tuiparallel.link.doors import Peer, Role
from tuiparallel.wire.ids import EngineId
from tuiparallel.wire.messages import (
    PROTOCOL,
    Answer,
    Beat,
    Began,
    EngineBye,
    EngineHello,
    EngineWelcome,
    Exited,
    ExitKept,
    Fenced,
    FromEngine,
    GaveUp,
    Lease,
    Leave,
    Output,
    Probe,
    Refused,
    Results,
    Returned,
    SignalEngine,
    Spawn,
    Started,
    SupervisorHello,
    SupervisorWelcome,
    Vitals,
)
from tuiparallel.wire.states import EngineState

DRAIN_PATIENCE = 1.0  # seconds a dead engine's last messages are waited for
LIGHT = 65536  # bytes of a result that an engine may well keep a moment longer
MOST_WANTED = 100  # requests for engines that wait for a supervisor
LEAVE_PATIENCE = 2.0  # seconds an engine has to leave by itself
OWN_GAP = 3.0  # seconds between turns, beyond the interval of probes, that mean that the hub itself was stopped


class EngineDesk:
    """Everything that comes through the engines' door."""

    def __init__(self, book: Book, requests: Requests) -> None:
        self.book, self.requests = book, requests
        self._dying: dict[int, Engine] = {}  # reported dead, not yet read to the end
        self._leaving: dict[int, float] = {}  # asked to leave, when
        self._next_probe = book.now
        self._last_upkeep = book.now
        self._reporters: dict[int, Supervisor] = {}  # who reported the dying
        self._wanted: list[Spawn] = []  # engines to be started as soon as a supervisor is there
        self._dead_early: dict[str, Exited] = {}  # exits of engines that never said Hello

    def receive(self, peer: Peer, message: FromEngine) -> None:
        """One message."""
        registry = self.book.registry
        if isinstance(message, Results):  # first, as it is what people wait for
            if (sender := registry.engine_of_peer.get(peer)) is not None:
                self._from_engine(sender, message)
            return
        match message:
            case EngineHello():
                self._hello(peer, message)
                return
            case SupervisorHello():
                self._supervisor_hello(peer, message)
                return
            case Started() | Exited() | GaveUp() | Vitals():
                if supervisor := registry.supervisor_of_peer.get(peer):
                    self._from_supervisor(supervisor, message)
                return
            case _:
                pass
        engine = registry.engine_of_peer.get(peer)
        if engine is not None:
            self._from_engine(engine, message)

    def _from_engine(
        self, engine: Engine, message: Results | Returned | Began | Output | Answer | Beat | EngineBye
    ) -> None:
        book = self.book
        engine.heard = book.date
        engine.probed_at = None
        if engine.state is EngineState.UNRESPONSIVE:
            engine.state = EngineState.IDLE
            book.feed.touched(engine.id)
        match message:
            case Results(number, ran):
                if book.storage_error:  # it stays with the engine, which is asked for it later
                    if engine.peer is not None:
                        book.unheard.add(engine.peer)
                    return
                book.tell(TasksRan(engine.id, ran))
                book.kept.add(engine.id, number, book.now, len(ran) == 1 and len(ran[0].body) < LIGHT)
            case Returned(number, leases, refused):
                book.tell(LeasesReturned(engine.id, leases, refused))
                book.kept.add(engine.id, number, book.now, False)
            case Began(task, lease, started, _):
                book.tell(TaskBegan(engine.id, task, lease, started))
                if known := book.scheduler.tasks.get(task):
                    book.feed.tasks_changed([known])
                book.feed.touched(engine.id)
            case Output(chunks):
                book.feed.output(chunks)
            case Answer():
                self.requests.answered(engine.id, message)
            case Beat(task, started, _):
                self._beat(engine, task, started)
            case EngineBye(reason):
                engine.reason = reason
            case _:
                assert_never(message)

    def _beat(self, engine: Engine, id: int | None, started: float | None) -> None:
        """What an engine runs: perhaps a hub that has just begun does not know that it has started."""
        self.book.tell(EngineRuns(engine.id, id))
        seat = self.book.scheduler.seats.get(engine.id)
        task = seat.held.get(id) if seat is not None and id is not None and seat.guest != id else None
        if task is not None and started is not None and task.started is None:
            self.book.tell(TaskBegan(engine.id, task.id, task.lease, started))
            self.book.feed.tasks_changed([task])
            self.book.feed.touched(engine.id)

    # Coming --------------------------------------------------------------------------------------------------------

    def _hello(self, peer: Peer, hello: EngineHello) -> None:
        book = self.book
        registry = book.registry
        if (refused := self._refusal(hello.protocol, hello.cluster)) is not None:
            book.out.peer(Role.ENGINE, peer, refused)
            return
        engine = registry.engine_of_uuid.get(hello.uuid)
        if engine is not None and engine.alive and (engine.pid, engine.host) != (hello.pid, hello.host):
            self._supplant(engine)
        leases = [*hello.running, *hello.queued, *hello.holding, *hello.returned]
        drop: list[Lease] = []
        if engine is None:
            engine = self._join(hello)
        elif not engine.alive:
            # It was given up and is back: same name, but what it held has been decided already.
            engine.state, engine.reason, drop = EngineState.IDLE, "", leases
            leases = []
            book.journal.others.append(lambda history, id=engine.id: history.engine_back(id))  # type: ignore[misc]
            book.tell(EngineJoined(engine.id))
            book.event("joined", f"engine {engine.id} is back after it had been given up", engine.id)
        elif engine.state in (EngineState.LIMBO, EngineState.UNRESPONSIVE):
            engine.state = EngineState.IDLE
            book.scheduler.welcome_back(engine.id)
        engine.pid, engine.host, engine.supervised = hello.pid, hello.host, hello.supervised
        registry.connect_engine(engine, peer)
        engine.heard = book.date
        seen = len(book.effects)
        book.tell(EngineBack(engine.id, leases))
        for effect in book.effects[seen:]:
            if isinstance(effect, DropLeases):
                drop += effect.leases
        book.tell(EngineRuns(engine.id, hello.running[0].task if hello.running else None))
        book.out.engine(engine, EngineWelcome(PROTOCOL, book.boot, book.config.cluster, engine.id, drop))
        self.requests.engine_back(engine.id)
        book.feed.touched(engine.id)
        book.notice("engines", "")
        if early := self._dead_early.pop(hello.uuid, None):
            self._exited(early)

    def _supplant(self, engine: Engine) -> None:
        """Another process has an engine's name: the newest wins, and what the other one held may have started there."""
        self.book.out.engine(engine, Fenced())
        engine.replace = False
        self.lose(engine, Death("its name was taken by a newer process", engine.host, engine.pid))

    def _join(self, hello: EngineHello) -> Engine:
        book = self.book
        registry = book.registry
        engine = Engine(EngineId(registry.next_engine), hello.uuid, hello.host, hello.pid, book.date, was=hello.was)
        registry.add_engine(engine)
        book.journal.others.append(
            lambda history: history.put_engine(
                engine.id, engine.uuid, engine.host, engine.pid, engine.since, engine.was
            )
        )
        book.tell(EngineJoined(engine.id))
        registry.coming = max(0, registry.coming - 1)
        registry.expected = max(registry.expected, len(registry.living()))
        before = registry.engines.get(hello.was) if hello.was is not None else None
        if before is not None:
            before.successor = engine.id
            book.feed.touched(before.id)
            self.requests.restarted(before.id, engine.id)
        book.event("joined", f"engine {engine.id} joined from {hello.host}, pid {hello.pid}", engine.id)
        return engine

    def _refusal(self, protocol: int, cluster: str) -> Refused | None:
        config = self.book.config
        if protocol != PROTOCOL:
            older = "the hub" if protocol > PROTOCOL else "the peer"
            return Refused(
                "ProtocolMismatch",
                f"the hub speaks protocol {PROTOCOL}, the peer {protocol}: {older} is older, upgrade it",
            )
        if cluster != config.cluster:
            return Refused(
                "AuthenticationError", f"this is another run of cluster {config.name!r}: read its file again"
            )
        return None

    def _supervisor_hello(self, peer: Peer, hello: SupervisorHello) -> None:
        book = self.book
        registry = book.registry
        if (refused := self._refusal(hello.protocol, hello.cluster)) is not None:
            book.out.peer(Role.ENGINE, peer, refused)
            return
        supervisor = registry.supervisors.get(hello.uuid)
        if supervisor is None:
            for uuid in [old.uuid for old in registry.supervisors.values() if old.host == hello.host]:
                del registry.supervisors[uuid]  # a host has one: this is the old one's successor
            supervisor = Supervisor(hello.uuid, hello.host, hello.pid, peer)
            registry.supervisors[hello.uuid] = supervisor
        if supervisor.peer is not None:
            registry.supervisor_of_peer.pop(supervisor.peer, None)
        supervisor.peer = peer
        supervisor.engines = dict(hello.engines)
        registry.supervisor_of_peer[peer] = supervisor
        book.out.peer(Role.ENGINE, peer, SupervisorWelcome(PROTOCOL, book.boot, book.config.cluster))
        wanted, self._wanted = self._wanted, []
        for spawn in wanted:
            book.out.peer(Role.ENGINE, peer, spawn)

    def _from_supervisor(self, supervisor: Supervisor, message: Started | Exited | GaveUp | Vitals) -> None:
        book = self.book
        match message:
            case Started(engines):
                supervisor.engines.update((uuid, pid) for uuid, pid, _ in engines)
            case Exited():
                supervisor.engines.pop(message.uuid, None)
                self._exited(message)
                engine = book.registry.engine_of_uuid.get(message.uuid)
                if engine is not None and engine.exited is message:
                    self._reporters[engine.id] = (
                        supervisor  # told that it is kept when the engine's tasks are decided
                    )
                elif supervisor.peer is not None:
                    book.out.peer(Role.ENGINE, supervisor.peer, ExitKept([message.number]))
            case GaveUp(uuid, text):
                book.event("died", text)
                book.notice("gave_up", text)
                book.registry.coming = max(0, book.registry.coming - 1)
                if engine := book.registry.engine_of_uuid.get(uuid):
                    self.requests.restarted(engine.id, None)
            case Vitals(vitals):
                for vital in vitals:
                    if engine := book.registry.engine_of_uuid.get(vital.uuid):
                        engine.vital = vital
                book.feed.vitals(vitals)
            case _:
                assert_never(message)

    # Going ---------------------------------------------------------------------------------------------------------

    def _exited(self, message: Exited) -> None:
        engine = self.book.registry.engine_of_uuid.get(message.uuid)
        if engine is None:
            if len(self._dead_early) < 1000:
                self._dead_early[message.uuid] = message
            self.book.registry.coming = max(0, self.book.registry.coming - 1)
            text = f"an engine (pid {message.pid}) ended before it joined"
            self.book.event("died", text)
            self.book.notice("failed_start", f"{text}: {message.stderr_tail.strip()[-2000:]}")
        elif (
            engine.alive and engine.pid == message.pid and (engine.exited is None or self._repeated(engine, message))
        ):
            engine.exited, engine.exited_at = message, self.book.now
            self._dying[engine.id] = engine

    @staticmethod
    def _repeated(engine: Engine, message: Exited) -> bool:
        return engine.exited is not None and engine.exited.uuid == message.uuid

    def judge(self, drained: bool, reachable: Callable[[Peer], bool]) -> None:
        """Dead engines whose last messages have been read are lost now.

        drained: nothing more can be read at this moment. reachable: whether a connection still has its other end.
        """
        if not self._dying or not drained:
            return
        for engine in list(self._dying.values()):
            gone = engine.peer is None or not reachable(engine.peer)
            if gone or self.book.now - engine.exited_at > DRAIN_PATIENCE:
                self._bury(engine)

    def _bury(self, engine: Engine) -> None:
        message = engine.exited
        assert message is not None
        text = engine.reason
        if (
            message.signum == 9
            and not text
            and engine.vital is not None
            and message.peak_rss > 0.9 * engine.vital.limit > 0
        ):
            text = "out of memory?"
        death = Death(
            text, engine.host, engine.pid, message.exitcode, message.signum, message.peak_rss, message.stderr_tail
        )
        self.lose(engine, death, message.mark, message.marked)
        supervisor = self._reporters.pop(engine.id, None)
        if supervisor is not None and supervisor.peer is not None:
            self.book.out.peer(Role.ENGINE, supervisor.peer, ExitKept([message.number]))

    def lose(self, engine: Engine, death: Death, mark: Lease | None = None, exact: bool = False) -> None:
        """An engine is gone: its tasks are decided, clients and observers hear of it."""
        book = self.book
        self._dying.pop(engine.id, None)
        self._leaving.pop(engine.id, None)
        book.registry.disconnect_engine(engine)
        engine.state = EngineState.DEAD
        engine.exited = None
        engine.reason = describe(death)
        book.journal.others.append(
            lambda history, why=engine.reason, at=book.date: history.engine_gone(engine.id, at, why)  # type: ignore[misc]
        )
        book.tell(EngineLost(engine.id, death, mark, exact))
        book.feed.touched(engine.id)
        book.event("died", f"engine {engine.id} (pid {engine.pid}) {engine.reason}", engine.id)
        book.notice("engines", f"engine {engine.id} {engine.reason}")
        self.requests.engine_gone(engine.id)
        if engine.replace:
            self.spawn(1, [engine.id])

    def leave(self, engine: Engine, reason: str) -> None:
        """Ask an engine to end; it is made to if it does not."""
        book = self.book
        engine.state = EngineState.LEAVING
        engine.reason = reason
        self._leaving[engine.id] = book.now
        book.tell(EngineClosing(engine.id))
        book.out.engine(engine, Leave(reason))
        book.feed.touched(engine.id)
        if engine.peer is None:
            self._kill(engine)

    def replace(self, id: int, reason: str) -> None:
        """Kill an engine and start another."""
        engine = self.book.registry.engines.get(id)
        if engine is not None and engine.alive:
            engine.replace, engine.reason = True, reason
            self._kill(engine)

    def _kill(self, engine: Engine) -> None:
        supervisor = self.book.registry.supervisor_for(engine)
        if supervisor is not None and supervisor.peer is not None:
            self.book.out.peer(Role.ENGINE, supervisor.peer, SignalEngine(engine.uuid, 9))
        else:
            self.lose(engine, Death(engine.reason or "it was given up", engine.host, engine.pid))

    def spawn(self, count: int, replaces: list[int]) -> bool:
        """Have engines started, by the first supervisor to come when none is connected; False when none will."""
        registry = self.book.registry
        registry.coming += count
        for supervisor in registry.supervisors.values():
            if supervisor.peer is not None:
                self.book.out.peer(Role.ENGINE, supervisor.peer, Spawn(count, replaces))
                return True
        if len(self._wanted) >= MOST_WANTED:
            registry.coming -= count
            return False
        self._wanted.append(Spawn(count, replaces))
        return True

    # Silence -------------------------------------------------------------------------------------------------------

    def upkeep(self) -> None:
        """What time alone brings about: probes, silence, engines that do not leave."""
        book = self.book
        gap = book.now - self._last_upkeep - book.config.probe_interval
        self._last_upkeep = book.now
        if gap > OWN_GAP:
            self._was_away(gap)
        for id, asked in list(self._leaving.items()):
            if book.now - asked > LEAVE_PATIENCE:
                self._leaving[id] = book.now
                self._kill(book.registry.engines[id])
        if book.now < self._next_probe:
            return
        self._next_probe = book.now + book.config.probe_interval
        for engine in book.registry.living():
            if engine.peer is not None:
                book.out.engine(engine, Probe())
                if engine.probed_at is None:
                    engine.probed_at = book.now
                elif book.now - engine.probed_at > book.config.heartbeat_timeout and engine.state in (
                    EngineState.IDLE,
                    EngineState.BUSY,
                ):
                    engine.state = EngineState.UNRESPONSIVE
                    book.feed.touched(engine.id)
            else:
                self._silent(engine)

    def _was_away(self, gap: float) -> None:
        """The hub itself was stopped: nobody's silence in that time counts."""
        now = self.book.now
        for engine in self.book.registry.living():
            if engine.unreachable_at is not None:
                engine.unreachable_at = now
            if engine.probed_at is not None:
                engine.probed_at = now
        for id in self._leaving:
            self._leaving[id] = now
        self.book.event("hub", f"the hub was stopped for {gap:.0f} s")

    def _silent(self, engine: Engine) -> None:
        book = self.book
        if engine.unreachable_at is None:
            engine.unreachable_at = book.now
        if engine.state is not EngineState.LIMBO and engine.state is not EngineState.LEAVING:
            engine.state = EngineState.UNRESPONSIVE
            book.feed.touched(engine.id)
        if book.now - engine.unreachable_at > book.config.engine_timeout and engine.exited is None:
            text = f"has been silent for {book.config.engine_timeout:g} s"
            self.lose(engine, Death(text, engine.host, engine.pid))

    def unreachable(self, peer: Peer) -> None:
        """A connection turned out to be gone."""
        registry = self.book.registry
        if engine := registry.engine_of_peer.get(peer):
            registry.disconnect_engine(engine)
            engine.unreachable_at = self.book.now
        elif supervisor := registry.supervisor_of_peer.pop(peer, None):
            supervisor.peer = None

    def next_deadline(self) -> float:
        """When upkeep() or judge() has something to do."""
        at = self._next_probe
        if self._dying:
            at = min(at, self.book.now + 0.005)
        if self._leaving:
            at = min(at, min(self._leaving.values()) + LEAVE_PATIENCE + 0.001)
        return at
