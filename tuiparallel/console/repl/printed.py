"""The text a cell prints, line by line and bounded, made safe as it comes in; its colours stay."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from tuiparallel.monitor.output import joined, tabs
from tuiparallel.monitor.rows import Run, Style
from tuiparallel.monitor.sanitize import Piece, Sanitizer

MOST = 256 << 10  # characters of one cell
LONGEST = 4096  # characters of one line


class Shown(NamedTuple):
    """A line as it is shown: safe text, and which characters have which style."""

    stream: str
    text: str
    runs: tuple[Run, ...] = ()

    def behind(self, prefix: str) -> Shown:
        """The line with something written before it."""
        by = len(prefix)
        runs = tuple(Run(run.start + by, run.end + by, run.style) for run in self.runs)
        return Shown(self.stream, prefix + self.text, runs)


class _Open:
    """The unfinished line of one stream."""

    __slots__ = ("length", "pieces", "redraw", "safe")

    def __init__(self) -> None:
        self.safe = Sanitizer()
        self.pieces: list[Piece] = []
        self.length = 0
        self.redraw = False  # a carriage return came: the next text begins the line anew

    def begin(self) -> None:
        self.pieces, self.length, self.redraw = [], 0, False

    def add(self, piece: Piece) -> None:
        if self.redraw:
            self.begin()
        text, style = piece
        if "\t" in text:
            text = tabs(text, self.length)
        text = text[: LONGEST - self.length]
        if text:
            self.pieces.append((text, style))
            self.length += len(text)


class Printed:
    """Lines of one cell. A carriage return begins its line anew, so a progress bar stays one line."""

    def __init__(self) -> None:
        self.lines: deque[Shown] = deque()
        self.left_out = 0  # lines
        self.version = 0
        self._size = 0
        self._open: dict[str, _Open] = {}

    def feed(self, stream: str, text: str) -> None:
        """Takes a chunk of one stream."""
        line = self._open.get(stream)
        if line is None:
            line = self._open[stream] = _Open()
        self.version += 1
        for safe, style in line.safe.feed(text):
            first, *rest = safe.split("\n")
            self._write(line, first, style)
            for part in rest:
                self._end(stream, line)
                self._write(line, part, style)

    def _write(self, line: _Open, text: str, style: Style) -> None:
        first, *rest = text.split("\r")
        if first:
            line.add((first, style))
        for part in rest:
            line.redraw = True
            if part:
                line.add((part, style))

    def _end(self, stream: str, line: _Open) -> None:
        text, runs = joined(line.pieces) if line.pieces else ("", ())
        line.begin()
        self.lines.append(Shown(stream, text, runs))
        self._size += len(text) + 1
        while self._size > MOST:
            self._size -= len(self.lines.popleft().text) + 1
            self.left_out += 1

    def tail(self, count: int) -> list[Shown]:
        """The newest lines, the unfinished one among them."""
        unfinished = [Shown(stream, *joined(line.pieces)) for stream, line in self._open.items() if line.pieces]
        whole = [*(list(self.lines)[-count:]), *unfinished]
        return whole[-count:] if count else []

    def __len__(self) -> int:
        return len(self.lines) + sum(1 for line in self._open.values() if line.pieces)


def styled_lines(text: str) -> tuple[tuple[Run, ...], ...]:
    """The styles of what was printed, a line each, for text that is shown by `clean_output`; empty when it has none."""
    if "\x1b" not in text and "\x9b" not in text:
        return ()
    printed = Printed()
    printed.feed("", text)
    return tuple(line.runs for line in printed.tail(len(printed)))
