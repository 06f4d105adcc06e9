"""Who turns the client's link: a thread that waits for something, or else a thread in the background.

A waiting thread that turns the link itself saves a hop between threads, so a blocking call costs little more than its
way over the socket. The background thread keeps everything moving while nobody waits; for a few milliseconds after
somebody did, it leaves the link alone, since the next blocking call is likely.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable

from tuiparallel.link.clock import Deadline
from tuiparallel.link.link import Link, LinkState
from tuiparallel.link.vigil import Vigil
from tuiparallel.wire.messages import Message

_log = logging.getLogger("tuiparallel.client")

_PAUSE = 0.010  # seconds that the background leaves the link alone after somebody has waited
_WATCH = 0.001  # seconds that a waiting thread may stay awake: a lone call and back
_LOOK = 0.25  # seconds after which a waiting thread looks again at the clock and the hub


class _Waiter:
    """A thread that waits while another one turns the link."""

    __slots__ = ("bell", "ready")

    def __init__(self, ready: Callable[[], bool]) -> None:
        self.ready = ready
        self.bell = threading.Lock()
        self.bell.acquire()

    def ring(self) -> None:
        if self.bell.locked():
            try:
                self.bell.release()
            except RuntimeError:
                pass  # rung twice at the same moment


class Receiver:
    """Turns `link` and hands what arrives to `handle`, always one thread at a time.

    handle runs in whichever thread turns: it must not wait. lapsed() raises when waiting has become hopeless, idle() is
    called now and then when nothing arrives. lone() tells whether one answer is awaited at the most.
    """

    def __init__(
        self,
        link: Link,
        handle: Callable[[list[Message]], None],
        lapsed: Callable[[], None],
        idle: Callable[[], None],
        lone: Callable[[], bool],
        name: str,
    ) -> None:
        self._link = link
        self._handle = handle
        self._lapsed = lapsed
        self._idle = idle
        self._lone = lone
        self._vigil = Vigil(link.clock, _WATCH)
        self._turning = threading.Lock()
        self._waiters: dict[_Waiter, None] = {}
        self._drivers = 0  # turns of waiting threads, counted
        self._driving = False
        self._driven_at = -1.0  # when a waiting thread turned, or was served, last
        self._resume = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=_background, args=(weakref.ref(self),), name=name, daemon=True)
        self._thread.start()

    # Waiting ----------------------------------------------------------------------------------------------------

    def wait(self, ready: Callable[[], bool], deadline: Deadline) -> bool:
        """Whether ready() has become true before the deadline. Raises what lapsed() raises."""
        while not ready():
            if deadline.passed():
                return ready()
            self._lapsed()
            if self._turning.acquire(blocking=False):
                try:
                    if self._drive(ready, deadline):
                        return True
                finally:
                    self._turning.release()
                    self._hand_over()
            else:
                self._stand_by(ready, deadline)
        return True

    def _drive(self, ready: Callable[[], bool], deadline: Deadline) -> bool:
        """Turn the link until ready(), which is what it returns, or until the time is over."""
        self._drivers += 1
        self._driving = True
        began = self._link.clock.monotonic()
        try:
            while not ready():
                left = deadline.left()
                if left == 0.0 or self._closed:
                    return False
                vigil = self._vigil if self._lone() else None
                messages = self._link.turn(_LOOK if left is None else min(left, _LOOK), vigil)
                if messages:
                    self._take(messages)
                else:
                    self._lapsed()
            return True
        except BaseException:
            # Ctrl-C may have fallen between receiving and handling: a new greeting brings again what is awaited.
            self._link.greet_again()
            raise
        finally:
            self._driving = False
            self._driven_at = now = self._link.clock.monotonic()
            if now - began > _PAUSE / 2:
                self._resume.set()

    def _stand_by(self, ready: Callable[[], bool], deadline: Deadline) -> None:
        waiter = _Waiter(ready)
        self._waiters[waiter] = None
        try:
            # Whoever turns looks at the waiters after each turn; what arrived before we were one is seen here.
            if not ready() and self._turning.locked():
                left = deadline.left()
                waiter.bell.acquire(timeout=_LOOK if left is None else min(left, _LOOK))
        finally:
            self._waiters.pop(waiter, None)

    def _hand_over(self) -> None:
        """Somebody who waits takes the link, now that it is free."""
        for waiter in list(self._waiters):
            waiter.ring()
            return

    def _take(self, messages: list[Message]) -> None:
        self._handle(messages)
        if self._waiters:
            self.look()

    def look(self) -> None:
        """Wake the waiting threads whose wait is over."""
        for waiter in list(self._waiters):
            if waiter.ready():
                self._driven_at = self._link.clock.monotonic()
                waiter.ring()

    def poll(self) -> None:
        """Handle what has arrived, without waiting; nothing when another thread is at it."""
        if self._turning.acquire(blocking=False):
            try:
                while messages := self._link.turn(0):
                    self._take(messages)
            finally:
                self._turning.release()
                self._hand_over()

    # The background ---------------------------------------------------------------------------------------------

    def _pause(self) -> float | None:
        """How long the background should leave the link alone; None when it should turn it."""
        if self._driving:
            return _PAUSE
        return _PAUSE if self._link.clock.monotonic() - self._driven_at < _PAUSE else None

    def _step(self) -> bool:
        """One turn of the background thread; False when it should end."""
        pause = self._pause()
        if pause is not None:
            drivers = self._drivers
            self._resume.clear()
            self._resume.wait(pause)
            if self._driving and self._drivers == drivers:
                # The same thread has been waiting all the time; when it stops, it says so.
                self._resume.wait(1.0)
            return not self._closed
        if self._turning.acquire(timeout=_LOOK):
            try:
                if self._closed or self._link.state is LinkState.CLOSED:
                    return False
                messages = self._link.turn(_LOOK * 4)
                if messages:
                    self._take(messages)
                else:
                    self._idle()
            finally:
                self._turning.release()
        return not self._closed

    def close(self, linger: float) -> None:
        """End the background thread, then close the link."""
        if self._closed:
            return
        self._closed = True
        self._resume.set()
        self._link.wake()
        if self._thread is not threading.current_thread():
            self._thread.join()
        with self._turning:
            self._link.close(linger)
        for waiter in list(self._waiters):
            waiter.ring()

    def abandon(self) -> None:
        """In a forked child: nothing of this works here."""
        self._closed = True
        self._link.abandon()


def _background(receiver: weakref.ref[Receiver]) -> None:
    # Only a weak reference, so that a client that nobody closed can still be collected.
    while True:
        found = receiver()
        if found is None:
            return
        try:
            if not found._step():
                return
        except Exception:  # the edge of this loop: whatever it was, results must go on arriving
            _log.exception("the client's receiving thread met an error")
        del found
