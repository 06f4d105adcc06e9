"""msg_ids in the order of submission, kept as ranges."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import Any, overload

from tuiparallel.wire.ids import parse_msg_id


class History(Sequence[str]):
    """A sequence of one session's msg_ids that costs memory per range, not per id. Equal to a list of the same ids.

    session: the part of the ids before the dash. history[i] is a str (IndexError when there is none), a slice a list.
    """

    def __init__(self, session: str) -> None:
        self._session = session
        self._firsts: list[int] = []  # counters
        self._starts: list[int] = []  # how many ids come before each range
        self._length = 0

    def add(self, first: int, count: int) -> None:
        """Append ids: for views and clients. first: the counter of the first one, not smaller than those before;
        count: how many.
        Returns None.
        Raises nothing.
        """
        if self._firsts and self._firsts[-1] + self._length - self._starts[-1] == first:
            self._length += count
            return
        if count:
            self._firsts.append(first)
            self._starts.append(self._length)
            self._length += count

    def __len__(self) -> int:
        return self._length

    def counter(self, index: int) -> int:
        """The counter of one id: the part behind the dash. index: its place, from 0.
        Returns an int.
        Raises nothing: the place must be there.
        """
        at = bisect_right(self._starts, index) - 1
        return self._firsts[at] + index - self._starts[at]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [f"{self._session}-{self.counter(i)}" for i in range(*index.indices(self._length))]
        place = index + self._length if index < 0 else index
        if not 0 <= place < self._length:
            raise IndexError(f"there is no task number {index}: the history has {self._length}")
        return f"{self._session}-{self.counter(place)}"

    def __contains__(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        try:
            session, counter = parse_msg_id(text)
        except ValueError:
            return False
        at = bisect_right(self._firsts, counter) - 1
        if session != self._session or at < 0:
            return False
        end = self._starts[at + 1] if at + 1 < len(self._starts) else self._length
        return counter - self._firsts[at] < end - self._starts[at]

    def counters(self) -> list[range]:
        """The ranges of counters.
        Returns a list of range objects.
        Raises nothing.
        """
        ends = [*self._starts[1:], self._length] if self._starts else []
        return [
            range(first, first + end - start)
            for first, start, end in zip(self._firsts, self._starts, ends, strict=True)
        ]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, islice(self, 5)))
        return f"[{shown}, ... ({self._length})]" if self._length > 5 else f"[{shown}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)
