"""Pane 8, the REPL: cards above, the prompt below. Puts the parts together and hands keys on; runs nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widget import Widget

from tuiparallel.console.actions import Here
from tuiparallel.console.calls import Calls
from tuiparallel.console.desk import Desk
from tuiparallel.console.ladder import DEAF
from tuiparallel.console.paint import Cells
from tuiparallel.console.repl import outside
from tuiparallel.console.repl.actions import register
from tuiparallel.console.repl.card import Card
from tuiparallel.console.repl.cardlines import MODE_STYLES, as_text, lines_of
from tuiparallel.console.repl.cards import Cards
from tuiparallel.console.repl.choices import Choices
from tuiparallel.console.repl.commands import Commander
from tuiparallel.console.repl.completing import Completing
from tuiparallel.console.repl.editor import Editor
from tuiparallel.console.repl.enter import Fault
from tuiparallel.console.repl.history import History, Past, Walk
from tuiparallel.console.repl.host import Host
from tuiparallel.console.repl.line import Line
from tuiparallel.console.repl.magics import Command, Inspect, MagicError, parse_cell
from tuiparallel.console.repl.modes import Mode, Targets, Where
from tuiparallel.console.repl.runs import Runs
from tuiparallel.console.repl.searching import AskLine

LOOKS = 10  # a second, while a cell is open
HINT = "⏎ run   ^J new line   ^T mode   ^G targets   tab complete   ^R history   ^C interrupt   esc leave"
LONGEST_GHOST = 200  # characters typed, above which no cell of the history is suggested
SHORT_HINT = "⏎ run  ^J line  ^T mode  ^G targets  tab names  ^R history  ^C stop  esc leave"


@dataclass(slots=True)
class Question:
    """Something to be confirmed by y; any other key is No. asked: when it was shown, monotonic seconds."""

    text: str
    yes: Callable[[], None]
    no: Callable[[], None]
    asked: float


class ReplPane(Vertical):
    """The REPL as one widget."""

    pane = "repl"
    number = 8
    pulls = LOOKS

    def __init__(self, desk: Desk) -> None:
        super().__init__(id=self.pane, classes="pane")
        self.desk = desk
        self.where = Where()
        self.blocking = False
        self.waiting_for: Card | None = None
        self.cards = Cards(desk, self)
        self.choices = Choices(desk)
        self.label = Line(desk, "repl-label", fit=True)
        self.editor = Editor(self)
        self.hint = Line(desk, "repl-hint")
        self.asking = AskLine(self)
        self.completing = Completing(self)
        self.commander = Commander(self)
        self.history = History(None)
        self.asked: Question | None = None
        self._walk: Walk | None = None
        self._walked = ""
        self._timer: Timer | None = None
        self._keyboard: Widget | None = None  # is about to have the focus
        self._note: tuple[str, str] | None = None
        self.host: Host
        self.runs: Runs

    # Making -------------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.cards
        yield self.choices
        with Horizontal(id="repl-prompt") as prompt:
            prompt.styles.height = 1
            yield self.label
            yield self.editor
            yield self.asking
        yield self.hint

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        self.host = Host(self.desk, Calls(loop))
        self.runs = Runs(self.host, self.cards, loop)
        self.desk.local_pid = lambda: self.runs.local.pid
        self.history = History(self.host.history_path)
        self.host.own.call(self.history.refresh, lambda _: None, self._no_history)
        self._timer = self.set_interval(1 / LOOKS, self.tick, pause=True)
        self.cards.styles.height = "1fr"
        self.editor.styles.height = "1fr"
        self.editor.styles.padding = 0
        self.editor.styles.background = "transparent"
        self.editor.styles.scrollbar_size_vertical = 0
        self.editor.paint_with(self.desk.paint)
        self.app.theme_changed_signal.subscribe(self, lambda _: self.call_after_refresh(self._themed))
        register(self)
        self.draw_prompt()

    def connected(self) -> None:
        """A client is there now: the cluster's name is known, so what was run before is, and the child can connect."""
        path = self.host.history_path if self.is_mounted else None
        if path is None or path == self.history.path:
            return
        early, self.history = self.history.cells, History(path)
        history = self.history

        def bring() -> None:
            history.refresh()
            for past in early:
                history.add(past)

        self.host.own.call(bring, lambda _: None, self._no_history)
        self.runs.connected()
        self.draw_prompt()

    def _no_history(self, error: BaseException) -> None:
        self.desk.say(f"the history of cells is not kept: {error}", "warning")
        self.history = History(None)

    def _themed(self) -> None:
        self.editor.paint_with(self.desk.paint)
        for widget in (self.label, self.hint, self.choices, self.cards):
            widget.refresh()
        self.cards.repaint()

    def on_unmount(self) -> None:
        self.runs.close()
        self.host.own.close()

    # What the screen asks -----------------------------------------------------------------------------------------

    def title(self) -> Cells:
        """Modes, targets and what runs, for the rule above."""
        cells: Cells = []
        for mode in Mode:
            here = mode is self.where.mode
            cells += [(str(mode), f"bold {MODE_STYLES[mode]}" if here else "dim"), (" · ", "dim")]
        cells[-1] = ("    ", "")
        if self.where.mode is not Mode.LOCAL:
            targets = self.where.targets
            count = len(self.host.living()) if targets.ids is None and self.is_mounted else len(targets.ids or ())
            cells.append((f"targets {targets.text()} ({count})", "dim"))
        if self.is_mounted and (running := len(self.runs.open)):
            cells.append((f"   {running} open", "task-running"))
        return cells

    def take_focus(self) -> None:
        """Gives the prompt the keyboard."""
        self.give_keyboard(self.asking if self.asking.display else self.editor)

    def give_keyboard(self, widget: Widget) -> None:
        """This widget has the keyboard from now on; keys already under way to another go to it."""
        self._keyboard = widget
        widget.focus(scroll_visible=False)

    def forward(self, widget: Widget, event: events.Key) -> bool:
        """Gives a key that reached `widget` to whoever should have it; False when that is the widget itself."""
        if self._keyboard is not None and self._keyboard.has_focus:
            self._keyboard = None
        target = self._keyboard or self.screen.focused
        if target is None or target is widget:
            return False
        event.stop()
        event.prevent_default()
        target.post_message(events.Key(event.key, event.character))
        return True

    def interrupt(self) -> bool:
        """ctrl+c: copies a selection, else stops the focused or newest open cell, else clears the text."""
        if not self.editor.selection.is_empty:
            self.editor.action_copy()
            return True
        card = self.cards.here_card() if self.cards.has_focus else None
        if card is None or not card.open:
            card = next((card for card in reversed(self.runs.open)), None)
        if card is not None:
            if card.stubborn:
                self._ask_end(card)
            else:
                self.runs.stop(card)
                self.note(f"interrupting [{card.number}]", "warn")
            self.tick()
            return True
        if self.editor.text:
            self.editor.put("")
            return True
        self.note("nothing runs here; ^Q leaves the console", "dim")
        return self.editor.has_focus or self.cards.has_focus

    def _ask_end(self, card: Card) -> None:
        if card.stubborn == (-1,):
            text = "end the local process and lose its names"
        else:
            text = f"restart e{', e'.join(map(str, card.stubborn))} and lose their names"
        self.question(text, lambda: self.runs.end_stubborn(card), lambda: None)

    # Running ------------------------------------------------------------------------------------------------------

    def entered(self, text: str) -> None:
        """Runs a cell."""
        self.choices.hide()
        if self.host.readonly:
            self.note("this console is read-only: nothing is sent; start tuipar without --readonly", "warn")
            return
        if self.waiting_for is not None and self.waiting_for.open:
            self.note(f"the prompt waits for [{self.waiting_for.number}] (%async); ^C interrupts it", "warn")
            return
        if not text.strip():
            return
        try:
            plan = parse_cell(text, self.where)
        except MagicError as error:
            self.note(str(error), "failure")
            return
        self._keep(text)
        self.editor.put("")
        self.editor.fault = self.editor.fault_text = None
        self.note("")
        if isinstance(plan, Command):
            self.commander.run(plan, text)
        elif isinstance(plan, Inspect):
            self.commander.inspect(plan, text)
        else:
            card = self.runs.run(plan, text)
            if plan.block if plan.block is not None else self.blocking:
                self.waiting_for = card
        self.tick()

    def _keep(self, text: str) -> None:
        past = Past(text, str(self.where.mode), self.where.targets.text(), self.desk.clock.time())
        self._walk = None
        self.host.own.call(lambda: self.history.add(past), lambda _: None, self._no_history)

    def tick(self) -> None:
        """Looks at what is open, and stops looking when nothing is."""
        if not self.is_mounted or self._timer is None:
            return
        self.runs.look()
        self.cards.pull_now()
        if self.waiting_for is not None and not self.waiting_for.open:
            self.waiting_for = None
            self.draw_prompt()
        if self.runs.open:
            self._timer.resume()
        else:
            self._timer.pause()
        self.desk.retitle()

    # The prompt ---------------------------------------------------------------------------------------------------

    def go_to(self, where: Where) -> None:
        """Cells go there from now on."""
        self.where = where
        self.choices.hide()
        self.draw_prompt()
        self.desk.retitle()

    def aim(self, targets: Targets) -> None:
        """Cells go to these targets from now on."""
        self.go_to(Where(self.where.mode, targets))

    def lowest_target(self) -> int | None:
        """The engine that answers questions for the prompt."""
        living = self.host.living()
        wanted = self.where.targets.ids
        there = living if wanted is None else [engine for engine in wanted if engine in set(living)]
        return min(there, default=None)

    def draw_prompt(self) -> None:
        """The label, the height of the text, the hint."""
        gone = self.where.targets.gone(self.host.living()) if self.where.targets.ids is not None else ()
        style = "warn" if gone else MODE_STYLES[self.where.mode]
        text = self.asking.label if self.asking.display else self.where.label(gone)
        self.label.show([(" " + text, f"bold {style}"), (self.desk.glyphs.prompt + " ", f"bold {style}")])
        rows = self.size.height
        self.hint.display = rows >= 6 or self._note is not None or self.asked is not None
        room = max(1, rows - (1 if self.hint.display else 0) - (2 if rows > 4 else 0))
        lines = 1 if self.asking.display else max(1, self.editor.wrapped_document.height)
        self.query_one("#repl-prompt").styles.height = min(lines, max(1, room * 2 // 3) if rows > 4 else room)
        self._draw_hint()
        self.call_after_refresh(self.editor.scroll_cursor_visible)

    def _draw_hint(self) -> None:
        if self.asked is not None:
            self.hint.show([(f" {self.asked.text}?", "strong on question"), ("  y/N ", "key on question")])
        elif self._note is not None and self._note[0]:
            text, style = self._note
            self.hint.show([(" " + text, style)])
        else:
            pad = " " * max(1, sum(len(text) for text, _ in self.label.cells))
            long = len(pad) + len(HINT) <= self.size.width
            self.hint.show([(pad + HINT if long else " " + SHORT_HINT, "dim")])

    def note(self, text: str, style: str = "dim") -> None:
        """Says something below the prompt, until the text changes."""
        self._note = (text, style) if text else None
        self.draw_prompt()

    def question(self, text: str, yes: Callable[[], None], no: Callable[[], None]) -> None:
        """Asks; y is Yes, any other key No. Keys in its first moment are not heard."""
        self.asked = Question(text, yes, no, self.host.now())
        self.take_focus()
        self.draw_prompt()

    def answer(self, key: str) -> bool:
        """Gives a key to the open question; False when there is none."""
        asked = self.asked
        if asked is None:
            return False
        if self.host.now() - asked.asked >= DEAF:
            self.asked = None
            (asked.yes if key == "y" else asked.no)()
            self.note("" if key == "y" else f"not done: {asked.text}")
            self.tick()
        return True

    def on_resize(self, event: events.Resize) -> None:
        if self.is_mounted:
            self.call_after_refresh(self.draw_prompt)

    def changed(self) -> None:
        """The prompt's text is another one."""
        if not self.is_mounted:
            return
        text = self.editor.text
        self.editor.clear_fault()
        if self._note is not None and self.editor.fault_text is None and text:
            self._note = None
        if text != self._walked:
            self._walk = None
        self.editor.show_ghost(self.history.newest(text) if len(text) < LONGEST_GHOST else None)
        self.completing.typed()
        self.draw_prompt()

    def faulty(self, fault: Fault) -> None:
        """Says what is wrong with the text."""
        self.note(
            f"{fault.message} (line {fault.row + 1}, column {fault.column + 1}); ⏎ again sends it all the same",
            "failure",
        )

    # Keys ---------------------------------------------------------------------------------------------------------

    def wanted(self, what: str) -> None:
        """Does what a key of the prompt asks for."""
        match what:
            case "mode":
                self.go_to(self.where.in_mode(self.where.mode.next))
            case "targets":
                self.asking.ask_targets()
            case "search":
                self.asking.ask_history()
            case "edit":
                self.edit_outside(self.editor.text)
            case "older" | "newer":
                self._recall(what)
            case "cards.up" | "cards.down":
                if what == "cards.up" and self.cards.cards:
                    self.give_keyboard(self.cards)
                    self.cards.to_newest()
            case "leave":
                self.leave()
            case "interrupt":
                self.interrupt()
            case _:
                self.completing.asked(what)

    def act(self, what: str) -> None:
        """Does an action of the registry, whoever has the keyboard."""
        if what == "complete" and not self.editor.has_focus:
            self.desk.registry.perform("pane.next", Here(self.pane))
            return
        if what == "signature" and not self.editor.has_focus:
            self.desk.registry.perform("pane.previous", Here(self.pane))
            return
        self.desk.open(self.pane)
        self.take_focus()
        match what:
            case "run":
                self.entered(self.editor.text)
            case "line":
                self.editor.new_line()
            case _:
                self.wanted(what)

    def _recall(self, what: str) -> None:
        text = self.editor.text
        if self._walk is None:
            if what == "newer":
                return
            self._walk = Walk(self.history, text, text)
            self.host.own.call(self.history.refresh, lambda _: None, self._no_history)
        found = self._walk.older() if what == "older" else self._walk.newer()
        if found is not None:
            self._walked = found
            self.editor.put(found)

    @on(Cards.Pressed)
    def _card_pressed(self, event: Cards.Pressed) -> None:
        event.stop()
        card = event.card
        match event.what:
            case "leave":
                self.cards.to_end()
                self.take_focus()
            case "fold" if card is not None:
                card.unfolded = not card.unfolded
                card.changed()
                self.cards.pull_now(force=True)
            case "edit" if card is not None:
                self.editor.put(card.source)
                self.take_focus()
            case "again" if card is not None and card.plan is not None:
                self.entered(card.source)
            case "traceback" if card is not None:
                card.unfolded = True
                card.changed()
                self.cards.pull_now(force=True)
            case "output" if card is not None:
                self.desk.open("output")
            case "copy" if card is not None:
                lines = lines_of(card, 200, self.desk.glyphs, self.host.now())
                self.app.copy_to_clipboard(as_text(lines))
                self.note(f"[{card.number}] is copied")
            case "abort" if card is not None:
                if problem := self.runs.abort(card):
                    self.note(problem, "warn")
            case "interrupt" if card is not None:
                self.runs.stop(card)
                self.tick()

    def leave(self) -> None:
        """esc: back to the pane before."""
        from tuiparallel.console.screens.main import MainScreen

        if isinstance(self.screen, MainScreen):
            self.desk.open(self.screen.last)

    def edit_outside(self, text: str) -> None:
        """The text in $EDITOR; what is saved there stands at the prompt."""
        found, problem = outside.edit(self.app, text)
        if problem:
            self.note(problem, "warn")
        elif found is not None:
            self.editor.put(found)
        self.take_focus()
