"""Who is connected, by id and by connection."""

from __future__ import annotations

from tuiparallel.hub.registry import Engine, Registry, Session, Supervisor
from tuiparallel.wire.ids import EngineId, SessionId
from tuiparallel.wire.messages import Outcome
from tuiparallel.wire.states import EngineState


def engine(id: int, uuid: str = "") -> Engine:
    return Engine(EngineId(id), uuid or f"u{id}", "host", 10 + id, 0.0)


def session(number: int) -> Session:
    return Session(SessionId(number), f"s{number}", "host", 1, "name", 0.0)


def test_a_new_connection_takes_the_place_of_the_old_one() -> None:
    registry, one = Registry(), engine(0)
    registry.add_engine(one)
    assert registry.connect_engine(one, b"p1") is None
    one.known.learn(b"h", b"code")
    one.unreachable_at = one.probed_at = 5.0
    assert registry.connect_engine(one, b"p2") == b"p1"
    assert registry.engine_of_peer == {b"p2": one} and b"h" not in one.known
    assert one.unreachable_at is None and one.probed_at is None
    registry.disconnect_engine(one)
    registry.disconnect_engine(one)
    assert not registry.engine_of_peer and one.peer is None


def test_only_engines_that_can_work_are_addressed() -> None:
    registry = Registry()
    for number, state in enumerate(EngineState):
        one = engine(number)
        one.state = state
        registry.add_engine(one)
    states = {registry.engines[id].state for id in registry.ids()}
    assert states == {EngineState.IDLE, EngineState.BUSY, EngineState.UNRESPONSIVE, EngineState.RESTARTING}
    assert EngineState.LEAVING not in {one.state for one in registry.staying()}
    assert len(registry.living()) == len(EngineState) - 1
    assert registry.next_engine == len(EngineState)


def test_a_sessions_connection_begins_with_an_empty_window() -> None:
    registry, one = Registry(), session(4)
    registry.add_session(one)
    assert registry.next_session == 5
    registry.connect_session(one, b"p1")
    one.under_way, one.sizes = 50, {("s4", 1): 50}
    one.backlog.append(("s4", 2))
    one.fresh["s4"] = [Outcome(3, 2, None, None, None, 1, b"")]
    registry.connect_session(one, b"p2")
    assert list(registry.session_of_peer) == [b"p2"]
    assert (one.under_way, one.sizes, len(one.backlog), one.fresh) == (0, {}, 0, {})
    registry.forget_session(one)
    assert not registry.sessions and not registry.session_of_hex and not registry.session_of_peer


def test_the_supervisor_that_watches_an_engine() -> None:
    registry, one = Registry(), engine(0)
    registry.supervisors["s"] = Supervisor("s", "host", 1, b"p", {"u0": 10})
    assert registry.supervisor_for(one) is registry.supervisors["s"]
    registry.supervisors["s"].peer = None
    assert registry.supervisor_for(one) is None


def test_a_forgotten_engine_does_not_take_its_names_new_owner_along() -> None:
    registry, old, new = Registry(), engine(0, "same"), engine(1, "same")
    registry.add_engine(old)
    registry.add_engine(new)
    registry.forget_engine(old)
    assert registry.engine_of_uuid == {"same": new} and list(registry.engines) == [1]
