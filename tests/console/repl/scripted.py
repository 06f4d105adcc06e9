"""A client whose answers a test writes, and an app that is nothing but the REPL's pane."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from textual.app import App, ComposeResult

from tuiparallel.client.client import Client
from tuiparallel.console.actions import Registry
from tuiparallel.console.calls import Calls
from tuiparallel.console.desk import Desk, Options
from tuiparallel.console.glyphs import UNICODE
from tuiparallel.console.paint import Paint
from tuiparallel.console.repl.pane import ReplPane
from tuiparallel.console.themes import THEMES
from tuiparallel.link.clock import SystemClock
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.messages import ErrorText, Extras, Kind, Outcome, Work
from tuiparallel.wire.states import State


class ScriptedCall:
    """Stands for a client's Call: outcomes by index, each when the test says so."""

    def __init__(self, first: int, targets: list[int] | None, balanced: bool) -> None:
        count = 1 if targets is None else len(targets)
        self.first = first
        self.targets = targets
        self.outcomes: list[Outcome | None] = [None] * count
        self.values: dict[int, Any] = {}
        self.work = Work(Kind.APPLY if balanced else Kind.EXECUTE, "cell", balanced, 0.0)

    def value(self, index: int) -> Any:
        """The value of a task."""
        return self.values[index]


class ScriptedResult:
    """Stands for an AsyncResult."""

    def __init__(self, call: ScriptedCall) -> None:
        self.call = call

    def __len__(self) -> int:
        return len(self.call.outcomes)

    @property
    def msg_ids(self) -> list[str]:
        """One per part."""
        return [f"abc-{self.call.first + index}" for index in range(len(self))]

    def _tasks(self) -> list[tuple[ScriptedCall, int]]:
        return [(self.call, index) for index in range(len(self))]

    def ends(self, index: int, text: str = "", *, stdout: str = "", error: ErrorText | None = None,
             state: State | None = None, value: Any = None, engine: int | None = None) -> None:  # fmt: skip
        """One part ends, with the text of its last expression, or an error."""
        where = engine if engine is not None else self.call.targets[index] if self.call.targets else 0
        shown = {"data": {"text/plain": text}, "metadata": {}} if text else None
        kind = state if state is not None else State.ERROR if error else State.DONE
        self.call.values[index] = value
        self.call.outcomes[index] = Outcome(
            self.call.first + index, kind, where, 10.0, 10.5, 1, b"x" if value is not None else b"",
            Extras(stdout=stdout, execute_result=shown, error=error),
        )  # fmt: skip


def failure(ename: str, evalue: str, line: int = 1) -> ErrorText:
    """An exception of a cell."""
    text = f'Traceback (most recent call last):\n  File "<cell>", line {line}, in <module>\n{ename}: {evalue}\n'
    return ErrorText(ename, evalue, text)


class ScriptedView:
    """A view that notes what is sent through it."""

    def __init__(self, client: ScriptedClient, targets: Any, balanced: bool) -> None:
        self.client = client
        self.targets = targets
        self.balanced = balanced

    def temp_flags(self, **flags: Any) -> ScriptedView:
        """Flags for a block."""
        return self

    def __enter__(self) -> ScriptedView:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def execute(self, code: str, **named: Any) -> ScriptedResult:
        """Notes code for engines."""
        return self.client.submitted("px", code, self.targets, named)

    def apply_async(self, function: Any, *arguments: Any, **named: Any) -> ScriptedResult:
        """Notes a call anywhere."""
        return self.client.submitted("lb", arguments[0], self.targets, named)


