"""The last lines: keys of this place from the registry, a question of level 1, messages above, the stack's view bar."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap

from textual.strip import Strip

from tuiparallel.console.actions import Here
from tuiparallel.console.catalogue import PANES
from tuiparallel.console.desk import Desk
from tuiparallel.console.keys import Pending, shown
from tuiparallel.console.paint import Cells, spread, width_of
from tuiparallel.console.views.line import OneLine, place

MESSAGE_SECONDS = 6.0
MESSAGE_LINES = 3  # at most
SHORT_NAMES = {"timeline": "time", "functions": "funcs", "repl": "repl"}
FOOTER = ("help", "command", "filter", "repl.focus", "abort", "interrupt", "leave")


class Footer(OneLine):
    """At most seven keys, disabled ones dim; a pending key shows what may follow; a question takes the line."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "footer")
        self.here = Here()
        self.pending: Pending | None = None
        self.question = ""
        self.mouse = True

    def line(self, width: int) -> Cells:
        return self._made(width)[0]

    def links(self, width: int) -> list[tuple[int, int, str]]:
        return self._made(width)[1]

    def _made(self, width: int) -> tuple[Cells, list[tuple[int, int, str]]]:
        if self.question:
            return [(f" {self.question} ", "bold strong on question"), ("  y/N", "bold key")], []
        if self.pending is not None:
            return self._pending(self.pending)
        if self.here.pane == "repl":
            return self._typing(width)
        pieces: list[tuple[Cells, str]] = []
        for id in FOOTER:
            action = self.desk.registry[id]
            off = action.why_disabled(self.here) is not None
            text = f" {action.footer}"
            pieces.append(([(shown(action.keys[0]), "rule" if off else "key"), (text, "rule" if off else "dim")], id))
        left, links = place(pieces, 3)
        right: Cells = [("^P", "key"), (" palette   ", "dim"), ("%", "key"),
                        (f" mouse {'on' if self.mouse else 'off'}", "dim"), (" ", "")]  # fmt: skip
        if width_of(left) + width_of(right) <= width:
            return spread(left, right, width), links
        left, links = place(pieces, 2)
        return left, links

    def _typing(self, width: int) -> tuple[Cells, list[tuple[int, int, str]]]:
        """In the REPL letters are text: only what works there is named. The pane itself names its own keys."""
        keys = (("esc", " leave", ""), ("^P", " palette", "palette"), ("^Q", " quit", "leave"))
        pieces: list[tuple[Cells, str]] = [([(key, "key"), (text, "dim")], action) for key, text, action in keys]
        return place(pieces, 3)

    def _pending(self, pending: Pending) -> tuple[Cells, list[tuple[int, int, str]]]:
        pieces: list[tuple[Cells, str]] = []
        for action in self.desk.registry.at(pending.place):
            off = action.why_disabled(self.here) is not None
            cells: Cells = [(shown(action.keys[0]), "rule" if off else "key"),
                            (f" {action.title.lower()}", "rule" if off else "dim")]  # fmt: skip
            pieces.append((cells, action.id))
        line, links = place([([(f"{shown(pending.prefix)} …", "bold key")], ""), *pieces], 2)
        return line, links


@dataclass(frozen=True, slots=True)
class Said:
    """A message and until when (monotonic seconds) it stands."""

    text: str
    severity: str
    until: float


class Message(OneLine):
    """The newest message, for six seconds; hidden when there is none."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "message")
        self.said: Said | None = None

    def say(self, text: str, severity: str) -> None:
        """Shows a message."""
        self.said = Said(text, severity, self.desk.clock.monotonic() + MESSAGE_SECONDS)
        self.display = True
        self._fit()
        self.refresh()

    def tick(self) -> None:
        """Takes the message away when its time is over."""
        if self.said is not None and self.desk.clock.monotonic() >= self.said.until:
            self.said = None
            self.display = False

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        width = self.size.width or self.screen.size.width
        self.styles.height = max(1, min(MESSAGE_LINES, len(self._wrapped(width))))

    def _wrapped(self, width: int) -> list[str]:
        return wrap(self.said.text, max(10, width - 4)) if self.said is not None else []

    def line(self, width: int, y: int = 0) -> Cells:
        if self.said is None:
            return []
        style = {"error": "failure", "warning": "warn"}.get(self.said.severity, "key")
        lines = self._wrapped(width)
        text = " ".join(lines[y:]) if y == MESSAGE_LINES - 1 else lines[y] if y < len(lines) else ""
        return [(f" {self.desk.glyphs.bar} ", style), (text, "strong")]

    def render_line(self, y: int) -> Strip:
        return self.desk.paint.strip(self.line(self.size.width, y), self.size.width, self.rich_style)


class ViewBar(OneLine):
    """The panes by number, where only one is on screen."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "viewbar")
        self.current = "engines"

    def line(self, width: int) -> Cells:
        return self._made(width)[0]

    def links(self, width: int) -> list[tuple[int, int, str]]:
        return self._made(width)[1]

    def _made(self, width: int) -> tuple[Cells, list[tuple[int, int, str]]]:
        pieces: list[tuple[Cells, str]] = []
        for number, name in enumerate(PANES[:-1]):
            on = name == self.current
            label = SHORT_NAMES.get(name, name)
            cells: Cells = [(str(number), "key"), (f" {label}", "bold title-focus" if on else "dim")]
            pieces.append((cells, f"pane.{name}"))
        line, links = place(pieces, 2, 2)
        if width_of(line) > width + 2:
            pieces = [([(cells[0][0], "bold title-focus" if PANES[int(cells[0][0])] == self.current else "key")], action)
                      for cells, action in pieces]  # fmt: skip
            line, links = place(pieces, 2, 2)
        return line, links
