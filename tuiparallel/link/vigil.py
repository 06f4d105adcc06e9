"""Whether the next message is worth staying awake for.

A process that goes to sleep for a tenth of a millisecond wakes up on a cold core: what it does next takes twice as long,
and waking it costs the sender time as well. So whoever saw that messages come in quick succession looks out for the
next one for a moment before sleeping, and offers the core to everybody else between two looks. One that has come late a
few times ends that. No socket, thread or clock in this file.
"""

from __future__ import annotations

WATCH = 0.0004  # seconds to stay awake
_WEIGHT = 0.125  # of the newest wait in the running share of short ones


class Vigil:
    """Learns from how long each wait took. awake: whether the next one should begin with a watch."""

    __slots__ = ("_share", "awake")

    def __init__(self) -> None:
        self.awake = False
        self._share = 0.0  # of the last waits, those that were over within a watch

    def learn(self, seconds: float) -> None:
        """A wait that ended with a message has taken so long."""
        self._share += _WEIGHT * ((seconds < WATCH) - self._share)
        self.awake = self._share > 0.5
