"""The `:` and `/` lines: a noun with a filter, or a verb; what it would do stands there, in words, before enter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuiparallel.console import figures
from tuiparallel.console.acting import Acting
from tuiparallel.console.catalogue import PANES
from tuiparallel.console.themes import THEMES
from tuiparallel.console.views.output import engine_ids
from tuiparallel.monitor.query import ENGINE_FIELDS, FAILURE_FIELDS, FUNCTION_FIELDS, TASK_FIELDS, complete

if TYPE_CHECKING:
    from tuiparallel.console.app import TuiparApp
    from tuiparallel.console.screens.main import MainScreen

NOUNS = {"engines": ENGINE_FIELDS, "tasks": TASK_FIELDS, "errors": FAILURE_FIELDS, "functions": FUNCTION_FIELDS,
         "timeline": ENGINE_FIELDS}  # fmt: skip
SHORT = {"e": "engines", "t": "tasks", "r": "repl", "o": "output", "f": "functions", "n": "now"}
ON_ROWS = ("abort", "interrupt", "clear", "restart", "stop", "again")
PLACEHOLDERS = {
    "engines": "state:busy mem:>80% host:n0*", "tasks": "state:error fn:fit* run:>2s", "errors": "fn:fit* timeout",
    "functions": "fn:mc* p95:>1s", "output": "words, engine:0-3, stream:stderr", "events": "words",
}  # fmt: skip


class Commands:
    """Opens the prompt and does what was typed."""

    def __init__(self, app: TuiparApp, main: MainScreen, acting: Acting) -> None:
        self.app = app
        self.main = main
        self.acting = acting
        self._before = ""

    def open(self, mode: str, text: str = "") -> None:
        """Starts a filter ('/') of this pane, or a command (':')."""
        if mode == "/":
            view = self.main.view
            if view is None or view.pane not in PLACEHOLDERS:
                self.app.say("this pane has no filter; engines (1), tasks (3) and output (6) have one", "warning")
                return
            self._before = view.filter_text
            self.main.prompt.start(mode, view.filter_text, f"/ {PLACEHOLDERS[view.pane]}", self._options)
            return
        self.main.prompt.start(mode, text, ": tasks state:error, abort engine:7, theme light, health", self._options)

    def typed(self, mode: str, text: str) -> None:
        """While typing: a filter is tried at once, the last valid one stays; a command says what it would do."""
        if mode == "/":
            view = self.main.view
            if view is None:
                return
            wrong = view.filter_by(text)
            shown = f"{figures.plural(view.count(), 'row')} match" if wrong is None else f"not yet: {wrong}"
            self.main.message.say(shown, "information" if wrong is None else "warning")
        else:
            self.main.message.say(self.words(text), "information")
        self.main.refresh_lines()

    def closed(self, mode: str, text: str | None) -> None:
        """Typing has ended: keeps or restores the filter, or does the command."""
        self.main.go(self.main.current)
        if mode == "/":
            view = self.main.view
            if view is not None and text is None:
                view.filter_by(self._before)
            elif view is not None and text is not None and (wrong := view.filter_by(text)) is not None:
                self.app.say(wrong, "warning")
        elif text:
            self.do(text)
        self.main.refresh_lines()

    # Completion -------------------------------------------------------------------------------------------------

    def _options(self, text: str) -> list[str]:
        mode = self.main.prompt.mode
        if mode == "/":
            return self._query_options(self.main.current, text)
        head, space, rest = text.partition(" ")
        if not space:
            words = [*PANES, *(action.verb or action.id for action in self.app.registry)]
            return [word + " " for word in dict.fromkeys(words) if word.startswith(head) and word != head]
        noun = SHORT.get(head, head)
        if noun == "theme":
            return [f"{head} {name}" for name in THEMES if name.startswith(rest)]
        if head in ON_ROWS:
            noun = "engines" if head in ("clear", "restart", "stop") else "tasks"
        return [f"{head} {option}" for option in self._query_options(noun, rest)]

    def _query_options(self, pane: str, text: str) -> list[str]:
        nouns = NOUNS.get(pane)
        if nouns is None:
            return []
        found = complete(text, len(text), nouns, lambda field: self.app.store.observed(nouns, field))
        return [text[: option.start] + option.text + text[option.end :] for option in found]

    # Commands ---------------------------------------------------------------------------------------------------

    def words(self, text: str) -> str:
        """What a command would do."""
        head, _, rest = text.strip().partition(" ")
        noun = SHORT.get(head, head)
        if not head:
            return "a pane with a filter, or a verb; tab completes"
        if noun in PANES:
            return f"go to {noun}" + (f", show what matches {rest}" if rest else "")
        action = self.app.registry.by_verb(head)
        if action is None:
            near = [word for word in (*PANES, *(a.verb or a.id for a in self.app.registry)) if word.startswith(head)]
            return f"did you mean: {', '.join(near[:8])}" if near else f"there is no {head!r}; ? lists what there is"
        target = f" ({rest})" if rest else ""
        asks = "; asks first" if action.level else ""
        return f"{action.help[0].lower()}{action.help[1:]}{target}{asks}"

    def do(self, text: str) -> None:
        """Does a command, or says what is wrong with it."""
        head, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        noun = SHORT.get(head, head)
        if noun in PANES:
            self.main.go(noun)
            view = self.main.view
            if rest and view is not None:
                query = f"id:{rest}" if noun == "engines" and engine_ids(rest) is not None else rest
                if (wrong := view.filter_by(query)) is not None:
                    self.app.say(wrong, "warning")
            return
        action = self.app.registry.by_verb(head)
        if action is None:
            self.app.say(self.words(text), "warning")
        elif head == "theme" and rest:
            self._theme(rest)
        elif head in ("start", "scale"):
            self._number(head, rest)
        elif action.id in ON_ROWS and rest:
            self._on_rows(action.id, rest)
        else:
            self.main.perform(action.id)

    def _theme(self, name: str) -> None:
        if name in THEMES:
            self.app.theme = name
        else:
            self.app.say(f"there is no theme {name!r}; there are {', '.join(THEMES)}", "warning")

    def _number(self, id: str, text: str) -> None:
        if not text and id == "start":
            text = "1"
        if not text.isdecimal() or not int(text):
            self.app.say(f"`:{id}` wants a number of engines: `:{id} 4`", "warning")
            return
        reason = self.app.registry[id].why_disabled(self.main.here())
        if reason is not None:
            self.app.say(reason, "warning")
            return
        self.acting.ask(id, int(text))

    def _on_rows(self, id: str, text: str) -> None:
        """A verb with its rows: `abort engine:7`, `restart 3`: goes to them, marks them, and climbs the key's ladder."""
        engines = engine_ids(text.removeprefix("engine:").removeprefix("engines "))
        if engines is not None:
            self.main.go("engines")
            view = self.main.engines
            missing = sorted(engine for engine in engines if view.find(engine) is None)
            if missing:
                self.app.say(f"there is no engine {figures.ranges(missing)}", "warning")
                return
            view.marks = set(engines)
        elif id in ("clear", "restart", "stop"):
            self.app.say(f"`:{id}` wants engines: `:{id} 0-3`", "warning")
            return
        else:
            self.main.go("tasks")
            if (wrong := self.main.tasks.filter_by(text)) is not None:
                self.app.say(wrong, "warning")
                return
            self.main.tasks.mark_all()
        self.main.perform(id)
