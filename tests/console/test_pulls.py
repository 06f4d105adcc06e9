"""Which view pulls when: as often as it says, less often while the terminal cannot follow, and as before again."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

from tuiparallel.console.pulls import MANY_WRITES, Pulls


class View:
    """Counts its pulls."""

    pulls: ClassVar[int] = 10

    def __init__(self) -> None:
        self.count = 0

    def pull_now(self, *, force: bool = False) -> None:
        self.count += 1


class Loop:
    """A loop whose clock stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, run: Any) -> Any:
        class Handle:
            def cancel(self) -> None:
                """Nothing rings by itself here."""

        return Handle()


def over(loop: Loop, pulls: Pulls, view: View, seconds: float) -> int:
    """How often a view pulls while news come 20 times a second."""
    before = view.count
    for _ in range(round(seconds * 20)):
        loop.now += 0.05
        pulls.news()
    return view.count - before


def test_a_slow_terminal_is_drawn_on_less_often_and_then_as_before() -> None:
    loop, view = Loop(), View()
    waiting = 0
    pulls = Pulls(lambda: [view], cast(asyncio.AbstractEventLoop, loop), lambda: waiting)
    assert 9 <= over(loop, pulls, view, 1) <= 11
    waiting = 10
    over(loop, pulls, view, 3)
    assert over(loop, pulls, view, 10) in (9, 10, 11), "once a second, but never less"
    waiting = 0
    over(loop, pulls, view, 3)
    assert 9 <= over(loop, pulls, view, 1) <= 11


def test_a_frame_is_skipped_where_another_write_would_block() -> None:
    loop, view = Loop(), View()
    pulls = Pulls(lambda: [view], cast(asyncio.AbstractEventLoop, loop), lambda: MANY_WRITES + 1)
    pulls.all()
    assert view.count == 0
