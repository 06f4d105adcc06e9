"""Every use of a private name of Textual, each with its reason. Each has a test in tests/console/test_private.py."""

from __future__ import annotations

from typing import Any

from textual.app import App


def take_mouse(app: App[Any], ours: bool) -> None:
    """Turns mouse reporting on or off while running: there is a switch for it only at the start of an app."""
    driver = app._driver
    if driver is None:
        return
    names = ("_enable_mouse_support",) if ours else ("_disable_mouse_support",)
    for name in names:
        switch = driver.__class__.__dict__.get(name) or next(
            (part.__dict__[name] for part in driver.__class__.__mro__ if name in part.__dict__), None
        )
        if switch is not None:
            switch(driver)


def waiting_writes(app: App[Any]) -> int:
    """How many writes wait for the terminal: nothing public says that it cannot follow, and a full queue blocks the loop."""
    writer = getattr(app._driver, "_writer_thread", None)
    queue = getattr(writer, "_queue", None)
    return int(queue.qsize()) if queue is not None else 0
