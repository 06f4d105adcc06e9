"""Running the console on a terminal: connects behind the first frame, follows the picker, says what still runs."""

from __future__ import annotations

import locale
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tuiparallel.client import Client
from tuiparallel.client.discovery import find
from tuiparallel.console.app import TuiparApp
from tuiparallel.console.crash import guarded
from tuiparallel.console.desk import Options
from tuiparallel.console.figures import plural
from tuiparallel.console.settings import ConsoleSettings, read_settings
from tuiparallel.errors import ParallelError
from tuiparallel.link.clock import SystemClock
from tuiparallel.monitor.feed import Feed
from tuiparallel.monitor.lints import Thresholds
from tuiparallel.monitor.rows import LinkState
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.connection import Connection

SOON = 0.25  # seconds a hub that is well has to greet a client, and what was sent last has to leave


def run_console(
    connection: Path | Connection | str | None,
    *,
    options: Options | None = None,
    readonly: bool = False,
    background: Callable[[Client], str | None] | None = None,
) -> int:
    """Runs the console until it is left; returns the exit code.

    connection: a connection file's path, what is in it, a cluster's name, or None for the picker. background is called
    with a Client of its own kind on a thread once the console is connected: what it prints or returns is shown as a
    message, and printed after leaving. Raises ValueError and TypeError for what the configuration file says wrongly.
    """
    settings = read_settings()
    options = _options(options or Options(readonly=readonly), settings)
    target: Path | Connection | None = find(connection) if isinstance(connection, str) else connection
    while True:
        app = console_app(target, options, background, settings.warnings)
        with guarded():
            chosen = app.run()
        if app.client is not None:
            app.client.close(SOON)
        if app.signal == signal.SIGHUP:
            return 128 + app.signal  # nobody is there to read
        for text in app.printed:
            print(text)
        if app.signal:
            return 128 + app.signal
        if chosen is None or not chosen.name:
            if line := farewell(app):
                print(line, file=sys.stderr)
            return app.return_code or 0
        target, background = find(chosen.name), None
        options = replace(options, started_here=options.started_here or chosen.started, ends_with_us=False)


def _options(options: Options, settings: ConsoleSettings) -> Options:
    """What the command line says, then what the configuration file does."""
    return replace(
        options,
        hints=True,
        readonly=options.readonly or settings.readonly,
        ascii=options.ascii or settings.ascii or not _speaks_unicode(),
        danger=options.danger or settings.danger,
        badge=options.badge or settings.badge,
        theme=settings.theme,
    )


def console_app(
    target: Path | Connection | None,
    options: Options,
    background: Callable[[Client], str | None] | None = None,
    thresholds: Thresholds | None = None,
) -> TuiparApp:
    """The app on a cluster, with a feed of its own and a Client that connects behind the first frame."""
    store = ClusterStore(thresholds=thresholds)
    clock = SystemClock()
    client = _at_once(target) if target is not None else None
    connect = (lambda: Client(target, timeout=60)) if target is not None and client is None else None
    app = TuiparApp(client, None, store, options, clock=clock, connect=connect, background=background)
    if target is not None:
        app.feed = Feed(store, target, app.changed, name="tuipar", clock=clock)
    return app


def _at_once(target: Path | Connection) -> Client | None:
    """A Client of a hub that answers; None when it does not soon, and it is then tried behind the first frame."""
    try:
        return Client(target, timeout=SOON)
    except (ParallelError, OSError, ValueError, TimeoutError):
        return None


def farewell(app: TuiparApp) -> str:
    """One line on what still runs, and how to come back."""
    header = app.store.header(app.clock.time())
    if not header.cluster or app.ended or header.link.state is LinkState.CONNECTING:
        return f"{header.cluster} is down." if app.ended and header.cluster else ""
    if app.options.ends_with_us:
        return f"{header.cluster} ends now."
    tasks = header.counters.queued + header.counters.assigned
    work = f", {plural(tasks, 'task')} open" if tasks else ""
    return (
        f"{header.cluster} runs on with {plural(header.up, 'engine')}{work}; `tuipar -c {header.cluster}` comes back."
    )


def _speaks_unicode() -> bool:
    encoding = (getattr(sys.__stdout__, "encoding", None) or locale.getpreferredencoding(False)).lower()
    return "utf" in encoding and os.environ.get("TERM") != "linux"
