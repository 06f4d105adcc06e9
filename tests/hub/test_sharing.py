"""Who is given what: windows by the pace of a function, and work taken back from behind a long task."""

from __future__ import annotations

from random import Random

import pytest

from tuiparallel.hub.events import (
    Effect,
    EngineJoined,
    EngineRuns,
    LeasesReturned,
    RevokeTasks,
    RunTasks,
    TasksRan,
    TasksSubmitted,
)
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.seats import LEAST_LOAD, SCHEMES
from tuiparallel.hub.sharing import PATIENCE
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import Lease, Ran, Work


class Desk:
    """A scheduler with a clock that the test moves."""

    def __init__(self, engines: int, scheme: str = "leastload") -> None:
        self.scheduler = Scheduler(horizon=0.010, scheme=scheme, random=Random(5))
        self.now = 100.0
        self.counter = 0
        for engine in range(engines):
            self.scheduler.handle(EngineJoined(engine), self.now, self.now)

    def submit(self, count: int, name: str = "f", targets: list[int] | None = None) -> None:
        work = Work(0, name, True, self.now, targets)
        batch = Batch(task_id(1, self.counter), count, work, name.encode(), b"c", [b"x"])
        self.counter += count
        self.scheduler.handle(TasksSubmitted(batch), self.now, self.now)

    def settle(self) -> list[Effect]:
        effects = self.scheduler.settle(self.now, self.now)
        self.scheduler.check()
        return effects

    def given(self) -> dict[int, int]:
        """How many tasks each engine is given now."""
        return {effect.engine: len(effect.tasks) for effect in self.settle() if isinstance(effect, RunTasks)}

    def finish(self, engine: int, count: int, seconds: float) -> None:
        held = list(self.scheduler.seats[engine].held.values())[:count]
        ran = [Ran(task.id, task.lease, True, self.now, self.now + seconds, b"") for task in held]
        self.now += seconds * len(ran)
        self.scheduler.handle(TasksRan(engine, ran), self.now, self.now)

    def learn(self, seconds: float) -> None:
        """Both engines run a task: how long that takes is known from now on."""
        self.submit(2)
        self.given()
        for engine in (0, 1):
            self.finish(engine, 1, seconds)


@pytest.fixture
def desk() -> Desk:
    return Desk(2)


def test_a_function_never_seen_is_tried_one_at_a_time(desk: Desk) -> None:
    desk.submit(100)
    assert desk.given() == {0: 1, 1: 1}


def test_short_tasks_flow_in_large_batches_and_long_ones_singly(desk: Desk) -> None:
    desk.submit(2000, "short")
    desk.given()
    for engine in (0, 1):
        desk.finish(engine, 1, 0.000_001)
    assert min(desk.given().values()) > 200
    slow = Desk(2)
    slow.submit(20, "long")
    slow.given()
    for engine in (0, 1):
        slow.finish(engine, 1, 2.0)
    assert slow.given() == {0: 1, 1: 1}


def test_few_tasks_are_spread_over_all_engines(desk: Desk) -> None:
    desk.learn(0.000_001)
    desk.submit(6)
    assert desk.given() == {0: 3, 1: 3}


def test_what_stands_behind_a_long_task_goes_to_an_idle_engine(desk: Desk) -> None:
    desk.learn(0.001)
    desk.submit(6)
    assert desk.given() == {0: 3, 1: 3}
    desk.finish(1, 3, 0.001)  # engine 0 has sent nothing all the while
    assert not [effect for effect in desk.settle() if isinstance(effect, RevokeTasks)]
    assert desk.scheduler.next_deadline() is not None, "it is looked at again soon"
    desk.now += PATIENCE
    (revoke,) = [effect for effect in desk.settle() if isinstance(effect, RevokeTasks)]
    assert revoke.engine == 0 and len(revoke.tasks) == 2, "all but the one it works on"
    back = [Lease(task.id, task.lease) for task in revoke.tasks]
    desk.scheduler.handle(LeasesReturned(0, back), desk.now, desk.now)
    assert desk.given() == {1: 2}


def test_what_an_engine_has_refused_to_give_back_is_not_asked_for_again(desk: Desk) -> None:
    desk.learn(0.001)
    desk.submit(6)
    desk.given()
    desk.finish(1, 3, 0.001)  # engine 0 has run its three as well, but its results got lost
    desk.now += PATIENCE
    (revoke,) = [effect for effect in desk.settle() if isinstance(effect, RevokeTasks)]
    refused = [Lease(task.id, task.lease) for task in revoke.tasks]
    desk.scheduler.handle(LeasesReturned(0, [], refused), desk.now, desk.now)
    for _ in range(3):
        desk.now += PATIENCE
        assert desk.settle() == [], "both would go on asking and refusing as fast as they can"
    desk.finish(0, 3, 0.001)
    assert not desk.scheduler.tasks


