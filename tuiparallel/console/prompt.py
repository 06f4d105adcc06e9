"""The line at the bottom where a filter or a command is typed."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.message import Message
from textual.widgets import Input

MOST_KEPT = 100


class Prompt(Input):
    """`/` and `:`. What was typed before comes back with up and down; tab completes."""

    class Closed(Message):
        """Typing has ended. text is None when it was given up."""

        def __init__(self, mode: str, text: str | None) -> None:
            super().__init__()
            self.mode = mode
            self.text = text

    class Typed(Message):
        """The text is another now."""

        def __init__(self, mode: str, text: str) -> None:
            super().__init__()
            self.mode = mode
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="prompt", compact=True, select_on_focus=False)
        self.mode = ""
        self.complete: Callable[[str], list[str]] = lambda text: []
        self._kept: dict[str, list[str]] = {"/": [], ":": []}
        self._place = 0

    def start(self, mode: str, text: str, placeholder: str, complete: Callable[[str], list[str]]) -> None:
        """Shows the line in a mode, '/' or ':'."""
        self.mode = mode
        self.complete = complete
        self.value = text
        self.cursor_position = len(text)
        self.placeholder = placeholder
        self._place = len(self._kept[mode])
        self.display = True
        self.focus()

    def close(self, text: str | None) -> None:
        """Hides the line."""
        if not self.mode:
            return
        mode, self.mode = self.mode, ""
        if text:
            kept = [old for old in self._kept[mode] if old != text]
            self._kept[mode] = [*kept, text][-MOST_KEPT:]
        self.display = False
        self.post_message(self.Closed(mode, text))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.mode:
            self.post_message(self.Typed(self.mode, event.value))

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            self.close(None)
        elif event.key == "enter":
            self.close(self.value)
        elif event.key == "tab":
            options = self.complete(self.value)
            if options:
                self.value = options[0]
                self.cursor_position = len(self.value)
        elif event.key in ("up", "down"):
            self._recall(-1 if event.key == "up" else 1)
        elif event.key == "backspace" and not self.value:
            self.close(None)
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()

    def _recall(self, step: int) -> None:
        kept = self._kept[self.mode]
        self._place = max(0, min(len(kept), self._place + step))
        self.value = kept[self._place] if self._place < len(kept) else ""
        self.cursor_position = len(self.value)
