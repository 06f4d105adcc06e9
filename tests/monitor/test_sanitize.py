"""Foreign text: what passes, what is dropped, and that no chunking and no input lets an escape through."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiparallel.monitor.rows import Style
from tuiparallel.monitor.sanitize import HOLD, PLAIN, Sanitizer, clean_block, clean_line, sgr

NASTY = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "\x1b\x1b\x1b[]P_^X\\;:?mKHJ\x07\x9b\x9c\x9d\x90\n\r\t\x00\x08\u202e\u2066\ufeff0123456789 ab\ud800"
        ),
        st.characters(),
    ),
    max_size=400,
)


def read(*chunks: str) -> str:
    sanitizer = Sanitizer()
    return "".join(text for chunk in chunks for text, _ in sanitizer.feed(chunk))


def is_safe(text: str, allowed: str = "") -> bool:
    return all(
        char in allowed or (unicodedata.category(char) not in ("Cc", "Cs") and char not in "\u202e\u2066\u061c\ufeff")
        for char in text
    )


@settings(max_examples=1000)
@given(st.lists(NASTY, max_size=5))
def test_nothing_dangerous_comes_out(chunks: list[str]) -> None:
    assert is_safe(read(*chunks), "\n\r\t")


@settings(max_examples=500)
@given(NASTY)
def test_names_and_blocks_are_safe(text: str) -> None:
    assert is_safe(clean_line(text))
    assert is_safe(clean_block(text), "\n")


@settings(max_examples=500)
@given(
    st.lists(st.sampled_from(["a", "\x1b[31m", "\x1b[0m", "\x1b]0;title\x07", "b\n", "\x1b[2J", "\x1bP1;2q#\x1b\\"])),
    st.data(),
)
def test_where_a_chunk_is_cut_makes_no_difference(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    chunks = [text[low:high] for low, high in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    def styled(pieces: list[str]) -> list[tuple[str, Style]]:
        sanitizer = Sanitizer()
        return [(char, style) for piece in pieces for run, style in sanitizer.feed(piece) for char in run]

    assert styled(chunks) == styled([text])


@given(st.text(alphabet=st.characters(blacklist_categories=("Cc", "Cs", "Cf", "Zl", "Zp"))))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert read(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b]0;evil title\x07after", "after"),
        ("\x1b]52;c;aGk=\x1b\\after", "after"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("\x1bP1$r\x1b\\x", "x"),
        ("\x1b_Gpicture\x1b\\x", "x"),
        ("\x1b^secret\x1b\\x", "x"),
        ("\x1b[2J\x1b[Hx", "x"),
        ("\x1b[?1049hx", "x"),
        ("\x1b[>4;2mx", "x"),
        ("\x1b(0x\x1b7", "x"),
        ("\x9b31mx", "x"),
        ("\x9d0;t\x9cx", "x"),
        ("a\x08b\x07c", "a\ufffdb\ufffdc"),
        ("abc\u202edef", "abc\ufffddef"),
        ("\udcff", "\ufffd"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("\x1b]never ended\nnext", "\nnext"),
    ],
)
def test_sequences(text: str, safe: str) -> None:
    assert read(text) == safe


def test_dropped_sequences_are_counted_and_styles_are_not() -> None:
    sanitizer = Sanitizer()
    sanitizer.feed("\x1b[31m\x1b[2J\x1b]0;t\x07x")
    assert sanitizer.dropped == 2
    assert sanitizer.style == Style(fg=1)


def test_a_cut_sequence_is_held_up_to_its_bound() -> None:
    assert read("a\x1b[3", "1mb") == "ab"
    long = "\x1b]52;c;" + "A" * (HOLD + 10)
    sanitizer = Sanitizer()
    assert sanitizer.feed("a" + long) == [("a", PLAIN)]
    assert sanitizer.feed("A" * 1000) == []
    assert sanitizer.feed("AA\x07b") == [("b", PLAIN)]
    assert sanitizer.dropped == 1


def test_a_string_that_never_ends_swallows_one_line_only() -> None:
    assert read("\x1b]0;" + "x" * 1000, "y" * 1000, "z\nseen") == "\nseen"


@pytest.mark.parametrize(
    ("parameters", "style"),
    [
        ("1;31", Style(fg=1, bold=True)),
        ("38;5;200", Style(fg=200)),
        ("48;2;1;2;255", Style(bg="#0102ff")),
        ("38:2::1:2:3", Style(fg="#010203")),
        ("38:5:9", Style(fg=9)),
        ("94;103", Style(fg=12, bg=11)),
        ("3;4;7;9", Style(italic=True, underline=True, reverse=True, strike=True)),
        ("4:0", Style()),
        ("5;8", Style()),
        ("38;5;999", Style()),
        ("38;7", Style()),
        ("999999999;1", Style(bold=True)),
        ("1;;31", Style(fg=1)),
    ],
)
def test_sgr(parameters: str, style: Style) -> None:
    assert sgr(PLAIN, parameters) == style


def test_what_sgr_set_it_unsets() -> None:
    style = Style(1, 2, True, True, True, True, True, True)
    assert sgr(style, "22;23;24;27;29;39;49") == PLAIN
    assert sgr(style, "") == PLAIN


def test_line_breaks_in_names_are_spaces() -> None:
    assert clean_line("a\nb\x1b[1mc\r\nd") == "a bc d"
    assert clean_block("a\tb\r\nc") == "a       b\nc"
    assert not re.search("\x1b", clean_block("\x1b[31mred\x1b[0m"))
