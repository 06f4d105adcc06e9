"""The functions an engine holds: those the hub believes it knows, and those its queued tasks still need.

Hub and engine apply the same rule to the same sequence of uses (see wire.known), so the hub never has to say what it
has forgotten. No socket, thread or clock in this file.
"""

from __future__ import annotations

from collections.abc import Iterable

from tuiparallel.wire.functions import FunctionTable
from tuiparallel.wire.known import COUNT_LIMIT, KnownFunctions
from tuiparallel.wire.messages import Run

SLACK = 64 << 20  # bytes of code that may be held although the hub has forgotten them


class Shelf:
    """Feeds a FunctionTable, and empties it again."""

    def __init__(self, table: FunctionTable, count_limit: int = COUNT_LIMIT, slack: int = SLACK) -> None:
        self._table = table
        self._count_limit = count_limit
        self._slack = slack
        self._known = KnownFunctions(count_limit)
        self._sizes: dict[bytes, int] = {}
        self._bytes = 0

    def greet(self) -> None:
        """A new connection has begun: the hub believes that nothing is known."""
        self._known = KnownFunctions(self._count_limit)

    def receive(self, run: Run) -> None:
        """Keep the code that came along, and note what was used."""
        for hash, code in run.functions.items():
            if hash not in self._sizes:
                self._sizes[hash] = len(code)
                self._bytes += len(code)
            self._table.load(hash, code)
        named: set[bytes] = set()
        for batch in run.batches:
            hash = batch.function
            if hash in run.functions:
                named.add(hash)
                self._known.learn(hash, run.functions[hash])
            elif hash in self._known:
                self._known.get(hash)
        for hash, code in run.functions.items():
            if hash not in named:
                self._known.learn(hash, code)

    @property
    def full(self) -> bool:
        """Whether it is time to forget() something."""
        return len(self._sizes) > 2 * self._count_limit or self._bytes > self._known.bytes + self._slack

    def forget(self, needed: Iterable[bytes]) -> None:
        """Drop what the hub has forgotten as well; needed: functions of tasks that are still here."""
        keep = set(needed)
        for hash in [hash for hash in self._sizes if hash not in self._known and hash not in keep]:
            self._bytes -= self._sizes.pop(hash)
            self._table.forget(hash)
