"""Output: long lines wrapped, with their colours; nothing is lost at the edge and the newest stays in view."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.console.driving import console, small_cluster
from tuiparallel.console.views.output import cut_runs, pieces
from tuiparallel.monitor.rows import Run, Style


@given(st.text(alphabet="ab \u4e16\u754c\u00e9", max_size=80), st.integers(2, 30))
def test_pieces_are_the_whole_text_and_each_fits(text: str, room: int) -> None:
    cut = pieces(text, room)
    assert "".join(text[start:end] for start, end in cut) == text
    assert all(cell_len(text[start:end]) <= room for start, end in cut)


def test_styles_are_cut_with_the_text() -> None:
    red = Style(fg=1)
    assert cut_runs((Run(2, 12, red),), 0, 5) == (Run(2, 5, red),)
    assert cut_runs((Run(2, 12, red),), 5, 10) == (Run(0, 5, red),)
    assert cut_runs((Run(2, 12, red),), 12, 15) == ()


async def test_long_lines_go_on_below_and_the_end_stays_in_view() -> None:
    cluster = small_cluster()
    words = " ".join(f"word{number}" for number in range(40))
    for number in range(30):
        cluster.prints(1, f"short {number}\n")
    cluster.prints(1, f"\x1b[31m{words}\x1b[0m\n")
    cluster.prints(2, "the last\n")
    cluster.tell()
    async with console(cluster, (80, 24)) as it:
        await it.press("6")
        assert "word39" not in it.frame()
        await it.press("W")
        frame = it.frame()
        assert "word39" in frame and "the last" in frame and "wrapped" in frame
        text = "".join(line[18:] for line in frame.splitlines() if "word" in line)
        assert all(f"word{number}" in text.replace("…", "") for number in (0, 20, 39))
        await it.press("k")
        assert it.cursor_line.count("word0") == 1
        await it.press("g")
        assert "short 0" in it.cursor_line
        cluster.prints(0, "one more\n")
        await it.tell()
        assert "short 0" in it.cursor_line and "one more" not in it.frame()
        await it.press("G")
        assert "one more" in it.frame() and "word39" in it.frame()
        await it.press("W")
        assert "word39" not in it.frame()
