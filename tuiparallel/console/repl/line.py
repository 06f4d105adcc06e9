"""A single line of cells that a pane sets: the prompt's label, the hint below it."""

from __future__ import annotations

from textual.strip import Strip
from textual.widget import Widget

from tuiparallel.console.desk import Desk
from tuiparallel.console.paint import Cells, width_of


class Line(Widget, can_focus=False):
    """One line; `fit` gives it the width of its text."""

    def __init__(self, desk: Desk, id: str, *, fit: bool = False) -> None:
        super().__init__(id=id)
        self.desk = desk
        self.cells: Cells = []
        self.fit = fit
        self.styles.height = 1

    def show(self, cells: Cells) -> None:
        """Draws this from now on."""
        if cells != self.cells:
            self.cells = cells
            if self.fit:
                self.styles.width = width_of(cells)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.desk.paint.strip(self.cells if y == 0 else [], self.size.width, self.rich_style)
