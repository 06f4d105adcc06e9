"""Processes of a cluster from outside: find them, wait until they have gone, end them."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from tuiparallel.link.clock import Deadline


def processes_of(directory: Path) -> list[int]:
    """Pids of all processes of the cluster in this directory: each has the path of its start.json in its arguments.

    Forked processes keep the arguments of the one they come from, so this finds hub, supervisor and engines too,
    whoever their parent is now. Zombies do not count.
    """
    sign = os.fsencode(directory / "start.json")
    found: list[int] = []
    for entry in os.scandir("/proc") if os.path.isdir("/proc/self") else ():
        if entry.name.isdigit():
            with suppress(OSError), open(f"/proc/{entry.name}/cmdline", "rb") as file:
                if sign in file.read().split(b"\0"):
                    found.append(int(entry.name))
    return found


def is_alive(pid: int, directory: Path) -> bool:
    """Whether this process lives and belongs to the cluster in this directory: pids are used again."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(directory / "start.json") in process.cmdline()
    except psutil.Error:
        return False


def wait_gone(pids: Iterable[int], deadline: Deadline) -> list[int]:
    """Wait until these processes have ended; returns those that have not when the deadline passes."""
    left = [pid for pid in pids if psutil.pid_exists(pid)]
    if not hasattr(os, "pidfd_open"):
        _, living = psutil.wait_procs([_process for pid in left for _process in _open(pid)], timeout=deadline.left())
        return [process.pid for process in living]
    remaining: list[int] = []
    for pid in left:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            seconds = deadline.left()
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(None if seconds is None else int(seconds * 1000 + 0.999)):
                remaining.append(pid)
        finally:
            os.close(handle)
    return remaining


def _open(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [psutil.Process(pid)]
    return []


def kill(pids: Iterable[int], signum: int = signal.SIGKILL) -> None:
    """Send a signal to each of these that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
