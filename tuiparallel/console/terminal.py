"""The terminal the console draws on: Textual's, but one that was stopped from outside, or has gone, is no trap.

Textual starts its input and output threads once more on every SIGCONT. Unless it had suspended itself before, there are
then two of each: both wait for the same key, and the one that does not get it never ends, so that neither q nor a
signal leaves the console. And a terminal that has gone without a SIGHUP lets it wait for ever for what is written.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable
from typing import Any, TextIO

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

LOOKS_EVERY = 1.0  # seconds between looks at whether the terminal is still there


class Outlet:
    """A text file that goes on taking text when its other end has gone, and says so once."""

    def __init__(self, file: TextIO, gone: Callable[[], None]) -> None:
        self._file = file
        self._gone = gone
        self.broken = False

    def write(self, text: str) -> int:
        """Writes, unless nobody is there any more."""
        if not self.broken:
            try:
                return self._file.write(text)
            except (OSError, ValueError):
                self.give_up()
        return len(text)

    def flush(self) -> None:
        """Passes on what was written."""
        if not self.broken:
            try:
                self._file.flush()
            except (OSError, ValueError):
                self.give_up()

    def fileno(self) -> int:
        """The descriptor below."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._file.isatty()

    def give_up(self) -> None:
        """Nobody is at the other end: nothing more is written. Says so, once."""
        if not self.broken:
            self.broken = True
            self._gone()


class Terminal(LinuxDriver):
    """Textual's driver. When its terminal has gone, this process gets the SIGHUP that did not come.

    Private names of Textual in this class: `_loop`, `_file`, `_writer_thread`, `_auto_restart`, `_must_signal_resume`,
    `_sigcont_application`.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = Outlet(self._file, hang_up)
        self._next_look: asyncio.TimerHandle | None = None
        self._taking = False  # a signal that comes meanwhile has to wait

    def start_application_mode(self) -> None:
        """Takes the terminal."""
        self._taking = True
        try:
            super().start_application_mode()  # type: ignore[no-untyped-call]
        finally:
            self._taking = False
        self._look()

    def close(self) -> None:
        """Ends what writes to the terminal."""
        if self._next_look is not None:
            self._next_look.cancel()
        super().close()

    def _look(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = self._loop.call_later(LOOKS_EVERY, self._look)
        if self.input_tty and has_gone(self.fileno):
            self._file.give_up()

    def _sigcont_application(self, *_: object) -> None:
        # A signal handler: it may interrupt a write that holds the queue's lock, so nothing is written from here.
        if not self._taking and (self._must_signal_resume or not self._auto_restart):
            super()._sigcont_application()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.continued)

    def continued(self) -> None:
        """The process was stopped by somebody else, who may have used the terminal: takes it anew, if it is ours."""
        if self._writer_thread is None or not self._auto_restart or self._must_signal_resume or not self._in_front():
            return
        self._taking = True
        self.suspend_application_mode()
        self._must_signal_resume = True  # so that the app hears of it
        self.resume_application_mode()

    def _in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:  # not the terminal that controls us: there is no front or back
            return True


def hang_up() -> None:
    """What a terminal does that goes, to the process it belonged to."""
    os.kill(os.getpid(), signal.SIGHUP)


def has_gone(descriptor: int) -> bool:
    """Whether nobody is at the other end of this terminal any more."""
    poll = select.poll()
    try:
        poll.register(descriptor, 0)
        return any(told & (select.POLLHUP | select.POLLNVAL) for _, told in poll.poll(0))
    except (OSError, ValueError):
        return True
