"""Waiting for the next message without falling asleep when it is worth it.

A process that sleeps for a fraction of a millisecond wakes up on a cold core: what it does next takes up to twice as
long, and waking it costs whoever sends. So a waiter that saw messages come in quick succession looks out for the next
one for a moment before it sleeps, and offers the core to everybody else between two looks. A few that come late end
that, so neither an idle process nor one that waits for long tasks pays for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tuiparallel.link.clock import Clock

_WEIGHT = 0.125  # of the newest wait in the running share of short ones

Found = list[tuple[int, int]]  # as select.poll gives it: descriptors and events
Timeout = float | None | Callable[[], float | None]  # seconds, or what says how many; None: for ever


class Vigil:
    """One waiter. watch: seconds to stay awake at the most; a wait that ends within them is a short one."""

    __slots__ = ("_clock", "_share", "watch")

    def __init__(self, clock: Clock, watch: float) -> None:
        self.watch = watch
        self._clock = clock
        self._share = 0.0  # of the last waits, those that were short

    @property
    def awake(self) -> bool:
        """Whether the next wait begins with a watch."""
        return self._share > 0.5

    def wait(self, poll: Callable[[float | None], Found], timeout: Timeout, lone: bool = True) -> Found:
        """What poll (of a select.poll, in milliseconds) finds within `timeout` seconds.

        A timeout that is to be asked for is asked for once this falls asleep, so what is due then may be late by a
        watch. lone: a single answer is awaited. Where several processes work for this one, it sleeps at once: a core
        that looks busy gets none of them.
        """
        if not lone:
            return poll(_milliseconds(timeout() if callable(timeout) else timeout))
        clock = self._clock.monotonic
        began = clock()
        found: Found = []
        watched = self._share > 0.5
        if watched:
            ends = began + (self.watch if timeout is None or callable(timeout) else min(timeout, self.watch))
            while not (found := poll(0)) and clock() < ends:
                os.sched_yield()
        if not found:
            left = timeout() if callable(timeout) else timeout
            if left is not None and watched and not callable(timeout):
                left = max(0.0, began + left - clock())
            if left != 0.0 or not watched:
                found = poll(_milliseconds(left))
        took = clock() - began
        if found or took >= self.watch:
            self._share += _WEIGHT * ((took < self.watch) - self._share)
        return found


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else int(seconds * 1000 + 0.999)
