"""The scheduler's rules: the single decisions that people rely on, and generated histories."""

from __future__ import annotations

import pytest

from tests.hub.desk import Desk, need
from tuiparallel.hub.events import (
    AttemptEnded,
    EngineBack,
    EngineClosing,
    EngineJoined,
    EngineRuns,
    LeasesGivenBack,
    LeasesReturned,
    RevokeTasks,
    RunTasks,
    TasksRan,
)
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Lease, Ran
from tuiparallel.wire.states import State

# Order ------------------------------------------------------------------------------------------------------------


def test_higher_priority_first_then_arrival() -> None:
    desk = Desk()
    first = desk.submit()
    low, usual, high, later = (desk.submit(2, priority=p) for p in (-5, 0, 7, 0))
    assert desk.order() == [*first, *high, *usual, *later, *low]


def test_sessions_take_turns() -> None:
    desk = Desk()
    many = desk.submit(50)
    few = desk.submit(3, session=2)
    order = desk.order()
    assert max(order.index(id) for id in few) < 10, "fifty tasks of another keep nobody waiting"
    assert [id for id in order if id in many] == many


def test_d5_tasks_that_waited_for_an_engine_start_in_order() -> None:
    desk = Desk(engines=0)
    ids = desk.submit(3) + desk.submit(2)
    assert not desk.ended
    desk.tell(EngineJoined(0))
    assert desk.order() == ids


def test_direct_tasks_keep_their_order_also_when_given_back() -> None:
    desk = Desk(hwm=3)
    ids = desk.submit(5, balanced=False, targets=[0] * 5)
    assert desk.held(0) == ids[:3]
    desk.tell(LeasesReturned(0, [desk.lease(ids[1]), desk.lease(ids[2])]))
    assert desk.order() == ids


def test_a_task_that_fits_nowhere_stands_in_nobodys_way() -> None:
    desk = Desk(engines=2)
    desk.submit(1, targets=[1])
    stuck = desk.submit(3, targets=[1])
    free = desk.submit(3)
    assert desk.order(0) == free
    assert desk.order(1) and all(id in desk.ended for id in stuck)


# Retries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("retries", "engines", "starts"), [(0, 2, 1), (1, 2, 2), (3, 1, 4), (5, 2, 6)])
def test_p4_d21_retries_of_a_task_that_raises(retries: int, engines: int, starts: int) -> None:
    desk = Desk(engines)
    [id] = desk.submit(retries=retries)
    places = []
    while id not in desk.ended:
        places.append(desk.rules.tasks[id].engine)
        desk.finish(id, "ValueError")
    assert len(places) == starts and desk.error(id) == "ValueError"
    if engines > 1:
        assert all(one != other for one, other in zip(places, places[1:], strict=False)), "another engine first"
    assert len(desk.of(AttemptEnded)) == starts - 1


@pytest.mark.parametrize(
    ("retry_on", "raised", "died"),
    [
        ("any", State.ASSIGNED, State.ASSIGNED),
        ("error", State.ASSIGNED, State.LOST),
        ("death", State.ERROR, State.ASSIGNED),
    ],
)
def test_retry_on(retry_on: str, raised: State, died: State) -> None:
    desk = Desk(engines=3)
    one, two = desk.submit(2, retries=1, retry_on=retry_on)
    desk.finish(one, "ValueError")
    assert desk.state(one) is raised
    engine = desk.rules.tasks[two].engine
    assert engine is not None
    desk.lose(engine, desk.lease(two))
    assert desk.state(two) is died


def test_another_attempt_does_not_wait_for_an_engine_that_works_on_what_was_given_up() -> None:
    desk = Desk(engines=2)
    desk.tell(EngineRuns(0, 77))
    [id] = desk.submit(retries=1)
    assert desk.rules.tasks[id].engine == 1
    desk.finish(id, "ValueError")
    assert desk.rules.tasks[id].engine == 1, "the other one may be busy for ever"
    desk.tell(EngineRuns(0, None))
    desk.finish(id)
    desk.submit(2, retries=1)
    [late] = desk.held(1)
    desk.finish(late, "ValueError")
    assert desk.state(late) is State.QUEUED, "it waits for the other one"
    desk.tell(EngineRuns(0, 77))
    assert desk.held(1) == [late]


def test_direct_tasks_are_not_retried() -> None:
    desk = Desk(engines=2)
    [id] = desk.submit(1, balanced=False, targets=[0], retries=5)
    desk.finish(id, "ValueError")
    assert desk.state(id) is State.ERROR


