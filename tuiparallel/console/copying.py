"""Rows as text, and text to the clipboard: OSC 52, which ssh and tmux pass on, and a native tool where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tuiparallel.console.actions import Here
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import LineView
from tuiparallel.monitor.rows import FailureKind

if TYPE_CHECKING:
    from tuiparallel.console.app import TuiparApp
    from tuiparallel.console.screens.main import MainScreen

TOOLS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("WAYLAND_DISPLAY", "wl-copy", ()),
    ("DISPLAY", "xclip", ("-selection", "clipboard")),
    ("DISPLAY", "xsel", ("--clipboard", "--input")),
    ("", "pbcopy", ()),
)
TEXT_WIDTH = 200


def row_text(view: LineView, index: int) -> str:
    """A row as plain text, as wide as it needs."""
    return "".join(text for text, _ in view.cells(index, TEXT_WIDTH)).replace("\0", " ").rstrip()


def copy(app: TuiparApp, text: str) -> str:
    """Copies, and says by what."""
    app.copy_to_clipboard(text)
    for variable, tool, arguments in TOOLS:
        path = shutil.which(tool) if not variable or os.environ.get(variable) else None
        if path is None or app.is_headless:
            continue
        try:
            subprocess.run([path, *arguments], input=text.encode(), timeout=1, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return f"with {tool} and by the terminal (OSC 52)"
    return "by the terminal (OSC 52)"


def kind_of(desk: Desk, here: Here) -> FailureKind | None:
    """The kind of failure here: the row's, the task's, or the newest one of the engine or function."""
    store = desk.store
    key = here.ids[0] if here.ids else None
    match here.kind, key:
        case "failure", str(name) if name[1:].isdecimal():
            if name.startswith("k"):
                return store.failure_kind(int(name[1:]))
            return store.failure_kind_of(int(name[1:]))
        case "task", int(task):
            return store.failure_kind_of(task)
        case "engine", int(engine):
            kinds = [kind for kind in store.failures() if engine in kind.engines]
            return max(kinds, key=lambda kind: kind.last, default=None)
        case "function", str(name):
            kinds = [kind for kind in store.failures() if name in kind.names]
            return max(kinds, key=lambda kind: kind.last, default=None)
        case _:
            return None


def traceback_of(desk: Desk, here: Here) -> str | None:
    """The newest traceback of what is here, None when nothing of it has failed."""
    kind = kind_of(desk, here)
    if kind is None or not kind.instances:
        return None
    if here.kind == "task":
        for failure in kind.instances:
            if failure.task == here.ids[0]:
                return failure.traceback
    if here.kind == "engine":
        there = [failure for failure in kind.instances if failure.engine == here.ids[0]]
        if there:
            return there[-1].traceback
    return kind.instances[-1].traceback


def python_of(desk: Desk, main: MainScreen) -> str | None:
    """The Python that gets what is here."""
    here = main.here()
    if main.current == "events" and main.events.rows:
        row = main.events.rows[main.events._at]
        if row.python:
            return row.python
    numbers = [id for id in here.ids if isinstance(id, int)]
    match here.kind:
        case "engine":
            return f"rc[{numbers[0]}]" if len(numbers) == 1 else f"rc[{numbers}]"
        case "task":
            names = [desk.store.msg_id(id) for id in numbers]
            return f"rc.get_result({names[0]!r})" if len(names) == 1 else f"rc.get_result({names})"
        case "failure":
            tasks = main.errors.tasks_of(here.ids)
            return f"rc.get_result({[desk.store.msg_id(task) for task in tasks]})" if tasks else None
        case "function":
            return f"rc.db_query({{'header': {{'$exists': True}}, 'name': {here.ids[0]!r}}})"
        case _:
            return None
