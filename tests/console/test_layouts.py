"""The layouts: which fits, what each shows, and golden frames of the whole screen.

GOLDEN_FRAMES=1 writes the frames anew. The REPL's inside is blanked: it has tests of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.console.driving import Console, console, small_cluster
from tests.console.fake import busy_cluster
from tuiparallel.console.desk import Options
from tuiparallel.console.panes import BOXES, arrange, layout_of

GOLDEN = Path(__file__).parent / "golden"
SIZES = ((40, 10), (60, 20), (80, 24), (84, 60), (120, 24), (120, 36), (200, 60))


@pytest.mark.parametrize(
    ("size", "name"),
    [((200, 36), "wide"), ((199, 36), "cockpit"), ((120, 36), "cockpit"), ((120, 35), "low"), ((119, 40), "portrait"),
     ((80, 39), "stack"), ((60, 16), "stack"), ((59, 16), "tiny"), ((40, 10), "tiny"), ((39, 10), "small")],
)  # fmt: skip
def test_the_first_layout_that_fits(size: tuple[int, int], name: str) -> None:
    assert layout_of(*size) == name


def test_every_pane_can_be_shown_in_every_layout() -> None:
    for layout in ("wide", "cockpit", "low", "portrait", "stack", "tiny"):
        for zoom in ("normal", "half", "full"):
            for box, panes in BOXES.items():
                for pane in panes:
                    left = pane if pane in ("engines", "now") else "engines"
                    assert box in arrange(layout, pane, zoom, left, "engines").boxes, (layout, zoom, pane)


def blanked(it: Console) -> str:
    """The frame without the inside of the REPL."""
    lines = it.frame().splitlines()
    region = it.app.main.repl.region
    rule = it.app.main.rules["repl"].region
    for y in range(region.y, region.bottom):
        if y < len(lines) and it.app.main.repl.display:
            lines[y] = lines[y][: region.x] + lines[y][region.right :]
    for y in range(rule.y, rule.bottom):
        if rule.width and y < len(lines):
            lines[y] = "8 REPL"
    return "\n".join(line.rstrip() for line in lines) + "\n"


def compare(name: str, frame: str) -> None:
    """Holds a frame against the golden one."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN_FRAMES"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(frame, encoding="utf-8")
    assert frame == path.read_text(encoding="utf-8"), f"{path} differs; GOLDEN_FRAMES=1 writes it anew"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
async def test_frames(size: tuple[int, int], ascii_only: bool) -> None:
    async with console(busy_cluster(), size, Options(ascii=ascii_only)) as it:
        frame = blanked(it)
        if ascii_only:
            assert frame.isascii(), sorted({character for character in frame if not character.isascii()})
        assert max(len(line) for line in frame.splitlines()) <= size[0]
        compare(f"{size[0]}x{size[1]}-{'ascii' if ascii_only else 'unicode'}", frame)


async def test_without_colour_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(busy_cluster(), (120, 36)) as it:
        compare("120x36-unicode", blanked(it))
        assert os.environ.get("NO_COLOR") == "1"  # children must see it too


async def test_too_small_says_so_and_comes_back() -> None:
    async with console(small_cluster(), (80, 24)) as it:
        await it.pilot.resize_terminal(30, 8)
        await it.app.idle()
        assert "40 x 10 cells are needed" in it.frame()
        await it.pilot.resize_terminal(80, 24)
        await it.app.idle()
        assert "1 Engines" in it.frame()


async def test_many_resizes_raise_nothing() -> None:
    async with console(busy_cluster(), (80, 24)) as it:
        for step in range(15):
            await it.pilot.resize_terminal(20 + step * 37 % 220, 5 + step * 13 % 60)
        await it.app.idle()
        await it.pilot.resize_terminal(120, 36)
        await it.app.idle()
        assert "this pane failed" not in it.frame()


async def test_any_pane_is_one_key_away_and_back_restores_it() -> None:
    async with console(busy_cluster(), (80, 24)) as it:
        main = it.app.main
        await it.press("j", "j")
        assert main.engines.cursor == 2
        for number, name in enumerate(
            ("now", "engines", "timeline", "tasks", "errors", "functions", "output", "events")
        ):
            await it.press(str(number))
            assert main.current == name
            assert f"{number} {name.capitalize()}" in it.frame()
        await it.press("1", "/")
        await it.type("state:busy")
        await it.press("enter")
        assert main.engines.filter_text == "state:busy"
        await it.press("3", "[")
        assert main.current == "engines"
        assert main.engines.cursor == 2 and main.engines.filter_text == "state:busy"
        await it.press("]")
        assert main.current == "tasks"


async def test_maximise_cycles_and_tab_walks() -> None:
    async with console(busy_cluster(), (120, 36)) as it:
        main = it.app.main
        await it.press("m")
        assert "8 REPL" in it.frame() and "2 Timeline" not in it.frame()
        await it.press("m")
        assert "8 REPL" not in it.frame() and "1 Engines" in it.frame()
        await it.press("m")
        assert "2 Timeline" in it.frame()
        seen = []
        for _ in range(3):
            await it.press("tab")
            seen.append(main.current)
        assert seen == ["timeline", "output", "repl"]
