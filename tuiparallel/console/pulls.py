"""When which view pulls: visible ones only, each at most as often as it says, and once a second when nothing comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol

FEW_WRITES, MANY_WRITES = 3, 20  # waiting for the terminal: more are too many; from so many on frames are skipped
JUDGED_EVERY = 0.5  # seconds
SLOW_MOST = 16.0  # factor by which the distances between two pulls may grow
SLOWEST = 1.0  # seconds between two pulls of a visible view while news come, however slow the terminal


class Pulling(Protocol):
    """A view that draws what the store has."""

    pulls: ClassVar[int]

    def pull_now(self, *, force: bool = False) -> None: ...


class Wake:
    """Called from the feed's thread as often as it likes; at most one call of `woken` waits in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, woken: Callable[[], None]) -> None:
        self._loop = loop
        self._woken = woken
        self.pending = False
        self.calls = 0

    def __call__(self) -> None:
        if self.pending:
            return
        self.pending = True
        try:
            self._loop.call_soon_threadsafe(self._run)
        except RuntimeError:  # the loop has ended
            self.pending = False

    def _run(self) -> None:
        # Cleared first: what comes while the views pull must wake them again.
        self.pending = False
        self.calls += 1
        self._woken()


class Pulls:
    """The next pull of every view."""

    def __init__(
        self,
        visible: Callable[[], Iterable[Pulling]],
        loop: asyncio.AbstractEventLoop,
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        self._visible = visible
        self._waiting = waiting  # writes that the terminal has not taken
        self._loop = loop
        self._last: dict[int, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._judged = 0.0
        self.slow = 1.0  # factor on all distances, raised while the terminal cannot follow

    def news(self) -> None:
        """The store has changed: pulls what is due, and sets one timer for the rest."""
        now = self._loop.time()
        self._judge(now)
        next_due: float | None = None
        for view in self._visible():
            distance = min(SLOWEST, self.slow / view.pulls)
            due = self._last.get(id(view), 0.0) + distance
            if due <= now:
                self._last[id(view)] = now
                view.pull_now()
            elif next_due is None or due < next_due:
                next_due = due
        if next_due is not None and self._timer is None:
            self._timer = self._loop.call_at(next_due, self._rang)

    def _judge(self, now: float) -> None:
        """Looks twice a second whether the terminal follows: if not, everything is drawn half as often, and back again."""
        if now - self._judged < JUDGED_EVERY:
            return
        self._judged = now
        if self._waiting() > FEW_WRITES:
            self.slow = min(SLOW_MOST, self.slow * 2)
        else:
            self.slow = max(1.0, self.slow / 2)

    def _rang(self) -> None:
        self._timer = None
        self.news()

    def all(self) -> None:
        """Every visible view pulls now: once a second, and when what is visible has changed."""
        now = self._loop.time()
        if self._waiting() > MANY_WRITES:
            return  # a frame is skipped: another write would make the keys wait too
        for view in self._visible():
            self._last[id(view)] = now
            view.pull_now()

    def close(self) -> None:
        """No pull after this."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
