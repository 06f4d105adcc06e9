"""How tasks end, and what their end decides: long chains, and nothing left behind."""

from __future__ import annotations

from collections import Counter

from tuiparallel.hub.events import AbortAsked, EngineJoined, RunTasks, TaskEnded, TasksRan, TasksSubmitted
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import TaskId, task_id
from tuiparallel.wire.messages import Need, Ran, Work
from tuiparallel.wire.states import State


def chain(scheduler: Scheduler, length: int) -> list[TaskId]:
    """Tasks of which each waits for the one before it."""
    ids = [task_id(1, counter) for counter in range(length)]
    for counter, id in enumerate(ids):
        before = ids[counter - 1 : counter] if counter else []
        need = Need([("s", counter - 1, 1)]) if before else None
        batch = Batch(id, 1, Work(0, "f", True, 1.0, after=need), b"f", b"c", [b"x"])
        needs = [(need, False, before)] if need is not None else []
        scheduler.handle(TasksSubmitted(batch, needs), 1.0, 1.0)
    return ids


def test_the_failure_of_the_first_ends_a_chain_of_thousands() -> None:
    scheduler = Scheduler()
    scheduler.handle(EngineJoined(0), 1.0, 1.0)
    ids = chain(scheduler, 5000)
    effects = scheduler.handle(AbortAsked(1, [ids[0]]), 1.0, 1.0)
    states = Counter(effect.state for effect in effects if isinstance(effect, TaskEnded))
    assert states == {State.ABORTED: 1, State.ERROR: 4999}
    scheduler.check()
    assert not scheduler.tasks and not scheduler.waiting and not len(scheduler.dependencies)


def test_the_success_of_one_frees_only_the_next() -> None:
    scheduler = Scheduler()
    scheduler.handle(EngineJoined(0), 1.0, 1.0)
    chain(scheduler, 50)
    order: list[int] = []
    for _ in range(50):
        (run,) = [effect for effect in scheduler.settle(1.0, 1.0) if isinstance(effect, RunTasks)]
        (task,) = run.tasks
        order.append(task.id)
        ran = Ran(task.id, task.lease, True, 1.0, 1.1, b"")
        effects = scheduler.handle(TasksRan(0, [ran]), 1.0, 1.0)
        assert [effect.state for effect in effects if isinstance(effect, TaskEnded)] == [State.DONE]
        scheduler.check()
    assert order == sorted(order) and not scheduler.tasks
