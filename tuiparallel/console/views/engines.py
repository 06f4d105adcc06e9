"""Pane 1: every engine, what it runs, for how long, its queue and its vitals."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import ClassVar

from tuiparallel.console import figures
from tuiparallel.console.actions import Key
from tuiparallel.console.columns import Column, fit, heading, row_cells
from tuiparallel.console.desk import Desk
from tuiparallel.console.glyphs import ENGINE_LETTERS, Glyphs, spark
from tuiparallel.console.lineview import QUIET_AFTER_MOVE, LineView
from tuiparallel.console.paint import Cells, width_of
from tuiparallel.console.themes import hue_of
from tuiparallel.monitor.query import ENGINE_FIELDS, Query, QueryError, parse
from tuiparallel.monitor.rows import EngineView, Section
from tuiparallel.wire.states import EngineState

SORT_EVERY = 2.0  # seconds between two sortings by what moves
TREND = 4  # cells of a trend line
HIGH_MEMORY = 0.9
LIFE = ("id", "st", "q", "age")  # the columns of a dead engine, where there is no room for its reason beside all


class EnginesView(LineView):
    """A row per engine, dead ones included until they are forgotten."""

    pane: ClassVar[str] = "engines"
    number: ClassVar[int] = 1
    pulls: ClassVar[int] = 10
    kind: ClassVar[str] = "engine"
    keeps_cursor: ClassVar[bool] = True

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.ids: list[int] = []
        self.places: dict[int, int] = {}
        self.rows: dict[int, EngineView] = {}
        self.all = 0
        self.where: Query | None = None
        self.sort = "id"
        self.reverse = False
        self.sorted_at = float("-inf")
        self.digits = 2
        self.columns = _columns(desk, self.digits)

    # What the store says ----------------------------------------------------------------------------------------

    def version(self) -> Hashable:
        store = self.desk.store
        parts = (Section.ENGINES, Section.VITALS, Section.WARNINGS)
        return (*map(store.version, parts), int(self.desk.clock.time()))

    def pull(self) -> None:
        store, now = self.desk.store, self.desk.clock.time()
        self.rows.clear()
        tick = self.desk.clock.monotonic()
        if self.sort == "id" and self.where is None:
            ids = store.engine_ids(now, reverse=self.reverse)
            self.all = len(ids)
        else:
            self.all = len(store.engine_ids(now))
            ids = store.engine_ids(now, self.where, self.sort, self.reverse)
            if tick - self.moved_at < QUIET_AFTER_MOVE or tick - self.sorted_at < SORT_EVERY:
                present = set(ids)
                kept = [id for id in self.ids if id in present]
                ids = kept + sorted(present.difference(kept))
            else:
                self.sorted_at = tick
        self.ids = ids
        self.places = {id: index for index, id in enumerate(ids)}
        if (digits := max(2, len(str(max(ids, default=0))))) != self.digits:
            self.digits, self.columns = digits, _columns(self.desk, digits)
        self.desk.retitle()

    def count(self) -> int:
        return len(self.ids)

    def key_at(self, index: int) -> Key:
        return self.ids[index]

    def find(self, key: Key) -> int | None:
        return self.places.get(key) if isinstance(key, int) else None

    def row(self, index: int) -> EngineView | None:
        """The engine of a row; fetches all visible ones at once."""
        id = self.ids[index]
        if id not in self.rows:
            first = min(self.top, index)
            wanted = self.ids[first : max(first + self.room, index + 1)]
            for row in self.desk.store.engine_rows(wanted, self.desk.clock.time()):
                self.rows[row.id] = row
        return self.rows.get(id)

    # What is drawn ----------------------------------------------------------------------------------------------

    def cells(self, index: int, width: int) -> Cells:
        row = self.row(index)
        if row is None:
            return [(f"{self.ids[index]} is gone", "dim")]
        warned = (self.desk.glyphs.warning, "bold warn") if row.warnings else (" ", "")
        fitted = self.fitted(width)
        reason = row.row.reason if row.state is EngineState.DEAD and row.row.successor is None else ""
        if any(column.name == "now" and space < len(reason) for column, space in fitted):
            # What it died of is worth more than the vitals of the dead.
            head = [(column, space) for column, space in fitted if column.name in LIFE]
            left = width - 1 - sum(column.gap + space for column, space in head)
            return [warned, *row_cells(head, row), ("  " + figures.clip(reason, max(1, left)), "failure")]
        return [warned, *row_cells(fitted, row)]

    def fitted(self, width: int) -> list[tuple[Column[EngineView], int]]:
        """The columns that fit beside the cursor and the warning sign."""
        return fit(self.columns, width - 1)

    def heading(self, width: int) -> Cells | None:
        return [("  ", ""), *heading(self.fitted(width - 2), self.sort if self.sort != "id" else "", self.reverse)]

    def title(self) -> Cells:
        shown, all_ = len(self.ids), self.all
        title: Cells = [(f"{shown:,} of {all_:,}", "dim")]
        if self.marks:
            title.append((f"  {len(self.marks)} marked", "key"))
        if self.filter_text:
            title.append((f"  /{self.filter_text}", "key"))
        title.append((f"  sort {self.sort}{' reversed' if self.reverse else ''}", "dim"))
        return title

    def empty(self) -> list[str]:
        if self.filter_text:
            return [f"0 of {self.all:,} match /{self.filter_text}", "esc clears the filter"]
        if self.desk.store.next_number() is None:
            return ["The hub has not told of its engines yet"]
        return ["No engines.", "^X + starts some;", "elsewhere: tuipar engines -n 4"]

    def sentence(self) -> Cells:
        if not self.ids or self._at >= len(self.ids):
            return []
        row = self.row(self._at)
        if row is None:
            return []
        hints: Cells = [("   d", "key"), (" where is it", "dim"), ("   p", "key"), (" its output", "dim")]
        words = about(self.desk, row)
        return [*words, *hints] if width_of(words) + width_of(hints) < self.size.width - 1 else words

    def problem(self, index: int) -> bool:
        row = self.desk.store.engine(self.ids[index], self.desk.clock.time())
        return row is not None and (bool(row.warnings) or row.state is EngineState.DEAD)

    def filter_by(self, text: str) -> str | None:
        try:
            self.where = parse(text, ENGINE_FIELDS) if text.strip() else None
        except QueryError as error:
            return str(error)
        self.filter_text = text.strip()
        self.sorted_at = self.moved_at = float("-inf")
        self.pull_now(force=True)
        return None

    def sort_next(self) -> str:
        names = ["id", *(column.sort for column, _ in self.fitted(self.size.width) if column.sort not in ("", "id"))]
        self.sort = names[(names.index(self.sort) + 1) % len(names)] if self.sort in names else "id"
        self.reverse = self.sort not in ("id", "state", "fn", "host", "pid")
        return self._sorted()

    def sort_reversed(self) -> str:
        self.reverse = not self.reverse
        return self._sorted()

    def _sorted(self) -> str:
        self.sorted_at = self.moved_at = float("-inf")
        self.pull_now(force=True)
        return f"sorted by {self.sort}{', largest first' if self.reverse else ''}"


def state_style(row: EngineView) -> str:
    """The style of an engine's state."""
    return f"engine-{row.state.name.lower()}"


