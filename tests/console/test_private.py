"""The private names of Textual that are used here exist and do what they are used for."""

from __future__ import annotations

from io import StringIO
from typing import Any, cast

from textual.app import App
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

from tuiparallel.console.private import take_mouse, waiting_writes


class Kept(LinuxDriver):
    """Textual's driver with its own switches; what it would write to a terminal is kept."""

    def __init__(self) -> None:
        self.words = ""
        self._mouse = True

    def write(self, data: str) -> None:
        self.words += data

    def flush(self) -> None:
        """Nothing waits."""


def test_the_mouse_is_taken_and_given_back_while_running() -> None:
    app: App[Any] = App()
    driver = Kept()
    app._driver = cast(Any, driver)
    take_mouse(app, True)
    assert "\x1b[?1000h" in driver.words and "\x1b[?1000l" not in driver.words
    take_mouse(app, False)
    assert "\x1b[?1000l" in driver.words


def test_the_switches_exist_by_these_names() -> None:
    for name in ("_enable_mouse_support", "_disable_mouse_support"):
        assert callable(getattr(LinuxDriver, name))


def test_without_a_driver_nothing_happens() -> None:
    app: App[Any] = App()
    assert app._driver is None
    take_mouse(app, True)


def test_what_waits_for_the_terminal_is_counted() -> None:
    app: App[Any] = App()
    assert waiting_writes(app) == 0
    driver = Kept()
    app._driver = cast(Any, driver)
    assert waiting_writes(app) == 0
    driver._writer_thread = WriterThread(StringIO())  # it is not started, so nothing is taken
    for _ in range(5):
        driver._writer_thread.write("x")
    assert waiting_writes(app) == 5
