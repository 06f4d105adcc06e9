"""Who is given what: windows by the pace of a function, and work taken back from behind a long task."""

from __future__ import annotations

import pytest

from tuiparallel.hub.events import (
    Effect,
    EngineJoined,
    LeasesReturned,
    RevokeTasks,
    RunTasks,
    TasksRan,
    TasksSubmitted,
)
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.sharing import PATIENCE
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import Lease, Ran, Work


class Desk:
    """A scheduler with a clock that the test moves."""

    def __init__(self, engines: int) -> None:
        self.scheduler = Scheduler(horizon=0.010)
        self.now = 100.0
        self.counter = 0
        for engine in range(engines):
            self.scheduler.handle(EngineJoined(engine), self.now, self.now)

    def submit(self, count: int, name: str = "f") -> None:
        batch = Batch(task_id(1, self.counter), count, Work(0, name, True, self.now), name.encode(), b"c", [b"x"])
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
    desk.submit(2)
    desk.given()
    for engine in (0, 1):
        desk.finish(engine, 1, 0.000_001)
    desk.submit(6)
    assert desk.given() == {0: 3, 1: 3}


def test_what_stands_behind_a_long_task_goes_to_an_idle_engine(desk: Desk) -> None:
    desk.submit(2)
    desk.given()
    for engine in (0, 1):
        desk.finish(engine, 1, 0.001)
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


def test_a_tail_of_tiny_tasks_is_not_moved_about(desk: Desk) -> None:
    desk.submit(2)
    desk.given()
    for engine in (0, 1):
        desk.finish(engine, 1, 0.000_001)
    desk.submit(40)
    desk.given()
    desk.finish(1, 20, 0.000_001)
    assert not [effect for effect in desk.settle() if isinstance(effect, RevokeTasks)]
