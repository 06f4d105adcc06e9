"""The large buffers that tasks on record name: how many bytes there are, which may go, and what a dead writer left.

Names are files of wire.blobs; the writer's process id stands before the first dash.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, OrderedDict
from collections.abc import Iterable
from pathlib import Path

from tuiparallel.hub.spill import Spill
from tuiparallel.wire.blobs import NAME, REUSABLE, UNFINISHED, BlobStore

MOST_MAPPED = 8  # buffers that somebody maps, of those looked at when one is to go


class Holdings:
    """All blobs that tasks name, and those whose last task was forgotten in a transaction that may not be over.

    limit: bytes; 0 for half of what is free in the folder's file system now. keep: bytes of those that no open task
    and no receiver needs any more; the oldest go first, so that their memory is used again while it is warm: files of
    twice as many bytes wait for it. spill: where buffers go that find no room; bytes: those of the others.
    """

    def __init__(
        self, folder: Path, known: dict[str, int], limit: int, keep: int = 128 << 20, spill: Spill | None = None
    ) -> None:
        self.store = BlobStore(folder, None)
        self.known = known
        self.spill = spill
        self.exhausted = False  # the limit is passed, and nothing can be forgotten or moved to the disk
        self.bytes = sum(known.values()) - sum(known.get(name, 0) for name in (spill.sizes if spill else ()))
        self.limit = limit or _free(folder) // 2
        self.doomed: set[str] = set()
        self.keep = keep
        self._users: Counter[str] = Counter()  # open tasks, and outcomes under way
        self._retired: OrderedDict[str, int] = OrderedDict()
        self._retired_bytes = 0
        self._look_again = False  # some could not be given back yet, since they were still mapped

    def add(self, blobs: Iterable[tuple[str, int]]) -> None:
        """Tasks name these."""
        for name, size in blobs:
            if name not in self.known:
                self.known[name] = size
                self.bytes += size

    def use(self, names: Iterable[str]) -> None:
        """An open submission, or an outcome that is on its way, needs these."""
        for name in names:
            self._users[name] += 1
            if (size := self._retired.pop(name, None)) is not None:
                self._retired_bytes -= size

    def done(self, names: Iterable[str], retire: bool = True) -> None:
        """One of those has ended. retire: whoever waited for it has it, so that the buffer may go when room is short."""
        for name in names:
            left = self._users[name] - 1
            if left > 0:
                self._users[name] = left
                continue
            del self._users[name]
            if retire and name in self.known and name not in self._retired:
                self._retired[name] = self.known[name]
                self._retired_bytes += self.known[name]
        if self._retired_bytes > self.keep:
            self._retire()

    def tidy(self) -> None:
        """New work has come. Whoever got a large result just before it may have let go of it by now: its memory is
        what the next one can be written to fastest."""
        if self._look_again:
            self._retire()
            self._look_again = False  # until something else has ended: looking costs

    def _retire(self) -> None:
        """Give back the oldest, but those that somebody still maps only beyond twice the bytes: their memory is not
        free before nobody does."""
        mapped = 0
        self._look_again = False
        while self._retired_bytes > self.keep:
            name = next(itertools.islice(self._retired, mapped, None), None)
            if name is None:
                return
            large = self._retired[name] >= REUSABLE
            if large and self._retired_bytes <= 2 * self.keep and self.store.in_use(name):
                self._look_again = True
                mapped += 1
                if mapped == MOST_MAPPED:
                    return
                continue
            spilled = self.spill is not None and name in self.spill.sizes
            self._forget([name])
            if large and not spilled:
                self.store.recycle([name], 2 * self.keep)
            else:
                self.store.unlink([name])

    def over(self) -> bool:
        return self.bytes > self.limit > 0

    def move_out(self, free_disk: int) -> bool:
        """Move some bytes of the oldest buffers to the disk; False when there are none, or no room for them there.

        Raises OSError when the disk refuses.
        """
        if self.spill is None:
            return False
        moved = self.spill.step(self.known.items(), free_disk)
        if moved:
            self.bytes -= self.known.get(moved, 0)
        return moved is not None

    def unlink(self, names: Iterable[str]) -> None:
        """Nobody names these any more."""
        names = [name for name in names if NAME.fullmatch(name)]
        self.store.unlink(names)
        self._forget(names)

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            size = self.known.pop(name, 0)
            if self.spill is None or not self.spill.drop(name):
                self.bytes -= size
            self._retired_bytes -= self._retired.pop(name, 0)

    def sweep(self) -> int:
        """Remove what dead writers have left and no task names; returns how many. Living ones may yet name theirs."""
        if self.spill is not None:
            forgotten = [name for name in self.spill.sizes if name not in self.known]
            self.store.unlink(forgotten)
            for name in forgotten:
                self.spill.drop(name)
        try:
            entries = os.listdir(self.store.folder)
        except FileNotFoundError:
            return 0
        writers: dict[str, bool] = {}
        left: list[str] = []
        for entry in entries:
            name = entry.removesuffix(UNFINISHED)
            if not NAME.fullmatch(name) or name in self.known:
                continue
            writer = name.partition("-")[0]
            if writer not in writers:
                writers[writer] = _alive(int(writer, 16))
            if not writers[writer]:
                left.append(entry)
        for entry in left:
            try:
                os.unlink(self.store.folder / entry)
            except FileNotFoundError:
                pass
        return len(left)


def _alive(pid: int) -> bool:
    if not 0 < pid < 1 << 31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _free(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
