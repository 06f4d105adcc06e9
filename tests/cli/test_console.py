"""Which cluster the console opens on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuiparallel.cli import console
from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import CommandError, ExitCode
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.console import run
from tuiparallel.errors import ClusterNotFound, StartError


def call(cluster: str | None = None) -> Call:
    return Call(cluster, None, False, False)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What run_console was given, instead of a terminal."""
    seen: list[Any] = []

    def run_console(connection: Any, **options: Any) -> int:
        seen.append((connection, options))
        return 0

    monkeypatch.setattr(run, "run_console", run_console)
    return seen


def test_several_clusters_open_the_picker(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "clusters", lambda: ["one", "two"])
    assert console.open_console(call(), None, True) == 0
    assert opened == [(None, {"readonly": True})]


def test_a_name_that_does_not_run_is_not_started(opened: list[Any]) -> None:
    with pytest.raises(ClusterNotFound):
        console.open_console(call("lab"), None, False)
    with pytest.raises(ClusterNotFound):
        console.open_console(call(), None, True)  # to look only, nothing is started
    assert opened == []


def test_engines_for_a_running_cluster_are_refused(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "clusters", lambda: ["lab"])
    with pytest.raises(CommandError, match="engines scale 8") as caught:
        console.open_console(call(), 8, False)
    assert caught.value.code is ExitCode.REFUSED
    assert opened == []


def test_a_cluster_is_started_when_none_runs(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Cluster] = []
    monkeypatch.setattr(Cluster, "start", lambda cluster: started.append(cluster))
    assert console.open_console(call(), 3, False) == 0
    (cluster,) = started
    assert cluster.n == 3
    ((connection, options),) = opened
    assert connection == cluster.directory / "client.json"
    assert isinstance(connection, Path)
    assert options["options"].started_here


def test_a_start_that_fails_opens_nothing(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(cluster: Cluster) -> None:
        raise StartError("no room")

    monkeypatch.setattr(Cluster, "start", fail)
    with pytest.raises(StartError, match="no room"):
        console.open_console(call(), 1, False)
    assert opened == []
