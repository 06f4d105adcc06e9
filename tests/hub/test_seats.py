"""An engine's share of work, and how long tasks are believed to take."""

from __future__ import annotations

import pytest

from tuiparallel.hub.seats import OVERHEAD, Pace, Seat
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Work
from tuiparallel.wire.states import State


def task(id: int) -> Task:
    return Task(TaskId(id), Batch(TaskId(id), 1, Work(0, "f", True, 0.0), b"", None, [b""]))


def test_load_is_the_sum_and_exactly_zero_when_nothing_is_held() -> None:
    seat, held = Seat(0), [task(id) for id in range(50)]
    for one in held:
        seat.hold(one, 0.1)
    assert seat.load == pytest.approx(5.0) and list(seat.held) == list(range(50))
    for one in held:
        seat.release(one)
        seat.release(one)
    assert seat.load == 0.0 and not seat.held


def test_release_ends_what_was_asked_and_what_ran() -> None:
    seat, one = Seat(0), task(1)
    seat.hold(one, 1.0)
    one.revoking, seat.revoking, seat.running = True, 1, one
    seat.release(one)
    assert seat.revoking == 0 and not one.revoking and seat.running is None


def test_the_next_direct_task_is_one_that_still_waits() -> None:
    seat, ids = Seat(0), [task(id) for id in range(3)]
    seat.direct.extend(ids)
    ids[0].state = State.ABORTED
    assert seat.next_direct() is ids[1]
    ids[1].state = ids[2].state = State.ABORTED
    assert seat.next_direct() is None and not seat.direct


def test_pace_follows_what_is_seen_newest_first() -> None:
    pace = Pace()
    assert pace.mean is None
    pace.learn(10.0, 10)
    assert pace.mean == pytest.approx(1.0 + OVERHEAD)
    for _ in range(60):
        pace.learn(0.001, 1)
    assert (pace.mean or 1.0) < 0.01
    pace.learn(50.0, 50)
    assert (pace.mean or 0.0) > 0.9
