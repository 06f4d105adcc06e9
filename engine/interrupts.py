"""Interrupting user code, and nothing else: KeyboardInterrupt is raised only below the one frame that calls it.

Python runs a signal's handler in the main thread between any two steps, also while the engine does its own work there.
So the handler looks whether the frame that was interrupted belongs to user code, and to which task.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def user_code(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what users have written; its frame is the mark that the handler looks for."""
    return function(*args, **kwargs)


_MARK = user_code.__code__


def in_user_code(frame: FrameType | None) -> bool:
    """Whether this frame was called, however indirectly, by user_code."""
    while frame is not None:
        if frame.f_code is _MARK:
            return True
        frame = frame.f_back
    return False


def without_handler(failure: KeyboardInterrupt) -> None:
    """Take the handler's own frame off the end of its traceback."""
    last = failure.__traceback__
    while last is not None and last.tb_next is not None:
        if last.tb_next.tb_next is None and last.tb_next.tb_frame.f_code is Interrupts._on_signal.__code__:
            last.tb_next = None
            return
        last = last.tb_next


class Interrupts:
    """SIGINT for the main thread of this process. The main thread says what it runs; any thread may interrupt."""

    def __init__(self) -> None:
        self.running: int | None = None  # the task of the main thread
        self._wanted: int | None = None  # the only task that the next SIGINT may interrupt
        self._main = threading.main_thread().ident or 0

    def install(self) -> None:
        """Handle SIGINT from now on. Main thread only."""
        signal.signal(signal.SIGINT, self._on_signal)

    def send(self, signum: int, task: int | None) -> None:
        """Signal the main thread; with a task only if it runs, and a SIGINT only while it still does."""
        if task is not None and self.running != task:
            return
        if signum == signal.SIGINT:
            self._wanted = task
        if signum in (signal.SIGKILL, signal.SIGSTOP):
            signal.raise_signal(signum)
        else:
            signal.pthread_kill(self._main, signum)  # so that it leaves a system call it waits in

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None and wanted != self.running:
            return  # that task has just ended
        if in_user_code(frame):
            raise KeyboardInterrupt
