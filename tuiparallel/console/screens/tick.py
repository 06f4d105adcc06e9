"""A box that is ticked or not, in characters that say so also without colour."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.widget import Widget


class Tick(Widget, can_focus=True):
    """`[ ] label` or `[x] label`; space, enter and a click turn it."""

    def __init__(self, label: str, *, id: str, ticked: bool = False) -> None:
        super().__init__(id=id)
        self.label = label
        self.ticked = ticked

    def render(self) -> Text:
        return Text(f"{'[x]' if self.ticked else '[ ]'} {self.label}")

    def turn(self) -> None:
        """Ticks it, or takes the tick away."""
        self.ticked = not self.ticked
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        if event.key in ("space", "enter"):
            event.stop()
            self.turn()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.turn()
