"""Large buffers as files in one private folder of the host's tmpfs: written once, mapped read-only by any number.

A blob is complete and closed before it gets its name, and never changes while it has it. A new file is written, not
mapped: writing to a hole of a mapped file, on a full tmpfs, would end the process with SIGBUS.

Memory that was written once is several times faster to write again than fresh pages. So the file of a large blob that
nobody needs goes into a folder of spares, and the next writer fills it under a new name (see wire.pages). Readers of such blobs hold a
shared lock on the file as long as they map it (also a killed one lets go of it); a writer takes it only with the
exclusive lock, so what somebody still looks at never changes.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import mmap
import os
import re
import sys
import weakref
from _pickle import PickleBuffer  # the hub imports this file, and knows nothing that loads pickles
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tuiparallel.errors import MessageTooLarge
from tuiparallel.wire import pages

if TYPE_CHECKING:
    from typing_extensions import Buffer

NAME = re.compile(r"[0-9a-f]+-[0-9a-f]+-[0-9a-f]{16}")
UNFINISHED = ".part"
REUSABLE = 1 << 20  # bytes from which on a blob's file is worth filling again
MOST_LOCKS = 256  # files that one process keeps open to hold their locks; further ones are marked as not to be reused
MOST_MAPPED = 32_768  # small files that one process maps; further ones are copied
_WRITABLE = 0o600
_FINAL = 0o400  # the mode of a file that must not be filled again
FULL = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)


class BlobRef(NamedTuple):
    """The name of a blob within its store, and its size in bytes."""

    name: str
    size: int


class _Spare(NamedTuple):
    """A file to be filled again."""

    size: int
    inode: int
    path: str


class NoRoom(OSError):
    """The folder's file system has no space for a blob: spill it elsewhere, or answer StorageFull."""


class BlobReader(Protocol):
    """Whatever can open blobs by name."""

    def open(self, name: str, size: int | None = None) -> memoryview: ...


