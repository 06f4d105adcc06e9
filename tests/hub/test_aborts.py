"""Time limits, aborts, and engines that must end because of them."""

from __future__ import annotations

import pytest

from tests.hub.desk import Desk, need
from tuiparallel.hub.events import (
    AbortAsked,
    AbortSettled,
    EngineBack,
    EngineJoined,
    InterruptTask,
    LeasesReturned,
    ReplaceEngine,
    RevokeTasks,
    TasksSubmitted,
)
from tuiparallel.hub.scheduler import TIME_LIMIT_GRACE, Scheduler
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import TaskId, task_id
from tuiparallel.wire.messages import Work
from tuiparallel.wire.states import State


def test_time_limit_interrupts_then_replaces_and_is_not_retried() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=3.0, retries=5)
    desk.now += 10
    desk.tell()
    assert not desk.of(InterruptTask), "it counts from the start"
    desk.begin(id)
    desk.now += 3.1
    desk.tell()
    assert desk.of(InterruptTask) == [InterruptTask(0, TaskId(id))]
    desk.now += TIME_LIMIT_GRACE + 0.1
    desk.tell()
    assert [effect.engine for effect in desk.of(ReplaceEngine) if isinstance(effect, ReplaceEngine)] == [0]
    desk.lose(0, desk.lease(id))
    assert desk.state(id) is State.EXPIRED and desk.error(id) == "TaskTimeout"


def test_a_task_that_ends_within_its_limit_is_left_alone() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=3.0)
    desk.begin(id)
    desk.finish(id)
    desk.now += 30
    desk.tell()
    assert desk.state(id) is State.DONE and not desk.of(InterruptTask) and desk.rules.next_deadline() is None


def test_d22_abort_of_queued_tasks_is_immediate_and_never_retried() -> None:
    desk = Desk()
    held, *queued = desk.submit(4, retries=3)
    desk.tell(AbortAsked(1, [TaskId(id) for id in queued]))
    assert {desk.state(id) for id in queued} == {State.ABORTED}
    assert desk.of(AbortSettled) == [AbortSettled(1, [TaskId(id) for id in queued], [], [])]
    assert desk.order() == [held]


def test_d23_abort_of_a_running_task_says_so_and_leaves_it() -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.begin(id)
    desk.tell(AbortAsked(1, [TaskId(id), TaskId(99)]))
    assert desk.of(AbortSettled) == [AbortSettled(1, [], [TaskId(id)], [TaskId(99)])]
    desk.finish(id)
    assert desk.state(id) is State.DONE


def test_abort_of_running_tasks_interrupts_then_replaces_when_asked() -> None:
    desk = Desk(engines=2)
    stopping, stubborn = desk.submit(2, retries=3)
    for id in (stopping, stubborn):
        desk.begin(id)
    engines = {id: desk.rules.tasks[id].engine for id in (stopping, stubborn)}
    desk.tell(AbortAsked(1, [TaskId(stopping), TaskId(stubborn)], running=True, grace=2.0))
    assert desk.of(InterruptTask) == [InterruptTask(engines[id] or 0, TaskId(id)) for id in (stopping, stubborn)]
    desk.finish(stopping, "KeyboardInterrupt")
    assert desk.state(stopping) is State.ABORTED and desk.error(stopping) == "AbortedTask"
    assert not desk.of(AbortSettled), "one is still running"
    desk.now += 1.9
    desk.tell()
    assert not desk.of(ReplaceEngine)
    desk.now += 0.2
    desk.tell()
    assert [effect.engine for effect in desk.of(ReplaceEngine)] == [engines[stubborn]]  # type: ignore[union-attr]
    desk.lose(engines[stubborn] or 0, desk.lease(stubborn))
    assert desk.state(stubborn) is State.ABORTED, "neither lost nor tried again"
    assert desk.of(AbortSettled) == [AbortSettled(1, [TaskId(stopping), TaskId(stubborn)], [], [])]


