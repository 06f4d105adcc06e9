"""Tasks that wait for tasks of their own: which end as impossible, and which must be left alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.hub.desk import Desk
from tuiparallel.hub.events import EngineClosing, EngineJoined, LeasesReturned, RevokeTasks, TaskWaits
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Need
from tuiparallel.wire.states import State


class Nest(Desk):
    """Hosts of session 1, one per engine and running; what they wait for is of sessions 2 and 3."""

    def __init__(self, engines: int, hosts: int | None = None) -> None:
        super().__init__(engines)
        self.hosts = self.submit(engines if hosts is None else hosts)
        for host in self.hosts:
            self.begin(host)

    def wait(self, host: int, awaited: Sequence[int], session: int = 2) -> None:
        self.tell(TaskWaits(session, TaskId(self.hosts[host]), [TaskId(id) for id in awaited]))


def test_what_only_waiting_engines_could_run_is_impossible() -> None:
    desk = Nest(1)
    inner = desk.submit(3, session=2)
    assert not desk.ended
    desk.wait(0, inner)
    assert [desk.error(id) for id in inner] == ["ImpossibleDependency"] * 3
    assert desk.state(desk.hosts[0]) is State.ASSIGNED
    desk.finish(desk.hosts[0])


def test_a_direct_task_that_its_engine_already_holds_is_asked_back_first() -> None:
    desk = Nest(2, hosts=1)
    desk.rules.hwm = 5
    engine = desk.rules.tasks[desk.hosts[0]].engine
    inner = desk.submit(session=2, balanced=False, targets=[engine])
    assert inner[0] in desk.held(engine or 0)
    desk.effects.clear()
    desk.wait(0, inner)
    desk.wait(0, inner)  # as clients do: it is asked for once
    asked = [effect for effect in desk.effects if isinstance(effect, RevokeTasks)]
    assert [[task.id for task in effect.tasks] for effect in asked] == [inner]
    desk.tell(LeasesReturned(engine or 0, [desk.lease(inner[0])]))
    assert desk.error(inner[0]) == "ImpossibleDependency"


def test_a_task_that_had_started_after_all_goes_on() -> None:
    desk = Nest(1)
    desk.rules.hwm = 5
    inner = desk.submit(session=2, balanced=False, targets=[0])
    desk.wait(0, inner)
    desk.tell(LeasesReturned(0, [], [desk.lease(inner[0])]))
    assert desk.state(inner[0]) is State.ASSIGNED
    desk.finish(desk.hosts[0])
    desk.finish(inner[0])
    assert desk.state(inner[0]) is State.DONE


def test_hosts_that_wait_for_each_other_are_stuck_together() -> None:
    desk = Nest(2)
    one, two = desk.submit(session=2), desk.submit(session=3)
    desk.wait(0, one, session=2)
    assert not desk.ended, "the other engine may become free"
    desk.wait(1, two, session=3)
    assert [desk.error(id) for id in one + two] == ["ImpossibleDependency"] * 2


def test_a_chain_of_hosts_ends_at_its_innermost() -> None:
    desk = Nest(1)
    desk.tell(EngineJoined(1))
    inner = desk.submit(session=2)
    desk.hosts += inner
    desk.begin(inner[0])  # it runs on engine 1, and is a host itself
    innermost = desk.submit(session=3)
    desk.wait(0, inner, session=2)
    assert not desk.ended
    desk.wait(1, innermost, session=3)
    assert desk.error(innermost[0]) == "ImpossibleDependency"
    assert desk.state(inner[0]) is State.ASSIGNED, "it runs, and will hear of the error"


@pytest.mark.parametrize("free", ["idle", "busy", "limbo"])
def test_an_engine_that_may_become_free_is_hope(free: str) -> None:
    desk = Nest(1)
    if free == "idle":
        inner = desk.submit(session=2)
        desk.tell(EngineJoined(1))
    else:
        desk.tell(EngineJoined(1))
        desk.begin(desk.submit(session=3)[0])
        inner = desk.submit(session=2)
        desk.rules.seats[1].limbo = free == "limbo"
        desk.rules.seats[1].open = free != "limbo"
    desk.wait(0, inner)
    assert not desk.ended


def test_an_engine_that_leaves_is_none() -> None:
    desk = Nest(1)
    desk.tell(EngineJoined(1))
    desk.begin(desk.submit(session=3)[0])
    inner = desk.submit(session=2)
    desk.tell(EngineClosing(1))
    desk.wait(0, inner)
    assert desk.error(inner[0]) == "ImpossibleDependency"


def test_while_one_awaited_task_can_move_all_are_left_alone() -> None:
    desk = Nest(2, hosts=1)
    engine = desk.rules.tasks[desk.hosts[0]].engine
    running = desk.submit(session=2)
    stuck = desk.submit(session=2, balanced=False, targets=[engine])
    desk.wait(0, running + stuck)
    assert not desk.ended
    desk.finish(running[0])
    desk.wait(0, running + stuck)
    assert list(desk.ended) == running, "what has ended may be what it waits for"
    desk.wait(0, stuck)
    assert desk.error(stuck[0]) == "ImpossibleDependency"


def test_who_waits_no_more_or_has_ended_is_no_host() -> None:
    desk = Nest(2)
    one, two = desk.submit(session=2), desk.submit(session=3)
    desk.wait(0, one, session=2)
    desk.wait(0, [], session=2)
    desk.wait(1, two, session=3)
    assert not desk.ended
    desk.finish(desk.hosts[1])
    desk.wait(0, two, session=2)
    assert list(desk.ended) == [desk.hosts[1]]


def test_tasks_behind_dependencies_count_by_what_they_wait_for() -> None:
    desk = Nest(1)
    first = desk.submit(session=2)
    after = Need([("s", first[0], 1)])
    second = desk.submit(session=2, after=after)
    limited = desk.submit(session=2, after=after, timeout=60.0)
    desk.wait(0, limited)
    assert not desk.ended, "its own limit ends it"
    desk.wait(0, second)
    assert desk.error(second[0]) == "ImpossibleDependency"
    assert first[0] not in desk.ended, "nobody waits for it: it may run when the host has ended"


def test_nothing_is_kept_of_hosts_that_have_ended() -> None:
    desk = Nest(1)
    inner = desk.submit(session=2)
    desk.wait(0, inner)
    desk.finish(desk.hosts[0])
    desk.wait(0, inner)
    assert not desk.rules._hosts and not desk.rules._doomed
