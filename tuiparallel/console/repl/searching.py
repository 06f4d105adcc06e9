"""A line that stands in the prompt's place: which targets (ctrl+g), which cell of the history (ctrl+r)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.widgets import Input

from tuiparallel.console import figures
from tuiparallel.console.repl.modes import TargetError, Targets, parse_targets
from tuiparallel.monitor.sanitize import clean_line

if TYPE_CHECKING:
    from tuiparallel.console.repl.history import Past
    from tuiparallel.console.repl.pane import ReplPane


class AskLine(Input):
    """One line of text, and what it means above it."""

    def __init__(self, pane: ReplPane) -> None:
        super().__init__(id="repl-ask", compact=True)
        self.pane = pane
        self.label = ""
        self.display = False
        self._found: list[Past] = []
        self._targets: Targets | None = None
        self._read = ""  # the text that what is shown is about

    def ask_targets(self) -> None:
        """Picks the engines cells go to."""
        self._open("targets", "" if self.pane.where.targets.ids is None else self.pane.where.targets.text())

    def ask_history(self) -> None:
        """Finds a cell."""
        self.pane.host.own.call(self.pane.history.refresh, lambda _: self._meant(), lambda _: None)
        self._open("history", self.pane.editor.text.partition("\n")[0])

    def _open(self, label: str, text: str) -> None:
        self.label = label
        self.pane.editor.display = False
        self.display = True
        self.styles.width = "1fr"
        self.styles.background = "transparent"
        self.value = text
        self.cursor_position = len(text)
        self.pane.give_keyboard(self)
        self._meant()

    def _close(self) -> None:
        self.display = False
        self.pane.editor.display = True
        self.pane.choices.hide()
        self.pane.note("")
        self.pane.take_focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display and self.value != self._read:
            self._meant()

    def _meant(self) -> None:
        if not self.display:
            return
        self._read = self.value
        if self.label == "history":
            self._found = self.pane.history.containing(self.value, 50)
            shown = [clean_line(figures.clip(past.source.strip(), 300)) for past in self._found]
            room = max(2, self.pane.size.height - 2)
            self.pane.choices.show(shown, 0 if shown else None, [past.mode for past in self._found], room)
            self.pane.note("⏎ takes it   ↑ ↓ choose   esc back" if shown else "no cell contains that")
            return
        host = self.pane.host
        try:
            self._targets = parse_targets(self.value, host.living(), host.marked(), host.matching)
        except TargetError as error:
            self._targets = None
            self.pane.note(str(error), "warn")
            return
        ids = self._targets.ids if self._targets.ids is not None else host.living()
        names = figures.ranges(list(ids))
        self.pane.note(f"{figures.plural(len(ids), 'engine')}: {names}   (ids, 0-3, marked, host:n001, all)")

    async def _on_key(self, event: events.Key) -> None:
        if self.pane.forward(self, event):
            return
        if self.pane.answer(event.key):
            event.stop()
            event.prevent_default()
            return
        match event.key:
            case "escape" | "ctrl+c" | "ctrl+g":
                self._close()
            case "enter" | "tab" if self.label == "history":
                if self.value != self._read:
                    self._meant()
                chosen = self.pane.choices.chosen
                taken = self._found[chosen].source if chosen is not None and self._found else None
                self._close()
                if taken is not None:
                    self.pane.editor.put(taken)
            case "enter":
                self._meant()  # what was typed just before may not have been read yet
                if self._targets is not None:
                    targets = self._targets
                    self._close()
                    self.pane.aim(targets)
            case "up" | "ctrl+p":
                self.pane.choices.move(-1)
            case "down" | "ctrl+r" | "ctrl+n":
                self.pane.choices.move(1)
            case _:
                await super()._on_key(event)
                return
        event.stop()
        event.prevent_default()
