"""Completion at the prompt: asks, merges what comes back, shows, inserts. Answers to an old text are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.timer import Timer

from tuiparallel.console.repl import complete, magics
from tuiparallel.console.repl.complete import Options
from tuiparallel.console.repl.modes import Mode
from tuiparallel.monitor.sanitize import clean_line

if TYPE_CHECKING:
    from tuiparallel.console.repl.pane import ReplPane

AFTER_DOT = 0.15  # seconds
SILENT_AFTER = 0.3


class Completing:
    """What the pane does about tab, shift+tab and dots."""

    def __init__(self, pane: ReplPane) -> None:
        self.pane = pane
        self._options: Options | None = None
        self._asked: tuple[str, int] | None = None  # the text and cursor that an answer must be about
        self._picked = ""  # the text right after a choice was taken
        self._late: Timer | None = None
        self._dot: Timer | None = None

    def _now(self) -> tuple[str, int]:
        editor = self.pane.editor
        return editor.text, editor.cursor_index

    def _seen(self) -> magics.Seen:
        cards = tuple(card.number for card in self.pane.cards.cards if card.plan is not None)
        return magics.Seen(cards, self.pane.host.living())

    def asked(self, what: str) -> None:
        """A key of the editor."""
        choices = self.pane.choices
        match what:
            case "complete" if choices.items:
                choices.move(1)
                self.pane.editor.choosing = True
            case "complete":
                self.begin(highlighted=True)
            case "signature":
                self._signature()
            case "choice.up" | "choice.down":
                choices.move(-1 if what == "choice.up" else 1)
            case "take":
                self._take()
            case "close":
                self.close()

    def close(self) -> None:
        """Takes the list away."""
        self.pane.choices.hide()
        self.pane.editor.choosing = False
        self._options = None

    def begin(self, *, highlighted: bool) -> None:
        """Completes the word at the cursor: what is known here, merged with what the namespace answers."""
        text, cursor = self._now()
        options = complete.at_once(text, cursor, self._seen())
        if not options.wanted:
            self._show(options, highlighted)
            return
        self._asked = (text, cursor)
        mode = self.pane.where.mode
        if text.lstrip().startswith(("%local", "%%local")):
            mode = Mode.LOCAL

        def come(body: object, error: str = "") -> None:
            self._stop_late()
            if self._asked != (text, cursor) or self._now() != (text, cursor):
                return
            answer = [clean_line(str(name)) for name in body] if isinstance(body, list) else []
            self._show(complete.merged(options, answer, text, cursor), highlighted)

        if mode is Mode.LOCAL:
            if not self.pane.runs.ask_child("complete", text, cursor, come):
                come([])
            return
        engine = self.pane.lowest_target()
        if engine is None:
            come([])
            return
        self._stop_late()
        self._late = self.pane.set_timer(SILENT_AFTER, lambda: self._is_late(engine, options, text, cursor))
        self.pane.host.ask_engine("complete", engine, "complete", text, cursor, come, lambda error: come([]))

    def _is_late(self, engine: int, options: Options, text: str, cursor: int) -> None:
        if self._asked == (text, cursor) == self._now():
            self.pane.note(f"engine {engine} does not answer", "warn")
            self._show(options, False)

    def _stop_late(self) -> None:
        if self._late is not None:
            self._late.stop()
            self._late = None

    def _show(self, options: Options, highlighted: bool) -> None:
        text, cursor = self._now()
        prefix = text[options.start : cursor]
        words = [word for word in options.words if word != prefix] if len(options.words) > 1 else list(options.words)
        if not words or words == [prefix]:
            self.close()
            return
        if highlighted and len(words) == 1:
            self._insert(prefix, words[0])
            return
        if highlighted and len(common := complete.common_prefix(words)) > len(prefix):
            self._insert(prefix, common, done=False)
        self._options = options
        room = max(2, self.pane.size.height - 3)
        self.pane.choices.show(words, 0 if highlighted else None, room=room)
        self.pane.editor.choosing = highlighted

    def _insert(self, prefix: str, word: str, *, done: bool = True) -> None:
        self.pane.editor.replace_back(len(prefix), word)
        self._picked = self.pane.editor.text
        if done:
            self.close()

    def _take(self) -> None:
        word, options = self.pane.choices.word, self._options
        if word is None or options is None:
            self.close()
            return
        text, cursor = self._now()
        self._insert(text[options.start : cursor], word)

    def typed(self) -> None:
        """The text has changed: narrows what is shown; a dot asks by itself after a moment."""
        if self._dot is not None:
            self._dot.stop()
            self._dot = None
        text, cursor = self._now()
        if text == self._picked:
            return
        options = self._options
        if options is not None:
            prefix = text[options.start : cursor]
            fitting = [word for word in options.words if word.startswith(prefix) and word != prefix]
            if (
                cursor < options.start
                or not fitting
                or (prefix and not prefix.strip("%").isidentifier() and prefix != "%")
            ):
                self.close()
            else:
                highlighted = self.pane.editor.choosing
                self.pane.choices.show(fitting, 0 if highlighted else None, room=max(2, self.pane.size.height - 3))
        before = text[:cursor]
        if before.endswith(".") and before[:-1][-1:].isidentifier():
            self._dot = self.pane.set_timer(AFTER_DOT, lambda: self._after_dot(text, cursor))

    def _after_dot(self, text: str, cursor: int) -> None:
        if self._now() == (text, cursor):
            self.begin(highlighted=False)

    def _signature(self) -> None:
        text, cursor = self._now()
        name = complete.call_before(text, cursor)
        if not name:
            self.pane.note("put the cursor behind a name or inside its call")
            return

        def come(body: object, error: str = "") -> None:
            first = clean_line(str(body).strip().split("\n")[0]) if body else ""
            self.pane.note(first or clean_line(error) or f"there is no {name} there", "strong" if first else "warn")

        if self.pane.where.mode is Mode.LOCAL:
            if not self.pane.runs.ask_child("signature", name, len(name), come):
                come("", "no local cell has run yet")
            return
        engine = self.pane.lowest_target()
        if engine is None:
            come("", "there is no engine to ask")
            return
        self.pane.host.ask_engine(
            "signature", engine, "inspect", name, len(name), come,
            lambda error: come("", f"engine {engine} does not answer: {error}"),
        )  # fmt: skip
