"""What a cell prints: lines, progress bars on one line, bounds, nothing foreign."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.console.repl import printed as module
from tuiparallel.console.repl.printed import Printed


def lines(*chunks: str) -> list[str]:
    printed = Printed()
    for chunk in chunks:
        printed.feed("stdout", chunk)
    return [text for _, text in printed.tail(1000)]


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
    assert printed.tail(5) == [("stderr", "err"), ("stdout", "output")]


def test_only_the_newest_is_kept_and_the_rest_counted() -> None:
    printed = Printed()
    for number in range(10):
        printed.feed("stdout", "x" * 1000 + "\n" if number else "first\n")
    for _ in range(module.MOST // 1000):
        printed.feed("stdout", "y" * 999 + "\n")
    assert printed.left_out > 0
    assert sum(len(text) + 1 for _, text in printed.lines) <= module.MOST
    assert printed.tail(1) == [("stdout", "y" * 999)]


@given(st.lists(st.text(alphabet="a\r\n\x1b[31m\x07\t]0;x", max_size=12), max_size=6))
def test_no_control_byte_is_left(chunks: list[str]) -> None:
    assert not any(letter < " " for text in lines(*chunks) for letter in text)
