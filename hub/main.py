"""The hub's process: lock, history, sockets, connection files, then the loop until the cluster ends."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import sqlite3
from pathlib import Path

from tuiparallel.hub.history import History
from tuiparallel.hub.listening import Listening, keep, listening
from tuiparallel.hub.loop import Loop
from tuiparallel.hub.recovery import taken_up
from tuiparallel.link.abilities import why_no_network
from tuiparallel.link.clock import SystemClock
from tuiparallel.link.doors import Doors, Role
from tuiparallel.link.ports import reachable
from tuiparallel.wire.config import ClusterConfig, read_config
from tuiparallel.wire.connection import Connection, private_directory, write_connection
from tuiparallel.wire.messages import PROTOCOL

log = logging.getLogger("tuiparallel.hub")

EX_TEMPFAIL = 75  # what the supervisor restarts at once
EX_CONFIG = 78  # what no restart can help


def main(config_path: str, ready_fd: int) -> int:
    """Run the hub of the cluster that this start.json describes.

    ready_fd gets one byte when the sockets are bound. Returns the exit code: 0 after a clean end.
    """
    config = read_config(Path(config_path))
    os.umask(0o077)
    _log_to(Path(config.directory) / "log" / "hub.log", config.log_level)
    _limits()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        lock = _lock(Path(config.directory) / "lock")
    except BlockingIOError:
        log.error("another hub serves %s already", config.directory)
        return EX_CONFIG
    if config.ip is not None and (reason := why_no_network()) is not None:
        log.error("%s", reason)
        return EX_CONFIG
    try:
        return _serve(config, ready_fd)
    except sqlite3.Error:
        log.exception("the history cannot be used")
        return EX_TEMPFAIL
    finally:
        os.close(lock)


def _serve(config: ClusterConfig, ready_fd: int) -> int:
    directory = private_directory(Path(config.directory))
    clock = SystemClock()
    history = History(directory / "history.db", config.durability)
    private_directory(Path(config.sockets))
    network = None if config.ip is None else listening(config, config.ip)
    addresses = _local(config) if network is None else network.endpoints()
    book = taken_up(config, history, clock.monotonic(), clock.time())
    doors = Doors(
        addresses,
        heartbeat=(config.heartbeat_interval, config.heartbeat_timeout),
        keys=None if network is None else network.server_keys(),
    )
    try:
        if network is not None:
            keep(config, network, doors.addresses)
            log.info("listening on %s for clients, %s for engines", *doors.addresses.values())
        _write_files(config, doors.addresses, network)
        loop = Loop(book, doors, clock)
        _end_on_term(loop, doors)
        os.write(ready_fd, b"1")
        os.close(ready_fd)
        log.info("hub %s serves %s, boot %d", os.getpid(), config.name, book.boots)
        # What stands now stands for good, and open tasks form no cycles: the collector has little to find here.
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        code = loop.run()
        book.history  # noqa: B018 — reading it settles the logbook
        if book.holdings.spill is not None:
            book.holdings.spill.close()
    finally:
        doors.close(linger=0.3)
        history.close()
    log.info("hub ended: %s", book.stop_reason)
    return code


def _end_on_term(loop: Loop, doors: Doors) -> None:
    """SIGTERM ends the cluster at the next turn, and wakes the loop for it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    doors.watch(reader)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def end(signum: int, frame: object) -> None:
        loop.end_asked = signal.Signals(signum).name

    signal.signal(signal.SIGTERM, end)


def _local(config: ClusterConfig) -> dict[Role, str]:
    return {Role.CLIENT: f"ipc://{config.sockets}/c.ipc", Role.ENGINE: f"ipc://{config.sockets}/e.ipc"}


def _write_files(config: ClusterConfig, addresses: dict[Role, str], network: Listening | None) -> None:
    for role, name in ((Role.CLIENT, "client"), (Role.ENGINE, "engine")):
        pair = None if network is None else network.roles[name]
        connection = Connection(
            PROTOCOL,
            name,
            config.name,
            config.cluster,
            reachable(addresses[role]),
            config.directory,
            config.blobs,
            socket.gethostname(),
            None if network is None else network.server.public,
            None if pair is None else pair.public,
            None if pair is None else pair.secret,
        )
        write_connection(Path(config.directory) / f"{name}.json", connection)


def _lock(path: Path) -> int:
    """Two hubs on one directory would share its sockets without an error: the lock makes the second one refuse."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    return handle


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))


def _log_to(path: Path, level: str) -> None:
    private_directory(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    logging.basicConfig(filename=path, level=level, format="%(asctime)s %(levelname)s %(message)s", force=True)
