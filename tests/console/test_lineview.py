"""The base of every list: the cursor is an id, a scrolled view stands still, marks are ids."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.console.driving import console, small_cluster
from tests.console.fake import FakeCluster
from tuiparallel.console.glyphs import UNICODE
from tuiparallel.console.paint import Paint, clipped, spread, width_of
from tuiparallel.console.themes import THEMES


def test_the_same_engine_stays_under_the_cursor() -> None:
    """L12: a thousand random updates, sorted by what moves."""

    async def run(seed: int) -> None:
        luck = random.Random(seed)
        cluster = small_cluster(40)
        async with console(cluster, (80, 24)) as it:
            view = it.app.main.engines
            for _ in range(3):
                await it.press("o")
            view.go_to(17)
            for step in range(1000):
                id = luck.randrange(40)
                cluster.measures(id, luck.random(), luck.random())
                if luck.random() < 0.2 and cluster.engines[id].task is None:
                    cluster.ends(cluster.runs(id, "fit"))
                if step % 10 == 0:
                    cluster.clock.advance(1.0)
                    cluster.tell()
                    view.pull_now()
                    assert view.cursor == 17
                    assert view.key_at(view._at) == 17
                    assert view.top <= view._at < view.top + view.room
            await it.app.idle()
            assert it.cursor_line.split()[1] == "17"

    for seed in (1, 2):
        asyncio.run(run(seed))


async def test_dead_engines_keep_their_row_until_forgotten() -> None:
    async with console(small_cluster(), (80, 24)) as it:
        await it.press("j")
        it.cluster.dies(1, "killed by SIGKILL, peak 1.9 GB", successor=3)
        it.cluster.joins(3, was=1)
        await it.tell()
        await it.press("1")
        assert "† x" in it.cursor_line
        assert "e1 is dead: killed by SIGKILL, peak 1.9 GB; → 3" in it.frame()
        await it.press(":")
        await it.type("forget dead")
        await it.press("enter")
        assert "† x" not in it.frame()


async def test_a_thousand_engines_draw_only_what_is_visible() -> None:
    cluster = FakeCluster()
    for id in range(1000):
        cluster.joins(id)
    cluster.attach()
    async with console(cluster, (80, 24)) as it:
        await it.press("G")
        assert "999" in it.cursor_line
        await it.press("g")
        assert it.app.main.engines.cursor == 0
        await it.press("pagedown", "ctrl+d")
        assert it.app.main.engines.top > 10


async def test_a_scrolled_output_stands_still_through_a_flood() -> None:
    """C27."""
    cluster = small_cluster()
    for line in range(200):
        cluster.prints(0, f"line {line}\n")
    cluster.tell()
    async with console(cluster, (80, 24)) as it:
        await it.press("6")
        assert it.app.main.output.following and "line 199" in it.frame()
        await it.press("k", "pageup")
        body = [line.rstrip("▐ ") for line in it.frame().splitlines()[2:12]]
        for block in range(20):
            cluster.prints(1, "".join(f"noise {block} {line}\n" for line in range(500)))
            await it.tell()
        assert [line.rstrip("▐ ") for line in it.frame().splitlines()[2:12]] == body
        assert "+10,000 lines" in it.frame()
        await it.press("G")
        assert "noise 19 499" in it.frame() and it.app.main.output.following


async def test_foreign_text_is_text() -> None:
    """L7: markup is not parsed, escapes do nothing."""
    cluster = small_cluster()
    cluster.prints(0, "[red]not red[/] \x1b]0;evil\x07 \x1b[2J after\n")
    cluster.fails(cluster.runs(0, "[b]fn"), "ValueError", "[link=x]y")
    cluster.tell()
    async with console(cluster) as it:
        frame = it.frame()
        assert "[red]not red[/]" in frame and "evil" not in frame and "\x1b" not in frame
        await it.press("4")
        assert "[link=x]y" in it.frame()


async def test_the_mouse_moves_and_opens() -> None:
    async with console(small_cluster(6)) as it:
        view = it.app.main.engines
        await it.pilot.click(view, offset=(5, 4))
        assert view.cursor == 3
        await it.pilot.click(view, offset=(5, 2), times=2)
        await it.app.idle()
        assert it.app.main.inspector.subject is not None and it.app.main.inspector.subject.key == 1


TEXTS = st.lists(
    st.tuples(st.text(max_size=12), st.sampled_from(["", "dim", "bold failure", "fn-1 on fn-2"])), max_size=6
)


@given(TEXTS, st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_a_strip_has_exactly_its_width(cells: list[tuple[str, str]], width: int) -> None:
    cells = [("".join(c for c in text if c.isprintable()), style) for text, style in cells]
    paint = Paint(THEMES["dark"].variables | {"background": "#000000"}, UNICODE)
    from rich.style import Style

    strip = paint.strip(cells, width, Style())
    assert strip.cell_length == width
    assert sum(segment.cell_length for segment in strip) == width


@given(TEXTS, st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_clipping_and_spreading_fit(cells: list[tuple[str, str]], width: int) -> None:
    assert width_of(clipped(cells, width)) <= width
    assert width_of(spread(cells, [("end", "")], width)) <= max(width, width_of(cells))
