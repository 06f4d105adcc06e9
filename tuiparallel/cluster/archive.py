"""The history of a cluster that has ended, open for reading: a process that serves it like a hub, for as long as it is wanted."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tuiparallel import errors
from tuiparallel.cluster.local import environment
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.wire.connection import Connection

_READER = ("-P", "-m", "tuiparallel.hub.archive")
_PATIENCE = 60.0  # seconds until a large history is open


class Archive:
    """Reads one history. connection: what a Client connects with; name: the cluster's.

    Raises ClusterExists when a hub serves the cluster now, ClusterNotFound when nothing has run there, OSError or
    ValueError when the history cannot be read. Close it, or use it as a context manager; it ends with this process.
    """

    def __init__(self, directory: Path) -> None:
        self.name = directory.name
        place = Path(tempfile.mkdtemp(prefix="tuipar-"))  # mkdtemp makes it 0700
        process: subprocess.Popen[bytes] | None = None
        try:
            process = subprocess.Popen(
                [sys.executable, *_READER, str(directory), str(place)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment({}),
                start_new_session=True,
                bufsize=0,
            )
            self.connection = _ready(process, directory)
        except BaseException:
            _end(process, place)
            raise
        self._close = weakref.finalize(self, _end, process, place)

    def __repr__(self) -> str:
        return f"<Archive {self.name!r}>"

    def close(self) -> None:
        """End the process; does nothing when it has ended."""
        self._close()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return not self._close.alive

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def _ready(process: subprocess.Popen[bytes], directory: Path) -> Connection:
    deadline = Deadline(SystemClock(), _PATIENCE)
    assert process.stdout is not None and process.stderr is not None
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        left = deadline.left()
        if not poll.poll(None if left is None else int(left * 1000 + 0.999)):
            raise TimeoutError(f"the history in {directory} was not open for reading in {_PATIENCE:g} s")
        chunk = os.read(process.stdout.fileno(), 65536)
        if not chunk:
            process.wait()
            tail = process.stderr.read().decode(errors="replace").strip()[-2000:]
            raise OSError(f"the history in {directory} could not be opened for reading:\n{tail}")
        line += chunk
    with suppress(msgspec.ValidationError):
        return msgspec.json.decode(line, type=Connection)
    failure: dict[str, str] = msgspec.json.decode(line)
    known: dict[str, type[Exception]] = {
        "ClusterExists": errors.ClusterExists, "ClusterNotFound": errors.ClusterNotFound, "ValueError": ValueError
    }  # fmt: skip
    raise known.get(failure["error"], OSError)(failure["reason"])


def _end(process: subprocess.Popen[bytes] | None, place: Path) -> None:
    if process is not None:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(place, ignore_errors=True)
