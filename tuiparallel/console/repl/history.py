"""The cells people ran, per cluster: a private file of JSON lines that several consoles append to.

One cell is one write of one line under a lock of the file, so none is lost or torn. A console reads what others have
added before it searches. At TRIM_ABOVE cells the file is rewritten beside its place with the newest KEPT.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuiparallel.wire.connection import private_directory

KEPT = 10_000
TRIM_ABOVE = 12_000
MAX_CELL = 1 << 20  # characters


@dataclass(frozen=True, slots=True)
class Past:
    """One cell as it was run. at: seconds since the epoch."""

    source: str
    mode: str = "px"
    targets: str = "all"
    at: float = 0.0


class History:
    """The cells of one cluster, oldest first. Reads and writes its file: not for the screen's thread, but for search."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.cells: list[Past] = []
        self._inode = -1
        self._read = 0  # bytes of the file that were taken in
        self._lines = 0

    def add(self, past: Past) -> bool:
        """Keeps a cell; one that starts with a blank, is empty or larger than a megabyte is not kept."""
        if not past.source.strip() or past.source[0] in " \t" or len(past.source) > MAX_CELL:
            return False
        if self.path is None:
            self._take(past)
            return True
        line = json.dumps([past.source, past.mode, past.targets, past.at], ensure_ascii=True) + "\n"
        with self._locked() as handle:
            size = os.fstat(handle).st_size
            data = line.encode()
            if size and os.pread(handle, 1, size - 1) != b"\n":  # a writer was killed within its line
                data = b"\n" + data
            os.lseek(handle, 0, os.SEEK_END)
            while data:
                data = data[os.write(handle, data) :]
            self._take_in(handle)
            if self._lines > TRIM_ABOVE:
                self._rewrite()
        return True

    def refresh(self) -> None:
        """Takes in what other consoles have added."""
        if self.path is not None and self.path.exists():
            with self._locked() as handle:
                self._take_in(handle)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        assert self.path is not None
        private_directory(self.path.parent)
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if os.fstat(handle).st_ino == self._inode_there():  # else it was replaced while we waited
                    yield handle
                    return
            finally:
                os.close(handle)

    def _inode_there(self) -> int:
        assert self.path is not None
        try:
            return os.stat(self.path).st_ino
        except FileNotFoundError:
            return -1

    def _take_in(self, handle: int) -> None:
        facts = os.fstat(handle)
        if facts.st_ino != self._inode or facts.st_size < self._read:
            self._inode, self._read, self._lines = facts.st_ino, 0, 0
            self.cells.clear()
        data = os.pread(handle, facts.st_size - self._read, self._read)
        end = data.rfind(b"\n") + 1
        self._read += end
        for line in data[:end].splitlines():
            self._lines += 1
            if (past := _parsed(line)) is not None:
                self._take(past)

    def _take(self, past: Past) -> None:
        self.cells.append(past)
        if len(self.cells) > TRIM_ABOVE:
            del self.cells[: len(self.cells) - KEPT]

    def _rewrite(self) -> None:
        assert self.path is not None
        self.cells = self.cells[-KEPT:]
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            for past in self.cells:
                file.write(json.dumps([past.source, past.mode, past.targets, past.at], ensure_ascii=True) + "\n")
            file.flush()
            facts = os.fstat(file.fileno())
        os.replace(beside, self.path)
        self._inode, self._read, self._lines = facts.st_ino, facts.st_size, len(self.cells)

    # Searching: reads memory alone, so it may be done on the screen's thread ------------------------------------------

    def newest(self, prefix: str) -> str | None:
        """The newest cell that begins with a text and is longer: what the ghost suggests."""
        if not prefix:
            return None
        cells = self.cells
        for past in reversed(cells):
            if len(past.source) > len(prefix) and past.source.startswith(prefix):
                return past.source
        return None

    def containing(self, text: str, most: int = 50) -> list[Past]:
        """The newest different cells that contain a text anywhere, newest first; letters' case counts when mixed."""
        fold = text == text.lower()
        seen: dict[str, Past] = {}
        for past in reversed(self.cells):
            source = past.source.lower() if fold else past.source
            if text in source and past.source not in seen:
                seen[past.source] = past
                if len(seen) >= most:
                    break
        return list(seen.values())


def _parsed(line: bytes) -> Past | None:
    try:
        source, mode, targets, at = json.loads(line)
        return Past(str(source), str(mode), str(targets), float(at))
    except (ValueError, TypeError):  # a torn or foreign line is passed over
        return None


class Walk:
    """One walk through the history with up and down: it remembers the prefix and the text it began with."""

    def __init__(self, history: History, text: str, prefix: str) -> None:
        self._cells = history.cells[:]
        self._at = len(self._cells)
        self._began = text
        self._prefix = prefix
        self._seen: list[tuple[int, str]] = [(self._at, text)]

    def older(self) -> str | None:
        """The next older cell with the prefix, each text once; None at the end."""
        shown = {source for _, source in self._seen}
        for at in range(self._seen[-1][0] - 1, -1, -1):
            source = self._cells[at].source
            if source.startswith(self._prefix) and source not in shown:
                self._seen.append((at, source))
                return source
        return None

    def newer(self) -> str | None:
        """Back towards the text it began with; None when it is that."""
        if len(self._seen) < 2:
            return None
        self._seen.pop()
        return self._seen[-1][1]
