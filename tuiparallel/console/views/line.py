"""A widget of one line that draws cells and knows which of them were clicked: header, footer, rules, view bar."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tuiparallel.console.desk import Desk
from tuiparallel.console.paint import Cells, width_of


class OneLine(Widget):
    """One line of cells; pieces of it may be links to actions."""

    ALLOW_SELECT = False

    class Chosen(Message):
        """A link was clicked: the id of its action."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, desk: Desk, id: str) -> None:
        super().__init__(id=id)
        self.desk = desk
        self._shown: Cells = []
        self._links: list[tuple[int, int, str]] = []

    def line(self, width: int) -> Cells:
        """What to draw."""
        return []

    def links(self, width: int) -> list[tuple[int, int, str]]:
        """First cell, cell after the last, and id of the action, for what can be clicked."""
        return []

    def update(self) -> None:
        """Draws the line again, if it looks different now."""
        line = self.line(self.size.width)
        if line != self._shown:
            self._shown = line
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y:
            return Strip.blank(width, self.rich_style)
        try:
            self._shown = self.line(width)
            return self.desk.paint.strip(self._shown, width, self.rich_style)
        except Exception as error:  # L14: what cannot draw itself says so, and the app lives
            return self.desk.paint.strip([(f" {self.id} failed: {error!r}", "failure")], width, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        for start, end, action in self.links(self.size.width):
            if start <= event.x < end:
                self.post_message(self.Chosen(action))
                return


def place(pieces: list[tuple[Cells, str]], gap: int, start: int = 1) -> tuple[Cells, list[tuple[int, int, str]]]:
    """Pieces in a row with blanks between them, and where each that is a link stands."""
    line: Cells = [(" " * start, "")]
    links: list[tuple[int, int, str]] = []
    at = start
    for cells, action in pieces:
        length = width_of(cells)
        if action:
            links.append((at, at + length, action))
        line += [*cells, (" " * gap, "")]
        at += length + gap
    return line, links