def test_unstarted_tasks_of_a_dead_engine_cost_no_attempt_and_go_first() -> None:
    desk = Desk(engines=1, hwm=3)
    ids = desk.submit(4)
    desk.lose(0, desk.lease(ids[0]))
    assert desk.state(ids[0]) is State.LOST
    desk.tell(EngineJoined(1))
    assert desk.order(1) == ids[1:]
    assert all(desk.ended[id].task.attempt == 1 for id in ids)


# Function dependencies -----------------------------------------------------------------------------------------------


def test_an_unmet_task_tries_every_engine_once_and_then_is_impossible() -> None:
    desk = Desk(engines=3)
    [id] = desk.submit(retries=2)
    tried = set()
    while id not in desk.ended:
        tried.add(desk.rules.tasks[id].engine)
        desk.finish(id, "UnmetDependency")
    assert tried == {0, 1, 2}
    assert desk.error(id) == "ImpossibleDependency" and desk.ended[id].task.attempt == 1


def test_an_unmet_task_is_done_where_it_is_met() -> None:
    desk = Desk(engines=2)
    [id] = desk.submit()
    desk.finish(id, "UnmetDependency")
    assert desk.state(id) is State.ASSIGNED
    desk.finish(id)
    assert desk.state(id) is State.DONE


def test_unmet_within_its_targets_only() -> None:
    desk = Desk(engines=3)
    [id] = desk.submit(targets=[1])
    assert desk.rules.tasks[id].engine == 1
    desk.finish(id, "UnmetDependency")
    assert desk.error(id) == "ImpossibleDependency"


# after, follow, timeout --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "flags", "expected"),
    [
        (["", ""], {}, State.DONE),
        (["", "E"], {}, State.ERROR),
        (["E", "E"], {"success": False, "failure": True}, State.DONE),
        (["", "E"], {"success": False, "failure": True}, State.ERROR),
        (["E", ""], {"all": False}, State.DONE),
        (["E", "E"], {"all": False}, State.ERROR),
        (["E", ""], {"failure": True}, State.DONE),
    ],
)
def test_after(outcomes: list[str], flags: dict[str, bool], expected: State) -> None:
    for already in (False, True):
        desk = Desk(engines=2)
        ids = desk.submit(2)
        if already:
            for id, error in zip(ids, outcomes, strict=True):
                desk.finish(id, error)
        [waiting] = desk.submit(after=need(*ids, **flags))
        if not already:
            assert desk.state(waiting) is State.QUEUED
            for id, error in zip(ids, outcomes, strict=True):
                desk.finish(id, error)
        if waiting in desk.rules.tasks:
            desk.finish(waiting)
        assert desk.state(waiting) is expected
        if expected is State.ERROR:
            assert desk.error(waiting) == "ImpossibleDependency"


def test_a_chain_of_impossible_tasks_ends_at_once_however_long() -> None:
    desk = Desk()
    [last] = first = desk.submit()
    chain = []
    for _ in range(3000):
        [last] = desk.submit(after=need(last))
        chain.append(last)
    desk.finish(first[0], "E")
    assert all(desk.error(id) == "ImpossibleDependency" for id in chain)
    assert len(desk.rules.dependencies) == 0


def test_follow_goes_where_the_other_ran() -> None:
    desk = Desk(engines=3)
    one, two, three = desk.submit(3)
    places = {id: desk.rules.tasks[id].engine for id in (one, two, three)}
    for id in (one, two, three):
        desk.finish(id)
    [after_two] = desk.submit(follow=need(two))
    assert desk.rules.tasks[after_two].engine == places[two]
    [any_of] = desk.submit(follow=need(one, three, all=False))
    assert desk.rules.tasks[any_of].engine in (places[one], places[three])
    [nowhere] = desk.submit(follow=need(one, two))
    assert desk.error(nowhere) == "ImpossibleDependency", "no engine has run both"


def test_follow_of_an_engine_that_has_gone_is_impossible() -> None:
    desk = Desk(engines=2)
    [one] = desk.submit(targets=[1])
    desk.finish(one)
    desk.lose(1)
    [id] = desk.submit(follow=need(one))
    assert desk.error(id) == "ImpossibleDependency"


def test_timeout_is_the_time_to_wait_for_dependencies_and_0_is_none() -> None:
    desk = Desk()
    [one] = desk.submit()
    [short] = desk.submit(after=need(one), timeout=5.0)
    [endless] = desk.submit(after=need(one), timeout=0)
    [busy] = desk.submit(timeout=1.0)
    assert desk.rules.next_deadline() == desk.now + 5.0
    desk.now += 5.1
    desk.tell()
    assert desk.state(short) is State.EXPIRED and desk.error(short) == "TaskTimeout"
    assert desk.state(endless) is State.QUEUED and desk.state(busy) is State.QUEUED
    desk.finish(one)
    assert desk.rules.next_deadline() is None