def about(desk: Desk, row: EngineView) -> Cells:
    """One sentence about an engine: its death, its warning, or what it does."""
    name = f"e{row.id}"
    if row.state is EngineState.DEAD:
        after = f"; {desk.glyphs.arrow} {row.row.successor}" if row.row.successor is not None else ""
        return [(f"{name} is dead: {row.row.reason or 'no reason known'}{after}", "failure")]
    if row.warnings:
        for warning in desk.store.warnings():
            if warning.engine == row.id:
                return [(warning.sentence, "warn")]
    if row.row.task is not None:
        return [
            (f"{name} runs ", "dim"),
            (row.now, f"fn-{hue_of(row.row.name)}"),
            (f" for {figures.duration(row.age)}" if row.age is not None else "", "dim"),
        ]
    if row.row.reason:
        return [(f"{name} {row.state.name.lower()}: {row.row.reason}", "dim")]
    was = f", was {row.row.was}" if row.row.was is not None else ""
    return [(f"{name} {row.state.name.lower()}{was}; {figures.plural(row.row.done, 'task')} done", "dim")]


def _trend(glyphs: Glyphs, values: list[float], top: float) -> str:
    if not values:
        return " " * TREND
    newest = values[-8 * TREND :]
    step = max(1, len(newest) // TREND)
    groups = [newest[max(0, end - step) : end] for end in range(len(newest), 0, -step)][:TREND]
    return spark(glyphs, [sum(group) / len(group) for group in reversed(groups)], TREND, top)


def _columns(desk: Desk, digits: int) -> tuple[Column[EngineView], ...]:
    def state(row: EngineView, width: int) -> tuple[str, str]:
        return f"{desk.glyphs.engines[row.state]} {ENGINE_LETTERS[row.state]}", state_style(row)

    def age(row: EngineView, width: int) -> tuple[str, str]:
        if row.row.task is not None and row.state is not EngineState.UNRESPONSIVE:
            if row.age is None:  # the engine says what it runs only when it takes longer than a few milliseconds
                return "<10ms", "dim"
            return figures.duration(row.age), "warn" if "straggler" in row.warnings else ""
        if row.state is EngineState.UNRESPONSIVE:
            return figures.duration(row.silent), "warn"
        since = desk.store.hub_time(desk.clock.time()) - row.row.since
        return figures.duration(max(0.0, since)), "dim"

    def now(row: EngineView, width: int) -> tuple[str, str]:
        if row.row.task is not None:
            return row.now, f"fn-{hue_of(row.row.name)}"
        if row.state is EngineState.DEAD:
            return (
                f"{desk.glyphs.arrow} {row.row.successor}" if row.row.successor is not None else row.row.reason
            ), "dim"
        return (f"was {row.row.was}" if row.row.was is not None and not row.row.done else ""), "dim"

    def memory(row: EngineView, width: int) -> tuple[str, str]:
        high = row.memory is not None and row.memory > HIGH_MEMORY
        return figures.percent(row.memory), "bold warn" if high else ""

    def trend_of(metric: str) -> Callable[[EngineView, int], tuple[str, str]]:
        return lambda row, width: (_trend(desk.glyphs, desk.store.vitals(row.id, metric), 1.0), "trend")

    def est(row: EngineView, width: int) -> tuple[str, str]:
        return (figures.duration(row.est) if row.queue else "", "dim")

    return (
        Column("id", "id", digits, 0, lambda row, width: (str(row.id), "strong"), sort="id"),
        Column("st", "st", 3, 1, state, right=False, sort="state"),
        Column("q", "q", 3, 2, lambda row, width: (figures.short_count(row.queue), "" if row.queue else "dim"),
               sort="q", gap=1),
        Column("est", "est", 6, 9, est, sort="est"),
        Column("age", "age", 6, 3, age, sort="age"),
        Column("cpu", "cpu", 4, 5, lambda row, width: (figures.percent(row.cpu), ""), sort="cpu"),
        Column("cpu.trend", "", TREND, 7, trend_of("cpu"), gap=1),
        Column("mem", "mem", 4, 6, memory, sort="mem"),
        Column("mem.trend", "", TREND, 8, trend_of("memory"), gap=1),
        Column("done", "done", 6, 10, lambda row, width: (figures.short_count(row.row.done), ""), sort="done"),
        Column("err", "err", 4, 11, lambda row, width: (figures.short_count(row.row.errors),
               "failure" if row.row.errors else "dim"), sort="err"),
        Column("now", "now", 7, 4, now, right=False, flexible=True, most=40, sort="fn"),
        Column("host", "host", 10, 12, lambda row, width: (row.row.host, "dim"), right=False, sort="host"),
        Column("pid", "pid", 7, 13, lambda row, width: (str(row.row.pid), "dim"), sort="pid"),
        Column("heard", "heard", 6, 14, lambda row, width: (figures.duration(row.silent), "dim"),
               sort="silent"),
    )  # fmt: skip
