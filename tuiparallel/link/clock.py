"""The only place that reads a clock, so that everything else can be handed its time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: monotonic seconds for timers, seconds since the epoch for what people see."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def time() -> float:
        """Whole microseconds, as datetimes have them: so a stamp that people were shown equals the one on record."""
        return time.time_ns() // 1000 / 1e6  # a fifth of what rounding a float costs, twice per task


class FakeClock:
    """Clocks that stand still until they are moved."""

    def __init__(self, monotonic: float = 1000.0, date: float = 1_700_000_000.0) -> None:
        self._monotonic = monotonic
        self._date = date

    def monotonic(self) -> float:
        return self._monotonic

    def time(self) -> float:
        return self._date

    def advance(self, seconds: float) -> None:
        """Let time pass: both clocks."""
        self._monotonic += seconds
        self._date += seconds

    def jump(self, seconds: float) -> None:
        """Set the date alone, as an administrator would; timers must not notice."""
        self._date += seconds


class Deadline:
    """A point on the monotonic clock, or never.

    None and -1 mean never, any other negative number means now, as for every wait of this package.
    """

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        if timeout is None or timeout == -1:
            self.at: float | None = None
        else:
            self.at = clock.monotonic() + max(0.0, timeout)

    def left(self) -> float | None:
        """Seconds until it, at least 0; None when it never comes."""
        if self.at is None:
            return None
        return max(0.0, self.at - self._clock.monotonic())

    def passed(self) -> bool:
        return self.at is not None and self._clock.monotonic() >= self.at
