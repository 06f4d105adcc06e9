"""The app: wiring only. Client, feed, store, screens, themes, leaving."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

from tuiparallel.console.acting import Acting
from tuiparallel.console.actions import Registry
from tuiparallel.console.binding import bind_all
from tuiparallel.console.calls import Calls
from tuiparallel.console.catalogue import ACTIONS
from tuiparallel.console.commands import Commands
from tuiparallel.console.desk import Clock, Desk, Options
from tuiparallel.console.glyphs import ASCII, UNICODE
from tuiparallel.console.paint import Paint
from tuiparallel.console.palette import ConsoleCommands
from tuiparallel.console.private import take_mouse
from tuiparallel.console.pulls import Wake
from tuiparallel.console.screens.leave import LeaveScreen
from tuiparallel.console.screens.main import MainScreen
from tuiparallel.console.themes import THEMES
from tuiparallel.link.clock import SystemClock

if TYPE_CHECKING:
    from tuiparallel.client import Client
    from tuiparallel.monitor.store import ClusterStore


class Feed(Protocol):
    """What brings the store its news, on a thread of its own."""

    def start(self, wake: Callable[[], None]) -> None: ...

    def stop(self) -> None: ...

    @property
    def idle(self) -> bool: ...


class TuiparApp(App[str | None]):
    """The console. Returns one line on what still runs, or None."""

    TITLE = "tuipar"
    CSS_PATH = ["css/main.tcss", "css/dialogs.tcss"]
    COMMANDS = {ConsoleCommands}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    ENABLE_COMMAND_PALETTE = True
    ANIMATION_LEVEL = "none"
    BINDINGS = [
        Binding("ctrl+q", "perform('leave')", show=False, priority=True),
        Binding("ctrl+backslash", "perform('repl.focus')", show=False, priority=True),
        Binding("ctrl+p", "perform('palette')", show=False, priority=True),
        Binding("ctrl+c", "interrupt", show=False),
    ]

    def __init__(self, client: Client | None, feed: Feed | None, store: ClusterStore, options: Options | None = None, *,
                 clock: Clock | None = None) -> None:  # fmt: skip
        self.options = options or Options()
        self.had_no_color = "NO_COLOR" in os.environ
        super().__init__()
        if self.had_no_color:
            os.environ["NO_COLOR"] = "1"  # Textual takes it away, and children must see it too
        self.animation_level = "none"
        self.client = client
        self.feed = feed
        self.store = store
        self.clock: Clock = clock or SystemClock()
        self.glyphs = ASCII if self.options.ascii else UNICODE
        self.registry = Registry(ACTIONS)
        self.said: list[tuple[str, str]] = []
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = self.options.theme if self.options.theme in THEMES else "dark"

    # Life -------------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        """The main screen is made with the loop running, since calls answer on it."""
        loop = asyncio.get_running_loop()
        self.calls = Calls(loop)
        self.desk = Desk(
            self.client, self.store, self.registry, self.calls, self.clock, self.glyphs,
            Paint(self.theme_variables, self.glyphs), self.options,
        )  # fmt: skip
        self.desk.say = self.say
        self.main = MainScreen(self.desk)
        self.desk.open = self.main.go
        self.desk.inspect = self.main.inspect
        self.desk.marked_engines = self.main.marked_engines
        self.desk.retitle = self._retitle
        self.acting = Acting(self, self.main)
        self.commands = Commands(self, self.main, self.acting)
        self.desk.typed = self.commands.typed
        self.desk.closed = self.commands.closed
        self.desk.answer = self.acting.press
        bind_all(self, self.main)
        self.wake = Wake(loop, self.main.news)
        return self.main

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._themed)
        if self.feed is not None:
            self.feed.start(self.wake)

    def on_unmount(self) -> None:
        if self.feed is not None:
            self.feed.stop()
        self.calls.close()
        if self.main.pulls_now is not None:
            self.main.pulls_now.close()

    def _themed(self, _: object) -> None:
        self.desk.paint = Paint(self.theme_variables, self.glyphs)
        for view in self.main.lists.values():
            view.repaint()
        self.main.refresh()
        for line in (self.main.header, self.main.footer, self.main.viewbar, *self.main.rules.values()):
            line.refresh()

    def _retitle(self) -> None:
        for rule in self.main.rules.values():
            if rule.size.width:
                rule.update()

    # Saying and asking ------------------------------------------------------------------------------------------

    def say(self, text: str, severity: str = "information") -> None:
        """A message above the footer, for six seconds."""
        self.said = [*self.said[-99:], (text, severity)]
        self.main.message.say(text, severity)

    def action_perform(self, id: str) -> None:
        """A key that works everywhere, also while text is typed."""
        if self.screen is self.main:
            self.main.perform(id)
        elif id == "leave":
            self.exit()

    def set_mouse(self, ours: bool) -> None:
        """Takes the mouse, or gives it to the terminal."""
        take_mouse(self, ours)

    def leave(self) -> None:
        """Leaves the console. A cluster that this console started is asked about."""
        if self.options.started_here and self.client is not None:
            self.push_screen(LeaveScreen(self.store.header(self.clock.time()).cluster), self._left)
        else:
            self.exit()

    def _left(self, answer: str | None) -> None:
        if answer == "keep":
            self.exit()
        elif answer == "end":
            self.exit("end")

    def action_interrupt(self) -> None:
        """ctrl+c: the REPL's newest cell; it never ends the console."""
        if not self.main.repl.interrupt():
            self.say("nothing of this console runs; q leaves", "information")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return THEMES["dark"].variables

    # For tests --------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something was begun that will still change the screen."""
        return self.calls.open > 0 or self.wake.pending or (self.feed is not None and not self.feed.idle)

    async def idle(self) -> None:
        """Returns when the feed is drained, no call is open, and every visible view has drawn the store's version."""
        quiet = 0
        while quiet < 2:
            quiet = 0 if self.busy else quiet + 1
            await self._processed()
            if self.screen is self.main and self.main.pulls_now is not None:
                self.main.pulls_now.all()
                self.main.refresh_lines()
            await asyncio.sleep(0)
        await self._processed()

    async def _processed(self) -> None:
        """Waits until every widget on screen has handled what was sent to it before."""
        waiting = [self, self.screen, *self.screen.walk_children()]
        left = len(waiting)
        done = asyncio.Event()

        def one() -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()

        for node in waiting:
            if not node.call_later(one):
                one()
        try:
            await asyncio.wait_for(done.wait(), 5)
        except TimeoutError:
            pass