class BlobStore:
    """The blobs of one cluster on one host; all its processes share the folder.

    folder must exist and should be private (0700). budget: bytes that one blob may have, None for no limit.
    sync: a blob is on the disk before it has its name, for a folder that is to survive the host.
    """

    def __init__(self, folder: Path, budget: int | None = None, sync: bool = False) -> None:
        self.folder = Path(folder)
        self._start = f"{self.folder}{os.sep}"  # of a blob's path: joining Paths costs as much as a small blob
        self.budget = budget
        self.sync = sync
        self._numbers = itertools.count()

    def __repr__(self) -> str:
        return f"BlobStore({str(self.folder)!r})"

    def write(self, buffer: Buffer) -> BlobRef:
        """Keep a copy of a contiguous buffer as a new blob.

        Raises MessageTooLarge above the budget, NoRoom when the file system is full, FileNotFoundError when the
        folder is gone. After an error nothing is left behind.
        """
        view = PickleBuffer(buffer).raw()
        size = view.nbytes
        if self.budget is not None and size > self.budget:
            raise MessageTooLarge(
                f"a buffer of {size:,} bytes is above the budget for blobs, {self.budget:,} bytes: send it in parts, "
                "or raise blob_bytes in the cluster's configuration"
            )
        # The process's number comes first, so that sweep can tell what a writer has left behind.
        name = f"{os.getpid():x}-{next(self._numbers):x}-{os.urandom(8).hex()}"
        path = self._start + name
        try:
            self._fill(path + UNFINISHED, view)
            os.rename(path + UNFINISHED, path)
        except OSError as failure:
            raise self._explained(failure, size) from failure
        return BlobRef(name, size)

    def open(self, name: str, size: int | None = None) -> memoryview:
        """A read-only view of a blob's bytes; the mapping lives as long as views of it do, and holds no descriptor.

        Raises FileNotFoundError when it does not exist, and OSError when it is not as large as size says.
        """
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as failure:
            raise self._explained(failure, 0) from failure
        try:
            there = os.fstat(descriptor).st_size
            if size is not None and there != size:
                raise OSError(errno.EIO, f"blob {name} has {there:,} bytes and should have {size:,}", path)
            if there < REUSABLE:
                return _mapped_or_read(descriptor, there) if there else memoryview(b"")
            found = self._locked(descriptor, path, there)
        finally:
            os.close(descriptor)
        # Its name leads elsewhere since it was opened: nowhere, or once in its life to a copy on the disk.
        return self.open(name, size) if found is None else found

    def _locked(self, descriptor: int, path: str, size: int) -> memoryview | None:
        """The bytes of a file that somebody may want to fill again, once we no longer look at it.

        None when it is not the one of this name any more, and somebody may be filling it.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_at(descriptor, path):  # somebody asks in this moment whether it is in use
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        if not _is_at(descriptor, path):
            return None
        if _looks.locked >= MOST_LOCKS:
            os.fchmod(descriptor, _FINAL)
            return mapped(descriptor, size)
        return mapped(descriptor, size, locked=True)

    def unlink(self, names: Iterable[str]) -> None:
        """Remove blobs; those that are gone already do not matter. Mapped ones live on until their readers drop them."""
        for name in names:
            try:
                os.unlink(self._path(name))
            except FileNotFoundError:
                pass

    def in_use(self, name: str) -> bool:
        """Whether somebody maps this blob, if it is a large one: its memory is not to be had then."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _alone(descriptor)
        finally:
            os.close(descriptor)

    def recycle(self, names: Iterable[str], room: int) -> None:
        """Remove blobs; the files of large ones become spares, as long as those have at most `room` bytes together."""
        for name in names:
            path = self._path(name)
            try:
                found = os.stat(path)
                if found.st_size < REUSABLE or found.st_size > room - sum(spare.size for spare in self._spares()):
                    os.unlink(path)
                    continue
                self._spare_folder.mkdir(mode=0o700, exist_ok=True)
                os.rename(path, self._spare_folder / f"{found.st_size:x}-{found.st_ino:x}-{os.urandom(8).hex()}")
            except FileNotFoundError:
                pass

    @property
    def _spare_folder(self) -> Path:
        return self.folder / "spare"

    def _spares(self) -> list[_Spare]:
        try:
            entries = os.listdir(self._spare_folder)
        except FileNotFoundError:
            return []
        spares = []
        for entry in entries:
            size, inode, _ = entry.split("-")
            spares.append(_Spare(int(size, 16), int(inode, 16), str(self._spare_folder / entry)))
        return spares

    def _refill(self, path: str, view: memoryview) -> bool:
        """Fill a spare of a fitting size as `path`; False when there is none."""
        size = view.nbytes
        fitting = [spare for spare in self._spares() if size <= spare.size <= 2 * size]
        for spare in sorted(fitting, key=lambda spare: (not pages.known(spare.inode), spare.size)):
            try:
                os.rename(spare.path, path)
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue  # another writer was faster
            try:
                if _alone(descriptor) and os.fstat(descriptor).st_mode & 0o777 == _WRITABLE:
                    os.truncate(descriptor, size)
                    pages.fill(descriptor, view)
                    return True
            except BaseException:
                os.unlink(path)
                raise
            finally:
                os.close(descriptor)
            os.unlink(path)  # somebody still looks at it
        return False

    def sweep(self, keep: Collection[str] = (), writer: int | None = None) -> list[BlobRef]:
        """Remove all blobs not in keep, also unfinished ones; with writer (a pid) only that process's. Returns them."""
        prefix = "" if writer is None else f"{writer:x}-"
        gone: list[BlobRef] = []
        try:
            entries = list(os.scandir(self.folder))
        except FileNotFoundError:
            return gone
        for entry in entries:
            name = entry.name.removesuffix(UNFINISHED)
            if not NAME.fullmatch(name) or not name.startswith(prefix) or entry.name in keep:
                continue
            try:
                size = entry.stat(follow_symlinks=False).st_size
                os.unlink(entry.path)
            except FileNotFoundError:
                continue
            gone.append(BlobRef(entry.name, size))
        return gone

    def _path(self, name: str) -> str:
        if not NAME.fullmatch(name):  # names come over the wire, and must not lead out of the folder
            raise ValueError(f"{name!r} is not the name of a blob")
        return self._start + name

    def _fill(self, path: str, view: memoryview) -> None:
        if view.nbytes >= REUSABLE and not self.sync:
            pages.drop_nameless()
            if self._refill(path, view):
                return
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            pages.write(descriptor, view)
            if self.sync:
                os.fsync(descriptor)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)

    def _explained(self, failure: OSError, size: int) -> OSError:
        if failure.errno in FULL:
            return NoRoom(failure.errno, f"no room for a blob of {size:,} bytes in {self.folder}")
        if isinstance(failure, FileNotFoundError):
            if not self.folder.is_dir():
                reason = f"the blobs' folder {self.folder} is gone: has the cluster been stopped?"
                return FileNotFoundError(errno.ENOENT, reason)
            return FileNotFoundError(errno.ENOENT, f"no such blob, it has been removed: {failure.filename}")
        return failure


