"""Acknowledgements that may travel with something else.

No socket, thread or clock in this file. A lone call's acknowledgement waits a moment for its outcome, a lone result's
for the engine's next work, so that a blocking call costs one message each way and no process is woken twice for it.
"""

from __future__ import annotations

CLIENT_PATIENCE = 0.002  # seconds: a client gathers calls while one is unacknowledged
ENGINE_PATIENCE = 0.050  # seconds: an engine only keeps the result that long


class Acks:
    """Numbers to acknowledge, by receiver."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._now: dict[int, list[int]] = {}  # to be sent in this turn
        self._held: dict[int, list[int]] = {}
        self._due: dict[int, float] = {}

    def add(self, receiver: int, number: int, now: float, lone: bool) -> None:
        """Something is on record once this turn is. lone: it may wait for company."""
        if not lone or receiver in self._now:
            self._now.setdefault(receiver, self.take(receiver)).append(number)
        else:
            self._held.setdefault(receiver, []).append(number)
            self._due.setdefault(receiver, now + self.patience)

    def take(self, receiver: int) -> list[int]:
        """What waits for this receiver: a message to it is about to leave, and takes them along."""
        self._due.pop(receiver, None)
        return self._now.pop(receiver, []) + self._held.pop(receiver, [])

    def ripe(self, now: float) -> list[tuple[int, list[int]]]:
        """What must leave now, with or without company."""
        if not self._now and not (self._due and next(iter(self._due.values())) <= now):
            return []  # all wait equally long, so the first in is the first due
        receivers = [*self._now, *(receiver for receiver, due in self._due.items() if due <= now)]
        return [(receiver, numbers) for receiver in dict.fromkeys(receivers) if (numbers := self.take(receiver))]

    def next_deadline(self) -> float | None:
        return next(iter(self._due.values()), None)

    def drop(self, receiver: int) -> None:
        """The receiver's connection is gone: it will send again what it does not know to be kept."""
        self.take(receiver)
