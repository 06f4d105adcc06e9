"""`?`: the keys of this place, then of everywhere; type to search, enter runs one. And a page of plain text."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tuiparallel.console.actions import Action, Here, Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.keys import shown
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.console.views.line import OneLine

PLACES = {
    "lists": "in any list", "everywhere": "everywhere", "cluster": "after ^X: the cluster", "copy": "after y: copy",
    "repl": "in the REPL",
}  # fmt: skip
KEYS_WIDTH = 14


class HelpList(LineView):
    """One action a row, under a heading per place."""

    pane: ClassVar[str] = "helplist"

    def __init__(self, desk: Desk, here: Here, places: tuple[str, ...]) -> None:
        super().__init__(desk)
        self.where = here
        self.places = places
        self.words = ""
        self.rows: list[Action | str] = []

    def version(self) -> Hashable:
        return self.words

    def pull(self) -> None:
        words = self.words.casefold().split()
        rows: list[Action | str] = []
        others = [place for place in dict.fromkeys(action.where for action in self.desk.registry)]
        for place in dict.fromkeys((*self.places, *others)):
            found = [
                action
                for action in self.desk.registry.at(place)
                if all(word in f"{action.title} {action.help} {' '.join(action.keys)}".casefold() for word in words)
            ]
            if found:
                rows += [PLACES.get(place, f"in {place}"), *found]
        self.rows = rows

    def count(self) -> int:
        return len(self.rows)

    def key_at(self, index: int) -> Key:
        return index

    def cells(self, index: int, width: int) -> Cells:
        row = self.rows[index]
        if isinstance(row, str):
            return [(row, "bold title-focus")]
        reason = row.why_disabled(self.where)
        keys = " ".join(shown(key) for key in row.keys) or f":{row.verb or row.id}"
        text: Cells = [(f"  {keys:<{KEYS_WIDTH}}", "rule" if reason else "key"), (f"{row.title:<24}", "")]
        return [*text, (row.help if reason is None else f"not here: {reason}", "dim")]

    def current(self) -> Action | None:
        """The action under the cursor."""
        row = self.rows[self._at] if self._at < len(self.rows) else None
        return row if isinstance(row, Action) else None

    def empty(self) -> list[str]:
        return ["No key or action has these words"]


class Caption(OneLine):
    """A title over a dialog's list."""

    def __init__(self, desk: Desk, text: Cells) -> None:
        super().__init__(desk, "caption")
        self.text = text

    def line(self, width: int) -> Cells:
        return self.text


class HelpScreen(ModalScreen[str | None], inherit_bindings=False):
    """Returns the id of the action to run, or None."""

    def __init__(self, desk: Desk, here: Here, places: tuple[str, ...]) -> None:
        super().__init__()
        self.desk = desk
        self.list = HelpList(desk, here, places)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="help"):
            yield Caption(self.desk, [("Keys", "bold strong"), ("   type to search   ", "dim"), ("enter", "key"),
                                      (" runs one   ", "dim"), ("esc", "key"), (" leaves", "dim")])  # fmt: skip
            yield Input(placeholder="search", id="search")
            yield self.list

    def on_mount(self) -> None:
        self.query_one("#search", Input).focus()
        self.list.pull_now(force=True)

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        self.list.words = event.value
        self.list.pull_now(force=True)
        self.list.move_to(1 if self.list.count() > 1 else 0)

    def on_key(self, event: events.Key) -> None:
        moves = {"down": 1, "up": -1, "pagedown": 10, "pageup": -10}
        if event.key in ("escape", "question_mark"):
            self.dismiss(None)
        elif event.key in moves:
            self.list.move(moves[event.key])
        elif event.key == "enter":
            self._run()
        else:
            return
        event.stop()

    @on(Input.Submitted)
    def _run(self) -> None:
        action = self.list.current()
        if action is not None:
            self.dismiss(action.id)


class TextList(LineView):
    """Lines of text that do not change."""

    pane: ClassVar[str] = "textlist"

    def __init__(self, desk: Desk, lines: list[Cells]) -> None:
        super().__init__(desk)
        self.lines = lines

    def version(self) -> Hashable:
        return len(self.lines)

    def count(self) -> int:
        return len(self.lines)

    def cells(self, index: int, width: int) -> Cells:
        return self.lines[index]


class TextScreen(ModalScreen[None], inherit_bindings=False):
    """A page to read: a traceback, `:health`."""

    def __init__(self, desk: Desk, title: str, lines: list[Cells]) -> None:
        super().__init__()
        self.desk = desk
        self.caption: Cells = [(title, "bold strong"), ("   ", ""), ("esc", "key"), (" leaves", "dim")]
        self.list = TextList(desk, lines)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="text"):
            yield Caption(self.desk, self.caption)
            yield self.list

    def on_mount(self) -> None:
        self.list.focus()
        self.list.pull_now(force=True)

    def on_key(self, event: events.Key) -> None:
        moves = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": 20, "pageup": -20, "space": 20}
        if event.key in ("escape", "q", "enter"):
            self.dismiss(None)
        elif event.key in moves:
            self.list.move(moves[event.key])
        elif event.key in ("home", "g"):
            self.list.move_to(0)
        elif event.key in ("end", "G"):
            self.list.move_to(self.list.count())
        else:
            return
        event.stop()
