"""logs of processes, output of tasks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import PATIENCE
from tuiparallel.cli.app import run
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster

Until = Callable[..., None]
Capture = pytest.CaptureFixture[str]


def test_logs(cluster: Cluster, client: Client, capsys: Capture) -> None:
    for process in ("hub", "0"):
        assert run(["logs", process, "-c", "shared"]) == 0
        capsys.readouterr()
    assert run(["logs", "hub", "-n", "1", "-c", "shared"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run(["logs", "99", "-c", "shared"]) == 6
    client[2].apply_sync(print, "a printed line")
    assert run(["logs", "-n", "1", "-c", "shared"]) == 0
    assert capsys.readouterr().out == "[2] a printed line\n"


def test_followed_output_comes_as_it_is_printed(client: Client, until: Until) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "tuiparallel.cli", "logs", "-f", "-n", "0", "-c", "shared"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        before = len(client.ids)
        assert before == 4
        name = f"{process.pid}"
        until(lambda: any(str(row["pid"]) == name for row in observers(client)), what="the follower is connected")
        client[3].apply_sync(print, "first\nsecond")
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["[3] first\n", "[3] second\n"]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def observers(client: Client) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tuiparallel.cli", "ls", "clients", "--json", "-c", client.name],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [row for row in map(json.loads, done.stdout.splitlines()) if row["connected"]]


def test_p10_what_a_task_prints_cannot_draw(client: Client, capsys: Capture) -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\x1b]52;c;aGVsbG8=\x1b\\\x9b31mred\x00 plain"
    client[1].apply_sync(print, hostile)
    assert run(["logs", "-n", "1", "-c", "shared"]) == 0
    text = capsys.readouterr().out
    assert "plain" in text
    assert not [char for char in text if char != "\n" and (ord(char) < 32 or 127 <= ord(char) < 160)]
