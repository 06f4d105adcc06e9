"""A hub that only reads: it answers questions about a cluster that has ended, from its history.

    python -m tuiparallel.hub.archive DIRECTORY PLACE

DIRECTORY is the cluster's; PLACE a private folder for the sockets, removed at the end. One line of JSON on standard
output says how it went: a wire.connection.Connection, or {"error": kind, "reason": text}. It ends when standard input
is closed. What a killed hub left in its logs is folded into history.db first, as the next hub would do it; otherwise
nothing in DIRECTORY changes, and no lock is held while it is read.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

import msgspec

from tuiparallel.errors import InsecureFile
from tuiparallel.hub.book import Book
from tuiparallel.hub.delivery import outcome_without_value
from tuiparallel.hub.history import History
from tuiparallel.hub.journal import Journal, replay
from tuiparallel.hub.lock import locked
from tuiparallel.hub.logbook import Logbook
from tuiparallel.hub.loop import Loop
from tuiparallel.hub.recovery import recover
from tuiparallel.hub.schema import VERSION
from tuiparallel.link.clock import SystemClock
from tuiparallel.link.doors import Doors, Peer, Role
from tuiparallel.link.vigil import Timeout
from tuiparallel.wire.config import ClusterConfig, read_config
from tuiparallel.wire.connection import Connection
from tuiparallel.wire.ids import counter_of, session_of
from tuiparallel.wire.messages import (
    PROTOCOL,
    Abort,
    Ask,
    Blocked,
    Clear,
    ErrorText,
    Message,
    Query,
    Rejected,
    Reply,
    Scale,
    Shutdown,
    Signal,
    Submit,
)
from tuiparallel.wire.states import EngineState, State

_REQUESTS = (Abort, Ask, Clear, Scale, Shutdown, Signal)
_CHANGING = frozenset({"purge", "resubmit"})


class UnreadableError(Exception):
    """The history cannot be read. kind names an exception class of tuiparallel.errors, or a builtin one."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class ReadHistory(History):
    """A history that nobody writes: no lock is taken, and no file made."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, keep_aside=False)

    def _connect(self, durability: str) -> sqlite3.Connection:
        db = sqlite3.connect(f"file:{quote(str(self.path))}?immutable=1", uri=True, isolation_level=None)
        try:
            db.execute("PRAGMA temp_store=MEMORY")
            found = db.execute("PRAGMA quick_check").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except BaseException:
            db.close()
            raise
        return db

    def _log(self, path: Path, durability: str) -> Logbook:
        return Logbook(Path(os.devnull))


def fold(directory: Path) -> None:
    """Bring into history.db what a killed hub left beside it. Raises UnreadableError when a hub serves the cluster."""
    path = directory / "history.db"
    beside = (path.with_name("history.db-wal"), path.with_name("history.log"))
    with locked(directory / "lock"):
        if not any(file.exists() and file.stat().st_size for file in beside):
            return
        history = History(path, keep_aside=False)
        try:
            replay(history)
        finally:
            history.close()


def opened(directory: Path) -> ReadHistory:
    """The history of the cluster of this directory. Raises UnreadableError saying why it cannot be read."""
    path = directory / "history.db"
    if not path.is_file():
        raise UnreadableError("ClusterNotFound", f"there is no history {path}: nothing has run there")
    try:
        fold(directory)
        history = ReadHistory(path)
        version = history.query("PRAGMA user_version")[0][0]
        if version != VERSION:
            history.close()
            raise UnreadableError(
                "ValueError",
                f"{path} is of another version of tuiparallel (schema {version}, this one reads {VERSION}): "
                "read it with the version that wrote it",
            )
    except BlockingIOError:
        raise UnreadableError(
            "ClusterExists", f"a hub serves {directory} just now: Client() connects to it"
        ) from None
    except (sqlite3.Error, OSError) as error:
        raise UnreadableError("OSError", f"the history {path} cannot be read: {error}") from error
    return history


class Archive(Loop):
    """The loop of a hub that only reads."""

    def turn(self, timeout: Timeout) -> None:
        """Drain, answer, send: nothing is put on record."""
        book = self.book
        arrived = self.doors.drain() if self.doors.wait(timeout) else []
        book.now, book.date = self.clock.monotonic(), self.clock.time()
        for role, peer, message in arrived:
            if role is Role.CLIENT:
                self._hear(peer, message)
        book.effects, book.journal = [], Journal()
        self._answer()
        self._end_what_never_will()
        self._send()
        self.observers.tell()
        self._probe_clients()

    def _hear(self, peer: Peer, message: Message) -> None:
        session = self.book.registry.session_of_peer.get(peer)
        changing = isinstance(message, Query) and message.what in _CHANGING
        if session is None or not (changing or isinstance(message, (Submit, Blocked, *_REQUESTS))):
            self.clients.receive(peer, message)  # type: ignore[arg-type]
            return
        text = (
            f"the cluster {self.book.config.name!r} has ended, and this reads its history: start it anew to run tasks, "
            "to submit them again or to purge them"
        )
        error = ErrorText("ClusterNotFound", text, "")
        if isinstance(message, Submit):
            self.book.out.client(session, Rejected(message.first, error))
        elif isinstance(message, (Query, *_REQUESTS)):
            self.book.out.client(session, Reply(message.request, None, error))

    def _end_what_never_will(self) -> None:
        """Whoever waits for a task that was open when its cluster was killed must not wait for ever."""
        book, delivery = self.book, self.delivery
        waiting, delivery.subscribers = delivery.subscribers, {}
        for id, numbers in waiting.items():
            error = ErrorText("EngineError", "its cluster ended before this task had", "")
            outcome = outcome_without_value(counter_of(id), State.LOST, error)
            for number in numbers:
                delivery.tell(book.registry.sessions[number], book.registry.sessions[session_of(id)].hex, outcome)

    def _timeout(self) -> float:
        now = self.clock.monotonic()
        at = self._next_probe
        for other in (self.book.feed.next_deadline(), self.delivery.next_deadline() if self.delivery.busy else None):
            at = at if other is None else min(at, other)
        return max(0.0, at - now)


def book_of(history: ReadHistory, directory: Path, place: Path) -> tuple[Book, str]:
    """A hub's state as it was at the end, and the folder of its large buffers."""
    try:
        config = read_config(directory / "start.json")
        blobs = config.blobs
    except (OSError, ValueError, InsecureFile):  # the history can be read without it
        config = ClusterConfig(
            name=directory.name, cluster="", directory="", sockets="", blobs="", n=0, work_dir=str(directory)
        )
        blobs = str(directory / "blobs")
    config = msgspec.structs.replace(
        config,
        name=directory.name,
        cluster=history.fact("cluster") or config.cluster,
        directory=str(place),
        sockets=str(place),
        blobs=str(place),  # nothing there is ours to sweep
        ip=None,
    )
    clock = SystemClock()
    book = Book(config, history, clock.monotonic(), clock.time())
    recover(book)
    for engine in book.registry.engines.values():
        engine.state = EngineState.DEAD
        engine.reason = "its cluster has ended"
    book.effects = []
    return book, blobs


