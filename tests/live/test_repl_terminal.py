"""The REPL's keys through a real terminal: tmux, whose keys are the ones people have over ssh."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tuiparallel.link.clock import Deadline, SystemClock

ROOT = Path(__file__).parents[2]
PROGRAM = "from tests.console.repl.scripted import ReplApp, ScriptedClient; ReplApp(ScriptedClient()).run()"


class Terminal:
    """A tmux server of its own with one window."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.tmux(
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "120",
            "-y",
            "24",
            "-c",
            str(ROOT),
            sys.executable,
            "-c",
            PROGRAM,
        )

    def tmux(self, *arguments: str, text: str | None = None) -> str:
        """A command of tmux."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = ["tmux", "-S", str(self.socket), *arguments]
        return subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
        ).stdout

    def keys(self, *keys: str) -> None:
        """Presses keys by tmux's names."""
        self.tmux("send-keys", *keys)

    def shows(self, *texts: str, without: str | None = None) -> str:
        """Waits until all of these are on screen, and the one that has to go is gone."""
        deadline, pause = Deadline(SystemClock(), PATIENCE), threading.Event()
        while True:
            screen = self.tmux("capture-pane", "-p")
            if all(text in screen for text in texts) and (without is None or without not in screen):
                return screen
            if deadline.passed():
                raise AssertionError(f"{texts} not on screen, or {without!r} is:\n{screen}")
            pause.wait(0.05)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tmux")
    try:
        made.shows("px[all]▸")
        yield made
    finally:
        made.tmux("kill-server")


def test_enter_lines_and_paste(terminal: Terminal) -> None:
    terminal.keys("-l", "for i in y:")
    terminal.keys("Enter")
    terminal.keys("-l", "print(i)")
    terminal.keys("Enter")
    screen = terminal.shows("print(i)")
    assert "[1]" not in screen
    terminal.keys("Enter")
    terminal.shows("[1]   px[all]  for i in y: …")
    terminal.tmux("load-buffer", "-", text="a = 1\nb = 2\nprint(a + b)\n")
    terminal.tmux("paste-buffer", "-p")
    screen = terminal.shows("a = 1", "print(a + b)")
    assert "[2]" not in screen
    terminal.keys("F5")
    terminal.shows("[2]   px[all]  a = 1 …")


def test_modes_targets_and_control_keys(terminal: Terminal) -> None:
    terminal.keys("C-t")
    terminal.shows("lb[all]▸")
    terminal.keys("C-g")
    terminal.keys("-l", "1-2")
    terminal.shows("2 engines: 1-2")
    terminal.keys("Enter")
    terminal.shows("lb[1-2]▸")
    terminal.keys("-l", "x = (")
    terminal.keys("C-j")
    terminal.keys("-l", "1)")
    terminal.shows("x = (", "1)")
    terminal.keys("C-c")
    terminal.shows("lb[1-2]▸", without="x = (")
    terminal.keys("-l", "1 +")
    terminal.keys("Enter")
    terminal.shows("invalid syntax (line 1, column")
    terminal.keys("C-d")
    terminal.shows("lb[1-2]▸")


def test_a_local_cell_runs_is_walked_to_and_unfolded(terminal: Terminal) -> None:
    terminal.keys("C-t", "C-t")
    terminal.shows("local▸")
    terminal.keys("-l", "[n * 111 for n in range(4)]")
    terminal.keys("Enter")
    terminal.shows("[0, 111, 222, 333]")
    terminal.keys("-l", "while True: pass")
    terminal.keys("Enter", "Enter")
    terminal.shows("[2]   local    while True: pass")
    terminal.keys("C-c")
    terminal.shows("KeyboardInterrupt")
    terminal.keys("C-Up", "e")
    terminal.shows("local▸ while True: pass")
