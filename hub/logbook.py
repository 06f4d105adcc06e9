"""A small append-only file in front of the history: what one turn has to remember costs one write.

Records are framed by length and crc32; reading stops at the first one that is torn. A write that has returned survives
a kill of this process, as SQLite's own log does; `sync` waits for the disk too.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = 8  # length and crc32, four bytes each, little-endian


class Logbook:
    """The log of one history. size is its length in bytes."""

    def __init__(self, path: Path, sync: bool = False) -> None:
        self.path = path
        self._sync = sync
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.size = os.fstat(self._file).st_size

    def records(self) -> Iterator[bytes]:
        """All whole records, oldest first."""
        content = os.pread(self._file, self.size, 0)
        at = 0
        while at + _HEAD <= len(content):
            length = int.from_bytes(content[at : at + 4], "little")
            body = content[at + _HEAD : at + _HEAD + length]
            if len(body) < length or zlib.crc32(body) != int.from_bytes(content[at + 4 : at + _HEAD], "little"):
                return
            yield body
            at += _HEAD + length

    def append(self, body: bytes) -> None:
        """Add a record. Raises OSError when the disk refuses it, and then nothing of it stays."""
        head = len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little")
        record = head + body
        try:
            written = os.write(self._file, record)
            if written < len(record):
                raise OSError(28, os.strerror(28), str(self.path))
            if self._sync:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(record)

    def clear(self) -> None:
        """Everything in it is in the history now."""
        if self.size:
            os.ftruncate(self._file, 0)
            self.size = 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
