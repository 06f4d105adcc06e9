"""Finding the hub that is meant."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tuiparallel.client import discovery
from tuiparallel.errors import ClusterNotFound
from tuiparallel.wire import current
from tuiparallel.wire.connection import Connection, write_connection


def a_cluster(name: str, pid: int | None = None) -> Connection:
    """Files as those of a running cluster, whose processes are this one."""
    directory = discovery.clusters_directory() / name
    directory.mkdir(parents=True, mode=0o700)
    connection = Connection(1, "client", name, "c1", "ipc:///x", str(directory), "/b", "here")
    write_connection(directory / "client.json", connection)
    record = directory / "cluster.json"
    record.write_text(json.dumps({"name": name, "pids": {"hub": pid or os.getpid()}}))
    record.chmod(0o600)
    return connection


def test_names_paths_dicts_and_the_only_one() -> None:
    lab = a_cluster("lab")
    path = Path(lab.directory) / "client.json"
    given: list[Any] = ["lab", path, str(path), msgspec.to_builtins(lab), lab, None]
    assert [discovery.find(one) for one in given] == [lab] * 6
    assert discovery.running() == ["lab"]


def test_the_environment_decides_among_several(monkeypatch: pytest.MonkeyPatch) -> None:
    a_cluster("one")
    two = a_cluster("two")
    with pytest.raises(ClusterNotFound, match="say which: one, two"):
        discovery.find(None)
    monkeypatch.setenv("TUIPAR_CLUSTER", "two")
    assert discovery.find(None) == two


def test_an_engine_finds_its_own_cluster() -> None:
    a_cluster("one")
    two = a_cluster("two")
    current.live_in(two.directory)
    try:
        assert discovery.find(None) == two
    finally:
        current.live_in(None)


def test_a_cluster_whose_processes_are_gone_does_not_run() -> None:
    a_cluster("ghost", pid=2**22 - 1)
    with pytest.raises(ClusterNotFound, match="no cluster 'ghost' is running"):
        discovery.find("ghost")
    with pytest.raises(ClusterNotFound, match="tuipar start"):
        discovery.find(None)


def test_what_names_no_cluster() -> None:
    a_cluster("lab")
    with pytest.raises(ClusterNotFound, match="did you mean 'lab'"):
        discovery.find("lba")
    with pytest.raises(ValueError, match="keys"):
        discovery.find("tcp://host:1")
    with pytest.raises(ValueError, match="this dict is no connection.*protocol"):
        discovery.find({"name": "lab"})
    with pytest.raises(TypeError, match="a name, a path or a dict"):
        discovery.find(5)
