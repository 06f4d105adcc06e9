"""Five hints at the first start, once each."""

from __future__ import annotations

from pathlib import Path

from tests.console.driving import console, small_cluster
from tuiparallel.console.catalogue import ACTIONS
from tuiparallel.console.desk import Options
from tuiparallel.console.hints import EVERY, HINTS, Hints, state_file


def test_each_is_said_once_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "console" / "hints"
    hints = Hints(path)
    assert hints.due(10.0) == f"1 of 5: {HINTS[0]}"
    assert hints.due(11.0) is None
    assert hints.due(10.0 + EVERY) == f"2 of 5: {HINTS[1]}"
    again = Hints(path)
    assert [again.due(100.0 + EVERY * step) for step in range(4)] == [
        *(f"{number} of 5: {HINTS[number - 1]}" for number in (3, 4, 5)), None
    ]  # fmt: skip
    assert Hints(path).due(1000.0) is None


def test_where_nothing_can_be_kept_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "console").write_text("in the way")
    assert Hints(tmp_path / "console" / "hints").due(1.0) is None
    (tmp_path / "hints").write_bytes(b"\xff")
    assert Hints(tmp_path / "hints").due(1.0) is None


def test_the_keys_they_name_exist() -> None:
    keys = {key for action in ACTIONS for key in action.keys}
    assert {"0", "8", "m", "[", "i", "enter", "n", "A", "I", "?", "ctrl+p", "q"} <= keys


async def test_the_first_start_says_the_first(home: Path) -> None:
    async with console(small_cluster(), options=Options(hints=True)) as it:
        it.app.main.second()
        await it.app.idle()
        assert it.said == f"1 of 5: {HINTS[0]}"
        assert state_file().read_text() == "1"
        it.app.main.second()
        assert it.said == f"1 of 5: {HINTS[0]}"
