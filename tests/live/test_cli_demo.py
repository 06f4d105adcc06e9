"""The demo, on a small library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tuiparallel.cli import demo
from tuiparallel.cli.app import run
from tuiparallel.cluster.running import clusters

Until = Callable[..., None]
Capture = pytest.CaptureFixture[str]


def test_demo(empty_home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "library"
    place.mkdir()
    for index in range(20):
        (place / f"m{index}.py").write_text("def f():\n    return 1\n" * (index + 1))
    (place / "bad.py").write_text("def f(:\n")
    monkeypatch.setattr(demo, "library", lambda: place)
    assert run(["demo", "--headless", "--json", "-n", "2"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["kind"] == "demo"
    assert (row["files"], row["lines"], row["functions"]) == (21, 420, 210)
    assert (row["failures"], row["engines"]) == (1, 2)
    assert row["seconds"] > 0 and row["tasks_per_s"] > 0
    assert row["reasons"][0]["path"] == "bad.py" and row["reasons"][0]["reason"].startswith("SyntaxError")
    assert run(["demo", "--headless", "-n", "2"]) == 0
    table = capsys.readouterr().out
    assert "1 failures" in table and "speed-up" in table
    assert clusters() == []