def test_the_shortest_grace_of_several_who_ask_counts_and_each_gets_its_own_answer() -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.begin(id)
    desk.tell(AbortAsked(1, [TaskId(id)], running=True, grace=60.0))
    desk.tell(AbortAsked(2, [TaskId(id)], running=True, grace=1.0), AbortAsked(3, [TaskId(id)]))
    assert desk.of(AbortSettled) == [AbortSettled(3, [], [TaskId(id)], [])], "who does not mean it is told at once"
    desk.now += 1.1
    desk.tell()
    assert len(desk.of(ReplaceEngine)) == 1
    desk.lose(0, desk.lease(id))
    assert {effect.ticket for effect in desk.of(AbortSettled)} == {1, 2, 3}  # type: ignore[union-attr]


def test_a_time_limit_goes_on_when_somebody_aborts_what_has_not_started() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=1.0)
    desk.begin(id)
    desk.now += 1.1
    desk.tell()
    desk.tell(AbortAsked(1, [TaskId(id)]))
    assert desk.of(AbortSettled) == [AbortSettled(1, [], [TaskId(id)], [])]
    desk.now += TIME_LIMIT_GRACE + 0.1
    desk.tell()
    assert desk.of(ReplaceEngine), "it has been interrupted and did not stop"
    desk.lose(0, desk.lease(id))
    assert desk.state(id) is State.EXPIRED


@pytest.mark.parametrize("running", [False, True])
def test_a_task_that_had_begun_when_it_was_asked_back_is_left_alone_or_interrupted(running: bool) -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.tell(AbortAsked(1, [TaskId(id)], running, 2.0))
    assert len(desk.of(RevokeTasks)) == 1 and not desk.of(InterruptTask), "nobody has said that it has begun"
    desk.tell(LeasesReturned(0, [], [desk.lease(id)]))
    assert len(desk.of(InterruptTask)) == int(running)
    if running:
        desk.finish(id, "KeyboardInterrupt")
        assert desk.state(id) is State.ABORTED
    else:
        assert desk.of(AbortSettled) == [AbortSettled(1, [], [TaskId(id)], [])]
        desk.finish(id)
        assert desk.state(id) is State.DONE


def test_an_aborted_tasks_dependents_are_impossible() -> None:
    desk = Desk()
    desk.submit()
    [id] = desk.submit()
    [waiting] = desk.submit(after=need(id))
    desk.tell(AbortAsked(1, [TaskId(id)]))
    assert desk.state(id) is State.ABORTED and desk.error(waiting) == "ImpossibleDependency"


def test_an_engine_is_ordered_killed_until_it_is_gone() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=1.0)
    desk.begin(id)
    for seconds in (1.1, TIME_LIMIT_GRACE + 0.1, TIME_LIMIT_GRACE + 0.1):
        desk.now += seconds
        desk.tell()
    assert len(desk.of(ReplaceEngine)) == 2, "the first order may have been lost on its way"
    desk.lose(0, desk.lease(id))
    assert desk.state(id) is State.EXPIRED and desk.rules.next_deadline() is None


def test_what_never_arrived_is_asked_back_when_it_is_to_be_aborted() -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.tell(AbortAsked(1, [TaskId(id)]))
    lease = desk.lease(id)
    effects = desk.tell(EngineBack(0, []))  # neither Run nor Revoke has reached it
    assert [type(effect) for effect in effects] == [RevokeTasks], "not given out only to be aborted"
    desk.tell(LeasesReturned(0, [lease]))
    assert desk.state(id) is State.ABORTED
    assert desk.of(AbortSettled) == [AbortSettled(1, [TaskId(id)], [], [])]


def test_a_task_that_holds_its_engine_before_it_could_say_so_is_ended_after_the_grace() -> None:
    scheduler = Scheduler()
    now = 100.0
    scheduler.handle(EngineJoined(0), now, now)
    batch = Batch(task_id(1, 0), 2, Work(0, "f", True, now), b"f", b"code", [b"x"])
    scheduler.handle(TasksSubmitted(batch), now, now)
    scheduler.settle(now, now)
    asked = scheduler.handle(AbortAsked(1, [task_id(1, 0)], running=True, grace=2.0), now, now)
    assert any(isinstance(effect, RevokeTasks) for effect in asked), "the engine is asked, and never answers"
    assert not any(isinstance(effect, ReplaceEngine) for effect in scheduler.settle(now + 1.9, now))
    assert any(isinstance(effect, ReplaceEngine) for effect in scheduler.settle(now + 2.1, now))
