"""Large buffers on disk, for when the shared memory that is theirs is full: where one was, a link leads to the file.

Whoever opens a blob by its name follows the link; whoever has mapped it keeps what it mapped. A copy is made in steps,
so that no turn becomes long, and takes the blob's place when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tuiparallel.wire.blobs import NAME, UNFINISHED
from tuiparallel.wire.connection import private_directory

STEP = 32 << 20  # bytes copied at a time, some 30 ms


class _Copy:
    """A blob that is being copied."""

    __slots__ = ("copied", "name", "size", "source", "target")

    def __init__(self, name: str, size: int, source: int, target: int) -> None:
        self.name, self.size, self.source, self.target, self.copied = name, size, source, target, 0

    def close(self) -> None:
        os.close(self.source)
        os.close(self.target)


class Spill:
    """The blobs of one folder that are on disk. limit: bytes that all of them may have; sizes: those there are."""

    def __init__(self, blobs: Path, folder: Path, limit: int) -> None:
        self.blobs, self.folder, self.limit = blobs, folder, limit
        self.sizes: dict[str, int] = {}
        self._copy: _Copy | None = None
        for entry in self._entries():
            if NAME.fullmatch(entry) and (blobs / entry).is_symlink():
                self.sizes[entry] = (folder / entry).stat().st_size
            else:
                self._remove(entry)  # of another run, or not whole
        self.bytes = sum(self.sizes.values())

    def _entries(self) -> list[str]:
        try:
            return os.listdir(self.folder)
        except FileNotFoundError:
            return []

    def step(self, blobs: Iterable[tuple[str, int]], free_disk: int) -> str | None:
        """Copy some of the first of these that is in memory; returns the name that has moved, "" while one is on its way.

        None when nothing can be moved: none is left, or the limit is reached, or less than free_disk bytes would stay
        free. Raises OSError when the disk refuses.
        """
        if self._copy is None:
            self._copy = self._begun(blobs, free_disk)
        copy = self._copy
        if copy is None:
            return None
        try:
            end = min(copy.size, copy.copied + STEP)
            while copy.copied < end:
                sent = os.sendfile(copy.target, copy.source, copy.copied, end - copy.copied)
                if sent == 0:
                    raise OSError(5, f"blob {copy.name} became shorter")
                copy.copied += sent
        except OSError:
            self._give_up()
            raise
        return "" if copy.copied < copy.size else self._finish(copy)

    def _begun(self, blobs: Iterable[tuple[str, int]], free_disk: int) -> _Copy | None:
        for name, size in blobs:
            if name in self.sizes or not size:
                continue
            if self.bytes + size > self.limit or self._free() - size < free_disk:
                return None
            try:
                source = os.open(self.blobs / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                continue  # it has gone
            private_directory(self.folder)
            flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                target = os.open(self.folder / (name + UNFINISHED), flags, 0o400)
            except OSError:
                os.close(source)
                raise
            return _Copy(name, size, source, target)
        return None

    def _finish(self, copy: _Copy) -> str:
        """The copy is whole: it gets its name, and the link takes the blob's place at once."""
        copy.close()
        self._copy = None
        part = copy.name + UNFINISHED
        if not (self.blobs / copy.name).exists():  # its last task was forgotten meanwhile
            self._remove(part)
            return ""
        os.replace(self.folder / part, self.folder / copy.name)
        link = self.blobs / part
        link.unlink(missing_ok=True)
        link.symlink_to(self.folder / copy.name)
        os.replace(link, self.blobs / copy.name)
        self.sizes[copy.name] = copy.size
        self.bytes += copy.size
        return copy.name

    def _give_up(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.close()
            self._remove(copy.name + UNFINISHED)

    def drop(self, name: str) -> bool:
        """This blob is not needed any more; returns whether it was here. Its link is the caller's to remove."""
        if self._copy is not None and self._copy.name == name:
            self._give_up()
        size = self.sizes.pop(name, None)
        if size is None:
            return False
        self.bytes -= size
        self._remove(name)
        return True

    def _remove(self, entry: str) -> None:
        (self.folder / entry).unlink(missing_ok=True)

    def _free(self) -> int:
        found = os.statvfs(self.folder if self.folder.exists() else self.folder.parent)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """The cluster has ended, and its buffers with it."""
        self._give_up()
        for entry in self._entries():
            self._remove(entry)
        if self.folder.is_dir() and not self.folder.is_symlink():
            self.folder.rmdir()


def spill_beside(blobs: Path, directory: Path, limit: int) -> Spill | None:
    """Where the blobs of this folder can be moved to; None when it is on the directory's own disk already."""
    try:
        if not limit or os.stat(blobs).st_dev == os.stat(directory).st_dev:
            return None
    except OSError:
        return None
    return Spill(blobs, directory / "spill", limit)
