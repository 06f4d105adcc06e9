"""The list above the prompt: completions, cells found in the history, or what a text of targets means."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from tuiparallel.console.desk import Desk
from tuiparallel.console.paint import Cells, spread

MOST_ROWS = 8


class Choices(Widget, can_focus=False):
    """Lines of which one is highlighted; hidden while there are none."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="repl-choices")
        self.desk = desk
        self.items: tuple[str, ...] = ()
        self.beside: tuple[str, ...] = ()
        self.chosen: int | None = None
        self.styles.height = 0
        self.display = False

    def show(
        self, items: Sequence[str], chosen: int | None = None, beside: Sequence[str] = (), room: int = MOST_ROWS
    ) -> None:
        """Shows these, or hides the list when there are none."""
        self.items = tuple(items)
        self.beside = tuple(beside)
        self.chosen = chosen if chosen is None or chosen < len(self.items) else None
        self.styles.height = min(len(self.items), max(1, min(room, MOST_ROWS)))
        self.display = bool(self.items)
        self.refresh()

    def hide(self) -> None:
        """Takes the list away."""
        if self.items:
            self.show(())

    @property
    def word(self) -> str | None:
        """What is highlighted."""
        return self.items[self.chosen] if self.chosen is not None and self.items else None

    def move(self, step: int) -> None:
        """Highlights the next or the one before, around the end."""
        if self.items:
            start = self.chosen if self.chosen is not None else -1 if step > 0 else 0
            self.chosen = (start + step) % len(self.items)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        rows = max(1, self.size.height)
        at = self.chosen or 0
        top = max(0, min(at - rows // 2, len(self.items) - rows))
        index = top + y
        width = self.size.width
        if index >= len(self.items):
            return Strip.blank(width, self.rich_style)
        here = index == self.chosen
        behind = " on cursor" if here else ""
        text = self.items[index].replace("\n", " ⏎ ")
        beside = self.beside[index] if index < len(self.beside) else ""
        if y == rows - 1 and len(self.items) > rows and not beside:
            beside = f"{index + 1}/{len(self.items)}"
        cells: Cells = [
            (" " + (self.desk.glyphs.cursor if here else " ") + " ", "key" + behind),
            (text, ("strong" if here else "") + behind),
        ]
        line = spread(cells, [(beside + " ", "dim" + behind)], width)
        paint = self.desk.paint
        return paint.strip(line, width, self.rich_style + (paint.style(behind.strip()) if here else paint.style("")))
