"""What a sender keeps until the receiver has it on record.

0MQ drops what is under way when a peer dies, without an error. So each message that must arrive is put here under an
id, sent, and kept until it is acknowledged; after every reconnection all that is kept is sent again, in order, and the
receiver drops the ids it knows. A plain object: no socket, thread or clock in this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
M = TypeVar("M")


class Outbox(Generic[K, M]):
    """Messages by id, in the order in which they were put. Sizes are bytes, as the caller counts them."""

    def __init__(self) -> None:
        self._kept: dict[K, tuple[M, int]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def put(self, key: K, message: M, size: int = 0) -> None:
        """Keep a message. A key that is there already keeps its place and its message."""
        if key not in self._kept:
            self._kept[key] = (message, size)
            self.bytes += size

    def ack(self, keys: Iterable[K]) -> list[M]:
        """Forget these; returns the messages that were still kept. Unknown keys are copies of old acknowledgements."""
        done: list[M] = []
        for key in keys:
            entry = self._kept.pop(key, None)
            if entry is not None:
                self.bytes -= entry[1]
                done.append(entry[0])
        return done

    def oldest(self) -> K | None:
        """The id that has been here longest."""
        return next(iter(self._kept), None)

    def resend(self) -> list[M]:
        """All that is kept, oldest first."""
        return [message for message, _ in self._kept.values()]

    def clear(self) -> list[M]:
        """Forget everything; returns what was kept."""
        messages = self.resend()
        self._kept.clear()
        self.bytes = 0
        return messages
