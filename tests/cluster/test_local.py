"""The launcher's parts that need no cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tuiparallel.cluster.local import _alone, importable_places, log_tail, start_error
from tuiparallel.errors import ClusterExists


def test_places_that_engines_can_import_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, archive = tmp_path / "here", tmp_path / "library.zip"
    here.mkdir()
    archive.touch()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", ["", str(archive), "/no/such/place", str(here), os.sep])
    assert importable_places() == [str(here), str(archive), os.sep]


def test_two_starters_cannot_meet(tmp_path: Path) -> None:
    with _alone(tmp_path, "lab"):
        with pytest.raises(ClusterExists, match="being started"), _alone(tmp_path, "lab"):
            pass
    with _alone(tmp_path, "lab"):
        pass


def test_an_error_shows_the_end_of_the_log_and_its_path(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    assert log_tail(log) == ""
    assert "empty" in str(start_error("lab", "it failed", log))
    log.write_text("x" * 5000 + "\nthe reason\n")
    text = str(start_error("lab", "it failed", log))
    assert "'lab'" in text and "it failed" in text and str(log) in text
    assert text.endswith("the reason")
    assert len(text) < 3000