def test_only_what_an_idle_engine_may_run_is_taken_back_for_it(desk: Desk) -> None:
    desk.learn(0.001)
    desk.submit(4, targets=[0])
    assert desk.given() == {0: 4}
    desk.now += 2 * PATIENCE
    assert desk.settle() == []


def test_an_idle_engine_gets_a_fair_share_of_what_a_working_one_has_ahead(desk: Desk) -> None:
    desk.learn(0.001)
    desk.submit(20, targets=[0])  # more than it may hold ahead
    desk.given()
    desk.submit(9)
    ((engine, count),) = desk.given().items()
    assert engine == 1 and count == 9
    desk.scheduler.handle(EngineJoined(2), desk.now, desk.now)
    (revoke,) = [effect for effect in desk.settle() if isinstance(effect, RevokeTasks)]
    assert revoke.engine == 1 and len(revoke.tasks) == 4, "half of the eight that have not started"
    held = list(desk.scheduler.seats[1].held.values())
    assert revoke.tasks == held[-4:], "from the far end"


def test_a_tail_of_tiny_tasks_is_not_moved_about(desk: Desk) -> None:
    desk.learn(0.000_001)
    desk.submit(40)
    desk.given()
    desk.finish(1, 20, 0.000_001)
    assert not [effect for effect in desk.settle() if isinstance(effect, RevokeTasks)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_under_every_scheme_all_that_waits_is_given_out_and_engines_are_kept_busy(scheme: str) -> None:
    desk = Desk(4, scheme)
    desk.submit(4, "first")
    for engine, count in desk.given().items():
        assert count == 1, "a function never seen may be a long one"
        desk.finish(engine, 1, 0.000_001)
    desk.submit(3000, "first")
    given, turns = 0, 0
    while len(desk.scheduler.lanes) or any(seat.held for seat in desk.scheduler.seats.values()):
        given += sum(desk.given().values())
        for engine, seat in desk.scheduler.seats.items():
            assert seat.held or len(desk.scheduler.lanes) < 1000, "nobody idles while there is much to do"
            desk.finish(engine, len(seat.held), 0.000_001)
        turns += 1
        assert turns < 100
    assert given == 3000


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_may_run_only_where_no_scheme_would_have_it_runs_there(scheme: str) -> None:
    desk = Desk(8, scheme)
    desk.submit(1, targets=[6])
    assert desk.given() == {6: 1}


@pytest.mark.parametrize("scheme", [LEAST_LOAD, "lru"])
def test_least_load_goes_by_seconds_and_lru_by_turns(scheme: str) -> None:
    desk = Desk(2, scheme)
    for name, seconds in (("long", 0.004), ("short", 0.000_1)):
        desk.submit(2, name)
        desk.given()
        for engine in (0, 1):
            desk.finish(engine, 1, seconds)
    desk.submit(1, "long", [0])
    assert desk.given() == {0: 1}
    found = []
    for _ in range(3):
        desk.submit(1, "short")
        found += list(desk.given())
    if scheme == LEAST_LOAD:
        assert found == [1, 1, 1], "three short ones are less than a long one"
    else:
        assert found in ([0, 1, 0], [1, 0, 1])


def test_an_engine_that_works_on_what_was_given_up_gets_nothing_behind_it(desk: Desk) -> None:
    desk.scheduler.handle(EngineRuns(0, 77), desk.now, desk.now)
    desk.submit(2)
    assert desk.given() == {1: 1}, "not behind a task that may go on for hours"
    desk.finish(1, 1, 0.001)
    assert desk.given() == {1: 1}
    desk.scheduler.handle(EngineRuns(0, None), desk.now, desk.now)
    desk.submit(1)
    assert desk.given() == {0: 1}


def test_what_stands_behind_a_task_that_was_given_up_goes_to_an_idle_engine(desk: Desk) -> None:
    desk.submit(1)
    assert desk.given() == {0: 1}
    desk.scheduler.handle(EngineRuns(0, 77), desk.now, desk.now)
    desk.now += PATIENCE
    (revoke,) = [effect for effect in desk.settle() if isinstance(effect, RevokeTasks)]
    back = [Lease(task.id, task.lease) for task in revoke.tasks]
    desk.scheduler.handle(LeasesReturned(0, back), desk.now, desk.now)
    assert desk.given() == {1: 1}
