"""Marks and tables of the comparison, from figures that are made up: nothing is measured here."""

from __future__ import annotations

import pytest

from tests.bench.comparison import complete, markdown, programs, text
from tests.bench.marks import MARKS, Mark, over, over_best, own, report
from tuiparallel.cli.bench import OURS, PROGRAMS, Samples
from tuiparallel.cli.workloads import FULL, Figures, rows


def samples(figures: dict[str, Figures]) -> Samples:
    found = Samples(list(figures))
    for name, values in figures.items():
        found.add(name, values)
    return found


def test_more_and_less_are_held_to_their_own_side() -> None:
    found = samples(
        {
            OURS: {"map_per_s": 60.0, "blocking_us": 320.0},
            "Pool": {"map_per_s": 30.0},
            "bare 0MQ": {"blocking_us": 160.0},
        }
    )
    assert Mark("a map", over("map_per_s", "Pool"), 1.5, True).held(found) is True
    assert Mark("a map", over("map_per_s", "Pool"), 2.5, True).held(found) is False
    assert Mark("a call", over("blocking_us", "bare 0MQ"), 2.0, False).held(found) is True
    assert Mark("a call", over("blocking_us", "bare 0MQ"), 1.6, False).held(found) is False
    assert "NOT HELD" in Mark("a call", over("blocking_us", "bare 0MQ"), 1.6, False).line(found)


@pytest.mark.parametrize(("growth", "held"), [(0.8, False), (0.9, True), (1.1, True), (1.2, False)])
def test_between_two_bounds(growth: float, held: bool) -> None:
    (mark,) = (mark for mark in MARKS if mark.most is not None)
    found = samples({OURS: {"growth": growth}})
    assert mark.held(found) is held
    assert "0.85–1.15 x" in mark.line(found)


def test_what_was_not_measured_is_neither_held_nor_not() -> None:
    found = samples({OURS: {"map_per_s": 60.0}, "Pool": {}})
    mark = Mark("a map", over("map_per_s", "Pool"), 1.5, True)
    assert mark.held(found) is None
    assert mark.line(found).startswith("not measured")
    assert own("start_s")(found) is None


def test_the_best_is_that_of_those_that_were_measured() -> None:
    found = samples(
        {OURS: {"pull_GBs": 6.0}, "ray": {"pull_GBs": 2.0}, "distributed": {"pull_GBs": 1.0}, "ipyparallel": {}}
    )
    assert over_best("pull_GBs")(found) == 3.0
    assert "without ipyparallel" in report(found, quick=False)
    assert over_best("pull_GBs")(samples({OURS: {"pull_GBs": 6.0}})) is None


def test_every_mark_is_about_a_row() -> None:
    everyone = (OURS, *PROGRAMS, "ipyparallel", "distributed", "ray")
    found = samples({name: {row.key: 1.0 for row in rows(FULL)} for name in everyone})
    assert all(mark.figure(found) == 1.0 for mark in MARKS)
    printed = report(found, quick=True).splitlines()
    assert len(printed) == len(MARKS) + 1
    assert "quick" in printed[-1]


def test_the_table_has_a_column_per_system_that_was_measured() -> None:
    found = samples({OURS: {"start_s": 0.5}, "Pool": {"start_s": 0.25}, "ray": {}})
    lines = markdown(found, rows(FULL)).splitlines()
    assert lines[0] == f"| | {OURS} | Pool |"
    assert lines[1] == "| --- | ---: | ---: |"
    assert lines[2:] == ["| start to first result, 2 engines (s) | 0.500 | 0.250 |"]


def test_a_failure_is_printed_and_ours_is_owed_in_every_round() -> None:
    found = samples({OURS: {"start_s": 0.5}, "ray": {}})
    found.failed["ray"] = "exit code 1"
    assert "ray gave no figures: exit code 1" in text(found, 1, False)
    assert complete(found, 1)
    assert not complete(found, 2)
    assert not complete(samples({OURS: {}}), 1)


def test_systems_by_name() -> None:
    assert list(programs())[: len(PROGRAMS)] == list(PROGRAMS)
    assert list(programs(["Pool"])) == ["Pool"]
    with pytest.raises(KeyError):
        programs(["nobody"])
