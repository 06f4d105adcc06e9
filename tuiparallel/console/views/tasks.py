"""Pane 3: every task the store keeps, newest first, a million rows if need be."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from tuiparallel.console import figures
from tuiparallel.console.actions import Key
from tuiparallel.console.columns import Column, fit, heading, row_cells
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import QUIET_AFTER_MOVE, LineView
from tuiparallel.console.paint import Cells
from tuiparallel.console.themes import hue_of
from tuiparallel.monitor.query import TASK_FIELDS, Query, QueryError, parse
from tuiparallel.monitor.reads import TaskList
from tuiparallel.monitor.rows import FAILED_PHASES, Phase, Section, TaskView

SORT_EVERY = 2.0  # seconds between two rebuilds of a list that is not in the order of submission
SORTS = ("submitted", "state", "fn", "engine", "wait", "run", "return", "size", "result")


class TasksView(LineView):
    """A row per task; ended ones that came too fast to see stand as one row with their count."""

    pane: ClassVar[str] = "tasks"
    number: ClassVar[int] = 3
    pulls: ClassVar[int] = 5
    kind: ClassVar[str] = "task"
    newest_first: ClassVar[bool] = True

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.list: TaskList | None = None
        self.where: Query | None = None
        self.sort = "submitted"
        self.reverse = True
        self.rebuilt_at = float("-inf")
        self.rows: dict[int, TaskView] = {}
        self.columns = _columns(desk)

    def version(self) -> Hashable:
        return (self.desk.store.version(Section.TASKS), self.desk.store.version(Section.CLIENTS))

    def pull(self) -> None:
        self.rows.clear()
        tick = self.desk.clock.monotonic()
        if self.list is None:
            self.list = self.desk.store.task_list(self.where, self.sort, self.reverse)
            self.list.refresh()
        elif self.sort == "submitted" or (
            tick - self.rebuilt_at >= SORT_EVERY and tick - self.moved_at >= QUIET_AFTER_MOVE
        ):
            self.list.refresh()
            self.rebuilt_at = tick
        self.desk.retitle()

    def count(self) -> int:
        return len(self.list) if self.list is not None else 0

    def row(self, index: int) -> TaskView | None:
        """The task of a row; fetches all visible ones at once."""
        if index not in self.rows and self.list is not None:
            first = min(self.top, index)
            wanted = max(self.room, index + 1 - first)
            for offset, row in enumerate(self.list.rows(first, wanted)):
                self.rows[first + offset] = row
        return self.rows.get(index)

    def key_at(self, index: int) -> Key:
        row = self.row(index)
        return row.id if row is not None else -1

    def find(self, key: Key) -> int | None:
        return self.list.index(key) if self.list is not None and isinstance(key, int) else None

    def mark_all(self) -> None:
        if self.list is not None:
            self.marks |= set(self.list.ids())
            self.repaint()

    def cells(self, index: int, width: int) -> Cells:
        row = self.row(index)
        if row is None:
            return [("gone", "dim")]
        warned = (self.desk.glyphs.warning, "bold failure") if row.phase in FAILED_PHASES else (" ", "")
        return [warned, *row_cells(fit(self.columns, width - 1), row)]

    def heading(self, width: int) -> Cells | None:
        return [("  ", ""), *heading(fit(self.columns, width - 3), self.sort if self.sort != "submitted" else "")]

    def title(self) -> Cells:
        kept, gone = self.desk.store.task_counts()
        shown = self.count()
        title: Cells = [(f"{shown:,} of {kept:,}" if self.filter_text else f"{shown:,}", "dim")]
        if self.marks:
            title.append((f"  {len(self.marks):,} marked", "key"))
        if gone:
            title.append((f"  {figures.short_count(gone)} not kept", "dim"))
        if self.filter_text:
            title.append((f"  /{self.filter_text}", "key"))
        if self.sort != "submitted":
            title.append((f"  sort {self.sort}", "dim"))
        if self.following:
            title.append(("  newest", "dim"))
        return title

    def empty(self) -> list[str]:
        kept, gone = self.desk.store.task_counts()
        if self.filter_text:
            return [f"0 of {kept:,} match /{self.filter_text}", "esc clears the filter"]
        if gone:
            return [f"{gone:,} tasks ended before this console came"]
        return ["No tasks yet.", "i, then type; or submit some from Python"]

    def sentence(self) -> Cells:
        row = self.row(self._at) if self.count() else None
        if row is None:
            return []
        if row.phase in FAILED_PHASES:
            return [(f"{row.msg_id} ", "dim"), (f"{row.ename}: {row.evalue}", "failure")]
        known = (("wait", row.wait), ("run", row.run), ("return", row.back))
        parts = "  ".join(f"{name} {figures.duration(value)}" for name, value in known if value is not None)
        return [(f"{row.msg_id} {row.phase}  ", "dim"), (row.name, f"fn-{hue_of(row.name)}"), (f"  {parts}", "dim")]

    def problem(self, index: int) -> bool:
        row = self.row(index)
        return row is not None and row.phase in FAILED_PHASES

    def next_problem(self, step: int) -> bool:
        if self.list is None:
            return False
        failed = self.desk.store.task_list(parse("state:failed", TASK_FIELDS), "submitted", True)
        failed.refresh()
        places = sorted(place for id in failed.ids() if (place := self.list.index(id)) is not None)
        if not places:
            return False
        later = [place for place in places if place > self._at]
        earlier = [place for place in places if place < self._at]
        self.move_to((later or places)[0] if step > 0 else (earlier or places)[-1])
        return True

    def filter_by(self, text: str) -> str | None:
        try:
            client = self.desk.client
            self.where = (
                parse(text, TASK_FIELDS, client.session if client is not None else "") if text.strip() else None
            )
        except QueryError as error:
            return str(error)
        self.filter_text = text.strip()
        self._anew()
        return None

    def sort_next(self) -> str:
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.reverse = self.sort not in ("state", "fn", "engine")
        self._anew()
        return f"sorted by {self.sort}"

    def sort_reversed(self) -> str:
        self.reverse = not self.reverse
        self._anew()
        return f"sorted by {self.sort}, {'largest' if self.reverse else 'smallest'} first"

    def _anew(self) -> None:
        self.list = None
        self.pull_now(force=True)


def _columns(desk: Desk) -> tuple[Column[TaskView], ...]:
    def state(row: TaskView, width: int) -> tuple[str, str]:
        return f"{desk.glyphs.tasks[row.phase]} {row.phase}", f"task-{row.phase}"

    def name(row: TaskView, width: int) -> tuple[str, str]:
        label = f" {row.label}" if row.label else ""
        return f"{row.name}{label}", f"fn-{hue_of(row.name)}"

    def many(row: TaskView, width: int) -> tuple[str, str]:
        return (f"{desk.glyphs.times}{figures.short_count(row.count)}" if row.count > 1 else ""), "strong"

    def run(row: TaskView, width: int) -> tuple[str, str]:
        if row.phase is Phase.RUNNING and row.started is not None:
            now = desk.store.hub_time(desk.clock.time())
            return figures.duration(max(0.0, now - row.started)), "task-running"
        return (figures.duration(row.run) if row.run is not None else "", "")

    def note(row: TaskView, width: int) -> tuple[str, str]:
        if row.ename:
            return f"{row.ename}: {row.evalue}", "failure"
        if row.phase is Phase.WAITING:
            return "waits for its dependency", "dim"
        return "", ""

    def seconds(value: float | None) -> tuple[str, str]:
        return (figures.duration(value) if value is not None else "", "dim")

    return (
        Column("state", "state", 9, 0, state, right=False, sort="state"),
        Column("fn", "function", 12, 1, name, right=False, sort="fn", flexible=True, most=24),
        Column("count", "", 6, 3, many, gap=1),
        Column("engine", "e", 4, 2, lambda row, width: (f"e{row.engine}" if row.engine is not None else "", ""),
               sort="engine", gap=1),
        Column("run", "run", 6, 4, run, sort="run"),
        Column("wait", "wait", 6, 5, lambda row, width: seconds(row.wait), sort="wait"),
        Column("return", "return", 6, 7, lambda row, width: seconds(row.back), sort="return"),
        Column("submitted", "submitted", 9, 6, lambda row, width: (figures.clock(row.submitted), "dim"), sort="submitted"),
        Column("in", "in", 5, 9, lambda row, width: (figures.size(row.size) if row.size else "", "dim"), sort="size"),
        Column("out", "out", 5, 10, lambda row, width: (figures.size(row.result_size), "dim"), sort="result"),
        Column("try", "try", 3, 11, lambda row, width: (str(row.attempt) if row.attempt > 1 else "", "warn")),
        Column("client", "client", 8, 12, lambda row, width: (row.client[:8], "dim"), right=False),
        Column("note", "", 12, 8, note, right=False, flexible=True),
        Column("id", "id", 14, 13, lambda row, width: (row.msg_id, "dim"), right=False),
    )  # fmt: skip
