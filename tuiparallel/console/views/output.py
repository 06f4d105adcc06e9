"""Pane 6: what the engines print, merged in the order of arrival."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from rich.cells import cell_len

from tuiparallel.console import figures
from tuiparallel.console.actions import Here, Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells, styled
from tuiparallel.console.themes import HUES
from tuiparallel.monitor.reads import LineList
from tuiparallel.monitor.rows import OutputFilter, OutputLine, Run, Section

WIDE_CLOCK = 70  # from this width on the time has milliseconds


class OutputView(LineView):
    """A row per line. It tails while the end is in view; scrolled up it stands still, its anchor a line's number."""

    pane: ClassVar[str] = "output"
    number: ClassVar[int] = 6
    pulls: ClassVar[int] = 15
    kind: ClassVar[str] = "line"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.following = True
        self.list: LineList | None = None
        self.where = OutputFilter()
        self.rows: dict[int, OutputLine] = {}
        self.left_at = 0  # how many lines there were when tailing stopped
        self.wrapped = False  # long lines go on below
        self._layout: list[tuple[int, int]] = []  # wrapped: row and piece of each line of the widget
        self._piece = 0  # wrapped: which part of its row the line has that is drawn now

    def version(self) -> Hashable:
        return self.desk.store.version(Section.OUTPUT)

    def pull(self) -> None:
        self.rows.clear()
        if self.list is None:
            self.list = self.desk.store.output_list(self.where)
        self.list.refresh()
        self.desk.retitle()

    def count(self) -> int:
        return len(self.list) if self.list is not None else 0

    def row(self, index: int) -> OutputLine | None:
        """The line of a row; fetches all visible ones at once."""
        if index not in self.rows and self.list is not None:
            first = min(self.top, index)
            for offset, row in enumerate(self.list.rows(first, max(self.room, index + 1 - first))):
                self.rows[first + offset] = row
        return self.rows.get(index)

    def key_at(self, index: int) -> Key:
        return self.list.number(index) if self.list is not None else 0

    def find(self, key: Key) -> int | None:
        if self.list is None or not isinstance(key, int) or not len(self.list):
            return None
        # A line that has gone gives way to the next younger one, so the view slides only when it must.
        return min(self.list.index(key), len(self.list) - 1)

    def stamp(self, index: int) -> Hashable:
        row = self.row(index)
        return (
            None if row is None else (row.number, len(row.text), row.text if row.open else "", row.lost, self._piece)
        )

    def cells(self, index: int, width: int) -> Cells:
        row = self.row(index)
        if row is None:
            return [("gone", "dim")]
        wide = width >= WIDE_CLOCK
        clock = figures.clock(row.at, millis=wide)
        engine = f"e{row.engine}"
        if row.lost:
            many = f"{self.desk.glyphs.ellipsis} {row.lost:,} {row.unit or 'lines'} not shown (w writes what is kept)"
            return [(" " * (len(clock) + 1), ""), (f"{engine:>4}  ", "dim"), (many, "warn")]
        style = "failure" if row.stream == "error" else "warn" if row.stream == "stderr" else ""
        cells: Cells = [(clock + " ", "dim"), (f"{engine:>4}  ", f"fn-{row.engine % HUES}")]
        if self.wrapped and self._layout:
            parts = pieces(row.text, width - len(clock) - 7)
            start, end = parts[min(self._piece, len(parts) - 1)]
            if self._piece:
                cells = [(" " * (len(clock) + 7), "")]
            cells += styled(row.text[start:end], cut_runs(row.runs, start, end), style)
            return cells + self._cut(row) if end == len(row.text) else cells
        cells += styled(row.text, row.runs, style)
        return cells + self._cut(row)

    def _cut(self, row: OutputLine) -> Cells:
        return [(f" {self.desk.glyphs.ellipsis} +{figures.size(row.cut)}", "dim")] if row.cut else []

    # Wrapping ---------------------------------------------------------------------------------------------------

    def wrap(self, on: bool) -> None:
        """Shows long lines whole, on as many lines as they need, or each on one."""
        self.wrapped = on
        self._layout, self._piece = [], 0
        self._show_cursor()
        self.repaint()

    def _height(self, index: int) -> int:
        row = self.row(index)
        if row is None or row.lost:
            return 1
        width = self.size.width - 2
        return len(pieces(row.text, width - (13 if width >= WIDE_CLOCK else 9) - 6))

    def _show_cursor(self) -> None:
        super()._show_cursor()
        if not self.wrapped or not self.count():
            return
        room = max(1, self.room)
        last = self.count() - 1 if self.following else self._at
        # Back from the last row that must be seen: as many rows as fit above it may be the first.
        first, used = last, self._height(last)
        while first > 0 and used + (more := self._height(first - 1)) <= room:
            first, used = first - 1, used + more
        if self.top < first or self.following:
            self.top = first
        self._layout = []
        for index in range(self.top, min(self.count(), self.top + room)):
            self._layout += [(index, piece) for piece in range(self._height(index))]
            if len(self._layout) >= room:
                break

    def row_at(self, y: int) -> int:
        if not self.wrapped:
            return super().row_at(y)
        line = y - self.head_lines
        if not 0 <= line < len(self._layout):
            self._piece = 0
            return self.count()
        index, self._piece = self._layout[line]
        return index

    def title(self) -> Cells:
        names = []
        if self.where.engines:
            names.append(f"e{figures.ranges(list(self.where.engines))}")
        if self.where.streams:
            names.append(",".join(sorted(self.where.streams)))
        if self.where.tasks:
            names.append(figures.plural(len(self.where.tasks), "task"))
        if self.where.text:
            names.append(f"/{self.where.text}")
        title: Cells = [(" ".join(names), "key") if names else ("all engines", "dim")]
        if self.wrapped:
            title.append(("  wrapped", "dim"))
        if self.following:
            title.append(("  tail", "dim"))
        elif (came := self.count() - self.left_at) > 0:
            title.append((f"  +{figures.plural(came, 'line')}", "key"))
        return title

    def empty(self) -> list[str]:
        if self.where != OutputFilter():
            return ["No line passes the filter", "esc clears it"]
        return ["Nothing printed yet"]

    def sentence(self) -> Cells:
        row = self.row(self._at) if self.count() else None
        if row is None:
            return []
        task = f", {self.desk.store.msg_id(row.task)}" if row.task is not None else ", between tasks"
        return [(f"e{row.engine} {row.stream}{task}, {cell_len(row.text):,} cells", "dim")]

    def here(self) -> Here:
        row = self.row(self._at) if self.count() else None
        if row is None:
            return Here(self.pane)
        if row.task is not None:
            return Here(self.pane, "task", (row.task,))
        return Here(self.pane, "engine", (row.engine,))

    def move_to(self, index: int, *, follow: bool = False) -> None:
        was = self.following
        super().move_to(index, follow=follow or index >= self.count() - 1)
        if was and not self.following:
            self.left_at = self.count()
        self.desk.retitle()

    def filter_by(self, text: str) -> str | None:
        """Words are searched; `engine:0-3`, `stream:stderr` and `task:ID` narrow it down."""
        engines: set[int] = set()
        streams: set[str] = set()
        words: list[str] = []
        for word in text.split():
            field, colon, value = word.partition(":")
            if colon and field in ("engine", "e"):
                parsed = engine_ids(value)
                if parsed is None:
                    return f"{value!r} names no engines: write engine:0-3,7"
                engines |= parsed
            elif colon and field == "stream":
                streams |= set(value.split(","))
            else:
                words.append(word)
        self.see(OutputFilter(frozenset(engines), frozenset(streams), frozenset(), frozenset(), " ".join(words)))
        self.filter_text = text.strip()
        return None

    def see(self, where: OutputFilter) -> None:
        """Shows only these lines, and tails."""
        self.where = where
        self.list = None
        self.following = True
        self.filter_text = "selection" if where != OutputFilter() else ""
        self.pull_now(force=True)


def pieces(text: str, room: int) -> list[tuple[int, int]]:
    """Where a text is cut so that no part takes more than `room` cells; one empty part for an empty text."""
    room = max(2, room)
    if len(text) <= room and text.isascii():
        return [(0, len(text))]
    if text.isascii():
        return [(start, min(start + room, len(text))) for start in range(0, len(text), room)]
    found: list[tuple[int, int]] = []
    start = used = 0
    for at, character in enumerate(text):
        width = cell_len(character)
        if used + width > room:
            found.append((start, at))
            start, used = at, 0
        used += width
    return [*found, (start, len(text))]


def cut_runs(runs: tuple[Run, ...], start: int, end: int) -> tuple[Run, ...]:
    """The styles of a part of a text, counted from the part's beginning."""
    return tuple(
        Run(max(run.start, start) - start, min(run.end, end) - start, run.style)
        for run in runs
        if run.start < end and run.end > start
    )


def engine_ids(text: str) -> set[int] | None:
    """Ids in words: 0-3,7. None when they are not."""
    found: set[int] = set()
    for piece in text.split(","):
        low, dash, high = piece.partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            return None
        found.update(range(int(low), int(high if dash else low) + 1))
    return found
