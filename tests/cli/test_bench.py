"""The benchmark's command: programs in turn, what is shown of their figures, and what a failure does to the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tuiparallel.cli import bench
from tuiparallel.cli.app import run
from tuiparallel.cli.bench import OURS, Samples, heading, measured, number, row_object, table
from tuiparallel.cli.workloads import QUICK, Figures, Row

ROWS = [Row("map_per_s", "a map", "tasks/s", True, 0), Row("start_s", "a start", "s", False, 3)]


def samples(**figures: list[Figures]) -> Samples:
    found = Samples(list(figures))
    for name, rounds in figures.items():
        for figures_of_round in rounds:
            found.add(name, figures_of_round)
    return found


def test_medians_with_spread() -> None:
    found = samples(a=[{"map_per_s": 3000.0}, {"map_per_s": 1000.0}, {"map_per_s": 2000.0}], b=[])
    assert found.median("a", "map_per_s") == 2000.0
    assert found.spread("a", "map_per_s") == (2000.0, 1000.0, 3000.0)
    assert found.median("b", "map_per_s") is None
    assert found.median("nobody", "map_per_s") is None
    text = table(found, ROWS[:1], ["a", "b"])
    assert "2,000 (1,000–3,000)" in text
    assert len(text.splitlines()) == 2


def test_one_round_has_no_spread() -> None:
    found = samples(a=[{"start_s": 0.25}])
    assert table(found, ROWS[1:], ["a"]).splitlines()[1].split() == ["a", "start", "(s)", "0.250"]


def test_numbers_have_no_more_digits_than_a_measurement() -> None:
    assert (number(123.456, 2), number(12.346, 2), number(65432.1, 0)) == ("123", "12.35", "65,432")


def test_the_object_of_a_row() -> None:
    found = samples(a=[{"start_s": 0.25}, {"start_s": 0.75}], b=[{}])
    assert row_object(found, ROWS[1], ["a", "b"], "a reason.") == {
        "key": "start_s", "what": "a start", "unit": "s", "better": "lower", "limit": "a reason.",
        "figures": {"a": {"median": 0.5, "low": 0.25, "high": 0.75}, "b": None},
    }  # fmt: skip


def test_programs_run_in_turn_and_a_failed_one_only_once(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def program(name: str, then: str) -> list[str]:
        return ["-c", f"import sys; print('{name}', file=open({str(log)!r}, 'a')); {then}"]

    notes: list[str] = []
    programs = {
        "good": program("good", "print('noise'); print('{\"x\": 1.5}')"),
        "bad": program("bad", "sys.exit('no such thing')"),
        "mute": program("mute", "print('no figures')"),
    }
    found = measured(programs, 2, False, notes.append)
    assert log.read_text().split() == ["good", "bad", "mute", "good"]
    assert found.values["good"] == {"x": [1.5, 1.5]}
    assert "no such thing" in found.failed["bad"]
    assert set(found.failed) == {"bad", "mute"}
    assert any("round 2 of 2: good" in note for note in notes)


def test_quick_is_handed_on() -> None:
    program = {"a": ["-c", "import sys, json; print(json.dumps({'quick': float('--quick' in sys.argv)}))"]}
    assert measured(program, 1, True, lambda _: None).values["a"] == {"quick": [1.0]}
    assert measured(program, 1, False, lambda _: None).values["a"] == {"quick": [0.0]}


def stand_in(figures: Figures) -> list[str]:
    return ["-c", f"print({json.dumps(json.dumps(figures))})"]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Programs that know their figures already."""
    known = {OURS: stand_in({"map_per_s": 60000.0, "blocking_us": 300.0}), "Pool": stand_in({"map_per_s": 30000.0})}
    monkeypatch.setattr(bench, "PROGRAMS", known)
    return known


def test_json_has_an_object_per_row(programs: dict[str, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--quick", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["key"] for row in rows] == ["blocking_us", "map_per_s"]
    assert all((row["schema"], row["kind"], row["cluster"]) == (1, "bench", None) for row in rows)
    assert rows[1]["figures"]["Pool"]["median"] == 30000.0
    assert rows[0]["figures"]["Pool"] is None
    assert rows[0]["limit"].endswith(".")


def test_the_table_and_what_limits(programs: dict[str, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--quick", "-q"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "60,000" in printed.out and f"map of {QUICK.tasks:,}" in printed.out
    assert "what limits tuiparallel" in printed.out
    assert "blocking call, balanced: four hops" in printed.out


def test_without_our_own_figures_it_fails(programs: dict[str, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    programs[OURS] = ["-c", "raise SystemExit('no room')"]
    assert run(["bench", "--quick"]) == 1
    printed = capsys.readouterr()
    assert "no room" in printed.err
    assert "30,000" in printed.out  # the others are shown all the same


def test_it_takes_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "-c", "lab"]) == 2
    assert "clusters of its own" in capsys.readouterr().err


def test_the_heading_says_where() -> None:
    assert f"{os.cpu_count()} cores" in heading(3)
    assert "3 rounds" in heading(3) and "one round" in heading(1)
