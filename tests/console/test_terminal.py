"""What the console's terminal does when it goes, and what it uses of Textual. Stops and hang-ups are in test_crash.py."""

from __future__ import annotations

import os
import pty
import signal
from io import StringIO

from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from tuiparallel.console.terminal import Outlet, Terminal, hang_up, has_gone


class Broken(StringIO):
    """A file that nobody reads any more."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_what_is_written_passes_while_somebody_is_there() -> None:
    file, told = StringIO(), list[str]()
    outlet = Outlet(file, lambda: told.append("gone"))
    assert outlet.write("abc") == 3
    outlet.flush()
    assert file.getvalue() == "abc" and not told and not outlet.broken and not outlet.isatty()


def test_a_file_that_breaks_is_told_once_and_takes_more() -> None:
    told: list[str] = []
    outlet = Outlet(Broken(), lambda: told.append("gone"))
    assert [outlet.write("abc"), outlet.write("d")] == [3, 1]
    outlet.flush()
    outlet.give_up()
    assert told == ["gone"] and outlet.broken


def test_whether_a_terminal_has_gone_is_seen() -> None:
    master, slave = pty.openpty()
    try:
        assert not has_gone(slave)
        os.close(master)
        assert has_gone(slave)
    finally:
        os.close(slave)
    assert has_gone(slave)


def test_hanging_up_is_a_signal_to_oneself() -> None:
    came: list[int] = []
    previous = signal.signal(signal.SIGHUP, lambda number, frame: came.append(number))
    try:
        hang_up()
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert came == [signal.SIGHUP]


def test_the_names_of_textual_that_are_used_exist() -> None:
    assert callable(LinuxDriver._sigcont_application) and issubclass(Terminal, LinuxDriver)
    for name in ("_loop", "_file", "_writer_thread", "_must_signal_resume", "_auto_restart"):
        assert any(name in vars(part)["__init__"].__code__.co_names for part in (LinuxDriver, Driver)), name