def _mapped_or_read(descriptor: int, size: int) -> memoryview:
    """The bytes of a small file. Linux gives a process 65,530 mappings, and Python itself cannot live without more."""
    if _looks.mapped < MOST_MAPPED:
        return mapped(descriptor, size)
    content = os.pread(descriptor, size, 0)
    if len(content) != size:
        raise OSError(errno.EIO, f"a blob of {size:,} bytes gave only {len(content):,}")
    return memoryview(content)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.stat(path).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _alone(descriptor: int) -> bool:
    """Whether nobody else holds a lock on an open file; it is the caller's then, until it is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Looks:
    """How many files this process has mapped, and how many it keeps open for their locks."""

    mapped = 0
    locked = 0


_looks = _Looks()


def mapped(descriptor: int, size: int, locked: bool = False) -> memoryview:
    """The file's bytes, mapped read-only; the descriptor may be closed, a lock on it lives as long as the bytes."""
    if not locked:
        return _mapped_alone(descriptor, size)
    found = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)  # it keeps a descriptor of its own, and so the lock
    _looks.mapped += 1
    _looks.locked += 1
    weakref.finalize(found, _let_go_locked).atexit = False
    return memoryview(found)


def _let_go_locked() -> None:
    _looks.mapped -= 1
    _looks.locked -= 1


if sys.version_info >= (3, 13):

    def _mapped_alone(descriptor: int, size: int) -> memoryview:
        found = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, trackfd=False)
        _looks.mapped += 1
        weakref.finalize(found, _let_go).atexit = False
        return memoryview(found)

    def _let_go() -> None:
        _looks.mapped -= 1

else:
    # Before 3.13 a mmap object keeps a descriptor of its own: a thousand arrays would use up a process's descriptors.

    def _mapped_alone(descriptor: int, size: int) -> memoryview:
        import ctypes

        map_pages, _ = _libc()
        address = map_pages(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if address is None or address == ctypes.c_void_p(-1).value:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot map a blob of {size:,} bytes: {os.strerror(number)}")
        found = (ctypes.c_char * size).from_address(address)
        _looks.mapped += 1
        # Not at exit: arrays may still look at these pages then, and the process takes them along anyway.
        weakref.finalize(found, _let_go, address, size).atexit = False
        return PickleBuffer(found).raw().toreadonly()

    def _let_go(address: int, size: int) -> None:
        _libc()[1](address, size)
        _looks.mapped -= 1

    _calls: list[tuple[Callable[..., int | None], Callable[..., int]]] = []

    def _libc() -> tuple[Callable[..., int | None], Callable[..., int]]:
        if not _calls:  # ctypes costs milliseconds to import: not for processes that never map anything
            import ctypes

            libc = ctypes.CDLL(None, use_errno=True)
            libc.mmap.restype = ctypes.c_void_p
            libc.mmap.argtypes = [
                ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong
            ]  # fmt: skip
            libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
            _calls.append((libc.mmap, libc.munmap))
        return _calls[0]