def serve(directory: Path, place: Path) -> None:
    """Answer until standard input is closed. Raises UnreadableError."""
    history = opened(directory)
    try:
        book, blobs = book_of(history, directory, place)
        config = book.config
        addresses = {Role.CLIENT: f"ipc://{place}/c.ipc", Role.ENGINE: f"ipc://{place}/e.ipc"}
        doors = Doors(addresses, heartbeat=(config.heartbeat_interval, config.heartbeat_timeout))
        try:
            connection = Connection(
                PROTOCOL,
                "client",
                config.name,
                config.cluster,
                addresses[Role.CLIENT],
                str(directory),
                blobs,
                socket.gethostname(),
            )
            loop = Archive(book, doors, SystemClock())
            lifeline = sys.stdin.fileno()
            os.set_blocking(lifeline, False)
            doors.watch(lifeline)
            os.write(sys.stdout.fileno(), msgspec.json.encode(connection) + b"\n")
            while not _closed(lifeline):
                loop.turn(loop._timeout())
        finally:
            doors.close(linger=0.1)
    finally:
        history.close()


def _closed(lifeline: int) -> bool:
    try:
        return not os.read(lifeline, 4096)
    except BlockingIOError:
        return False


def main(directory: str, place: str) -> int:
    """Serve the history of the cluster in `directory`; returns the exit code."""
    os.umask(0o077)
    try:
        serve(Path(directory), Path(place))
    except UnreadableError as error:
        os.write(sys.stdout.fileno(), msgspec.json.encode({"error": error.kind, "reason": str(error)}) + b"\n")
        return 1
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
