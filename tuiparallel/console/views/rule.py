"""The rule above a pane: its number and name, those of its neighbours behind it, and the pane's own title."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuiparallel.console.catalogue import PANES
from tuiparallel.console.desk import Desk
from tuiparallel.console.paint import Cells, clipped, width_of
from tuiparallel.console.views.line import OneLine

NAMES = {"repl": "REPL"}


@dataclass(frozen=True, slots=True)
class Tab:
    """A pane that may stand under this rule."""

    name: str
    note: str = ""  # "Errors 12"


class Rule(OneLine):
    """`─2 Timeline │ 3 Tasks │ 4 Errors 12    60s  live ────`, with the joints of the lines that meet it."""

    def __init__(self, desk: Desk, id: str, tabs: Callable[[], list[Tab]], current: Callable[[], str],
                 title: Callable[[], Cells]) -> None:  # fmt: skip
        super().__init__(desk, id)
        self.tabs = tabs
        self.current = current
        self.title = title
        self.focused = False
        self.first = ""  # the joint in its first cell, where a vertical line meets it
        self.joints: dict[int, str] = {}  # other joints by cell

    def _names(self) -> tuple[Cells, list[tuple[int, int, str]]]:
        glyphs = self.desk.glyphs
        cells: Cells = []
        links: list[tuple[int, int, str]] = []
        at = 1
        current = self.current()
        for index, tab in enumerate(self.tabs()):
            if index:
                cells.append((f" {glyphs.bar} ", "rule"))
                at += 3
            on = tab.name == current
            number = f"{PANES.index(tab.name)} " if tab.name in PANES else ""
            text = f"{number}{NAMES.get(tab.name, tab.name.capitalize())}"
            cells.append((text, "bold title-focus" if on and self.focused else "bold title" if on else "dim"))
            length = len(text)
            if tab.note:
                cells.append((f" {tab.note}", "failure" if tab.name == "errors" else "dim"))
                length += 1 + len(tab.note)
            links.append((at, at + length, f"pane.{tab.name}"))
            at += length
        return cells, links

    def line(self, width: int) -> Cells:
        glyphs = self.desk.glyphs
        style = "rule-focus" if self.focused else "rule"
        names, _ = self._names()
        title = self.title()
        gap = 4 if len(self.tabs()) > 1 else 2
        line: Cells = [(self.first or glyphs.rule, "rule" if self.first else style), *names]
        line += [(" " * gap, ""), *title, (" ", "")] if title else [(" ", "")]
        line = clipped(line, width)
        used = width_of(line)
        tail = [glyphs.rule] * (width - used)
        for at, joint in self.joints.items():
            if used <= at < width:
                tail[at - used] = joint
        return [*line, ("".join(tail), style)]

    def links(self, width: int) -> list[tuple[int, int, str]]:
        return self._names()[1]
