"""Which clusters run: the record in a cluster's directory, and whether the processes it names still live."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tuiparallel.client.discovery import clusters_directory
from tuiparallel.cluster.place import directory_of, ended_at, known_names, on_record
from tuiparallel.cluster.processes import is_alive
from tuiparallel.errors import ClusterNotFound
from tuiparallel.wire.connection import read_private

MOST_NAMED = 20  # clusters that have ended, in one message


class ClusterRecord(msgspec.Struct, frozen=True):
    """cluster.json: there from the start of the hub to the clean end. since is seconds since the epoch."""

    name: str
    cluster: str
    pids: dict[str, int]
    since: float
    n: int = 0

    @property
    def since_text(self) -> str:
        """When it was started, in local time, for people."""
        return datetime.fromtimestamp(self.since, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def record_in(directory: Path) -> ClusterRecord | None:
    """The record of the cluster that runs in this directory; None when none does.

    Raises InsecureFile when the file is open to others: it names processes that would be believed.
    """
    try:
        record = msgspec.json.decode(read_private(directory / "cluster.json"), type=ClusterRecord)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    # The template outlives all others of its cluster; the hub is asked too, in case the template was killed.
    if any(is_alive(pid, directory) for role, pid in record.pids.items() if role in ("template", "hub")):
        return record
    return None


def running_clusters() -> dict[str, ClusterRecord]:
    """The records of this user's running clusters by name, sorted."""
    found = {name: record_in(directory_of(name)) for name in known_names()}
    return {name: record for name, record in found.items() if record is not None}


def clusters() -> list[str]:
    """The names of this user's clusters that run.

        >>> rc.name in tp.clusters()
        True

    Returns a sorted list of str.
    Raises InsecureFile when a cluster's record is open to others.
    """
    return list(running_clusters())


def not_running(name: str) -> ClusterNotFound:
    """The error for a name that no running cluster has: it names the nearest one, all that run, and the last that ended."""
    names = clusters()
    ended = sorted((one for one in on_record() if one not in names), key=ended_at, reverse=True)
    near = difflib.get_close_matches(name, names, n=1) or difflib.get_close_matches(name, ended, n=1)
    hint = ""
    if name in ended:
        hint = f": it has ended, and Cluster.from_name({name!r}) or `tuipar ls tasks -c {name}` reads its history"
    elif near:
        hint = f": did you mean {near[0]!r}?"
    running = (
        f"running are {', '.join(names)}" if names else "none is running: `tuipar start` or Cluster() starts one"
    )
    past = ""
    if ended:
        more = f" and {len(ended) - MOST_NAMED} more" if len(ended) > MOST_NAMED else ""
        past = f"; ended, with their history: {', '.join(ended[:MOST_NAMED])}{more}"
    text = f"no cluster {name!r} is running{hint} ({running}{past}; looked in {clusters_directory()})"
    return ClusterNotFound(text)
