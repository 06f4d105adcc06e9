"""Signs, figures, themes: one cell each, readable, and told apart without red."""

from __future__ import annotations

import dataclasses

import pytest
from rich.cells import cell_len
from textual.color import Color

from tuiparallel.console import figures
from tuiparallel.console.glyphs import ASCII, UNICODE, Glyphs, meter, plain, spark
from tuiparallel.console.keys import shown
from tuiparallel.console.themes import BACKGROUNDS, HUES, SEMANTIC, THEMES, hue_of
from tuiparallel.monitor.rows import Phase
from tuiparallel.wire.states import EngineState

EMOJI = set("‼⁉™ℹ↔↕↩⌚⌛⌨⏏⏩▪▫▶◀◻◼☀☁☂☃☄☎☑☔☕☘☝☠⚠⚡⚪⚫✂✅✈✉✏✒✔✖✝✡✨✳✴❄❇❌❎❓❗❣❤➡⤴⤵⬅⬆⬇⬛⬜⭐⭕〰〽㊗㊙")


def signs(glyphs: Glyphs) -> list[str]:
    found: list[str] = []
    for part in dataclasses.fields(glyphs):
        value = getattr(glyphs, part.name)
        found += list(value.values()) if isinstance(value, dict) else [] if part.name == "name" else list(value)
    return found


def test_every_sign_is_one_cell_and_no_emoji() -> None:
    for sign in signs(UNICODE):
        assert cell_len(sign) == 1, sign
        assert sign not in EMOJI, sign


def test_the_ascii_twin_is_ascii_and_as_wide() -> None:
    assert all(sign.isascii() for sign in signs(ASCII))
    assert len(signs(ASCII)) == len(signs(UNICODE))
    for glyphs in (UNICODE, ASCII):
        assert set(glyphs.engines) == set(EngineState) and len(set(glyphs.engines.values())) == len(EngineState)
        assert set(glyphs.tasks) == set(Phase) and len(set(glyphs.tasks.values())) == len(Phase)


def test_our_sentences_keep_their_width_in_ascii() -> None:
    text = "e7 — 4 → 12 … ±4s ✓ “quoted” Ω"
    assert plain(text).isascii() and len(plain(text)) == len(text)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_bars_and_lines_have_their_width(glyphs: Glyphs) -> None:
    for fraction in (-1, 0, 0.01, 0.33, 0.5, 0.999, 1, 7):
        assert len(meter(glyphs, fraction, 10)) == 10
    for values in ([], [0.0], [1.0] * 3, [float(n) for n in range(60)]):
        assert len(spark(glyphs, values, 8)) == 8


def test_the_names_of_keys() -> None:
    assert [shown(key) for key in ("ctrl+p", "A", "escape", "ctrl+backslash")] == ["^P", "A", "esc", "^\\"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0, "0ms"), (0.0004, "400us"), (0.012, "12ms"), (0.9999, "1.0s"), (10.1, "10.1s"), (42, "42s"),
     (59.7, "1m00s"), (242, "4m02s"), (3599.7, "1h00m"), (11100, "3h05m"), (187200, "2d04h")],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert figures.duration(seconds) == text


def test_durations_fit_their_column() -> None:
    for exponent in range(-70, 90):
        assert len(figures.duration(10 ** (exponent / 10) if exponent < 70 else 86400.0 * exponent)) <= 6


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9999, "9,999"), (18_786, "18.8k"), (999_999, "1.0M"), (123_456, "123k")]
)
def test_short_counts(number: int, text: str) -> None:
    assert figures.short_count(number) == text


def test_ranges_and_sizes() -> None:
    assert figures.ranges([0, 1, 2, 3, 7, 9, 10]) == "0-3,7,9-10"
    assert [figures.size(octets) for octets in (None, 812, 41_000_000, 1_200_000_000)] == ["", "812B", "41M", "1.2G"]
    assert [figures.percent(share) for share in (None, 0.0, 0.001, 0.69, 1.0)] == ["", "0%", "<1%", "69%", "100%"]


def luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["dark", "light", "contrast"])
def test_text_and_marks_can_be_read(name: str) -> None:
    theme = THEMES[name]
    text = ("text", "dim", "strong", "heading", "title", "title-focus", "key", "link", "warn", "failure", "ok",
            "task-queued", "task-running", "task-error", "engine-busy", "engine-dead")  # fmt: skip
    for variable in text:
        assert contrast(theme.variables[variable], str(theme.background)) >= 4.5, (name, variable)
        assert contrast(theme.variables[variable], theme.variables["cursor"]) >= 3, (
            name,
            variable,
            "under the cursor",
        )
    for variable in (*(f"fn-{hue}" for hue in range(HUES)), "unknown", "meter", "trend"):
        assert contrast(theme.variables[variable], str(theme.background)) >= 3, (name, variable)


def test_every_theme_has_every_variable() -> None:
    for theme in THEMES.values():
        assert set(SEMANTIC) <= set(theme.variables), theme.name
        assert set(SEMANTIC) >= BACKGROUNDS


def test_no_hue_is_the_red_of_failure() -> None:
    for theme in THEMES.values():
        hues = [theme.variables[f"fn-{hue}"] for hue in range(HUES)]
        assert theme.variables["failure"] not in hues and len(set(hues)) == HUES


def test_a_function_has_one_hue_for_ever() -> None:
    assert [hue_of(name) for name in ("mc_step", "fit", "read_io")] == [8, 4, 5]
    assert {hue_of(f"function_{number}") for number in range(200)} == set(range(HUES))
