"""The profile of one task: every side is in it, and nothing stays patched."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.bench.profile import SIDES, parts, under_a_profiler
from tests.bench.recorder import FOLDER, Recorder


@pytest.mark.live
def test_all_sides_are_profiled(tmp_path: Path) -> None:
    plain = threading.Thread.run
    under_a_profiler(300, tmp_path)
    assert threading.Thread.run is plain
    assert FOLDER not in os.environ
    found = {side: parts(tmp_path, side) for side in SIDES}
    for side, place in zip(SIDES, ("tuiparallel/client/", "tuiparallel/hub/", "tuiparallel/engine/"), strict=True):
        assert abs(sum(part for _, part, _ in found[side]) - 1) < 1e-6
        assert any(place in name for name, _, _ in found[side]), side
    performed = next(calls for name, _, calls in found["engines"] if name.endswith(" _perform"))
    assert performed >= 300


def test_threads_have_profiles_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    recorder = Recorder()
    recorder.follow_threads()
    try:
        thread = threading.Thread(target=sorted, args=([2, 1],))
        thread.start()
        thread.join()
        assert recorder.run(lambda: sum([1, 2])) == 3
    finally:
        recorder.leave_threads()
    recorder.write("client")
    assert len(list(tmp_path.glob("client-*.prof"))) == 2
    names = {name for name, _, _ in parts(tmp_path, "client")}
    assert {"built-in method builtins.sorted", "built-in method builtins.sum"} <= names


def test_a_side_without_profiles_has_no_parts(tmp_path: Path) -> None:
    assert parts(tmp_path, "hub") == []
