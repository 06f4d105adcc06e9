"""Pane 2: every engine's time as a row of cells on one shared axis, live or back in time.

Cells stand on a fixed grid of the hub's time, so a live view shifts by whole cells and asks only for the newest ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import ClassVar

from tuiparallel.console import figures
from tuiparallel.console.actions import Here, Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.console.themes import hue_of
from tuiparallel.monitor.rows import IDLE_CELL, Cell, Section, TaskView

SPANS = (
    0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 12 * 3600.0,
    86400.0, 3 * 86400.0, 7 * 86400.0,
)  # fmt: skip
WHOLE_AGAIN = 2.0  # seconds after which older cells are asked for again: results that came late may change them
AGAIN = 3  # newest columns that are asked for at every step


class TimelineView(LineView):
    """A row per engine, in the order of the engines' pane."""

    pane: ClassVar[str] = "timeline"
    number: ClassVar[int] = 2
    pulls: ClassVar[int] = 10
    kind: ClassVar[str] = "engine"
    keeps_cursor: ClassVar[bool] = True

    def __init__(self, desk: Desk, order: Callable[[], list[int]]) -> None:
        super().__init__(desk)
        self.order = order
        self.ids: list[int] = []
        self.lanes: dict[int, list[Cell]] = {}
        self.span = desk.options.span
        self.live = True
        self.last = 0  # the grid number of the newest column on screen
        self.column: int | None = None  # the time cursor, as a grid number
        self._grid: tuple[float, int, tuple[int, ...]] = (0.0, 0, ())
        self._whole_at = float("-inf")

    # Geometry ---------------------------------------------------------------------------------------------------

    @property
    def label(self) -> int:
        """Cells of an engine's id and the blank after it."""
        return max(2, len(str(max(self.ids, default=0)))) + 2

    @property
    def columns(self) -> int:
        """Cells of the time axis."""
        return max(1, self.size.width - 2 - self.label)

    @property
    def cell(self) -> float:
        """Seconds that one cell stands for."""
        return self.span / self.columns

    def hub_now(self) -> float:
        """The hub's time."""
        return self.desk.store.hub_time(self.desk.clock.time())

    # What the store says ----------------------------------------------------------------------------------------

    def version(self) -> Hashable:
        store = self.desk.store
        step = math.floor(self.hub_now() / self.cell) if self.live else self.last
        return (store.version(Section.TIMELINE), store.version(Section.ENGINES), step, self.span, self.columns,
                int(self.desk.clock.time()) if self.live else 0)  # fmt: skip

    def pull(self) -> None:
        known = self.desk.store.engine_ids(self.desk.clock.time())
        present = set(known)
        ordered = [id for id in self.order() if id in present]
        self.ids = ordered or known
        if self.live:
            self.last = math.floor(self.hub_now() / self.cell)
        self.desk.retitle()

    def _settle(self) -> None:
        super()._settle()
        self._take()

    def _take(self) -> None:
        """Asks the store for what is visible: the newest columns, or all when the grid or the rows have changed."""
        visible = tuple(self.ids[self.top : self.top + max(1, self.room)])
        columns, cell = self.columns, self.cell
        tick = self.desk.clock.monotonic()
        old_cell, old_last, old_visible = self._grid
        step = self.last - old_last
        partial = (
            old_cell == cell and old_visible == visible and 0 <= step < columns - AGAIN
            and tick - self._whole_at < WHOLE_AGAIN and self.live
        )  # fmt: skip
        wanted = min(columns, step + AGAIN) if partial else columns
        now = self.desk.clock.time()
        start, end = (self.last + 1 - wanted) * cell, (self.last + 1) * cell
        fresh = {lane.engine: lane.cells for lane in self.desk.store.timeline(visible, start, end, wanted, now)}
        if partial:
            for id in visible:
                kept = self.lanes.get(id, [])[step:]
                del kept[columns - wanted :]
                self.lanes[id] = kept + list(fresh.get(id, (IDLE_CELL,) * wanted))
        else:
            self.lanes = {id: list(fresh.get(id, (IDLE_CELL,) * wanted)) for id in visible}
            self._whole_at = tick
        self._grid = (cell, self.last, visible)

    def count(self) -> int:
        return len(self.ids)

    def key_at(self, index: int) -> Key:
        return self.ids[index]

    def find(self, key: Key) -> int | None:
        try:
            return self.ids.index(key) if isinstance(key, int) else None
        except ValueError:
            return None

    # What is drawn ----------------------------------------------------------------------------------------------

    def cells(self, index: int, width: int) -> Cells:
        id = self.ids[index]
        here = id == self.cursor
        if id not in self.lanes:
            self._take()
        lane = self.lanes.get(id, [])
        line: Cells = [(f"{id:>{self.label - 1}} ", "strong" if here else "dim")]
        first = self.last - len(lane) + 1
        if self.desk.glyphs.name == "ascii":
            line += self._ascii_lane(lane, first)
        else:
            line += self._lane(lane, first)
        if here and self.column is not None and 0 <= self.column - first < len(lane):
            line = _lit(line, self.label + self.column - first)
        return line

    def _lane(self, lane: list[Cell], first: int) -> Cells:
        glyphs = self.desk.glyphs
        cells: Cells = []
        index = 0
        while index < len(lane):
            cell = lane[index]
            if cell.failed:
                cells.append((glyphs.failure, "bold failure"))
            elif cell.unknown:
                cells.append((glyphs.unknown, "unknown"))
            elif cell.edge is None:
                height = min(8, max(1, round(cell.busy * 8))) if cell.busy > 0 else 0
                cells.append((glyphs.heights[height], f"fn-{hue_of(cell.name)}" if cell.name else ""))
            elif cell.name and cell.edge >= 1.0:
                length = self._solid(lane, index)
                cells += self._bar(cell.name, length)
                index += length
                continue
            elif not cell.name and (cell.edge >= 1.0 or not cell.after):
                cells.append((glyphs.faint if (first + index) % 10 == 0 else " ", "rule"))
            else:
                cells.append(self._edge(cell))
            index += 1
        return cells

    def _solid(self, lane: list[Cell], start: int) -> int:
        """How many cells from here are wholly the same task."""
        task, end = lane[start].task, start
        while end < len(lane):
            cell = lane[end]
            if (
                cell.failed
                or cell.unknown
                or cell.edge is None
                or cell.edge < 1.0
                or cell.task != task
                or not cell.name
            ):
                break
            end += 1
        return max(1, end - start)

    def _bar(self, name: str, length: int) -> Cells:
        """A solid bar; the function's name is written into it where there is room."""
        hue = f"fn-{hue_of(name)}"
        block = self.desk.glyphs.lefts[8]
        if length >= len(name) + 4 and name.isascii():
            return [(block, hue), (f" {name} ", f"background on {hue}"), (block * (length - len(name) - 3), hue)]
        return [(block * length, hue)]

    def _edge(self, cell: Cell) -> tuple[str, str]:
        part = self.desk.glyphs.lefts[max(1, min(7, round((cell.edge or 0.0) * 8)))]
        front = f"fn-{hue_of(cell.name)}" if cell.name else "background"
        return part, f"{front} on fn-{hue_of(cell.after)}" if cell.after else front

    def _ascii_lane(self, lane: list[Cell], first: int) -> Cells:
        cells: Cells = []
        for index, cell in enumerate(lane):
            name = cell.name or cell.after
            if cell.failed:
                cells.append(("!", "bold failure"))
            elif cell.unknown:
                cells.append(("?", "unknown"))
            elif not name or cell.busy < 0.06:
                cells.append(("." if (first + index) % 10 == 0 else " ", "rule"))
            else:
                letter = name[0] if name[0].isascii() and name[0].isalpha() else "#"
                cells.append((letter.upper() if cell.busy > 0.5 else letter.lower(), f"fn-{hue_of(name)}"))
        return cells

    def footing(self, width: int) -> Cells | None:
        """The axis: times of day at round distances, on the grid of the cells."""
        cell, columns = self.cell, self.columns
        first = self.last - columns + 1
        every = _tick(cell * 15)
        fine = every < 1.0
        line = [" "] * columns
        tick = math.ceil(first * cell / every) * every
        while self.desk.store.next_number() is not None and tick < (self.last + 1) * cell:
            text = figures.clock(tick, millis=fine)
            at = math.floor(tick / cell) - first
            if 0 <= at and at + len(text) <= columns and all(mark == " " for mark in line[at : at + len(text) + 1]):
                line[at : at + len(text)] = text
            tick += every
        return [(" " * (self.label + 1), ""), ("".join(line), "dim")]

    def title(self) -> Cells:
        kind = "live" if self.live else f"until {figures.clock((self.last + 1) * self.cell)}"
        title: Cells = [(f"{_span(self.span)}  ", "dim"), (kind, "ok" if self.live else "key")]
        if not self.live and self.column is not None:
            title.append((f"  at {figures.clock(self.column * self.cell, millis=self.cell < 1)}", "key"))
        oldest = self.desk.store.oldest()
        if oldest is not None and not self.live and (self.last - self.columns) * self.cell < oldest:
            title.append((f"  nothing kept before {figures.clock(oldest)}", "dim"))
        return title

    def empty(self) -> list[str]:
        return ["Tasks will appear here, a row for each engine"]

    def sentence(self) -> Cells:
        if not self.ids:
            return []
        task = self.task_here()
        if task is None:
            return [("h l", "key"), (" move in time  ", "dim"), ("+ -", "key"), (" zoom  ", "dim"), ("n", "key"),
                    (" next failure  ", "dim"), ("end", "key"), (" live", "dim")]  # fmt: skip
        known = (("wait", task.wait), ("run", task.run), ("return", task.back))
        parts = "".join(f"  {name} {figures.duration(value)}" for name, value in known if value is not None)
        label = f" {task.label}" if task.label else ""
        return [(f"{task.msg_id}  ", "dim"), (f"{task.name}{label}", f"fn-{hue_of(task.name)}"), (parts, "dim")]

    # Moving -----------------------------------------------------------------------------------------------------

    def task_here(self) -> TaskView | None:
        """The task at the time cursor, on the engine under the cursor."""
        if self.column is None or not isinstance(self.cursor, int):
            return None
        now = self.desk.clock.time()
        index = self.column - (self.last - self.columns + 1)
        lane = self.lanes.get(self.cursor, [])
        if 0 <= index < len(lane) and (task := lane[index].task or lane[index].after_task) is not None:
            return self.desk.store.task(task)
        return self.desk.store.task_at(self.cursor, (self.column + 0.5) * self.cell, now)

    def here(self) -> Here:
        task = self.task_here() if not self.marks else None
        return Here(self.pane, "task", (task.id,)) if task is not None else super().here()

    def pan(self, cells: int) -> None:
        """Moves the time cursor; the axis follows it past its ends."""
        start = self.column if self.column is not None else self.last + (1 if cells < 0 else 0)
        self.column = min(start + cells, math.floor(self.hub_now() / self.cell))
        self.live = False
        self._keep_in_sight()
        self._moved()

    def zoom(self, step: int) -> None:
        """Another span of time, around the time cursor (or, live, around the end)."""
        place = min(range(len(SPANS)), key=lambda index: abs(SPANS[index] - self.span))
        anchor = (self.column + 0.5) * self.cell if self.column is not None else None
        share = (self.column - self.last + self.columns - 1) / self.columns if self.column is not None else 1.0
        self.span = SPANS[max(0, min(len(SPANS) - 1, place - step))]
        if anchor is not None:
            self.column = math.floor(anchor / self.cell)
            self.last = self.column + self.columns - 1 - round(share * self.columns)
        elif not self.live:
            self.last = math.floor(self.hub_now() / self.cell)
        self._moved()

    def go_live(self) -> None:
        """Follows the newest tasks again."""
        self.live = True
        self.column = None
        self._moved()

    def go_oldest(self) -> None:
        """Goes to the oldest span that is kept."""
        oldest = self.desk.store.oldest()
        if oldest is not None:
            self.show(oldest)

    def show(self, at: float, engine: int | None = None) -> None:
        """Puts the time cursor on a moment."""
        self.column = math.floor(at / self.cell)
        self.live = False
        self._keep_in_sight()
        self._moved()
        if engine is not None:
            self.go_to(engine)

    def next_problem(self, step: int) -> bool:
        at = (self.column + (1 if step > 0 else 0)) * self.cell if self.column is not None else self.hub_now()
        mark = self.desk.store.next_failure(self.ids, at, step < 0 or self.column is None)
        if mark is None:
            return False
        self.show(mark.at, mark.engine)
        return True

    def _keep_in_sight(self) -> None:
        if self.column is None:
            return
        if self.column > self.last:
            self.last = self.column
        elif self.column <= self.last - self.columns:
            self.last = self.column + self.columns - 1 - self.columns // 4
            self.last = min(self.last, max(self.column, math.floor(self.hub_now() / self.cell)))

    def _moved(self) -> None:
        self._whole_at = float("-inf")
        self.moved_at = self.desk.clock.monotonic()
        self.pull_now(force=True)
        self.post_message(self.Moved(self))


def _lit(line: Cells, at: int) -> Cells:
    """The line with its cell number `at` turned to reverse."""
    found: Cells = []
    left = at
    for text, style in line:
        if 0 <= left < len(text):
            found += [(text[:left], style), (text[left], f"reverse {style}"), (text[left + 1 :], style)]
        else:
            found.append((text, style))
        left -= len(text)
    return found


def _tick(least: float) -> float:
    """The next round distance in time."""
    rounds = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
              3600, 7200, 21600, 43200, 86400)  # fmt: skip
    return next((value for value in rounds if value >= least), 86400.0)


def _span(seconds: float) -> str:
    return (
        figures.duration(seconds)
        if seconds < 60 or seconds % 60
        else (
            f"{seconds / 60:.0f}m"
            if seconds < 3600
            else f"{seconds / 3600:.0f}h"
            if seconds < 86400
            else f"{seconds / 86400:.0f}d"
        )
    )