def test_a_met_dependency_ends_the_timeout() -> None:
    desk = Desk()
    [one] = desk.submit()
    [waiting] = desk.submit(after=need(one), timeout=5.0)
    desk.finish(one)
    desk.now += 60
    desk.tell()
    assert desk.state(waiting) is State.ASSIGNED


# Engines -------------------------------------------------------------------------------------------------------------


def test_given_back_is_recorded_before_what_is_given_out_in_the_same_turn() -> None:
    """A restarted hub believes the highest number: it must be the last thing that happened to a task."""
    desk = Desk()
    [id] = desk.submit(retries=1)
    effects = desk.finish(id, "ValueError")
    [back] = [effect for effect in effects if isinstance(effect, LeasesGivenBack)]
    [run] = [effect for effect in effects if isinstance(effect, RunTasks)]
    assert back.tasks == run.tasks and back.lease < run.tasks[0].lease


def test_a_closing_engine_gets_nothing_new() -> None:
    desk = Desk(engines=2)
    desk.tell(EngineClosing(0))
    ids = desk.submit(3)
    assert desk.held(0) == [] and desk.order(1) == ids
    [direct] = desk.submit(1, balanced=False, targets=[0])
    assert desk.state(direct) is State.LOST
    [bound] = desk.submit(targets=[0])
    assert desk.error(bound) == "ImpossibleDependency"


def test_leases_the_hub_does_not_know_are_dropped_and_unheard_ones_sent_again() -> None:
    desk = Desk(hwm=3)
    ids = desk.submit(3)
    known = desk.lease(ids[0])
    effects = desk.tell(EngineBack(0, [known, Lease(77, 1), Lease(ids[1], 999)]))
    kinds = {type(effect).__name__: effect for effect in effects}
    assert kinds["DropLeases"].leases == [Lease(77, 1), Lease(ids[1], 999)]  # type: ignore[union-attr]
    run = kinds["RunTasks"]
    assert isinstance(run, RunTasks) and run.again and [task.id for task in run.tasks] == ids[1:]


def test_windows_fill_with_short_tasks_and_never_put_one_behind_a_long_one() -> None:
    desk = Desk(engines=1, hwm=0, horizon=0.01)
    ids = desk.submit(100)
    assert len(desk.held(0)) == 1, "a function never seen may be a long one"
    desk.finish(ids[0])  # one millisecond
    assert 5 <= len(desk.held(0)) <= 12
    late = desk.rules.tasks[desk.held(0)[0]]
    desk.tell(TasksRan(0, [Ran(late.id, late.lease, True, desk.now, desk.now + 10.0, b"")]))
    while len(desk.held(0)) > 1:
        desk.finish(desk.held(0)[0])


def test_idle_engines_get_what_stands_behind_others() -> None:
    desk = Desk(engines=1, hwm=0)
    ids = desk.submit(40)
    desk.finish(ids[0])
    before = set(desk.held(0))
    assert len(before) > 1
    desk.begin(desk.held(0)[0])
    desk.tell(EngineJoined(1))
    for id in list(desk.held(1)):
        desk.finish(id)
    while desk.rules.lanes:
        for id in list(desk.held(1)):
            desk.finish(id)
    for _ in range(20):
        for id in list(desk.held(1)):
            desk.finish(id)
        desk.now += 0.02
        desk.tell()
        if desk.of(RevokeTasks):
            break
    revoke = desk.of(RevokeTasks)[0]
    assert isinstance(revoke, RevokeTasks) and revoke.engine == 0
    asked = [desk.lease(task.id) for task in revoke.tasks]
    assert {lease.task for lease in asked} < before
    desk.tell(LeasesReturned(0, asked))
    assert set(desk.held(1)) <= {lease.task for lease in asked} and desk.held(1)


def test_why() -> None:
    desk = Desk(engines=0)
    [id] = desk.submit()
    assert "engine" in desk.rules.why(TaskId(id))
    [waiting] = desk.submit(after=need(id))
    assert "1 task it depends on" in desk.rules.why(TaskId(waiting))
    desk.tell(EngineJoined(0))
    [queued] = desk.submit()
    assert "windows are full" in desk.rules.why(TaskId(queued))
    [direct] = desk.submit(1, balanced=False, targets=[0])
    assert "queue of engine 0" in desk.rules.why(TaskId(direct))
    assert desk.rules.why(TaskId(id)) == ""
