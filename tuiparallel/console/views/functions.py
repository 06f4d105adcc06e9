"""Pane 5: where the time goes, a row per function."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from tuiparallel.console import figures
from tuiparallel.console.actions import Key
from tuiparallel.console.columns import Column, fit, heading, row_cells
from tuiparallel.console.desk import Desk
from tuiparallel.console.glyphs import Glyphs, spark
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.console.themes import hue_of
from tuiparallel.monitor.query import FUNCTION_FIELDS, Query, QueryError, parse
from tuiparallel.monitor.rows import FunctionView, Section

SHARES = 12  # cells of the bar of wait, run and return
SORTS = {
    "total": "total", "count": "n", "failed": "failed", "mean": "mean", "p50": "p50", "p95": "p95", "slowest": "max",
    "name": "function",
}  # fmt: skip


class FunctionsView(LineView):
    """Counts and times of each function; sorted by the time they took all together."""

    pane: ClassVar[str] = "functions"
    number: ClassVar[int] = 5
    pulls: ClassVar[int] = 5
    kind: ClassVar[str] = "function"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.rows: list[FunctionView] = []
        self.places: dict[str, int] = {}
        self.where: Query | None = None
        self.all = 0
        self.sort = "total"
        self.reverse = True
        self.columns = _columns(desk)

    def version(self) -> Hashable:
        return self.desk.store.version(Section.FUNCTIONS)

    def pull(self) -> None:
        rows = self.desk.store.functions(self.sort, self.reverse)
        self.all = len(rows)
        self.rows = [row for row in rows if self.where is None or self.where.matches(row)]
        self.places = {row.name: index for index, row in enumerate(self.rows)}
        self.desk.retitle()

    def count(self) -> int:
        return len(self.rows)

    def key_at(self, index: int) -> Key:
        return self.rows[index].name

    def find(self, key: Key) -> int | None:
        return self.places.get(key) if isinstance(key, str) else None

    def cells(self, index: int, width: int) -> Cells:
        row = self.rows[index]
        cells: Cells = [(" ", "")]
        for cell in row_cells(fit(self.columns, width - 1), row):
            cells += _shares(self.desk.glyphs, row) if cell[0].startswith(_BAR) else [cell]
        return cells

    def heading(self, width: int) -> Cells | None:
        return [("  ", ""), *heading(fit(self.columns, width - 3))]

    def title(self) -> Cells:
        title: Cells = [(f"{len(self.rows):,} of {self.all:,}  sort {SORTS[self.sort]}", "dim")]
        if self.filter_text:
            title.insert(0, (f"/{self.filter_text}  ", "key"))
        return title

    def empty(self) -> list[str]:
        if self.filter_text:
            return [f"0 of {self.all:,} match /{self.filter_text}", "esc clears the filter"]
        return ["No tasks yet.", "Each function that runs gets a row here"]

    def sentence(self) -> Cells:
        if not self.rows:
            return []
        row = self.rows[self._at]
        spent = row.wait + row.total + row.back
        if spent <= 0:
            return [(f"{row.name}: {row.queued:,} queued, {row.running:,} running", "dim")]
        parts = zip(("waiting", "running", "returning"), (row.wait, row.total, row.back), strict=True)
        text = ", ".join(f"{value / spent:.0%} {word}" for word, value in parts)
        return [(row.name, f"fn-{hue_of(row.name)}"), (f": {text}; {row.failed:,} of {row.count:,} failed", "dim")]

    def problem(self, index: int) -> bool:
        return self.rows[index].failed > 0

    def filter_by(self, text: str) -> str | None:
        try:
            self.where = parse(text, FUNCTION_FIELDS) if text.strip() else None
        except QueryError as error:
            return str(error)
        self.filter_text = text.strip()
        self.pull_now(force=True)
        return None

    def sort_next(self) -> str:
        names = list(SORTS)
        self.sort = names[(names.index(self.sort) + 1) % len(names)]
        self.reverse = self.sort != "name"
        self.pull_now(force=True)
        return f"sorted by {SORTS[self.sort]}"

    def sort_reversed(self) -> str:
        self.reverse = not self.reverse
        self.pull_now(force=True)
        return f"sorted by {SORTS[self.sort]}, {'largest' if self.reverse else 'smallest'} first"


_BAR = "\0"


def _shares(glyphs: Glyphs, row: FunctionView) -> Cells:
    """Wait, run and return as three parts of one bar: light, solid in the function's hue, middling."""
    spent = row.wait + row.total + row.back
    if spent <= 0:
        return [(" " * SHARES, "")]
    waits = round(row.wait / spent * SHARES)
    backs = min(SHARES - waits, round(row.back / spent * SHARES))
    runs = SHARES - waits - backs
    waiting, running, returning = (".", "#", "-") if glyphs.name == "ascii" else ("░", "█", "▒")
    return [(waiting * waits, "dim"), (running * runs, f"fn-{hue_of(row.name)}"), (returning * backs, "dim")]


def _columns(desk: Desk) -> tuple[Column[FunctionView], ...]:
    def failed(row: FunctionView, width: int) -> tuple[str, str]:
        share = row.failed / row.count if row.count else 0.0
        return (figures.percent(share), "failure" if row.failed else "dim")

    def number(value: int) -> tuple[str, str]:
        return figures.short_count(value), "" if value else "dim"

    def seconds(row: FunctionView, value: float) -> tuple[str, str]:
        return (figures.duration(value), "") if row.count else ("", "dim")

    def histogram(row: FunctionView, width: int) -> tuple[str, str]:
        counts = [float(value) for value in row.histogram]
        return (spark(desk.glyphs, counts, width) if any(counts) else ""), "trend"

    return (
        Column("name", "function", 12, 0, lambda row, width: (row.name, f"fn-{hue_of(row.name)}"), right=False,
               flexible=True, most=28),
        Column("n", "n", 6, 1, lambda row, width: number(row.count)),
        Column("running", "run", 5, 4, lambda row, width: number(row.running), gap=1),
        Column("queued", "queue", 6, 5, lambda row, width: number(row.queued), gap=1),
        Column("failed", "err", 4, 3, failed, gap=1),
        Column("total", "total", 6, 2, lambda row, width: seconds(row, row.total)),
        Column("mean", "mean", 6, 8, lambda row, width: seconds(row, row.mean)),
        Column("p50", "p50", 6, 7, lambda row, width: seconds(row, row.p50)),
        Column("p95", "p95", 6, 6, lambda row, width: seconds(row, row.p95)),
        Column("max", "max", 6, 10, lambda row, width: seconds(row, row.slowest)),
        Column("shares", "wait/run/ret", SHARES, 9, lambda row, width: (_BAR.ljust(SHARES), ""), right=False),
        Column("histogram", "run times", 16, 11, histogram, right=False),
        Column("in", "in", 5, 12, lambda row, width: (figures.size(row.size) if row.size else "", "dim")),
        Column("out", "out", 5, 13, lambda row, width: (figures.size(row.result_size) if row.result_size else "", "dim")),
    )  # fmt: skip
