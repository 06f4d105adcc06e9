"""A file descriptor that one thread sets and another one polls."""

from __future__ import annotations

import os


class Wakeup:
    """Readable after set(), until clear(). Any thread may set it, any number of times."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._pending = False

    def fileno(self) -> int:
        return self._reader

    def set(self) -> None:
        if self._pending:
            return  # whoever polls has not looked yet: one byte is enough
        self._pending = True
        try:
            os.write(self._writer, b"\0")
        except (BlockingIOError, OSError):
            pass  # full, or closed meanwhile: either way nobody needs another byte

    def clear(self) -> None:
        # First the flag, then the pipe: a set() in between leaves a byte behind, never a lost wake-up.
        self._pending = False
        try:
            os.read(self._reader, 64)
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._pending = True
        os.close(self._reader)
        os.close(self._writer)
