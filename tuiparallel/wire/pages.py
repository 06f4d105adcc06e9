"""Filling files of large blobs again through mappings that their writer keeps.

Writing into pages that are mapped already is a plain copy; mapping them first costs as much again, and new pages three
times as much. Mappings are kept of some files only, and of none that has lost its name, or its memory would stay.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from contextlib import suppress

WORTH = 8 << 20  # bytes of a file from which on its mapping is kept
MOST_FILES = 16  # whose mappings a process keeps, with two descriptors each
MOST_BYTES = 512 << 20  # of them together
_STEP = 4 << 20  # bytes copied at a time: other threads run in between
_MADV_POPULATE_READ = 22  # shared pages of tmpfs can be written to then as well
_POPULATE = mmap.MAP_POPULATE if sys.platform == "linux" else 0


class _Kept:
    """A mapping, and the descriptor that tells what became of its file."""

    __slots__ = ("descriptor", "pages")

    def __init__(self, descriptor: int, size: int, flags: int) -> None:
        self.descriptor = -1
        self.pages = _mapped(descriptor, size, mmap.MAP_SHARED | flags)
        self.descriptor = os.dup(descriptor)

    def nameless(self) -> bool:
        return os.fstat(self.descriptor).st_nlink == 0

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


_kept: dict[int, _Kept] = {}  # by inode, which no other file can have as long as this one is mapped


def known(inode: int) -> bool:
    """Whether this process keeps a mapping of that file."""
    return inode in _kept


def fill(descriptor: int, view: memoryview) -> None:
    """Write these bytes to the beginning of a file of that size or more; its lock, if there is one, is given back.

    Nobody else may be writing to it.
    """
    found = os.fstat(descriptor)
    size = view.nbytes
    # Out of the dict while it is written to: a thread that drops what has lost its name must not meet it.
    kept = _kept.pop(found.st_ino, None)
    if kept is not None and len(kept.pages) < size:
        kept = None
    if kept is None and _worth(found.st_size):
        with suppress(OSError):  # no address space or no descriptor left: it goes without
            kept = _Kept(descriptor, found.st_size, _POPULATE)
    if kept is None:
        write(descriptor, view)
        return
    pages = kept.pages
    for start in range(0, size, _STEP):
        pages[start : min(start + _STEP, size)] = view[start : start + _STEP]
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing it would not do: the mapping has it too
    _kept[found.st_ino] = kept


def keep(path: str) -> None:
    """Map a file that was just written, so that filling it again is fast from the first time. Other threads run
    meanwhile."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            found = os.fstat(descriptor)
            if found.st_ino in _kept or not _worth(found.st_size):
                return
            kept = _Kept(descriptor, found.st_size, 0)
        finally:
            os.close(descriptor)
        _populate(kept.pages)
        _kept[found.st_ino] = kept


def _worth(size: int) -> bool:
    return size >= WORTH and len(_kept) < MOST_FILES and kept_bytes() + size <= MOST_BYTES


def _populate(pages: mmap.mmap) -> None:
    """What the flag does when mapping, but without holding up other threads: Python's own calls keep the GIL."""
    if not _POPULATE:
        return
    import ctypes

    begin = ctypes.c_char.from_buffer(pages)
    # Where this is unknown, before Linux 5.14, the pages come when they are written to.
    ctypes.CDLL(None).madvise(
        ctypes.c_void_p(ctypes.addressof(begin)), ctypes.c_size_t(len(pages)), _MADV_POPULATE_READ
    )


def write(descriptor: int, view: memoryview) -> None:
    """All bytes, from the descriptor's position on. Raises OSError (ENOSPC) when there is no space."""
    written = 0
    while written < view.nbytes:
        written += os.write(descriptor, view[written:])


def kept_bytes() -> int:
    """Bytes whose mappings this process keeps."""
    return sum(len(kept.pages) for kept in list(_kept.values()))


def drop_nameless() -> None:
    """Let go of files that were removed: now and then, also while nothing is written."""
    for inode, kept in list(_kept.items()):
        if kept.nameless():
            _kept.pop(inode, None)


def drop_all() -> None:
    """Let go of everything."""
    _kept.clear()


os.register_at_fork(after_in_child=drop_all)  # else what a task forks would hold the memory of files that are gone

if sys.version_info >= (3, 13):

    def _mapped(descriptor: int, size: int, flags: int) -> mmap.mmap:
        return mmap.mmap(descriptor, size, flags=flags, trackfd=False)

else:

    def _mapped(descriptor: int, size: int, flags: int) -> mmap.mmap:
        return mmap.mmap(descriptor, size, flags=flags)
