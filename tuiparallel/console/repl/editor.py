"""The text people type: enter by the table of `enter`, colours by Pygments, a ghost out of the history.

What a key means beyond the text (run, complete, modes, history) is posted to the pane; the text is the editor's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from tuiparallel.console.repl import highlight
from tuiparallel.console.repl.enter import INDENT, Enter, Fault, indent_after, on_enter

MAX_PASTE = 1 << 20  # characters

KEYS: dict[str, str] = {
    "f5": "run",
    "ctrl+enter": "run",
    "f2": "edit",
    "ctrl+t": "mode",
    "ctrl+g": "targets",
    "ctrl+r": "search",
    "ctrl+up": "cards.up",
    "ctrl+down": "cards.down",
    "escape": "leave",
    "ctrl+c": "interrupt",
}
"""Keys that are not about the text, and what they ask of the pane."""


class Editor(TextArea):
    """The prompt's text."""

    class Asked(Message):
        """A key asks for something: one of KEYS, "complete", "signature", "older", "newer", "take", "close"."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    class Entered(Message):
        """The text is to be run."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Faulty(Message):
        """Enter was pressed on a syntax error: it stands marked in the text."""

        def __init__(self, fault: Fault) -> None:
            super().__init__()
            self.fault = fault

    def __init__(self, gate: Callable[[str], bool]) -> None:
        self.gate = gate  # takes a key away from the text: a question is open
        self.fault: Fault | None = None
        self.fault_text: str | None = None
        self.choosing = False  # a list of choices is open: up, down, enter, tab and escape are its
        self.suggest: str | None = None
        super().__init__(
            id="repl-editor",
            compact=True,
            soft_wrap=True,
            tab_behavior="indent",
            show_line_numbers=False,
            highlight_cursor_line=False,
        )
        self.indent_width = INDENT

    # Colours ------------------------------------------------------------------------------------------------------

    def _build_highlight_map(self) -> None:
        self._line_cache.clear()
        marks = self._highlights
        marks.clear()
        text = self.text
        for row, line in highlight.marks(text).items():
            marks[row].extend(line)
        if self.fault is not None and text == self.fault_text and self.fault.row < self.document.line_count:
            line_text = self.document.get_line(self.fault.row)
            column = min(self.fault.column, max(0, len(line_text) - 1))
            start = len(line_text[:column].encode())
            width = max(1, len(line_text[column : column + 1].encode()))
            marks[self.fault.row].append((start, start + width, "fault"))

    def paint_with(self, paint: highlight.Painter) -> None:
        """Takes the colours of a theme."""
        if self._theme is not None:
            self._theme = dataclasses.replace(self._theme, syntax_styles=highlight.styles_of(paint))
            self._line_cache.clear()
            self.refresh()

    # Text ---------------------------------------------------------------------------------------------------------

    @property
    def cursor_index(self) -> int:
        """The cursor as a position in the text."""
        row, column = self.cursor_location
        lines = self.text.split("\n")
        return sum(len(line) + 1 for line in lines[:row]) + column

    def put(self, text: str) -> None:
        """Replaces the whole text and goes to its end; undo brings the old one back."""
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end)

    def replace_back(self, count: int, text: str) -> None:
        """Replaces the characters before the cursor, all in its line."""
        row, column = self.cursor_location
        self.replace(text, (row, max(0, column - count)), (row, column), maintain_selection_offset=False)
        self.move_cursor((row, max(0, column - count) + len(text)))

    def new_line(self) -> None:
        """Breaks the line, indented as Python would."""
        start, end = sorted(self.selection)
        self.replace("\n" + indent_after(self.text, *start), start, end, maintain_selection_offset=False)

    def show_ghost(self, ghost: str | None) -> None:
        """What stands faintly behind the text: only the rest of its line can be drawn there."""
        self.suggest = ghost
        at_end = self.cursor_location == self.document.end and self.selection.is_empty
        text = self.text
        self.suggestion = ghost[len(text) :].partition("\n")[0] if ghost and at_end and ghost.startswith(text) else ""

    def take_ghost(self) -> bool:
        """Takes the whole suggested cell; False when there is none here."""
        if not self.suggestion or not self.suggest or self.cursor_location != self.document.end:
            return False
        self.put(self.suggest)
        return True

    # Keys ---------------------------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        if self.gate(event.key) or self._handled(event.key):
            event.stop()
            event.prevent_default()
            return
        await super()._on_key(event)

    def _handled(self, key: str) -> bool:
        if self.choosing and key in ("up", "down", "escape", "enter", "tab", "shift+tab"):
            what = {"up": "choice.up", "down": "choice.down", "escape": "close", "shift+tab": "choice.up"}
            self.post_message(self.Asked(what.get(key, "take")))
            return True
        if key in KEYS:
            self._named(KEYS[key])
            return True
        match key:
            case "enter":
                self._enter()
            case "ctrl+j" | "shift+enter" | "alt+enter" | "newline":
                self.new_line()
            case "tab":
                if self._line_before().strip():
                    self.post_message(self.Asked("complete"))
                else:
                    self.insert(" " * (INDENT - len(self._line_before()) % INDENT))
            case "shift+tab":
                before = self._line_before()
                if before and not before.strip():
                    self.replace_back((len(before) - 1) % INDENT + 1, "")
                else:
                    self.post_message(self.Asked("signature"))
            case "backspace" if self.selection.is_empty and self._at_indent():
                self.replace_back((len(self._line_before()) - 1) % INDENT + 1, "")
            case "up" if self.cursor_at_first_line:
                self.post_message(self.Asked("older"))
            case "down" if self.cursor_at_last_line:
                self.post_message(self.Asked("newer"))
            case "right" | "end" | "ctrl+e" if self.take_ghost():
                pass
            case _:
                return False
        return True

    def _named(self, what: str) -> None:
        if what == "run":
            if self.text.strip():
                self.post_message(self.Entered(self.text))
        elif what == "interrupt" and not self.selection.is_empty:
            self.action_copy()
        else:
            self.post_message(self.Asked(what))

    def _line_before(self) -> str:
        row, column = self.cursor_location
        return self.document.get_line(row)[:column]

    def _at_indent(self) -> bool:
        before = self._line_before()
        return len(before) > 1 and not before.strip()

    def _enter(self) -> None:
        text = self.text
        what, fault = on_enter(text, self.cursor_location[0], shown_error=self.fault_text)
        match what:
            case Enter.NEW_LINE:
                self.new_line()
            case Enter.RUN:
                self.post_message(self.Entered(text))
            case Enter.SHOW_ERROR:
                assert fault is not None
                self.fault, self.fault_text = fault, text
                self._build_highlight_map()
                self.refresh()
                self.post_message(self.Faulty(fault))
            case Enter.NOTHING:
                pass

    def clear_fault(self) -> None:
        """The text is another one now: its error need not be shown."""
        if self.fault_text is not None and self.text != self.fault_text:
            self.fault = self.fault_text = None

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(INDENT)
        text = "".join(letter for letter in text[:MAX_PASTE] if letter == "\n" or letter.isprintable())
        start, end = sorted(self.selection)
        self.replace(text, start, end, maintain_selection_offset=False)
        self.scroll_cursor_visible()
