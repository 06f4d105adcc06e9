"""Drives the real app on a scripted cluster, without a terminal: keys in, screens as text out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from textual.pilot import Pilot

from tests.console.fake import FakeClient, FakeCluster
from tuiparallel.client import Client
from tuiparallel.console.app import Chosen, TuiparApp
from tuiparallel.console.desk import Options
from tuiparallel.link.clock import Deadline, SystemClock

NAMES = {
    "/": "slash", ":": "colon", "?": "question_mark", "*": "asterisk", "+": "plus", "-": "minus", "%": "percent_sign",
    "[": "left_square_bracket", "]": "right_square_bracket",
}  # fmt: skip


class Console:
    """The app under test, with what it was given."""

    def __init__(self, app: TuiparApp, pilot: Pilot[Chosen], cluster: FakeCluster, client: FakeClient) -> None:
        self.app = app
        self.pilot = pilot
        self.cluster = cluster
        self.client = client

    async def press(self, *keys: str) -> None:
        """Presses keys as people name them, each after the screen has settled."""
        for key in keys:
            await self.pilot.press(NAMES.get(key, key))
            await self.app.idle()

    async def type(self, text: str) -> None:
        """Types a text."""
        for character in text:
            await self.pilot.press(NAMES.get(character, "space" if character == " " else character))
            await self.app.idle()

    async def tell(self) -> None:
        """Sends what has happened, and waits until it is drawn."""
        self.cluster.tell()
        await self.app.idle()

    async def pass_time(self, seconds: float) -> None:
        """Lets time pass on all clocks, with a delta a second."""
        self.cluster.later(seconds)
        await self.app.idle()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for what comes from outside the app's own calls, as the palette's hits."""
        deadline = Deadline(SystemClock(), 30)
        while not condition():
            assert not deadline.passed(), self.frame()
            await self.pilot.pause(0.02)

    def after_question(self) -> None:
        """Lets the moment pass in which a question is deaf."""
        self.cluster.clock.advance(0.5)

    def frame(self) -> str:
        """The screen as text."""
        screen = self.app.screen
        strips = screen._compositor.render_strips(screen.size)
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    def line_of(self, text: str) -> str:
        """The first line of the screen that has a text in it."""
        found = [line for line in self.frame().splitlines() if text in line]
        assert found, f"{text!r} is not on the screen:\n{self.frame()}"
        return found[0]

    @property
    def cursor_line(self) -> str:
        """The line of the leftmost pane that has its cursor."""
        return next(line for line in self.frame().splitlines() if line.startswith("›"))

    @property
    def said(self) -> str:
        """The newest message."""
        return self.app.said[-1][0] if self.app.said else ""


@asynccontextmanager
async def console(
    cluster: FakeCluster, size: tuple[int, int] = (120, 36), options: Options | None = None, *, client: bool = True
) -> AsyncIterator[Console]:
    """The app on a cluster."""
    fake = FakeClient(cluster)
    app = TuiparApp(cast(Client, fake) if client else None, cluster, cluster.store, options, clock=cluster.clock)
    cluster.wake = app.changed
    async with app.run_test(size=size) as pilot:
        await app.idle()
        yield Console(app, pilot, cluster, fake)


def small_cluster(engines: int = 3) -> FakeCluster:
    """Idle engines, attached."""
    cluster = FakeCluster()
    for id in range(engines):
        cluster.joins(id)
    cluster.attach()
    return cluster
