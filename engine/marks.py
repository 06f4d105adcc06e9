"""The start mark: shared bytes that say what an engine started last, and outlive its process.

Four numbers of 8 bytes, little-endian: task, lease, the engine's id, and whether it leaves because it was asked to.
All ones stand for "none". The engine writes, its supervisor reads after the exit.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple

from tuiparallel.wire.messages import Lease

_FORMAT = struct.Struct("<QQQQ")
_NONE = 0xFFFFFFFFFFFFFFFF
_start = struct.Struct("<QQ").pack_into


class Mark(NamedTuple):
    """What an engine left behind: its last start, its id (None before the hub's welcome), and if it meant to go."""

    lease: Lease | None
    engine: int | None
    leaving: bool


class MarkWriter:
    """An engine's own mark."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, _FORMAT.pack(_NONE, _NONE, _NONE, 0))
            self._map = mmap.mmap(handle, _FORMAT.size)
        finally:
            os.close(handle)

    def start(self, task: int, lease: int) -> None:
        """This task is about to start."""
        _start(self._map, 0, task, lease)

    def welcome(self, engine: int) -> None:
        """The hub calls this engine so."""
        struct.pack_into("<Q", self._map, 16, engine)

    def leave(self) -> None:
        """The exit that follows was asked for."""
        struct.pack_into("<Q", self._map, 24, 1)

    def close(self) -> None:
        self._map.close()


def read_mark(path: Path) -> Mark | None:
    """The mark of an engine that has ended; None when it cannot be read."""
    try:
        task, lease, engine, leaving = _FORMAT.unpack(path.read_bytes())
    except (OSError, struct.error):
        return None
    started = None if task == _NONE else Lease(task, lease)
    return Mark(started, None if engine == _NONE else engine, leaving == 1)
