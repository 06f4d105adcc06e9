"""When the screen shows all that is known: what a test waits for instead of sleeping."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuiparallel.console.app import TuiparApp

PATIENCE = 5.0  # seconds for one round of messages


async def settled(app: TuiparApp) -> None:
    """Returns when no call is open, no wake-up waits, and every visible view has drawn the store's version twice over."""
    quiet = 0
    while quiet < 2:
        quiet = 0 if app.busy else quiet + 1
        await _processed(app)
        if app.screen is app.main and app.main.pulls_now is not None:
            app.main.pulls_now.all()
            app.main.refresh_lines()
        drawn = asyncio.Event()
        app.screen.call_after_refresh(drawn.set)
        await _soon(drawn)
    await _processed(app)


async def _processed(app: TuiparApp) -> None:
    """Waits until every widget on screen has handled what was sent to it before."""
    nodes = [app, app.screen, *app.screen.walk_children()]
    left = len(nodes)
    done = asyncio.Event()

    def one() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    for node in nodes:
        if not node.call_later(one):
            one()
    await _soon(done)


async def _soon(event: asyncio.Event) -> None:
    """Waits for an event, but not for ever: a screen that is being left may never say that it has drawn."""
    try:
        await asyncio.wait_for(event.wait(), PATIENCE)
    except TimeoutError:
        pass
