"""The text people type: enter by the table of `enter`, colours by Pygments, a ghost out of the history.

What a key means beyond the text (run, complete, modes, history) is the pane's affair; the text is the editor's.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from textual import events
from textual.widget import Widget
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


class Prompt(Protocol):
    """Who is told, at once, so that what is typed ahead finds everything in its place."""

    def answer(self, key: str) -> bool:
        """Takes a key away: a question is open."""

    def forward(self, widget: Widget, event: events.Key) -> bool:
        """Gives a key to whoever has, or is about to have, the keyboard instead of this widget."""

    def entered(self, text: str) -> None:
        """The text is to be run."""

    def faulty(self, fault: Fault) -> None:
        """Enter was pressed on a syntax error: it stands marked in the text."""

    def wanted(self, what: str) -> None:
        """A key asks for something: one of KEYS, "complete", "signature", "older", "newer", "take", "close"."""

    def changed(self) -> None:
        """The text is another one."""


class Editor(TextArea):
    """The prompt's text."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt: Prompt | None = None  # nobody is told while the widget is being made
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
        self.prompt = prompt

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
        assert self.prompt is not None
        if self.prompt.forward(self, event):
            return
        if self.prompt.answer(event.key) or self._handled(event.key):
            event.stop()
            event.prevent_default()
            return
        await super()._on_key(event)

    def _handled(self, key: str) -> bool:
        if self.choosing and key in ("up", "down", "escape", "enter", "tab", "shift+tab"):
            what = {"up": "choice.up", "down": "choice.down", "escape": "close", "shift+tab": "choice.up"}
            self._want(what.get(key, "take"))
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
                    self._want("complete")
                else:
                    self.insert(" " * (INDENT - len(self._line_before()) % INDENT))
            case "shift+tab":
                before = self._line_before()
                if before and not before.strip():
                    self.replace_back((len(before) - 1) % INDENT + 1, "")
                else:
                    self._want("signature")
            case "backspace" if self.selection.is_empty and self._at_indent():
                self.replace_back((len(self._line_before()) - 1) % INDENT + 1, "")
            case "up" if self.cursor_at_first_line:
                self._want("older")
            case "down" if self.cursor_at_last_line:
                self._want("newer")
            case "right" | "end" | "ctrl+e" if self.take_ghost():
                pass
            case _:
                return False
        return True

    def _named(self, what: str) -> None:
        if what == "run":
            if self.text.strip():
                self._run(self.text)
        elif what == "interrupt" and not self.selection.is_empty:
            self.action_copy()
        else:
            self._want(what)

    def _want(self, what: str) -> None:
        if self.prompt is not None:
            self.prompt.wanted(what)

    def _run(self, text: str) -> None:
        if self.prompt is not None:
            self.prompt.entered(text)

    def update_suggestion(self) -> None:
        """Called by TextArea after every edit, undo and load."""
        if self.prompt is not None:
            self.prompt.changed()

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
                self._run(text)
            case Enter.SHOW_ERROR:
                assert fault is not None and self.prompt is not None
                self.fault, self.fault_text = fault, text
                self._build_highlight_map()
                self.refresh()
                self.prompt.faulty(fault)
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
