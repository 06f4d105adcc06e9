"""Pane 4: what failed, a row per kind; `enter` on a kind unfolds its tasks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from tuiparallel.console import figures
from tuiparallel.console.actions import Here, Key
from tuiparallel.console.columns import Column, fit, heading, row_cells
from tuiparallel.console.desk import Desk
from tuiparallel.console.glyphs import spark
from tuiparallel.console.paint import Cells
from tuiparallel.console.themes import hue_of
from tuiparallel.console.views.listed import ListedView
from tuiparallel.monitor.query import FAILURE_FIELDS, Query, QueryError, parse
from tuiparallel.monitor.rows import Failure, FailureKind, Section

SPARK = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of failure, or one task of an unfolded kind."""

    key: str
    kind: FailureKind
    task: Failure | None = None


class ErrorsView(ListedView[Row]):
    """Failures by type, normalised message and last frame; the counts are exact."""

    pane: ClassVar[str] = "errors"
    number: ClassVar[int] = 4
    pulls: ClassVar[int] = 5
    kind: ClassVar[str] = "failure"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.unfolded: set[int] = set()
        self.where: Query | None = None
        self.kinds = 0
        self.show_hidden = False
        self.columns = _columns(desk)

    def version(self) -> Hashable:
        return (self.desk.store.version(Section.FAILURES), self.show_hidden, int(self.desk.clock.time()))

    def pull(self) -> None:
        kinds = self.desk.store.failures(self.show_hidden)
        self.kinds = len(kinds)
        rows: list[Row] = []
        for kind in kinds:
            if self.where is not None and not self.where.matches(kind):
                continue
            rows.append(Row(f"k{kind.key}", kind))
            if kind.key in self.unfolded:
                rows += [Row(f"t{failure.task}", kind, failure) for failure in reversed(kind.instances)]
        self.list_rows(rows)

    def toggle(self) -> bool:
        """Unfolds or folds the kind under the cursor; False when the row is a task."""
        row = self.current()
        if row is None or row.task is not None:
            return False
        self.unfolded ^= {row.kind.key}
        self.pull_now(force=True)
        return True

    def here(self) -> Here:
        here = super().here()
        row = self.current()
        if not self.marks and row is not None and row.task is not None:
            return Here(self.pane, "task", (row.task.task,))
        return here

    def tasks_of(self, keys: tuple[Key, ...]) -> list[int]:
        """The tasks of these rows that are kept, each once."""
        found: dict[int, None] = {}
        for key in keys:
            index = self.find(key)
            if index is None:
                continue
            row = self.rows[index]
            for failure in (row.task,) if row.task is not None else row.kind.instances:
                found[failure.task] = None
        return list(found)

    def cells(self, index: int, width: int) -> Cells:
        row = self.rows[index]
        if row.task is None:
            return [(" ", ""), *row_cells(fit(self.columns, width - 1), row.kind)]
        failure = row.task
        engine = f"e{failure.engine}" if failure.engine is not None else "-"
        return [
            ("          ", ""),
            (figures.clock(failure.at), "dim"),
            (f"  {engine:>4}  ", ""),
            (f"{failure.msg_id}  ", "dim"),
            (failure.name, f"fn-{hue_of(failure.name)}"),
            (f"  {failure.ename}: {failure.evalue}", "failure"),
        ]

    def heading(self, width: int) -> Cells | None:
        return [("  ", ""), *heading(fit(self.columns, width - 3))]

    def title(self) -> Cells:
        tasks = sum(row.kind.count for row in self.rows if row.task is None)
        kinds = len({row.kind.key for row in self.rows})
        title: Cells = [(f"{figures.plural(kinds, 'kind')}, {figures.plural(tasks, 'task')}", "dim")]
        if unseen := self.desk.store.failures_before():
            title.append((f"  {unseen:,} before we came", "dim"))
        if self.filter_text:
            title.append((f"  /{self.filter_text}", "key"))
        return title

    def empty(self) -> list[str]:
        if self.filter_text:
            return [f"0 of {self.kinds:,} kinds match /{self.filter_text}", "esc clears the filter"]
        if unseen := self.desk.store.failures_before():
            return [f"{figures.plural(unseen, 'task')} failed before this console came;", "3, then /state:failed"]
        return [f"No failures since {figures.clock(self.desk.store.header(self.desk.clock.time()).started)}"]

    def sentence(self) -> Cells:
        row = self.current()
        if row is None:
            return []
        frame = row.kind.frame or "no frame known"
        keys: Cells = [("   t", "key"), (" traceback", "dim"), ("   T", "key"), (" try again", "dim")]
        return [(f"{row.kind.ename}  ", "failure"), (frame, "dim"), *keys]

    def problem(self, index: int) -> bool:
        return self.rows[index].task is None

    def filter_by(self, text: str) -> str | None:
        try:
            self.where = parse(text, FAILURE_FIELDS) if text.strip() else None
        except QueryError as error:
            return str(error)
        self.filter_text = text.strip()
        self.pull_now(force=True)
        return None


def _columns(desk: Desk) -> tuple[Column[FailureKind], ...]:
    def history(kind: FailureKind, width: int) -> tuple[str, str]:
        values = kind.history
        step = max(1, len(values) // SPARK)
        sums = [float(sum(values[start : start + step])) for start in range(0, len(values), step)]
        return (spark(desk.glyphs, sums, SPARK) if any(sums) else ""), "failure"

    def engines(kind: FailureKind, width: int) -> tuple[str, str]:
        return (f"e{figures.ranges(list(kind.engines))}" if kind.engines else ""), ""

    def message(kind: FailureKind, width: int) -> tuple[str, str]:
        return kind.message, ""

    return (
        Column("count", "count", 6, 0, lambda kind, width: (figures.short_count(kind.count), "strong"), gap=1),
        Column("type", "type", 18, 1, lambda kind, width: (kind.ename, "failure"), right=False),
        Column("message", "message", 16, 2, message, right=False, flexible=True),
        Column("functions", "function", 12, 4, lambda kind, width: (", ".join(kind.names),
               f"fn-{hue_of(kind.names[0])}" if kind.names else ""), right=False),
        Column("engines", "engines", 9, 3, engines, right=False),
        Column("last", "last", 8, 5, lambda kind, width: (figures.clock(kind.last), "dim"), right=False),
        Column("first", "first", 8, 7, lambda kind, width: (figures.clock(kind.first), "dim"), right=False),
        Column("history", "last 60s", SPARK, 6, history, right=False),
        Column("frame", "last frame", 24, 8, lambda kind, width: (kind.frame, "dim"), right=False),
    )  # fmt: skip