class ScriptedClient:
    """A client of engines 0 to 3. `hold` makes every call block until it is set."""

    name = ""

    def __init__(self, engines: int = 4) -> None:
        self.ids = list(range(engines))
        self.sent: list[tuple[str, str, Any]] = []
        self.results: list[ScriptedResult] = []
        self.asked: list[tuple[Any, ...]] = []
        self.aborted: list[list[str]] = []
        self.signalled: list[str] = []
        self.restarted: list[list[int]] = []
        self.cleared: list[list[int]] = []
        self.running: set[str] = set()
        self.answers: dict[str, Any] = {}
        self.hold: threading.Event | None = None
        self.on_abort: Callable[[], None] = lambda: None
        self._next = 0

    def _held(self) -> None:
        if self.hold is not None:
            self.hold.wait(20)

    def direct_view(self, targets: Any = "all") -> ScriptedView:
        """As a client's."""
        return ScriptedView(self, targets, False)

    def load_balanced_view(self, targets: Any = None) -> ScriptedView:
        """As a client's."""
        return ScriptedView(self, targets, True)

    def submitted(self, how: str, code: str, targets: Any, named: dict[str, Any]) -> ScriptedResult:
        """A cell has arrived."""
        self._held()
        ids = None if how == "lb" else list(self.ids) if targets == "all" else list(targets)
        call = ScriptedCall(self._next, ids, how == "lb")
        self._next += len(call.outcomes)
        result = ScriptedResult(call)
        self.results.append(result)
        self.sent.append((how, code, targets))
        return result

    def abort(self, jobs: Any = None, **named: Any) -> dict[str, list[str]]:
        """Aborts what does not run."""
        self._held()
        self.aborted.append(list(jobs))
        answer = {
            "aborted": [job for job in jobs if job not in self.running],
            "running": [job for job in jobs if job in self.running],
            "done": [],
            "unknown": [],
        }
        self.on_abort()
        return answer

    def restart_engines(self, targets: Any, block: Any = None) -> dict[int, int]:
        """Notes which were restarted."""
        self.restarted.append(list(targets))
        return {old: old + 10 for old in targets}

    def clear(self, targets: Any = None, block: Any = None) -> None:
        """Notes which were cleared."""
        self.cleared.append(list(targets))

    def ask_engine(
        self, engine: int, what: str, text: str = "", cursor: int = 0, timeout: float | None = None
    ) -> Any:
        """Answers as the test has said."""
        self.asked.append((engine, what, text, cursor))
        self._held()
        return self.answers.get(what)

    def interrupt(self, msg_id: str) -> list[int]:
        """Notes which task was to be interrupted."""
        self.signalled.append(msg_id)
        return [0]


class ReplApp(App[None]):
    """The pane alone on a screen."""

    def __init__(
        self, client: ScriptedClient | Client | None, options: Options | None = None, glyphs: Any = UNICODE
    ) -> None:
        super().__init__()
        self.client = client
        self.options = options or Options()
        self.glyphs = glyphs
        self.said: list[str] = []
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = "dark"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return THEMES["dark"].variables

    def compose(self) -> ComposeResult:
        loop = asyncio.get_running_loop()
        self.calls = Calls(loop)
        self.desk = Desk(
            self.client,  # type: ignore[arg-type]
            ClusterStore(),
            Registry(),
            self.calls,
            SystemClock(),
            self.glyphs,
            Paint(self.theme_variables, self.glyphs),
            self.options,
        )
        self.desk.say = lambda text, severity: self.said.append(text)
        self.repl = ReplPane(self.desk)
        yield self.repl

    def on_mount(self) -> None:
        self.repl.take_focus()

    def on_unmount(self) -> None:
        self.calls.close()

    @property
    def screen_text(self) -> str:
        """All lines on screen."""
        from textual.geometry import Region

        width, height = self.size
        lines = self.screen._compositor.render_strips()
        del Region
        return "\n".join("".join(segment.text for segment in strip).rstrip()[:width] for strip in lines[:height])


async def until(pilot: Any, condition: Callable[[], bool], what: str = "", seconds: float = 30.0) -> None:
    """Waits until something holds, with a deadline."""
    clock = SystemClock()
    end = clock.monotonic() + seconds
    while not condition():
        if clock.monotonic() > end:
            raise AssertionError(f"not in {seconds} s: {what or condition}\n{pilot.app.screen_text}")
        await pilot.pause(0.02)
