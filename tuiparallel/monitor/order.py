"""Task slots in the order of submission: sorted, read by position, changed anywhere at small cost."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

CHUNK = 1024

Key = tuple[float, int]


class Order:
    """A sorted list of slots in chunks; `key` tells a slot's (submitted, TaskId), which must not change while it is in."""

    def __init__(self, key: Callable[[int], Key]) -> None:
        self._key = key
        self._chunks: list[array[int]] = []
        self._sums: list[int] | None = []  # slots up to and including each chunk; None: to be counted again
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for chunk in self._chunks:
            yield from chunk

    def add(self, slot: int) -> None:
        """Insert a slot."""
        self._count += 1
        self._sums = None
        if not self._chunks:
            self._chunks.append(array("i", [slot]))
            return
        key = self._key(slot)
        last = self._chunks[-1]
        if self._key(last[-1]) <= key:
            if len(last) >= CHUNK:
                self._chunks.append(array("i", [slot]))
            else:
                last.append(slot)
            return
        place = bisect_right(self._chunks, key, key=lambda chunk: self._key(chunk[0])) - 1
        place = max(place, 0)
        chunk = self._chunks[place]
        chunk.insert(bisect_right(chunk, key, key=self._key), slot)
        if len(chunk) >= 2 * CHUNK:
            self._chunks.insert(place + 1, chunk[CHUNK:])
            del chunk[CHUNK:]

    def remove(self, slot: int) -> None:
        """Take a slot out. Raises KeyError when it is not in."""
        place, at = self._place(slot)
        chunk = self._chunks[place]
        del chunk[at]
        if not chunk:
            del self._chunks[place]
        self._count -= 1
        self._sums = None

    def position(self, slot: int) -> int:
        """How many slots come before this one. Raises KeyError when it is not in."""
        place, at = self._place(slot)
        return (self._counted()[place - 1] if place else 0) + at

    def slice(self, start: int, count: int) -> list[int]:
        """Slots at positions start .. start + count - 1."""
        start = max(start, 0)
        sums = self._counted()
        place = bisect_right(sums, start)
        found: list[int] = []
        skip = start - (sums[place - 1] if place else 0)
        while place < len(self._chunks) and len(found) < count:
            found.extend(self._chunks[place][skip : skip + count - len(found)])
            skip = 0
            place += 1
        return found

    def whole(self) -> array[int]:
        """All slots, as one array."""
        found = array("i")
        for chunk in self._chunks:
            found.extend(chunk)
        return found

    def _place(self, slot: int) -> tuple[int, int]:
        key = self._key(slot)
        place = bisect_right(self._chunks, key, key=lambda chunk: self._key(chunk[0])) - 1
        if place >= 0:
            chunk = self._chunks[place]
            at = bisect_left(chunk, key, key=self._key)
            if at < len(chunk) and chunk[at] == slot:
                return place, at
        raise KeyError(slot)

    def _counted(self) -> list[int]:
        if self._sums is None:
            self._sums = list(accumulate(map(len, self._chunks)))
        return self._sums
