"""What a cell prints: lines, progress bars on one line, bounds, nothing foreign."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.console.repl import printed as module
from tuiparallel.console.repl.dispatch import clean_output
from tuiparallel.console.repl.printed import Printed, Shown, styled_lines


def lines(*chunks: str) -> list[str]:
    printed = Printed()
    for chunk in chunks:
        printed.feed("stdout", chunk)
    return [line.text for line in printed.tail(1000)]


def test_lines_come_in_chunks() -> None:
    assert lines("a", "b\nc", "\n") == ["ab", "c"]


def test_a_progress_bar_stays_one_line() -> None:
    assert lines("\r 10%", "\r 50%", "\r100%", "\ndone\n") == ["100%", "done"]
    assert lines("10%\r", "50%\r", "100%\r") == ["100%"]
    assert lines("10%\r50%\n") == ["50%"]


def test_windows_line_ends() -> None:
    assert lines("a\r\nb\r\n") == ["a", "b"]


def test_streams_do_not_mix() -> None:
    printed = Printed()
    printed.feed("stdout", "out")
    printed.feed("stderr", "err\n")
    printed.feed("stdout", "put\n")
    assert printed.tail(5) == [Shown("stderr", "err"), Shown("stdout", "output")]


def test_only_the_newest_is_kept_and_the_rest_counted() -> None:
    printed = Printed()
    for number in range(10):
        printed.feed("stdout", "x" * 1000 + "\n" if number else "first\n")
    for _ in range(module.MOST // 1000):
        printed.feed("stdout", "y" * 999 + "\n")
    assert printed.left_out > 0
    assert sum(len(line.text) + 1 for line in printed.lines) <= module.MOST
    assert printed.tail(1) == [Shown("stdout", "y" * 999)]


@given(st.lists(st.text(alphabet="a\r\n\x1b[31m\x07\t]0;x", max_size=12), max_size=6))
def test_no_control_byte_is_left(chunks: list[str]) -> None:
    assert not any(letter < " " for text in lines(*chunks) for letter in text)


def test_colours_stay_and_escapes_do_not() -> None:
    printed = Printed()
    printed.feed("stdout", "a \x1b[31mred\x1b[0m b \x1b[1mbold\nstill\x1b[0m\n")
    first, second = printed.tail(5)
    assert (first.text, second.text) == ("a red b bold", "still")
    assert [(run.start, run.end, run.style.fg, run.style.bold) for run in first.runs] == [
        (2, 5, 1, False), (8, 12, None, True)
    ]  # fmt: skip
    assert second.runs[0].style.bold and (second.runs[0].start, second.runs[0].end) == (0, 5)
    moved = first.behind("e3  ")
    assert moved.text[moved.runs[0].start : moved.runs[0].end] == "red"


def test_styles_stand_beside_the_lines_of_clean_output() -> None:
    text = "plain\n10%\r\x1b[32m100%\x1b[0m\n"
    lines = clean_output(text).rstrip("\n").split("\n")
    styles = styled_lines(text)
    assert lines == ["plain", "100%"] and styles[0] == ()
    assert lines[1][styles[1][0].start : styles[1][0].end] == "100%"
    assert styled_lines("no colour at all\n") == ()
