"""`python -m tests.bench.profile [--tasks N] [--top N]`: where the microseconds of one empty task of a map go.

First without a profiler: what passes, and the CPU time of client, hub and engines, per task. Then the same under one:
each function's part of its side's time. A profiler makes small functions look larger, so the parts are guides.
"""

from __future__ import annotations

import argparse
import marshal
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

import psutil

from tests.bench.comparison import ROOT
from tests.bench.recorder import FOLDER, Recorder
from tuiparallel.cli.clusterfigures import private_cluster, sides, timed_sides
from tuiparallel.cli.workloads import echo
from tuiparallel.client.client import Client
from tuiparallel.cluster import local

SIDES = ("client", "hub", "engines")
Parts = list[tuple[str, float, int]]  # function, its part of the side's time, calls


def _map(client: Client, tasks: int) -> None:
    client.load_balanced_view().map_sync(echo, range(tasks), chunksize=1)


def undisturbed(tasks: int) -> tuple[dict[str, float], dict[str, float]]:
    """Microseconds per task: those of timed_sides; and by side the part of its CPU time spent in the kernel, 0 to 1."""
    with private_cluster(2) as (cluster, client):
        _map(client, tasks // 10)  # what is done once is done
        pids = sides(cluster)
        before = {side: _user_and_kernel(members) for side, members in pids.items()}
        spent = timed_sides(cluster, lambda: _map(client, tasks), tasks)
        kernel = {}
        for side, members in pids.items():
            user, system = (now - then for now, then in zip(_user_and_kernel(members), before[side], strict=True))
            kernel[side] = system / (user + system) if user + system else 0.0
    return spent, kernel


def _user_and_kernel(pids: list[int]) -> tuple[float, float]:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(time.user for time in times), sum(time.system for time in times)


def under_a_profiler(tasks: int, folder: Path) -> None:
    """Run the map with every process's threads under a profiler; profiles go to the folder."""
    places = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    recorder = Recorder()
    with (
        patch.dict(os.environ, {FOLDER: str(folder), "PYTHONPATH": places}),
        patch.object(local, "_HUB", "tests.bench.profiled"),
    ):
        recorder.follow_threads()
        try:
            with private_cluster(2) as (_, client):
                recorder.run(lambda: _map(client, tasks))
        finally:
            recorder.leave_threads()
        recorder.write("client")


def parts(folder: Path, side: str) -> Parts:
    """The functions of one side, those that took most first."""
    merged: dict[tuple[str, int, str], tuple[float, int]] = {}
    for path in sorted(folder.glob(f"{side}-*.prof")):
        for function, (_, calls, own, _, _) in marshal.loads(path.read_bytes()).items():
            took, called = merged.get(function, (0.0, 0))
            merged[function] = took + own, called + calls
    total = sum(took for took, _ in merged.values())
    ranked = sorted(merged.items(), key=lambda item: -item[1][0])
    return [(_name(function), took / total, calls) for function, (took, calls) in ranked if total]


def _name(function: tuple[str, int, str]) -> str:
    path, line, name = function
    if path == "~":  # written in C
        return name.strip("<>")
    for room in ("tuiparallel", "engine", "hub"):
        if f"/{room}/" in path:
            return f"{room}/{path.rpartition(f'/{room}/')[2]}:{line} {name}"
    return f"{Path(path).name}:{line} {name}"


def main() -> None:
    """Measure, profile, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--top", type=int, default=15, help="functions per side")
    options = parser.parse_args()
    spent, kernel = undisturbed(options.tasks)
    print(
        f"one map of {options.tasks:,} empty tasks, 2 engines, {os.cpu_count()} cores: {spent['wall']:.1f} µs per task"
    )
    for side in SIDES:
        note = " (two processes)" if side == "engines" else ""
        print(f"  {side:<8} {spent[side]:5.1f} µs of CPU, {kernel[side]:.0%} of it in the kernel{note}")
    with tempfile.TemporaryDirectory(prefix="tp-profile-") as folder:
        under_a_profiler(options.tasks // 2, Path(folder))
        for side in SIDES:
            print(
                f"\n{side}: part of its CPU time under a profiler, and that part of {spent[side]:.1f} µs; calls per task"
            )
            for name, part, calls in parts(Path(folder), side)[: options.top]:
                print(f"  {part:6.1%} {part * spent[side]:6.2f} µs {calls / (options.tasks // 2):7.3f}  {name}")


if __name__ == "__main__":
    main()
