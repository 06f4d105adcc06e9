"""Busy time by prefix sums, against adding up every span."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiparallel.monitor.spans import MAX_TRACKS, EngineSpans, Span, Track

moments = st.floats(0, 1000, allow_nan=False, width=32)


@st.composite
def solid(draw: st.DrawFn) -> list[Span]:
    """Tasks of one engine, one after another."""
    at = 0.0
    found = []
    for task in range(draw(st.integers(0, 30))):
        start = at + draw(st.floats(0, 20))
        at = start + draw(st.floats(0, 20))
        found.append(Span(start, at, at - start, draw(st.integers(0, 3)), task))
    return found


@st.composite
def anything(draw: st.DrawFn) -> list[Span]:
    """Merged spans that may overlap."""
    found = []
    for task in range(draw(st.integers(0, MAX_TRACKS))):
        start = draw(moments)
        length = draw(st.floats(0, 100))
        found.append(Span(start, start + length, length * draw(st.floats(0, 1)) / MAX_TRACKS, 0, task))
    return found


def oracle(spans: list[Span], start: float, end: float) -> float:
    """Busy seconds in an interval, one span after another."""
    total = 0.0
    for span in spans:
        if span.end > span.start:
            shared = max(0.0, min(end, span.end) - max(start, span.start))
            total += span.busy * shared / (span.end - span.start)
    return total


def filled(spans: list[Span]) -> EngineSpans:
    found = EngineSpans()
    for span in spans:
        assert found.add(span)
    return found


@settings(max_examples=100)
@given(solid(), st.randoms(), moments, moments)
def test_tasks_in_any_order(spans: list[Span], random: object, one: float, other: float) -> None:
    shuffled = list(spans)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = filled(shuffled)
    start, end = sorted((one, other))
    assert found.busy(start, end, 0.0) == pytest.approx(oracle(spans, start, end), abs=1e-6)
    assert found.count == len(spans)


@settings(max_examples=100)
@given(anything(), moments, moments)
def test_overlapping_merged_spans(spans: list[Span], one: float, other: float) -> None:
    start, end = sorted((one, other))
    assert filled(spans).busy(start, end, 0.0) == pytest.approx(oracle(spans, start, end), abs=1e-6)


@settings(max_examples=60)
@given(solid(), st.integers(0, 30), moments, moments)
def test_older_pages_come_before(spans: list[Span], split: int, one: float, other: float) -> None:
    found = filled(spans[split:])
    found.add_many(spans[:split])
    start, end = sorted((one, other))
    assert found.busy(start, end, 0.0) == pytest.approx(oracle(spans, start, end), abs=1e-6)
    assert [span.task for span in sorted(found.within(-1, 2000))] == [span.task for span in sorted(spans)]


@settings(max_examples=60)
@given(solid(), st.integers(0, 30), moments, moments)
def test_after_trimming_the_rest_is_exact(spans: list[Span], count: int, one: float, other: float) -> None:
    found = filled(spans)
    gone = found.trim(count)
    kept = spans[gone:]
    assert gone == min(count, len(spans))
    assert found.count == len(kept)
    start, end = sorted((one, other))
    assert found.busy(start, end, 0.0) == pytest.approx(oracle(kept, start, end), abs=1e-6)


def test_a_track_knows_what_fits() -> None:
    track = Track()
    track.add(Span(10, 20, 10, 0, 1))
    assert track.fits(20, 30)
    assert track.fits(0, 10)
    assert not track.fits(19, 21)
    assert not track.fits(0, 30)
    assert not track.fits(12, 13)


def test_a_span_without_room_is_refused_after_the_last_track() -> None:
    found = EngineSpans()
    taken = [found.add(Span(0, 1, 0.01, 0, task)) for task in range(MAX_TRACKS + 2)]
    assert taken == [True] * MAX_TRACKS + [False, False]


def test_what_runs_counts_until_now_and_never_overlaps() -> None:
    found = filled([Span(0, 10, 10, 0, 1)])
    found.open = Span(8, 8, 0, 1, 2)
    assert found.busy(0, 100, 15.0) == pytest.approx(15)
    running = found.running(15.0)
    assert running is not None and (running.start, running.end) == (10, 15)
    assert found.running(9.0) is None


def test_the_task_at_a_moment() -> None:
    found = filled([Span(0, 10, 10, 0, 1), Span(20, 30, 10, 0, 2)])
    found.open = Span(40, 40, 0, 0, 3)
    tasks = [span.task if (span := found.at(moment, 50.0)) else None for moment in (0, 9.9, 10, 25, 45, 60)]
    assert tasks == [1, 1, None, 2, 3, None]


def test_failures_are_found_both_ways_and_marked_once() -> None:
    found = EngineSpans()
    assert [found.fail(at, task) for at, task in ((5.0, 1), (3.0, 2), (5.0, 1), (5.0, 3))] == [
        True,
        True,
        False,
        True,
    ]
    assert found.next_failure(3.0) == (5.0, 1)
    assert found.next_failure(2.0) == (3.0, 2)
    assert found.next_failure(5.0) is None
    assert found.next_failure(5.0, back=True) == (3.0, 2)
    assert found.next_failure(3.0, back=True) is None


def test_a_merged_span_is_told_from_a_task() -> None:
    found = filled([Span(0, 10, 5, 7, 1), Span(20, 30, 10, 7, 2)])
    assert found.merged_at(5.0, 7)
    assert not found.merged_at(5.0, 8)
    assert not found.merged_at(25.0, 7)
    assert found.has(Span(20, 30, 10, 7, 2))
    assert not found.has(Span(20, 30, 10, 7, 3))


def test_unknown_time_lasts_until_it_is_ended() -> None:
    found = EngineSpans()
    found.unknown(1, 2)
    found.unknown(3, 3)
    found.unknown_since = 5
    assert found.unknowns(8.0) == [(1, 2), (5, 8.0)]
    assert found.unknowns(4.0) == [(1, 2)]
