"""Where a cluster lives on disk: its directory, the folder of its sockets, the folder of its large buffers."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tuiparallel.client.discovery import clusters_directory
from tuiparallel.errors import InsecureFile
from tuiparallel.wire.connection import private_directory

SOCKET_PATH_LIMIT = 107  # bytes of a unix socket's path that the kernel accepts
_SOCKETS = ("c.ipc", "e.ipc")
_RUN_FILES = (
    "client.json",
    "engine.json",
    "cluster.json",
    "keys.json",
    *_SOCKETS,
)  # belong to one run; history and logs stay
_SHARED_MEMORY = Path("/dev/shm")
_LEAST_SHARED_MEMORY = 64 << 20  # a smaller tmpfs, as containers get it, is no better than the disk


def directory_of(name: str) -> Path:
    """The directory of the cluster of this name; it may not exist."""
    return clusters_directory() / name


def known_names() -> list[str]:
    """Names of all clusters that have a directory, running or not, sorted."""
    try:
        return sorted(entry.name for entry in os.scandir(clusters_directory()) if entry.is_dir())
    except FileNotFoundError:
        return []


def has_history(directory: Path) -> bool:
    """Whether a cluster has run in this directory and left its history there."""
    return (directory / "history.db").is_file()


def on_record() -> list[str]:
    """Names of all clusters that have a history, running or not, sorted."""
    return [name for name in known_names() if has_history(directory_of(name))]


def ended_at(name: str) -> float:
    """When this cluster's history was last written to, in seconds since the epoch; 0 when it has none."""
    try:
        return (directory_of(name) / "history.db").stat().st_mtime
    except OSError:
        return 0.0


def make_directory(directory: Path) -> None:
    """Make the cluster's directory and its folders, all 0700. Raises InsecureFile when one is not private."""
    private_directory(directory)
    private_directory(directory / "log")
    private_directory(directory / "marks")


def sockets_of(directory: Path) -> Path:
    """Where the sockets go: the directory itself, or a private temporary one when its path is too long for them."""
    longest = max(len(os.fsencode(directory / name)) for name in _SOCKETS)
    if longest <= SOCKET_PATH_LIMIT:
        return directory
    return Path(tempfile.mkdtemp(prefix="tuipar-"))  # mkdtemp makes it 0700


def shared_blobs() -> Path:
    """The folder in shared memory with a folder per running cluster of this user, by cluster id."""
    return _SHARED_MEMORY / f"tuiparallel-{os.getuid()}"


def blobs_of(directory: Path, cluster: str) -> Path:
    """A new private folder for large buffers: in shared memory where that is usable, else in the directory."""
    home = shared_blobs()
    try:
        facts = os.statvfs(_SHARED_MEMORY)
        if facts.f_bavail * facts.f_frsize >= _LEAST_SHARED_MEMORY and os.access(_SHARED_MEMORY, os.W_OK):
            return private_directory(private_directory(home) / cluster)
    except (OSError, InsecureFile):  # no tmpfs, or somebody else holds the name
        pass
    return private_directory(directory / "blobs")


def remove_run_files(directory: Path, sockets: str, blobs: str) -> None:
    """Remove what a run leaves behind when nobody could clean up after it. History and logs stay."""
    for name in _RUN_FILES:
        (directory / name).unlink(missing_ok=True)
        for unfinished in directory.glob(f".{name}.*"):  # its writer was killed
            unfinished.unlink(missing_ok=True)
    for mark in (directory / "marks").glob("*"):
        mark.unlink(missing_ok=True)
    if sockets and Path(sockets) != directory:
        shutil.rmtree(sockets, ignore_errors=True)
    if blobs:
        shutil.rmtree(blobs, ignore_errors=True)
    shutil.rmtree(directory / "spill", ignore_errors=True)
