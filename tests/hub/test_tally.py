"""Counts of everything that has happened: per state, function and submission."""

from __future__ import annotations

import math

import pytest

from tuiparallel.hub.events import TaskEnded
from tuiparallel.hub.tally import MOST_FUNCTIONS, OTHERS, Tally, bucket_of
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import RUN_BUCKETS_PER_DOUBLING, Ran, Work
from tuiparallel.wire.states import State


def batch(first: int, count: int = 4, name: str = "f", submitted: float = 10.0) -> Batch:
    return Batch(TaskId(first), count, Work(0, name, True, submitted), b"", None, [b"12345"])


def ended(of: Batch, *runs: float, state: State = State.DONE) -> list[TaskEnded]:
    found = []
    for index, run in enumerate(runs):
        task = Task(TaskId(of.first + index), of)
        task.engine = 3
        found.append(TaskEnded(task, state, Ran(task.id, 1, True, 20.0, 20.0 + run, b"value")))
    return found


def test_one_turn_is_merged_by_function_engine_and_outcome() -> None:
    tally = Tally({State.DONE: 5})
    work = batch(0)
    tally.submitted(work)
    [merged] = tally.ended(ended(work, 1.0, 3.0), 30.0)
    assert (merged.engine, merged.name, merged.state, merged.count) == (3, "f", State.DONE, 2)
    assert merged.busy == pytest.approx(4.0) and merged.wait == pytest.approx(20.0)
    assert merged.back == pytest.approx((30 - 21) + (30 - 23)) and merged.result_size == 10
    assert tally.states[State.DONE] == 7
    row = tally.functions["f"].row()
    assert (row.done, row.failed, row.slowest) == (2, 0, 3.0)
    assert sum(row.buckets.values()) == 2


def test_consecutive_submits_of_one_function_are_one_submission() -> None:
    tally = Tally()
    one, two, other = batch(0), batch(4), batch(8, name="g")
    for each in (one, two, other):
        tally.submitted(each)
    assert [each.total for each in tally.submissions.values()] == [8, 4]
    tally.ended(ended(one, 1, 1, 1, 1), 30.0)
    tally.ended(ended(two, 1, 1, 1, 1, state=State.ERROR), 31.0)
    assert [(each.done, each.failed) for each in tally.over] == [(4, 4)]
    assert list(tally.submissions) == [8]
    tally.batch_over(0)
    assert tally.submission_of(0) is None and tally.submission_of(4) is not None


def test_aborted_tasks_are_counted_apart() -> None:
    tally = Tally()
    work = batch(0)
    tally.submitted(work)
    tally.ended(ended(work, 1.0), 30.0)
    tally.ended(ended(work, 1.0, 1.0, state=State.ABORTED) + ended(work, 1.0, state=State.ERROR), 31.0)
    row = tally.over[0].row(running=0)
    assert (row.total, row.done, row.failed, row.aborted) == (4, 1, 3, 2)


def test_a_submission_that_was_over_goes_on_when_more_comes_at_once() -> None:
    tally = Tally()
    one = batch(0)
    tally.submitted(one)
    tally.ended(ended(one, 1, 1, 1, 1), 10.5)
    tally.submitted(batch(4, submitted=11.0))
    assert not tally.over and [each.total for each in tally.submissions.values()] == [8]
    tally.submitted(batch(8, submitted=500.0))
    assert len(tally.submissions) == 1, "it is not over yet, so it goes on"


def test_functions_are_bounded() -> None:
    tally = Tally()
    for number in range(MOST_FUNCTIONS + 50):
        work = batch(number * 10, name=f"f{number}")
        tally.submitted(work)
        tally.ended(ended(work, 1.0), 30.0)
    assert len(tally.functions) == MOST_FUNCTIONS + 1 and tally.functions[OTHERS].done == 50


def test_buckets_are_within_their_precision_whatever_a_clock_says() -> None:
    for seconds in (1e-6, 3e-5, 0.001, 0.5, 60.0, 86400.0):
        middle = 2 ** (bucket_of(seconds) / RUN_BUCKETS_PER_DOUBLING) / 1e6
        assert abs(middle / seconds - 1) < 0.023
    tally = Tally()
    work = batch(0)
    tally.submitted(work)
    tally.ended(ended(work, -5.0, math.nan, math.inf), 30.0)
    assert sum(tally.functions["f"].buckets.values()) == 3


def test_what_had_ended_before_this_hub_counts_in_its_submission() -> None:
    tally = Tally()
    work = batch(0)
    tally.submitted(work)
    tally.resumed(0, 3, 40.0)
    tally.ended(ended(work, 1.0), 41.0)
    assert [each.done for each in tally.over] == [4]
