"""Who turns the link: the main thread while it has nothing else to do, the I/O thread while it works.

A task that arrives while the main thread itself reads the socket starts without a change of threads; that is most of
what a lone call waits for here. The I/O thread takes the link over as soon as a task has run for a moment, so that
control is always heard, and sleeps without a timer while nothing at all happens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuiparallel.link.clock import Clock

MOMENT = 0.003  # seconds that the main thread may work before the I/O thread listens
DOZE = 0.010  # seconds between its looks while lone tasks come and go
RECENT = 0.050  # seconds after its last work during which the I/O thread stays half awake


class Helm:
    """The right to turn the link. wake makes whoever turns it come back soon."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._turning = threading.Lock()  # held by whoever turns
        self._clock = clock
        self._wake = wake
        self._claimed = False  # the main thread has it, also while it runs something short
        self._working_since: float | None = None
        self._worked_at = clock.monotonic()
        self._asleep = False  # the I/O thread sleeps without a timer
        self._bell = threading.Event()

    # The main thread --------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Take the link. It is held until leave()."""
        self._claimed = True
        self._working_since = None
        if not self._turning.acquire(blocking=False):
            self._wake()
            self._turning.acquire()
            self._claimed = True  # the I/O thread may have taken it over at the last moment

    def leave(self) -> None:
        """There is work: the I/O thread may have the link, if it takes long."""
        self._working_since = self._worked_at = self._clock.monotonic()
        self._turning.release()
        if self._asleep:
            self._bell.set()

    # The I/O thread ---------------------------------------------------------------------------------------------

    def stand_by(self) -> bool:
        """Wait while the main thread has the link; False when this thread should turn it now."""
        if not self._claimed:
            return False
        now = self._clock.monotonic()
        since = self._working_since
        if since is not None:
            if now - since >= MOMENT:
                self._claimed = False
                return False
            self._bell.wait(MOMENT - (now - since))
        elif now - self._worked_at < RECENT:
            self._bell.wait(DOZE)
        else:
            self._asleep = True
            # Work that began in between has not seen the flag: look again before sleeping.
            if self._working_since is None and self._claimed:
                self._bell.wait()
            self._asleep = False
        self._bell.clear()
        return True

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Around one turn of the I/O thread; False when the main thread was faster, and it should stand by."""
        with self._turning:
            yield not self._claimed

    def end(self) -> None:
        """The engine leaves: the I/O thread must notice."""
        self._bell.set()
