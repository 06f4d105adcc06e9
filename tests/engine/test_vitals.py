"""Measuring processes, with this one as the subject."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from tuiparallel.engine.vitals import Observer, memory_limit, read


def test_it_agrees_with_psutil() -> None:
    reading = read(os.getpid())
    assert reading is not None and reading.state == "R"
    assert abs(reading.rss - psutil.Process().memory_info().rss) < 20 << 20
    times = psutil.Process().cpu_times()
    assert abs(reading.busy - times.user - times.system) < 0.5
    assert read(2**22 + 1) is None


def test_the_share_of_a_core_is_between_two_looks() -> None:
    observer = Observer()
    first = observer.look({"me": os.getpid(), "gone": 2**22 + 1}, 100.0)
    assert [(vital.uuid, vital.pid, vital.cpu) for vital in first] == [("me", os.getpid(), 0.0)]
    before = read(os.getpid())
    assert before is not None
    while (now := read(os.getpid())) is not None and now.busy < before.busy + 0.05:
        sum(range(10_000))
    assert observer.look({"me": os.getpid()}, 100.1)[0].cpu >= 0.5
    assert observer.look({"me": os.getpid()}, 200.0)[0].cpu < 0.5


def test_the_smallest_limit_counts(tmp_path: Path) -> None:
    group = tmp_path / "user" / "job"
    group.mkdir(parents=True)
    (tmp_path / "user" / "memory.max").write_text("50000000\n")
    (group / "memory.max").write_text("max\n")
    own = tmp_path / "cgroup"
    own.write_text("1:cpu:/x\n0::/user/job\n")
    assert memory_limit(tmp_path, own) == 50_000_000
    assert memory_limit(tmp_path / "none", tmp_path / "none") > 1 << 28
