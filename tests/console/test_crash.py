"""On a real terminal (a pty): signals and exceptions leave it as it was, and say in one line what happened."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tuiparallel.console.crash import one_line, report
from tuiparallel.link.clock import Deadline, SystemClock

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from tests.console.driving import small_cluster
from tests.console.fake import FakeClient
from tuiparallel.console.app import TuiparApp
from tuiparallel.console.crash import guarded
cluster = small_cluster()
app = TuiparApp(FakeClient(cluster), cluster, cluster.store, clock=cluster.clock)
if {breaks}:
    def broken(secret_key="key-of-the-cluster"):
        raise ZeroDivisionError("it broke")
    app.call_later(broken)
with guarded():
    app.run()
sys.exit(128 + app.signal if app.signal else app.return_code or 0)
"""


class Terminal:
    """The app on a pseudo terminal."""

    def __init__(self, breaks: bool = False) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        script = SCRIPT.format(root=str(ROOT), breaks=breaks)
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=self.slave, stdout=self.slave, stderr=self.slave, env=environment,
            start_new_session=True, cwd=ROOT,
        )  # fmt: skip
        self.seen = b""
        self.gone = False

    def read_until(self, text: bytes, seconds: float = 20) -> None:
        """Reads until a text has come."""
        deadline = Deadline(SystemClock(), seconds)
        while text not in self.seen:
            assert not deadline.passed(), self.seen[-2000:]
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
            elif self.process.poll() is not None:
                break
        assert text in self.seen, self.seen[-2000:]

    def read_until_times(self, text: bytes, times: int, seconds: float = 20) -> None:
        """Reads until a text has come so many times."""
        deadline = Deadline(SystemClock(), seconds)
        while self.seen.count(text) < times:
            assert not deadline.passed() and self.process.poll() is None, self.seen[-2000:]
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)

    def hang_up(self) -> None:
        """Takes the terminal away."""
        os.close(self.master)
        os.close(self.slave)
        self.gone = True

    def drain(self) -> int:
        """Reads to the end; the exit code."""
        deadline = Deadline(SystemClock(), 20)
        while self.process.poll() is None and not deadline.passed():
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536)
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                break
        return self.process.wait(5)

    def close(self) -> None:
        """Ends what is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not self.gone:
            self.hang_up()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT], ids=lambda n: n.name
)
def test_a_signal_leaves_the_terminal_as_it_was(number: signal.Signals) -> None:
    terminal = Terminal()
    try:
        terminal.read_until(b"Engines")
        os.kill(terminal.process.pid, number)
        assert terminal.drain() == 128 + number
        assert termios.tcgetattr(terminal.slave) == terminal.before
        assert terminal.seen.rindex(b"\x1b[?1049l") > terminal.seen.rindex(b"\x1b[?1049h")
        assert terminal.seen.rindex(b"\x1b[?25h") > terminal.seen.rindex(b"\x1b[?25l")
    finally:
        terminal.close()


def test_q_leaves_at_once() -> None:
    terminal = Terminal()
    try:
        terminal.read_until(b"Engines")
        os.write(terminal.master, b"q")
        assert terminal.drain() == 0
        assert termios.tcgetattr(terminal.slave) == terminal.before
    finally:
        terminal.close()


def test_a_stop_and_a_continuation_from_outside_leave_one_reader_of_keys() -> None:
    terminal = Terminal()
    try:
        terminal.read_until(b"Engines")
        for turn in range(2, 5):
            os.kill(terminal.process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED)
            os.kill(terminal.process.pid, signal.SIGCONT)
            terminal.read_until_times(b"\x1b[?1049h", turn)
        os.write(terminal.master, b"q")
        assert terminal.drain() == 0
        assert termios.tcgetattr(terminal.slave) == terminal.before
    finally:
        terminal.close()


def test_a_terminal_that_goes_without_a_signal_ends_the_console() -> None:
    terminal = Terminal()  # it controls no process, so the kernel sends no SIGHUP
    try:
        terminal.read_until(b"Engines")
        terminal.hang_up()
        assert terminal.process.wait(20) == 128 + signal.SIGHUP
    finally:
        terminal.close()


def test_an_exception_is_one_line_and_a_private_report(home: Path) -> None:
    terminal = Terminal(breaks=True)
    try:
        code = terminal.drain()
        assert code == 1, terminal.seen[-2000:]
        assert termios.tcgetattr(terminal.slave) == terminal.before
        text = re.sub(rb"\s+", b" ", terminal.seen[terminal.seen.rindex(b"\x1b[?1049l") :])
        assert b"tuipar stopped: ZeroDivisionError: it broke" in text
        assert b"key-of-the-cluster" not in terminal.seen
        (path,) = home.rglob("crashes/*.txt")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_text()
        assert "ZeroDivisionError: it broke" in content and "key-of-the-cluster" not in content
    finally:
        terminal.close()


def test_a_report_that_cannot_be_written_is_no_second_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    error = ValueError("x")
    assert report(error, 1.0) is None
    assert one_line(error, None) == "tuipar stopped: ValueError: x. The cluster runs on."
