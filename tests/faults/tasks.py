"""What test tasks do on an engine: append to the ledger, wait, work. Imports little, as engines import it."""

from __future__ import annotations

import os
import select

from tuiparallel.wire.current import current_task

OTHER = 1_000_003  # what a value is computed with, so that a changed one is seen


def pause(seconds: float) -> None:
    """Wait without computing; a signal handler that raises ends it."""
    if seconds > 0:
        select.select([], [], [], seconds)


def value_of(name: int) -> int:
    """What the task of this name returns."""
    return name * OTHER + 1


def write_line(path: str, line: str) -> None:
    """One whole line, whoever else writes."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def noted(path: str, name: int, seconds: float = 0.0) -> int:
    """A task that writes when it starts and when it ends; its value follows from its name."""
    task = current_task()
    attempt = task.attempt if task is not None else 0
    write_line(path, f"{name} {attempt} {os.getpid()} start\n")
    pause(seconds)
    write_line(path, f"{name} {attempt} {os.getpid()} end\n")
    return value_of(name)


def deadly(path: str, name: int) -> int:
    """A task that kills its engine."""
    task = current_task()
    write_line(path, f"{name} {task.attempt if task is not None else 0} {os.getpid()} start\n")
    os.kill(os.getpid(), 9)
    return 0


def wait_for(path: str) -> None:
    """A task that ends once there is a file of this name."""
    while not os.path.exists(path):
        pause(0.01)


def slow_pid(_: int) -> int:
    """Which process ran it; long enough that each engine gets one."""
    pause(0.3)
    return os.getpid()
