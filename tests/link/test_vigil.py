"""Staying awake between messages: when it begins, when it ends, and that it never waits longer than asked."""

from __future__ import annotations

from tuiparallel.link.clock import FakeClock
from tuiparallel.link.vigil import Vigil


class Line:
    """A descriptor that becomes readable `delay` seconds after the wait began, on a clock that each look moves on."""

    def __init__(self, clock: FakeClock, delay: float) -> None:
        self.clock, self.ready_at = clock, clock.monotonic() + delay
        self.looks = self.sleeps = 0

    def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
        if milliseconds == 0:
            self.looks += 1
            self.clock.advance(1e-5)
        else:
            self.sleeps += 1
            until = self.ready_at if milliseconds is None else self.clock.monotonic() + milliseconds / 1000
            self.clock.advance(max(0.0, min(self.ready_at, until) - self.clock.monotonic()))
        return [(7, 1)] if self.clock.monotonic() >= self.ready_at - 1e-9 else []


def wait(vigil: Vigil, clock: FakeClock, delay: float, timeout: float | None = None) -> Line:
    line = Line(clock, delay)
    vigil.wait(line.poll, timeout)
    return line


def test_short_waits_keep_it_awake_and_long_ones_let_it_sleep() -> None:
    clock = FakeClock()
    vigil = Vigil(clock, 0.0004)
    assert not vigil.awake
    lines = [wait(vigil, clock, 0.0001) for _ in range(10)]
    assert lines[0].looks == 0 and lines[0].sleeps == 1
    assert vigil.awake and lines[-1].looks > 0 and lines[-1].sleeps == 0
    first = wait(vigil, clock, 0.1)
    assert 0 < first.looks <= 41, "it gives up after the watch"
    assert first.sleeps == 1
    for _ in range(10):
        last = wait(vigil, clock, 0.1)
    assert not vigil.awake and last.looks == 0


def test_a_wait_that_was_cut_short_teaches_nothing() -> None:
    clock = FakeClock()
    vigil = Vigil(clock, 0.0004)
    for _ in range(10):
        wait(vigil, clock, 0.0001)
    for _ in range(50):
        line = wait(vigil, clock, 1.0, timeout=0.0002)
        assert line.looks <= 22, "no watch is longer than the wait itself"
    assert vigil.awake


def test_silence_lets_it_sleep() -> None:
    clock = FakeClock()
    vigil = Vigil(clock, 0.0004)
    for _ in range(10):
        wait(vigil, clock, 0.0001)
    for _ in range(10):
        line = wait(vigil, clock, 1.0, timeout=0.05)
    assert not vigil.awake and line.looks == 0


def test_no_time_to_wait_is_one_look() -> None:
    clock = FakeClock()
    vigil = Vigil(clock, 0.0004)
    for _ in range(10):
        wait(vigil, clock, 0.0001)
    before = clock.monotonic()
    line = wait(vigil, clock, 1.0, timeout=0.0)
    assert line.looks <= 2
    assert clock.monotonic() - before < 1e-4


def test_no_time_to_wait_is_one_look_for_the_sleepy_too() -> None:
    clock = FakeClock()
    line = wait(Vigil(clock, 0.0004), clock, 0.0, timeout=0.0)
    assert line.looks == 1


def test_who_waits_for_several_sleeps_at_once() -> None:
    clock = FakeClock()
    vigil = Vigil(clock, 0.0004)
    for _ in range(10):
        wait(vigil, clock, 0.0001)
    line = Line(clock, 0.1)
    assert vigil.wait(line.poll, None, lone=False) == [(7, 1)]
    assert (line.looks, line.sleeps) == (0, 1)
    assert vigil.awake, "it says nothing of lone answers"
