"""Finding the hub that is meant: a name, a path, a dict, $TUIPAR_CLUSTER, or the only cluster running."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from tuiparallel.errors import ClusterNotFound
from tuiparallel.wire.connection import Connection, read_connection, read_private
from tuiparallel.wire.current import home_directory

CONNECTION_FILE = "client.json"


def clusters_directory() -> Path:
    """The folder with a directory per cluster of this user."""
    import platformdirs  # not for importing tuiparallel alone

    return platformdirs.user_state_path("tuiparallel") / "clusters"


def running() -> list[str]:
    """Names of this user's running clusters, sorted."""
    try:
        directories = sorted(entry for entry in clusters_directory().iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
    return [directory.name for directory in directories if _runs(directory)]


def _runs(directory: Path) -> bool:
    try:
        record: dict[str, Any] = json.loads(read_private(directory / "cluster.json"))
        pids = [record["pids"][role] for role in ("template", "hub") if role in record["pids"]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return (directory / CONNECTION_FILE).exists() and any(map(_lives, pids))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def find(given: Any) -> Connection:
    """The connection that `given` means: None, a name, a path, a mapping, or a Connection.

    Raises ClusterNotFound naming what runs, InsecureFile, ValueError for what is no connection, TypeError.
    """
    if given is None:
        return _default()
    if isinstance(given, Connection):
        return given
    if isinstance(given, dict):
        return _from_dict(given)
    if isinstance(given, os.PathLike):
        return _from_file(Path(given))
    if not isinstance(given, str):
        raise TypeError(f"connection_info is a name, a path or a dict, not {given!r}")
    if "://" in given:
        raise ValueError(
            f"{given!r} is an address, and an address alone has no keys: give the name of a cluster, or the path of "
            "its connection file (client.json), which has both"
        )
    if os.sep in given or given.endswith(".json"):
        return _from_file(Path(given).expanduser())
    return _named(given)


def _from_dict(given: dict[str, Any]) -> Connection:
    try:
        return msgspec.convert(given, Connection)
    except msgspec.ValidationError as error:
        raise ValueError(f"this dict is no connection: {error}") from error


def _from_file(path: Path) -> Connection:
    try:
        return read_connection(path)
    except FileNotFoundError:
        raise ClusterNotFound(
            f"there is no connection file {path}: has the cluster been stopped? Running are: {_shown(running())}"
        ) from None


def _named(name: str) -> Connection:
    path = clusters_directory() / name / CONNECTION_FILE
    names = running()
    if name in names:
        return _from_file(path)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f": did you mean {near[0]!r}?" if near else ""
    raise ClusterNotFound(f"no cluster {name!r} is running{hint} Running are: {_shown(names)}")


def _default() -> Connection:
    named = os.environ.get("TUIPAR_CLUSTER")
    if named:
        return find(named)
    own = home_directory()
    if own is not None:
        return _from_file(Path(own) / CONNECTION_FILE)
    names = running()
    if len(names) == 1:
        return _named(names[0])
    if names:
        raise ClusterNotFound(f"several clusters are running, say which: {_shown(names)}")
    raise ClusterNotFound(
        "no cluster is running: `tuipar start` starts one, or Cluster(n=4).start_and_connect_sync()"
    )


def _shown(names: list[str]) -> str:
    return ", ".join(names) or "none (`tuipar start` or Cluster() starts one)"
