"""Which functions the other end of a connection already has: one LRU at each end, kept in step without messages.

Both ends see the same functions in the same order (one sends them, the other receives them), apply the same rule to
them, and so evict the same ones. A new connection starts with two new tables.
"""

from __future__ import annotations

from collections import OrderedDict

COUNT_LIMIT = 4096  # functions that one connection remembers
BYTE_LIMIT = 64 << 20  # bytes of code that one connection remembers


class KnownFunctions:
    """The functions that have crossed one connection in one direction, least recently used first.

    The sender asks needs_code, the receiver answers every function it gets with learn (code came along) or get (it
    did not). A function larger than byte_limit is never remembered, at either end.
    """

    def __init__(self, count_limit: int = COUNT_LIMIT, byte_limit: int = BYTE_LIMIT) -> None:
        self.count_limit = count_limit
        self.byte_limit = byte_limit
        self.bytes = 0  # of code remembered
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._codes: dict[bytes, bytes] = {}  # stays empty at the sending end

    def __len__(self) -> int:
        return len(self._sizes)

    def __contains__(self, hash: bytes) -> bool:
        return hash in self._sizes

    def needs_code(self, hash: bytes, size: int) -> bool:
        """Sender: must the code go along with this use? size: bytes of code. Counts as a use."""
        if hash in self._sizes:
            self._sizes.move_to_end(hash)
            return False
        self._insert(hash, size)
        return True

    def learn(self, hash: bytes, code: bytes) -> None:
        """Receiver: this use brought its code."""
        if hash in self._sizes:
            self._sizes.move_to_end(hash)
        elif self._insert(hash, len(code)):
            self._codes[hash] = code

    def get(self, hash: bytes) -> bytes:
        """Receiver: this use came without code. Raises KeyError when the two ends have lost step."""
        code = self._codes[hash]
        self._sizes.move_to_end(hash)
        return code

    def clear(self) -> None:
        """Forget all, as both ends do when a connection begins anew."""
        self._sizes.clear()
        self._codes.clear()
        self.bytes = 0

    def _insert(self, hash: bytes, size: int) -> bool:
        if size > self.byte_limit or self.count_limit < 1:
            return False
        self._sizes[hash] = size
        self.bytes += size
        while self.bytes > self.byte_limit or len(self._sizes) > self.count_limit:
            oldest, freed = self._sizes.popitem(last=False)
            self._codes.pop(oldest, None)
            self.bytes -= freed
        return True
