"""What engines printed: safe lines with absolute numbers, bounded, each engine with its share.

A line's number never changes. When there are too many lines the engine that holds most loses its oldest; one line per
engine then says exactly how many. Gaps in what arrived (Chunk.offset) stand as lines of their own. A carriage return
redraws the line it is in.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import deque

from tuiparallel.monitor.rows import OutputLine, Run, Style
from tuiparallel.monitor.sanitize import PLAIN, Piece, Sanitizer
from tuiparallel.wire.messages import Chunk

MAX_LINES = 100_000
MAX_BYTES = 32 << 20
MAX_CELLS = 4_096
TAB = 8
LINE_BYTES = 100  # what a line costs beside its text, about
_BREAK = re.compile(r"[\n\r]")


class _Source:
    """One stream of one engine: its unfinished line and how far it has been read."""

    __slots__ = ("cells", "cut", "number", "offset", "pieces", "redraw", "sanitizer", "task")

    def __init__(self) -> None:
        self.sanitizer = Sanitizer()
        self.offset: int | None = None
        self.number: int | None = None  # of the unfinished line
        self.pieces: list[Piece] = []
        self.cells = 0
        self.cut = 0
        self.redraw = False  # a carriage return came: the next text begins the line anew
        self.task: int | None = None


class _Share:
    """The lines one engine has here."""

    __slots__ = ("bytes", "characters", "lost", "marker", "numbers")

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.bytes = 0
        self.lost = 0  # lines let go
        self.characters = 0  # characters that never came, whose note was let go too
        self.marker: int | None = None  # number of the line that says so


class Output:
    """All lines, by number."""

    def __init__(self, lines: int = MAX_LINES, bytes_: int = MAX_BYTES) -> None:
        self.lines: dict[int, OutputLine] = {}
        self.end = 0  # the number the next line will have
        self.max_lines, self.max_bytes = lines, bytes_
        self.bytes = 0
        self.kept = 0  # lines, notes of loss at the head of a share not counted
        self.evictions = 0
        self.changes: deque[int] = deque(maxlen=20_000)  # numbers of lines that were redrawn
        self.change_count = 0
        self._sources: dict[tuple[int, str], _Source] = {}
        self._shares: dict[int, _Share] = {}

    @property
    def dropped(self) -> int:
        """Control sequences left out so far."""
        return sum(source.sanitizer.dropped for source in self._sources.values())

    def put(self, chunk: Chunk) -> bool:
        """Take in a chunk; False when all of it was here before."""
        key = (chunk.engine, chunk.stream)
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = _Source()
        text = chunk.text
        if source.offset is not None and chunk.offset != source.offset:
            if chunk.offset < source.offset:
                text = text[source.offset - chunk.offset :]
                if not text:
                    return False
            else:
                self._gap(source, chunk, chunk.offset - source.offset)
        source.offset = chunk.offset + len(chunk.text)
        if source.task != chunk.task:
            self._finish(source, chunk)
            source.task = chunk.task
        self._write(source, chunk, source.sanitizer.feed(text))
        return True

    def note(self, at: float, engine: int, task: int | None, stream: str, text: str) -> None:
        """Add one line of safe text, as it is."""
        self._add(OutputLine(self._number(), at, engine, task, stream, text))

    # Lines ---------------------------------------------------------------------------------------------------------

    def _write(self, source: _Source, chunk: Chunk, pieces: list[Piece]) -> None:
        touched = False
        for text, style in pieces:
            begin = 0
            for mark in _BREAK.finditer(text):
                if mark.start() > begin:
                    self._append(source, text[begin : mark.start()], style)
                begin = mark.end()
                if mark[0] == "\r":
                    source.redraw = True
                else:
                    self._show(source, chunk, open_=False)
                    self._reset(source)
            if begin < len(text):
                self._append(source, text[begin:], style)
            touched = True
        if touched and (source.pieces or source.number is not None):
            self._show(source, chunk, open_=True)

    def _append(self, source: _Source, text: str, style: Style) -> None:
        if source.redraw:
            source.pieces, source.cells, source.cut, source.redraw = [], 0, 0, False
        if "\t" in text:
            text = tabs(text, source.cells)
        room = MAX_CELLS - source.cells
        width = len(text) if text.isascii() else cells(text)
        if width > room:
            text, used = _fit(text, room)
            source.cut += width - used
            width = used
        source.cells += width
        if text:
            source.pieces.append((text, style))

    def _show(self, source: _Source, chunk: Chunk, open_: bool) -> None:
        """Make the source's line what the store shows: a new line, or the one it redraws."""
        text, runs = joined(source.pieces)
        number = source.number
        old = self.lines.get(number) if number is not None else None
        if number is None or old is None:
            number = source.number = self._number()
            self._add(
                OutputLine(
                    number, chunk.at, chunk.engine, chunk.task, chunk.stream, text, runs, 0, "", source.cut, open_
                )
            )
            return
        line = old._replace(text=text, runs=runs, cut=source.cut, open=open_)
        if line == old:
            return
        self.lines[number] = line
        grown = sys.getsizeof(text) - sys.getsizeof(old.text)
        self._shares[chunk.engine].bytes += grown
        self.bytes += grown
        self.changes.append(number)
        self.change_count += 1
        self._make_room()

    def _reset(self, source: _Source) -> None:
        source.number, source.pieces, source.cells, source.cut, source.redraw = None, [], 0, 0, False

    def _finish(self, source: _Source, chunk: Chunk) -> None:
        """End the unfinished line of a source whose task has changed."""
        number = source.number
        if number is not None and (line := self.lines.get(number)) is not None and line.open:
            self.lines[number] = line._replace(open=False)
            self.changes.append(number)
            self.change_count += 1
        self._reset(source)

    def _gap(self, source: _Source, chunk: Chunk, characters: int) -> None:
        self._finish(source, chunk)
        source.sanitizer = _renewed(source.sanitizer)
        text = f"… {characters:,} characters not shown"
        self._add(
            OutputLine(
                self._number(), chunk.at, chunk.engine, chunk.task, chunk.stream, text, (), characters, "characters"
            )
        )

    def _number(self) -> int:
        self.end += 1
        return self.end - 1

    def _add(self, line: OutputLine) -> None:
        self.lines[line.number] = line
        share = self._shares.get(line.engine)
        if share is None:
            share = self._shares[line.engine] = _Share()
        cost = sys.getsizeof(line.text) + LINE_BYTES
        share.numbers.append(line.number)
        share.bytes += cost
        self.bytes += cost
        self.kept += 1
        if self.kept > self.max_lines or self.bytes > self.max_bytes:
            self._make_room()

    # Bounds --------------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        step = max(self.max_lines // 1000, 1)
        while self.kept > self.max_lines:
            self._evict(max(self._shares.values(), key=lambda share: len(share.numbers)), step)
        while self.bytes > self.max_bytes and self.kept > 1:
            self._evict(max(self._shares.values(), key=lambda share: share.bytes), step)

    def _evict(self, share: _Share, count: int) -> None:
        """Let the oldest lines of an engine go; the newest of them is where its note of loss stands."""
        last: OutputLine | None = None
        for _ in range(min(count, len(share.numbers))):
            line = last = self.lines.pop(share.numbers.popleft())
            cost = sys.getsizeof(line.text) + LINE_BYTES
            share.bytes -= cost
            self.bytes -= cost
            self.kept -= 1
            if line.unit == "characters":
                share.characters += line.lost
            else:
                share.lost += 1
        if last is None:
            return
        if share.marker is not None:
            self.lines.pop(share.marker, None)
        share.marker = last.number
        text = f"… {share.lost:,} lines not shown (w writes them all)"
        if share.characters:
            text = f"… {share.lost:,} lines and {share.characters:,} characters not shown (w writes them all)"
        self.lines[last.number] = last._replace(
            text=text, runs=(), lost=share.lost, unit="lines", cut=0, open=False, task=None, stream="stdout"
        )
        self.evictions += 1

    def markers(self) -> list[int]:
        """Numbers of the lines that say what was let go."""
        return [share.marker for share in self._shares.values() if share.marker is not None]

    def newest(self, engine: int, count: int) -> list[OutputLine]:
        """The newest lines of an engine, oldest first."""
        share = self._shares.get(engine)
        if share is None or count < 1:
            return []
        found: list[OutputLine] = []
        for number in reversed(share.numbers):
            found.append(self.lines[number])
            if len(found) >= count:
                break
        return found[::-1]


