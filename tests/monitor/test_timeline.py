"""Cells: true busy time at any zoom, edges where tasks are few, failures and unknown time never hidden."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.test_spans import anything, oracle, solid
from tuiparallel.monitor.rows import IDLE_CELL, Cell
from tuiparallel.monitor.spans import EngineSpans, Span
from tuiparallel.monitor.timeline import edges, lane

about: Any = pytest.approx
NAMES = ["others", "fit", "mc", "read"]


def cells(spans: EngineSpans, start: float, end: float, columns: int, now: float = 0.0) -> tuple[Cell, ...]:
    return lane(0, spans, NAMES, edges(start, end, columns), now).cells


def of(*spans: Span) -> EngineSpans:
    found = EngineSpans()
    for span in spans:
        assert found.add(span)
    return found


def span(start: float, end: float, name: int = 1, task: int = 1) -> Span:
    return Span(start, end, end - start, name, task)


@settings(max_examples=100)
@given(st.one_of(solid(), anything()), st.floats(-10, 900), st.floats(0.01, 1000), st.integers(1, 60))
def test_drawn_busy_is_true_busy(spans: list[Span], start: float, length: float, columns: int) -> None:
    drawn = cells(of(*spans), start, start + length, columns)
    size = length / columns
    for column, cell in enumerate(drawn):
        low = start + size * column
        true = oracle(spans, low, low + size) / size
        assert cell.busy == pytest.approx(min(true, 1.0), abs=0.01), column


@settings(max_examples=60)
@given(solid(), st.floats(0, 500), st.floats(0.1, 100), st.integers(1, 40))
def test_an_edge_cell_shows_what_is_at_its_ends(spans: list[Span], start: float, length: float, columns: int) -> None:
    drawn = cells(of(*spans), start, start + length, columns)
    size = length / columns
    for column, cell in enumerate(drawn):
        if cell.edge is None:
            continue
        low, high = start + size * column, start + size * (column + 1)
        touching = [item for item in spans if item.start < high and item.end > low and item.end > item.start]
        assert len(touching) <= 2
        assert 0.0 <= cell.edge <= 1.0
        shown = {cell.task, cell.after_task} - {None}
        assert shown == {item.task for item in touching} or not touching
        # The two parts tell the busy fraction, but for a gap that is too short to be drawn.
        parts = (cell.edge if cell.name else 0.0) + (1 - cell.edge if cell.after else 0.0)
        assert parts == pytest.approx(cell.busy, abs=1 / 8 + 0.01)


def test_less_than_a_task_per_cell() -> None:
    found = cells(of(span(0, 25, 1, 1), span(25.1, 40, 2, 2)), 0, 50, 5)
    assert found[0] == Cell(1.0, "fit", 1, False, False, 1.0, "", None)
    assert found[2] == Cell(about(0.99), "fit", 1, False, False, 0.5, "mc", 2)
    assert found[4] == IDLE_CELL
    end = cells(of(span(0, 12)), 0, 30, 3)
    assert end[1] == Cell(about(0.2), "fit", 1, False, False, about(0.2), "", None)
    begin = cells(of(span(17, 30)), 10, 30, 2)
    assert begin[0] == Cell(about(0.3), "", None, False, False, about(0.7), "fit", 1)


def test_a_whole_task_in_a_cell_is_a_height() -> None:
    found = cells(of(span(2, 4), span(5, 6, 2, 2)), 0, 10, 1)
    assert found == (Cell(about(0.3), "fit", 1, False, False, None, "", None),)


def test_a_gap_that_would_vanish_makes_a_height() -> None:
    found = cells(of(span(0, 13, 1, 1), span(16, 30, 1, 2)), 10, 20, 1)
    assert found[0].edge is None and found[0].busy == pytest.approx(0.7)


def test_merged_spans_are_heights_and_the_longest_function_colours_them() -> None:
    found = cells(of(Span(0, 100, 30, 1, 1), Span(0, 100, 60, 2, 2)), 0, 100, 4)
    assert [cell.edge for cell in found] == [None] * 4
    assert [cell.name for cell in found] == ["mc"] * 4
    assert found[0].busy == pytest.approx(0.9)


def test_one_failure_among_ten_thousand_tasks_shows() -> None:
    spans = of(*(span(at, at + 0.9, 1, at) for at in range(10_000)))
    spans.fail(5_000.9, 5_000)
    found = cells(spans, 0, 10_000, 2)
    assert [cell.failed for cell in found] == [False, True]
    assert found[0].busy == pytest.approx(0.9)


def test_unknown_time_shows_where_nothing_is_known() -> None:
    spans = of(span(0, 30))
    spans.unknown(20, 60)
    found = cells(spans, 0, 80, 8)
    assert [cell.unknown for cell in found] == [False, False, False, True, True, True, False, False]


def test_what_runs_is_drawn_up_to_now() -> None:
    spans = of(span(0, 10))
    spans.open = Span(20, 20, 0, 2, 7)
    found = cells(spans, 0, 50, 5, now=35.0)
    assert [cell.name for cell in found] == ["fit", "", "mc", "mc", ""]
    assert found[3].edge == pytest.approx(0.5)
    assert [cell.busy for cell in found] == pytest.approx([1, 0, 1, 0.5, 0])


def test_the_newest_columns_alone_are_as_in_the_whole() -> None:
    spans = of(*(span(at, at + 0.7, at % 3, at) for at in range(1000)))
    spans.fail(900.7, 900)
    assert cells(spans, 0, 1000, 100)[-2:] == cells(spans, 980, 1000, 2)


def test_a_timeline_needs_time_and_columns() -> None:
    with pytest.raises(ValueError, match="needs columns"):
        edges(0, 10, 0)
    with pytest.raises(ValueError, match="needs columns"):
        edges(10, 10, 5)
