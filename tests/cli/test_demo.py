"""What the demo says of what it found."""

from __future__ import annotations

from tuiparallel.cli.demo import Survey
from tuiparallel.cli.stdlib import LongFunction


def test_figures() -> None:
    survey = Survey(4, files=100, lines=5000, functions=300, classes=20, seconds=2.0, run_seconds=7.0)
    assert (survey.tasks_per_s, survey.speed_up) == (50.0, 3.5)
    row = survey.row()
    assert {key: row[key] for key in ("files", "lines", "failures", "engines", "tasks_per_s", "seconds")} == {
        "files": 100, "lines": 5000, "failures": 0, "engines": 4, "tasks_per_s": 50.0, "seconds": 2.0
    }  # fmt: skip


def test_the_table_names_failures_with_their_reason() -> None:
    failures = [(f"bad{index}.py", "SyntaxError: invalid syntax") for index in range(12)]
    longest = [LongFunction(99, "A.f", "a.py", 5)]
    text = Survey(1, files=12, failures=failures, longest=longest, seconds=1.0).table()
    assert "12 failures" in text
    assert "12  SyntaxError" in text
    assert "bad9.py: SyntaxError: invalid syntax" in text
    assert "and 2 more" in text
    assert "99  A.f  a.py:5" in text


def test_nothing_done_divides_by_nothing() -> None:
    assert (Survey(1).tasks_per_s, Survey(1).speed_up) == (0.0, 0.0)
