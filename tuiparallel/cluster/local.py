"""The launcher 'local': the processes of a cluster on this machine, as their starter holds them.

The starter keeps the write end of the template's standard input, the lifeline: when it closes, by stop() or because
this process has died in whatever way, the cluster ends. Readiness comes back as JSON lines on standard output.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import select
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

import tuiparallel
from tuiparallel.cluster.place import (
    blobs_of,
    directory_of,
    known_names,
    make_directory,
    remove_run_files,
    shared_blobs,
    sockets_of,
)
from tuiparallel.cluster.processes import kill, processes_of, wait_gone
from tuiparallel.cluster.running import record_in
from tuiparallel.cluster.settings import Settings
from tuiparallel.errors import ClusterExists, StartError
from tuiparallel.link.abilities import why_no_network
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.wire.config import ClusterConfig, read_config, write_config

_TEMPLATE = ("-P", "-m", "tuiparallel.engine.template")  # -P: a file in the working directory must not hide a module
_HUB = "tuiparallel.hub.main"
_TAIL = 2000  # bytes of a log that an error shows
_STOP_ROOM = 3.0  # seconds beyond the grace until what still lives is killed


class Event(msgspec.Struct):
    """One readiness line of the template."""

    event: str
    what: str = ""
    reason: str = ""
    log: str = ""


class LocalProcesses:
    """The template process of a running cluster, our child, and through it all others."""

    def __init__(self, config: ClusterConfig, process: subprocess.Popen[bytes]) -> None:
        self.config = config
        self.directory = Path(config.directory)
        self.process = process
        self._read = b""
        _started.add(self)

    def wait_ready(self, deadline: Deadline) -> None:
        """Return when the hub is bound. Raises StartError with the reason, the log's end and its path."""
        log = self.directory / "log" / "template.log"
        while True:
            event = self._next(deadline)
            if event is None:
                if deadline.passed():
                    reason = "the hub was not ready in time (start_timeout)"
                else:
                    reason = f"the first process ended with {_ending(self.process)} before the hub was ready"
                raise start_error(self.config.name, reason, log)
            if event.event == "hub":
                return
            if event.event == "failed":
                raise self._failed(event)

    def failure(self) -> StartError | None:
        """What could not be started since, if the template has said so; does not wait."""
        now = Deadline(SystemClock(), 0.0)
        while (event := self._next(now)) is not None:
            if event.event == "failed":
                return self._failed(event)
        return None

    def _failed(self, event: Event) -> StartError:
        log = Path(event.log) if event.log else self.directory / "log" / "template.log"
        return start_error(self.config.name, f"{event.what} could not be started: {event.reason}", log)

    def _next(self, deadline: Deadline) -> Event | None:
        stream = self.process.stdout
        assert stream is not None
        while not stream.closed:
            line, found, rest = self._read.partition(b"\n")
            if found:
                self._read = rest
                with suppress(msgspec.DecodeError):
                    return msgspec.json.decode(line, type=Event)
                continue
            left = deadline.left()
            poll = select.poll()
            poll.register(stream, select.POLLIN)
            if not poll.poll(None if left is None else int(left * 1000 + 0.999)):
                return None
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                stream.close()
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.0 if deadline.passed() else 1.0)  # its exit code is part of the message
                return None
            self._read += chunk
        return None

    def alive(self) -> bool:
        """Whether the template lives."""
        return self.process.poll() is None

    def end(self) -> None:
        """End the cluster and return when none of its processes is left; does nothing when it has ended."""
        _started.discard(self)
        self.drop_lifeline()
        end_processes(self.directory, self.process.pid, self.config.stop_grace)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        remove_run_files(self.directory, self.config.sockets, self.config.blobs)

    def let_go(self) -> None:
        """Let a detached cluster live on without us: nothing of it is read or held any more."""
        _started.discard(self)
        self.drop_lifeline()
        if self.process.stdout is not None:
            self.process.stdout.close()
        _let_go.append(self.process)

    def drop_lifeline(self) -> None:
        """Close our end of the lifeline."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with suppress(OSError):
                self.process.stdin.close()


_let_go: list[subprocess.Popen[bytes]] = []  # still our children: a Popen that is dropped would complain
_started: weakref.WeakSet[LocalProcesses] = weakref.WeakSet()


def _in_child() -> None:
    # A forked child that outlives us would hold the lifeline open for as long as it lives.
    for processes in list(_started):
        processes.drop_lifeline()
    _started.clear()


os.register_at_fork(after_in_child=_in_child)


def launch(name: str, directory: Path, settings: Settings, *, detached: bool, deadline: Deadline) -> LocalProcesses:
    """Start a cluster's processes; returns when its hub is ready.

    Raises ClusterExists when one runs there, StartError when something could not be started, InsecureFile when the
    directory is not private.
    """
    if settings.values.get("ip") is not None and (reason := why_no_network()) is not None:
        raise StartError(f"the cluster {name!r} could not be started: {reason}")
    make_directory(directory)
    with _alone(directory, name):
        if (record := record_in(directory)) is not None:
            raise ClusterExists(
                f"the cluster {name!r} is running since {record.since_text}: Client({name!r}) connects to it"
            )
        _clean_up(directory)
        sweep_blobs()
        cluster = os.urandom(8).hex()
        config = settings.config(
            name=name,
            cluster=cluster,
            directory=str(directory),
            sockets=str(sockets_of(directory)),
            blobs=str(blobs_of(directory, cluster)),
            sys_path=importable_places(),
            detached=detached,
        )
        write_config(directory / "start.json", config)
        processes = LocalProcesses(config, _run(config))
        try:
            processes.wait_ready(deadline)
        except BaseException:
            processes.end()
            raise
    return processes


@contextmanager
def _alone(directory: Path, name: str) -> Iterator[None]:
    """Hold the directory while a cluster starts in it, so that two starters cannot meet."""
    handle = os.open(directory / "starting", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterExists(
                f"the cluster {name!r} is being started by another process: Client({name!r}) connects when it is ready"
            ) from None
        yield
    finally:
        os.close(handle)


def _clean_up(directory: Path) -> None:
    """Remove what a run that nobody ended properly left here: processes, sockets, buffers."""
    try:
        old = read_config(directory / "start.json")
    except FileNotFoundError:
        return
    except ValueError:  # of another version: what it named cannot be known
        remove_run_files(directory, "", "")
        return
    if (directory / "cluster.json").exists():
        left = processes_of(directory)
        kill(left)
        wait_gone(left, Deadline(SystemClock(), _STOP_ROOM))
    remove_run_files(directory, old.sockets, old.blobs)


def sweep_blobs() -> None:
    """Give back the shared memory of clusters of other names that were killed, all their processes at once.

    Only folders that a cluster's own start.json names are looked at: of another one nobody knows whose it is.
    """
    try:
        left = {entry.path for entry in os.scandir(shared_blobs())}
    except FileNotFoundError:
        return
    for name in known_names() if left else ():
        directory = directory_of(name)
        with suppress(OSError, ValueError, ClusterExists):
            config = read_config(directory / "start.json")
            if config.blobs in left and record_in(directory) is None:
                with _alone(directory, name):  # nobody is just starting it
                    if record_in(directory) is None and not processes_of(directory):
                        shutil.rmtree(config.blobs, ignore_errors=True)


def _run(config: ClusterConfig) -> subprocess.Popen[bytes]:
    directory = Path(config.directory)
    command = [sys.executable, *_TEMPLATE, str(directory / "start.json"), "--hub", _HUB]
    if config.detached:
        command.append("--detached")
    log = os.open(
        directory / "log" / "template.log",
        os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
    )
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=config.work_dir,
            env=environment(config.env),
            # In the starter's session, unless it is to outlive that: Linux shares the cores out between sessions first, and
            # a client that looks out for its answer would keep the engines' session from working on it.
            start_new_session=config.detached,
            process_group=None if config.detached else 0,  # Ctrl-C at the terminal is meant for the starter
            bufsize=0,
        )
    except OSError as error:
        raise StartError(f"the cluster {config.name!r} could not be started: {error}") from error
    finally:
        os.close(log)


def environment(added: dict[str, str]) -> dict[str, str]:
    """The environment of a process of ours: this one's with what is added, and able to import this package."""
    environment = os.environ | added
    try:
        importlib.metadata.distribution("tuiparallel")
    except importlib.metadata.PackageNotFoundError:  # used from a checkout that is not installed
        home = str(Path(tuiparallel.__file__).parents[1])
        known = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = f"{known}{os.pathsep}{home}" if known else home
    return environment


def importable_places() -> list[str]:
    """This process's sys.path as engines can use it: absolute, existing entries."""
    here = [os.path.abspath(entry) for entry in sys.path]  # '' is the working directory
    return [entry for entry in dict.fromkeys(here) if os.path.exists(entry)]


def end_processes(directory: Path, template: int | None, grace: float) -> None:
    """Wait for a cluster that was told to end; kill what is left after its grace.

    What is left includes processes of any role whose template has died.
    """
    if template is not None:
        wait_gone([template], Deadline(SystemClock(), grace + _STOP_ROOM))
    left = processes_of(directory)
    if left:
        kill(left)
        wait_gone(left, Deadline(SystemClock(), _STOP_ROOM))
    _let_go[:] = [process for process in _let_go if process.poll() is None]


def start_error(name: str, reason: str, log: Path) -> StartError:
    """The error for a cluster that did not start, with the end of a log."""
    tail = log_tail(log)
    shown = f"\n{tail}" if tail else " (it is empty)"
    return StartError(f"the cluster {name!r} could not be started: {reason}. The end of {log}:{shown}")


def log_tail(log: Path) -> str:
    """The last lines of a log file; empty when there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.poll()
    if code is None:
        return "no exit code yet"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
