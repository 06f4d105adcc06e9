"""Lanes of waiting tasks: what is given out first, and that emptied ones leave nothing."""

from __future__ import annotations

from tuiparallel.hub.lanes import Lanes
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId, task_id
from tuiparallel.wire.messages import Work
from tuiparallel.wire.states import State


def tasks(session: int, first: int, count: int, **facts: object) -> list[Task]:
    start = task_id(session, first)
    work = Work(0, "f", True, 0.0, **facts)  # type: ignore[arg-type]
    batch = Batch(start, count, work, b"", None, [b""])
    return [Task(TaskId(id), batch) for id in range(start, start + count)]


def test_one_session_in_order_in_one_go() -> None:
    lanes, ids = Lanes(), tasks(1, 0, 5)
    lanes.extend(ids)
    assert lanes.take(0, 3) == ids[:3] and len(lanes) == 2
    lanes.extend_front(ids[1:3])
    assert lanes.take(0, 9) == ids[1:] and len(lanes) == 0


def test_sessions_share() -> None:
    lanes = Lanes()
    lanes.extend(tasks(1, 0, 100))
    lanes.extend(tasks(2, 0, 100))
    taken = lanes.take(0, 20)
    assert sum(task.batch.session == 1 for task in taken) == 10


def test_priorities_before_sessions() -> None:
    lanes, low, high = Lanes(), tasks(1, 0, 2), tasks(2, 0, 2, priority=1)
    lanes.extend(low)
    lanes.extend(high)
    assert lanes.take(0, 4) == [*high, *low]


def test_places_and_tried_engines() -> None:
    lanes = Lanes()
    [bound], [tried], [free] = tasks(1, 0, 1), tasks(1, 1, 1), tasks(1, 2, 1)
    bound.places, tried.tried = frozenset({7}), frozenset({0})
    lanes.extend([bound, tried, free])
    assert lanes.take(0, 5) == [free]
    assert lanes.take(0, 5) == []
    bound.places = None
    lanes.move(bound)
    assert lanes.take(0, 5) == [bound] and lanes.take(3, 5) == [tried]


def test_ended_tasks_are_passed_over_and_nothing_stays() -> None:
    lanes, ids = Lanes(), tasks(1, 0, 4, priority=9)
    lanes.extend(ids)
    for task in ids[:2]:
        task.state = State.ABORTED
    lanes.forget(2)
    assert len(lanes) == 2 and list(lanes.waiting()) == ids[2:]
    assert lanes.take(0, 10) == ids[2:]
    assert not lanes._levels and not lanes._order


def test_a_cheap_task_in_front_does_not_fill_an_engine_with_costly_ones() -> None:
    lanes = Lanes()
    cheap, costly = tasks(1, 0, 1), tasks(2, 0, 500)
    lanes.extend(cheap)
    lanes.extend(costly)

    def price(task: Task) -> float:
        return 0.00001 if task is cheap[0] else 0.002

    taken = lanes.take(0, 1000, 0.010, price)
    assert cheap[0] in taken and len(taken) <= 7
    assert lanes.take(0, 1000, 0.0, price) == []
