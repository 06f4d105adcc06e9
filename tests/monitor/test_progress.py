"""Submissions: an estimate under steady load is right, and otherwise honestly unknown."""

from __future__ import annotations

import random

import pytest

from tests.monitor.samples import T, batch
from tuiparallel.monitor.progress import SAMPLES, Progress


def run(total: int, ends: list[float]) -> Progress:
    """A submission whose tasks end at these seconds after T; told ten times a second."""
    progress = Progress()
    progress.put(batch(total, 0, 0.0), T)
    step = 0.0
    done = 0
    while done < len(ends):
        step += 0.1
        now = sum(1 for at in ends if at <= step)
        if now > done:
            done = now
            progress.put(batch(total, done, T + max(at for at in ends if at <= step)), T + step)
    return progress


@pytest.mark.parametrize("rate", [0.5, 3.0, 40.0, 1000.0])
def test_half_way_under_steady_load_the_error_is_below_20_percent(rate: float) -> None:
    source = random.Random(3)
    total = max(int(60 * rate), 40)
    at = 0.0
    ends = []
    for _ in range(total // 2):
        at += source.uniform(0.5, 1.5) / rate
        ends.append(at)
    progress = run(total, ends)
    (course,) = progress.open()
    eta = course.eta(T + at)
    assert eta is not None
    assert eta.seconds == pytest.approx((total - total // 2) / rate, rel=0.2)
    assert 0 < eta.spread < eta.seconds


def test_the_rate_is_that_of_the_last_quarter() -> None:
    slow = [float(at) for at in range(1, 31)]
    fast = [30 + at / 10 for at in range(1, 71)]
    (course,) = run(200, slow + fast).open()
    found = course.rate(T + 37)
    assert found is not None and found[0] == pytest.approx(10, rel=0.1)


def test_too_few_tasks_or_too_short_a_time_is_unknown() -> None:
    assert run(100, [1.0, 2.0, 3.0]).open()[0].eta(T + 3) is None
    assert run(100, [0.1 * at for at in range(1, 11)]).open()[0].eta(T + 1) is None
    assert run(100, [0.5 * at for at in range(1, 11)]).open()[0].eta(T + 5) is not None


def test_a_stalled_rate_is_unknown() -> None:
    course = run(1000, [0.1 * at for at in range(1, 101)]).open()[0]
    assert course.eta(T + 10.5) is not None
    assert course.eta(T + 60) is None


def test_what_had_ended_before_we_looked_gives_no_rate() -> None:
    progress = Progress()
    progress.put(batch(1000, 500, T + 100), T + 101)
    assert progress.open()[0].eta(T + 101) is None
    for second in range(1, 11):
        progress.put(batch(1000, 500 + 5 * second, T + 100 + second), T + 101 + second)
    eta = progress.open()[0].eta(T + 110)
    assert eta is not None and eta.seconds == pytest.approx(450 / 5, rel=0.05)


def test_samples_are_bounded_and_the_newest_stay_fine() -> None:
    course = run(100_000, [0.1 * at for at in range(1, 3000)]).open()[0]
    assert len(course.samples) <= SAMPLES
    assert course.samples[-1][1] == 2999
    found = course.rate(T + 300)
    assert found is not None and found[0] == pytest.approx(10, rel=0.05)


def test_the_overall_estimate_is_the_latest_known() -> None:
    progress = run(100, [0.5 * at for at in range(1, 51)])
    first, partial = progress.overall(T + 25)
    assert first is not None and not partial
    progress.put(batch(10, 0, 0.0, first=500), T + 25)
    assert progress.overall(T + 25) == (first, True)


def test_lists_and_bounds() -> None:
    progress = Progress(limit=3)
    for number in range(5):
        progress.put(batch(10, 10 if number < 3 else 1, T + number, first=number * 100), T + number)
    assert len(progress.courses) == 3
    assert len(progress.open()) == 2 and len(progress.finished()) == 1
    assert not progress.put(progress.open()[0].row, T + 9), "nothing new"
    assert progress.missing([]) and not progress.open()


def test_a_retried_submission_may_fall_back() -> None:
    progress = Progress()
    progress.put(batch(10, 5, T + 1), T + 1)
    progress.put(batch(10, 3, T + 2), T + 2)
    assert progress.open()[0].samples == [(T + 2, 3)]


def test_an_abort_is_no_progress_and_gives_no_estimate() -> None:
    progress = Progress()
    progress.put(batch(102, 0, 0.0), T)
    progress.put(batch(102, 4, T + 40), T + 40)
    progress.put(batch(102, 4, T + 41, failed=96, aborted=96), T + 41)
    (course,) = progress.open()
    assert (course.rate(T + 42), course.eta(T + 42)) == (None, None)


def test_an_abort_in_the_midst_leaves_the_rate_as_it_was() -> None:
    progress = run(1_000, [0.1 * (number + 1) for number in range(200)])
    (course,) = progress.open()
    known = course.rate(T + 20)
    assert known is not None
    progress.put(batch(1_000, 200, T + 20, failed=500, aborted=500), T + 20)
    for number in range(201, 230):
        progress.put(batch(1_000, number, T + number / 10, failed=500, aborted=500), T + number / 10)
    after = course.rate(T + 23)
    assert after is not None and after[0] == pytest.approx(known[0], rel=0.1)
