"""status, ls and --once on a real cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.live.conftest import PrivateCluster
from tests.live.jsonlines import rows
from tuiparallel.cli import observing
from tuiparallel.cli.app import run
from tuiparallel.client.client import Client

Until = Callable[..., None]
Capture = pytest.CaptureFixture[str]


def test_status_and_listings(client: Client, capsys: Capture) -> None:
    client.load_balanced_view().map_sync(abs, range(20))
    with pytest.raises(ZeroDivisionError):
        client[1].apply_sync(lambda: 1 / 0)
    one = ["-c", "shared"]
    assert run(["status", "--json", *one]) == 0
    (status,) = rows(capsys.readouterr().out, "status", "shared")
    assert status["engines"]["total"] == 4
    assert status["tasks"]["done"] >= 20 and status["tasks"]["error"] >= 1
    assert status["at"].endswith("Z")
    for noun, kind, least in (
        ("engines", "engine", 4),
        ("errors", "failure", 1),
        ("functions", "function", 1),
        ("clients", "client", 1),
    ):
        assert run(["ls", noun, "--json", *one]) == 0
        assert len(rows(capsys.readouterr().out, kind, "shared")) >= least
        assert run(["ls", noun, *one]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) > least
        assert not any("\x1b" in line for line in lines)
    assert run(["ls", "engines", "--where", "id:1", "--json", *one]) == 0
    (engine,) = rows(capsys.readouterr().out, "engine", "shared")
    assert engine["id"] == 1 and engine["pid"] == client[1].apply_sync(os.getpid)
    assert run(["ls", "engines", "--where", "stat:idle", *one]) == 2
    assert "state" in capsys.readouterr().err
    assert run(["status", *one]) == 0
    assert capsys.readouterr().out.startswith("shared: up ")


def test_once(client: Client, capsys: Capture) -> None:
    assert run(["--once", "-c", "shared", "--width", "60"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("4/4" in line or "4 of 4" in line for line in lines)
    assert max(map(len, lines)) <= 60
    assert not any("\x1b" in line for line in lines)
    assert run(["--once", "--json", "-c", "shared"]) == 0
    assert len(rows(capsys.readouterr().out, "engine", "shared")) == 4


def test_a_hub_that_does_not_answer_is_said_to_be_so(
    private_cluster: PrivateCluster, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(observing, "_PATIENCE", 0.5)
    cluster = private_cluster(0)
    cluster.start()
    os.kill(cluster.pids["hub"], signal.SIGSTOP)
    try:
        assert run(["status", "-c", cluster.name]) == 4
        assert "has not answered" in capsys.readouterr().err
    finally:
        os.kill(cluster.pids["hub"], signal.SIGCONT)
