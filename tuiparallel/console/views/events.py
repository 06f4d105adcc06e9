"""Pane 7: what happened to the cluster, and what this console did to it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from tuiparallel.console import figures
from tuiparallel.console.actions import Here, Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.monitor.rows import EventView, Section

BAD = frozenset({"died", "lost", "storage", "gap"})
GOOD = frozenset({"joined", "restarted", "hub"})
ACTION = "action"


class EventsView(LineView):
    """Two logs in one list: the cluster's events, and this console's actions with the Python that does the same."""

    pane: ClassVar[str] = "events"
    number: ClassVar[int] = 7
    pulls: ClassVar[int] = 5
    kind: ClassVar[str] = "event"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.following = True
        self.rows: list[EventView] = []

    def version(self) -> Hashable:
        return self.desk.store.version(Section.EVENTS)

    def pull(self) -> None:
        rows = self.desk.store.events(0, self.desk.store.event_count())
        words = self.filter_text.casefold().split()
        if words:
            rows = [
                row for row in rows if all(word in f"{row.source} {row.kind} {row.text}".casefold() for word in words)
            ]
        self.rows = rows
        self.desk.retitle()

    def count(self) -> int:
        return len(self.rows)

    def key_at(self, index: int) -> Key:
        return self.rows[index].number

    def find(self, key: Key) -> int | None:
        if not self.rows or not isinstance(key, int):
            return None
        low, high = 0, len(self.rows)
        while low < high:
            middle = (low + high) // 2
            if self.rows[middle].number < key:
                low = middle + 1
            else:
                high = middle
        return min(low, len(self.rows) - 1)

    def stamp(self, index: int) -> Hashable:
        return self.rows[index].text

    def cells(self, index: int, width: int) -> Cells:
        row = self.rows[index]
        own = row.source == ACTION
        style = "failure" if row.kind in BAD else "ok" if row.kind in GOOD else "key" if own else "dim"
        cells: Cells = [(figures.clock(row.at) + "  ", "dim"), (f"{row.kind:<10.10} ", style), (row.text, "")]
        if row.python:
            cells.append((f"   {row.python}", "dim"))
        return cells

    def title(self) -> Cells:
        title: Cells = [(f"{len(self.rows):,}", "dim")]
        if self.filter_text:
            title.append((f"  /{self.filter_text}", "key"))
        return title

    def empty(self) -> list[str]:
        if self.filter_text:
            return [f"No event has /{self.filter_text}", "esc clears the filter"]
        return [f"Quiet since {figures.clock(self.desk.store.header(self.desk.clock.time()).started)}"]

    def sentence(self) -> Cells:
        if not self.rows:
            return []
        row = self.rows[self._at]
        if row.python:
            return [("y p", "key"), (" copies  ", "dim"), (row.python, "")]
        return [(row.text, "dim")]

    def here(self) -> Here:
        if self.rows and (engine := self.rows[self._at].engine) is not None:
            return Here(self.pane, "engine", (engine,))
        return super().here()

    def problem(self, index: int) -> bool:
        return self.rows[index].kind in BAD

    def filter_by(self, text: str) -> str | None:
        self.filter_text = text.strip()
        self.pull_now(force=True)
        return None