# Cells ------------------------------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """How many terminal cells a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cell, text))


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _fit(text: str, room: int) -> tuple[str, int]:
    """As much of a text as fits in `room` cells, and the cells that takes."""
    if text.isascii():
        return text[:room], min(len(text), room)
    used = 0
    for at, char in enumerate(text):
        width = _cell(char)
        if used + width > room:
            return text[:at], used
        used += width
    return text, used


def tabs(text: str, column: int) -> str:
    """Tabs as spaces, for text that begins in this column."""
    return (" " * (column % TAB) + text).expandtabs(TAB)[column % TAB :]


def joined(pieces: list[Piece]) -> tuple[str, tuple[Run, ...]]:
    """Pieces as one text, and where which style is."""
    if len(pieces) == 1 and pieces[0][1] == PLAIN:
        return pieces[0][0], ()
    runs: list[Run] = []
    at = 0
    for text, style in pieces:
        if style != PLAIN:
            if runs and runs[-1].end == at and runs[-1].style == style:
                runs[-1] = runs[-1]._replace(end=at + len(text))
            else:
                runs.append(Run(at, at + len(text), style))
        at += len(text)
    return "".join(text for text, _ in pieces), tuple(runs)


def _renewed(sanitizer: Sanitizer) -> Sanitizer:
    """A sanitizer without a half sequence, after a gap."""
    fresh = Sanitizer()
    fresh.dropped = sanitizer.dropped
    return fresh
