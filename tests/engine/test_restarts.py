"""Pauses before restarts, by a clock of the test's own."""

from __future__ import annotations

from tuiparallel.engine.restarts import FIRST_PAUSE, WINDOW, Restarts


def test_the_pause_doubles_and_it_gives_up_in_the_end() -> None:
    restarts = Restarts(4)
    assert [restarts.pause(100.0) for _ in range(5)] == [0.0, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, None]


def test_what_was_long_ago_does_not_count() -> None:
    restarts = Restarts(2)
    assert restarts.pause(0.0) == 0.0
    assert restarts.pause(1.0) is not None
    assert restarts.pause(2.0) is None
    assert restarts.pause(2.0 + WINDOW) == 0.0


def test_none_at_all() -> None:
    assert Restarts(0).pause(5.0) is None
