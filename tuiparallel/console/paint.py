"""Names of styles to styles: the one place where a semantic variable of the theme becomes a colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.cells import cell_len, set_cell_size
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from tuiparallel.console.glyphs import Glyphs, plain
from tuiparallel.monitor.rows import Run

Cells = list[tuple[str, str]]
"""A line to be drawn: pieces of text, each with the name of its style ('strong', 'bold failure', 'fn-1 on fn-2').

What engines print has colours of its own: '=12' is one of the terminal's 256, '=#ff8800' any other."""

_ATTRIBUTES = frozenset({"bold", "italic", "underline", "reverse", "strike"})


class Paint:
    """Resolves style names against one theme, each name once; a theme change makes a new Paint."""

    def __init__(self, variables: Mapping[str, str], glyphs: Glyphs) -> None:
        self.glyphs = glyphs
        self._variables = variables
        self._styles: dict[str, Style] = {"": Style()}

    def style(self, name: str) -> Style:
        """The style of a name: attributes, a variable, and `on` another variable. An unknown word raises KeyError."""
        found = self._styles.get(name)
        if found is None:
            found = self._styles[name] = self._parse(name)
        return found

    def _parse(self, name: str) -> Style:
        attributes: dict[str, bool] = {}
        colour: str | None = None
        background: str | None = None
        behind = False
        for word in name.split():
            if word == "on":
                behind = True
            elif word in _ATTRIBUTES:
                attributes[word] = True
            elif behind:
                background = word[1:] if word.startswith("=") else self._variables[word]
            else:
                colour = word[1:] if word.startswith("=") else self._variables[word]
        return Style(
            color=_colour(colour) if colour else None,
            bgcolor=_colour(background) if background else None,
            **attributes,  # type: ignore[arg-type]
        )

    def strip(self, cells: Iterable[tuple[str, str]], width: int, base: Style) -> Strip:
        """Exactly `width` cells: what is too long ends in an ellipsis, what is short is filled."""
        segments: list[Segment] = []
        ascii_only = self.glyphs.name == "ascii"
        left = width
        last = ""
        for text, name in cells:
            if not text:
                continue
            if ascii_only and not text.isascii():
                text = plain(text)
            length = len(text) if text.isascii() else cell_len(text)
            style = self.style(name)
            if length > left:
                if left > 0:
                    cut = set_cell_size(text, left - 1) + self.glyphs.ellipsis if left > 1 else self.glyphs.ellipsis
                    segments.append(Segment(cut, base + style))
                left = 0
                break
            if segments and name == last:  # fewer segments are fewer bytes for the terminal
                segments[-1] = Segment(segments[-1].text + text, segments[-1].style)
            else:
                segments.append(Segment(text, base + style))
            last = name
            left -= length
        if left > 0:
            segments.append(Segment(" " * left, base))
        return Strip(segments, width)


def _colour(text: str) -> RichColor:
    return RichColor.from_ansi(int(text)) if text.isdecimal() else Color.parse(text).rich_color


def width_of(cells: Iterable[tuple[str, str]]) -> int:
    """How many cells wide a line is."""
    return sum(cell_len(text) for text, _ in cells)


def spread(left: Cells, right: Cells, width: int) -> Cells:
    """Both ends of a line: the right one keeps its place, the left one is clipped when they meet."""
    room = width - width_of(right)
    if room <= 0:
        return left
    taken = width_of(left)
    if taken < room:
        return [*left, (" " * (room - taken), ""), *right]
    return [*clipped(left, room - 1), (" ", ""), *right]


def clipped(cells: Cells, width: int) -> Cells:
    """A line of at most `width` cells; what is cut ends in an ellipsis."""
    kept: Cells = []
    left = width
    for text, name in cells:
        length = cell_len(text)
        if length > left:
            if left > 0:
                kept.append(((set_cell_size(text, left - 1) if left > 1 else "") + "…", name))
            return kept
        kept.append((text, name))
        left -= length
    return kept


def styled(text: str, runs: tuple[Run, ...], base: str) -> Cells:
    """Text with the styles that its escape sequences left."""
    if not runs:
        return [(text, base)]
    cells: Cells = []
    at = 0
    for run in runs:
        if run.start > at:
            cells.append((text[at : run.start], base))
        style = run.style
        words = [word for word in ("bold", "italic", "underline", "reverse", "strike") if getattr(style, word)]
        if style.fg is not None:
            words.append(f"={style.fg}")
        elif style.dim:
            words.append("dim")
        if style.bg is not None:
            words += ["on", f"={style.bg}"]
        cells.append((text[run.start : run.end], " ".join(words) or base))
        at = run.end
    if at < len(text):
        cells.append((text[at:], base))
    return cells
