"""A look at a cluster: a feed that fills a store, awaited until it holds a snapshot."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import CommandError, ExitCode, usage
from tuiparallel.cluster.archive import Archive
from tuiparallel.cluster.place import directory_of, has_history
from tuiparallel.cluster.running import not_running, record_in
from tuiparallel.console.settings import ConsoleSettings, read_settings
from tuiparallel.errors import ConnectTimeout
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.monitor.feed import Feed
from tuiparallel.monitor.rows import LinkState
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.connection import Connection

_NO_NAME = re.compile(rf"{re.escape(os.sep)}|\.json\Z|\A\.|://")  # a path, or an address
_PATIENCE = 10.0  # seconds a hub has to send its snapshot
_PAGE_PATIENCE = 10.0  # seconds for history behind it


class Watch:
    """A store that a feed keeps up to date. name: the cluster's."""

    def __init__(self, connection: Connection) -> None:
        self.name = connection.name
        self.directory = Path(connection.directory)
        self.store = ClusterStore(thresholds=console_settings().warnings)
        self.clock = SystemClock()
        self._changed = threading.Event()
        self.feed = Feed(self.store, connection, self._changed.set, name="tuipar")

    def next(self, deadline: Deadline) -> bool:
        """Wait for the next change; False when the deadline has passed."""
        came = self._changed.wait(deadline.left())
        self._changed.clear()
        self.feed.seen()
        return came or not deadline.passed()

    def synchronise(self) -> None:
        """Return when the store holds the hub's snapshot and says so. Raises what says why it cannot."""
        deadline = Deadline(self.clock, _PATIENCE)
        while (link := self.store.header(self.clock.time()).link).state is LinkState.CONNECTING or (
            self.store.next_number() is None
        ):
            kind, colon, text = link.reason.partition(": ")
            if colon and link.state is LinkState.LOST:
                raise CommandError(text, ExitCode.UNREACHABLE, kind)
            if not self.next(deadline):
                raise ConnectTimeout(f"the hub of {self.name!r} has not answered in {_PATIENCE:g} s: is it alive?")

    def load_history(self) -> None:
        """Read what the hub still knows of ended tasks, as far as the store keeps it."""
        deadline = Deadline(self.clock, _PAGE_PATIENCE)
        kept = -1
        while not self.store.history_complete():
            now = self.store.task_counts()[0]
            if now != kept:
                kept = now
                self.feed.load_older()
            if not self.next(deadline):
                return

    def now(self) -> float:
        """The local time that reads of the store want."""
        return self.clock.time()


def console_settings() -> ConsoleSettings:
    """What the configuration file says of the console. Raises CommandError for what is wrong there."""
    try:
        return read_settings()
    except (ValueError, TypeError) as error:
        raise usage(str(error)) from error


@contextmanager
def watch(call: Call, past: bool = False) -> Iterator[Watch]:
    """Look at the cluster that is meant; with past also at the history of one that has ended.

    Raises ClusterNotFound, InsecureFile, ConnectTimeout, CommandError.
    """
    with _source(call, past) as connection:
        watched = Watch(connection)
        call.out.cluster = connection.name
        watched.feed.start()
        try:
            watched.synchronise()
            yield watched
        finally:
            watched.feed.stop()


@contextmanager
def _source(call: Call, past: bool) -> Iterator[Connection]:
    name = call.named or os.environ.get("TUIPAR_CLUSTER")
    if call.file is not None or not name or _NO_NAME.search(name):
        yield call.connection()
        return
    directory = directory_of(name)
    if record_in(directory) is not None:
        yield call.connection()
    elif past and has_history(directory):
        try:
            archive = Archive(directory)
        except (OSError, ValueError) as error:
            raise CommandError(str(error), ExitCode.UNREACHABLE, type(error).__name__) from error
        with archive:
            yield archive.connection
    else:
        raise not_running(name)
