"""Leaving a cluster this console started: keep it (the default), or shut it down."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class LeaveScreen(ModalScreen[str | None], inherit_bindings=False):
    """Returns "keep", "end" or None, which is: stay."""

    def __init__(self, cluster: str) -> None:
        super().__init__()
        self.cluster = cluster

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(f"Leave {self.cluster} running?", classes="title", markup=False)
            yield Static("This console started it. Kept, it goes on; `tuipar` comes back to it.", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Keep it", id="keep")
                yield Button("Shut it down", id="end", classes="-danger")
                yield Button("Stay here", id="stay")

    def on_mount(self) -> None:
        self.query_one("#keep", Button).focus()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            self.dismiss(None)
        elif event.key in ("tab", "right"):
            self.focus_next()
        elif event.key in ("shift+tab", "left"):
            self.focus_previous()
        else:
            return
        event.stop()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id if event.button.id != "stay" else None)
