"""start, engines, restart and stop (tuiparallel.cli.starting, tuiparallel.cli.resizing)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.jsonlines import rows
from tuiparallel.cli.app import run
from tuiparallel.cluster.processes import processes_of
from tuiparallel.cluster.running import clusters

Until = Callable[..., None]
Capture = pytest.CaptureFixture[str]


def test_start_resize_stop(empty_home: Path, capsys: Capture) -> None:
    assert run(["start", "-n", "1", "--name", "lab", "--json"]) == 0
    (cluster,) = rows(capsys.readouterr().out, "cluster", "lab")
    directory = Path(cluster["file"]).parent
    try:
        assert clusters() == ["lab"]
        assert run(["start", "-n", "1", "--name", "lab"]) == 6
        assert "Client('lab')" in capsys.readouterr().err
        assert run(["ls", "clusters", "--json"]) == 0
        (listed,) = rows(capsys.readouterr().out, "cluster", "lab")
        assert listed["hub_pid"] == cluster["hub_pid"]
        assert run(["engines", "add", "1"]) == 0  # the only one: it need not be named
        assert capsys.readouterr().out == "0\n1\n"
        assert run(["engines", "-n", "1"]) == 0
        assert capsys.readouterr().out == "0\n1\n2\n"
        assert run(["engines", "stop", "2"]) == 6
        assert run(["engines", "stop", "2", "--yes"]) == 0
        assert capsys.readouterr().out == "0\n1\n"
        assert run(["engines", "stop", "9", "--yes"]) == 6
        assert run(["engines", "scale", "1"]) == 6
        assert run(["engines", "scale", "1", "--yes"]) == 0
        capsys.readouterr()
        assert run(["restart", "--yes"]) == 6  # all engines: the name is wanted too
        assert "-c lab --yes" in capsys.readouterr().err
        assert run(["restart", "--yes", "-c", "lab"]) == 0
        assert len(capsys.readouterr().out.split()) == 2
        assert run(["engines", "signal", "CONT", "--yes", "-c", "lab"]) == 0
        assert run(["stop", "lab"]) == 6
        assert clusters() == ["lab"]
        assert run(["stop", "lbb", "--yes"]) == 3
        assert "did you mean 'lab'" in capsys.readouterr().err
    finally:
        assert run(["stop", "lab", "--yes"]) == 0
    assert capsys.readouterr().out == "lab\n"
    assert clusters() == []
    assert processes_of(directory) == []
