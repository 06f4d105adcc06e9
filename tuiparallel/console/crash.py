"""Whatever happens, the terminal comes back as it was: signals, exceptions, and the report of a crash (0600)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from tuiparallel.wire.connection import private_directory, write_private

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)

RESTORE = (
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # mouse
    "\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[<u"  # paste, focus, resize reports, keyboard protocol
    "\x1b[0m\x1b[?1049l\x1b[?25h"  # style, alternate screen, cursor
)


def listen(loop: asyncio.AbstractEventLoop, leave: Callable[[int], None]) -> Callable[[], None]:
    """Has `leave` called with the signal's number, on the loop. Returns what ends that. Main thread only."""
    taken: list[signal.Signals] = []
    for one in SIGNALS:
        try:
            loop.add_signal_handler(one, leave, int(one))
        except (ValueError, RuntimeError, NotImplementedError):  # another thread, or no such signal here
            continue
        taken.append(one)

    def stop() -> None:
        for one in taken:
            loop.remove_signal_handler(one)

    return stop


@contextmanager
def guarded() -> Iterator[None]:
    """Puts the terminal back when the block ends by anything but its own end."""
    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):
        yield
        return
    try:
        yield
    except BaseException:
        if sys.__stderr__ is not None and sys.__stderr__.isatty():
            sys.__stderr__.write(RESTORE)
            sys.__stderr__.flush()
        raise
    finally:
        with suppress(termios.error):  # there is no terminal any more
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def report(error: BaseException, now: float) -> Path | None:
    """Writes what happened into a private file; None where nothing can be written. It has no values of variables."""
    try:
        folder = private_directory(platformdirs.user_state_path("tuiparallel") / "crashes")
        path = folder / f"tuipar-{int(now)}-{os.getpid()}.txt"
        write_private(path, "".join(traceback.format_exception(error)).encode("utf-8", "replace"))
    except OSError:
        return None
    return path


def one_line(error: BaseException, path: Path | None) -> str:
    """What the terminal says of a crash."""
    where = f"; the report is {path}" if path is not None else ""
    return f"tuipar stopped: {type(error).__name__}: {error}{where}. The cluster runs on."
