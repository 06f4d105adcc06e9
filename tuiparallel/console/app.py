"""The app: wiring only. Client, feed, store, screens, themes, leaving."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

from tuiparallel.console.acting import Acting
from tuiparallel.console.actions import Registry
from tuiparallel.console.binding import bind_all
from tuiparallel.console.calls import Calls, work_behind
from tuiparallel.console.catalogue import ACTIONS
from tuiparallel.console.commands import Commands
from tuiparallel.console.crash import listen, one_line, report
from tuiparallel.console.desk import Clock, Desk, Options
from tuiparallel.console.glyphs import ASCII, UNICODE
from tuiparallel.console.paint import Paint
from tuiparallel.console.palette import ConsoleCommands
from tuiparallel.console.private import take_mouse
from tuiparallel.console.pulls import Wake
from tuiparallel.console.screens.leave import LeaveScreen
from tuiparallel.console.screens.main import MainScreen
from tuiparallel.console.screens.picker import PickerScreen
from tuiparallel.console.settling import settled
from tuiparallel.console.terminal import Terminal
from tuiparallel.console.themes import THEMES
from tuiparallel.link.clock import SystemClock

if TYPE_CHECKING:
    from tuiparallel.client import Client
    from tuiparallel.monitor.store import ClusterStore


LEAVE_WITHIN = 0.2  # seconds the feed has to end


class Feed(Protocol):
    """What brings the store its news, on a thread of its own."""

    session: str

    def start(self) -> None: ...

    def stop(self, timeout: float = 2.0) -> None: ...

    def seen(self) -> None: ...

    def resync(self) -> None: ...

    def load_older(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """How the console was left: for another cluster, or (no name) for good."""

    name: str = ""
    started: bool = False


class TuiparApp(App[Chosen]):
    """The console on one cluster."""

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
        Binding("ctrl+z", "suspend_process", show=False),
    ]

    def __init__(
        self,
        client: Client | None,
        feed: Feed | None,
        store: ClusterStore,
        options: Options | None = None,
        *,
        clock: Clock | None = None,
        connect: Callable[[], Client] | None = None,
        background: Callable[[Client], str | None] | None = None,
    ) -> None:
        self.options = options or Options()
        self.had_no_color = "NO_COLOR" in os.environ
        super().__init__(driver_class=None if "TEXTUAL_DRIVER" in os.environ else Terminal)
        if self.had_no_color:
            os.environ["NO_COLOR"] = "1"  # Textual takes it away, and children must see it too
        self.animation_level = "none"
        self.client = client
        self.feed = feed
        self.store = store
        self.clock: Clock = clock or SystemClock()
        self.glyphs = ASCII if self.options.ascii else UNICODE
        self.registry = Registry(ACTIONS)
        self.printed: list[str] = []  # by what ran in the background
        self.signal = 0
        self.ended = False  # this console ended the cluster
        self._connect = connect
        self._background = background
        self._unlisten: Callable[[], None] = lambda: None
        self.wake: Wake | None = None
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
        self.desk.explain = self.acting.explain
        self.desk.typed = self.commands.typed
        self.desk.closed = self.commands.closed
        self.desk.answer = self.acting.press
        self.desk.printed = self.print_line
        self.desk.feed = self.feed.session if self.feed is not None else ""
        bind_all(self, self.main)
        self.wake = Wake(loop, self._woken)
        return self.main

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._themed)
        self.app_resume_signal.subscribe(self, self._resumed)
        self._unlisten = listen(asyncio.get_running_loop(), self._signalled)
        self.begin_capture_print(self.main)
        if self.feed is None and self.client is None and not self.store.header(self.clock.time()).cluster:
            self.pick("No cluster is meant, or none is running.")
            return
        if self.feed is not None:
            self.feed.start()
        if self.client is not None:
            self._connected(self.client)
        elif self._connect is not None:
            self.calls.call(self._connect, self._connected, self._unconnected)

    def _connected(self, client: Client) -> None:
        self.client = self.desk.client = client
        self.main.repl.connected()
        self.main.refresh_lines()
        if self._background is not None:
            work_behind(self._background, client, lambda text: self.call_later(self.print_line, text))

    def _unconnected(self, error: BaseException) -> None:
        self.say(f"not connected as a client: {error}", "error")

    def print_line(self, text: str) -> None:
        """Shows what ran in the background has to say, and keeps it for after leaving."""
        lines = [line.rstrip() for line in text.rstrip().splitlines()]
        self.printed += lines
        if heading := next((line.strip() for line in lines if line.strip()), ""):
            more = f"   ({len(lines) - 1} more lines are printed after leaving)" if len(lines) > 1 else ""
            self.say(heading + more)

    def pick(self, reason: str) -> None:
        """Offers the clusters that run, and a new one."""
        picker = PickerScreen(self.desk, reason)

        def picked(name: str | None) -> None:
            here = self.store.header(self.clock.time()).cluster
            if here and (name or here) == here and not self.ended:
                return  # this console has a cluster already, and stays on it
            self.exit(Chosen(name or "", bool(picker.started)))

        self.push_screen(picker, picked)

    def _signalled(self, number: int) -> None:
        self.signal = number
        self.exit(Chosen(), return_code=128 + number)

    def changed(self) -> None:
        """For the feed's thread: the store has changed."""
        if self.wake is not None:
            self.wake()

    def _woken(self) -> None:
        if self.feed is not None:
            self.feed.seen()
        if self.main.is_attached:
            self.main.news()
            self.acting.news()

    def on_unmount(self) -> None:
        self._unlisten()
        if self.feed is not None:
            self.feed.stop(LEAVE_WITHIN)
        self.calls.close()
        if self.main.pulls_now is not None:
            self.main.pulls_now.close()

    def _fatal_error(self) -> None:
        # Textual's own report prints the values of variables, and a key may be among them.
        error = self._exception or RuntimeError("unknown")
        self.panic(Text(one_line(error, report(error, self.clock.time()))))

    def _themed(self, _: object) -> None:
        self.desk.paint = Paint(self.theme_variables, self.glyphs)
        for view in self.main.lists.values():
            view.repaint()
        self.main.refresh()
        for line in (self.main.header, self.main.footer, self.main.viewbar, *self.main.rules.values()):
            line.refresh()

    def _resumed(self, _: object) -> None:
        """The console was stopped, or something else had the terminal: what happened meanwhile is asked for anew."""
        if self.feed is not None:
            self.feed.resync()
        self.refresh(layout=True)

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
        elif answer == "end" and self.client is not None:
            client = self.client
            self.say("ending the cluster …")
            self.calls.call(lambda: client.shutdown(hub=True, block=True), self.cluster_ended, self._not_ended)

    def cluster_ended(self, _: object) -> None:
        """This console has ended its cluster."""
        self.ended = True
        self.exit()

    def _not_ended(self, error: BaseException) -> None:
        self.say(f"the cluster did not end: {error}", "error")

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
        return self.calls.open > 0 or (self.wake is not None and self.wake.pending)

    async def idle(self) -> None:
        """Returns when no call is open and every visible view has drawn the store's version."""
        await settled(self)
