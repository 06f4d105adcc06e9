"""When something that has died is started again, and when to give up.

No socket, thread or clock in this file: `now` is monotonic seconds.
"""

from __future__ import annotations

from collections import deque

WINDOW = 60.0  # seconds in which starts are counted
FIRST_PAUSE = 0.25  # seconds before the second start in a row; it doubles with each


class Restarts:
    """The starts of one thing. limit: how many it may have within a minute."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._starts: deque[float] = deque()

    def pause(self, now: float) -> float | None:
        """It has ended: seconds to wait before the next start, which counts from now on; None: give up."""
        while self._starts and now - self._starts[0] > WINDOW:
            self._starts.popleft()
        if len(self._starts) >= self.limit:
            return None
        pause = 0.0 if not self._starts else FIRST_PAUSE * 2.0 ** (len(self._starts) - 1)
        self._starts.append(now + pause)
        return pause
