"""What the README says, as far as a machine can look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tuiparallel
from tuiparallel.wire.states import MOVES

ROOT = Path(tuiparallel.__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_drawing_of_a_tasks_life_is_the_table() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+): (\w+)$", README, flags=re.MULTILINE))
    moves = {
        (state.name, after.name, step.name.lower()) for state, row in MOVES.items() for step, after in row.items()
    }
    assert drawn == moves


def test_links_and_targets_exist() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)):
        assert f"\n{target}:" in makefile


def test_verbs_and_options_that_are_shown_exist(capsys: pytest.CaptureFixture[str]) -> None:
    from tuiparallel.cli.app import run

    lines = re.findall(r"^(?:\.venv/bin/)?tuipar (\w+)([^#\n]*)", README, flags=re.MULTILINE)
    assert len(lines) >= 8
    for verb, rest in lines:
        assert run([verb, "--help"]) == 0
        text = capsys.readouterr().out
        for option in re.findall(r"(?<=\s)--?[a-z]+", re.sub(r"'[^']*'", "", rest)):
            assert option in text, f"tuipar {verb} {option}"


def test_each_promise_has_a_test_with_its_number() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"def (test_\w+)", text)
    promises = re.findall(r"^- \*\*P(\d+)\*\*", README, flags=re.MULTILINE)
    assert promises == [str(number) for number in range(1, 11)]
    for number in promises:
        assert any(re.search(rf"_p{number}(_|$)", name) for name in names), f"P{number}"
