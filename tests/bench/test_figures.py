"""The figures of the README: every system in turn, several rounds, one table. It measures and never fails on a number."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.systems import SYSTEMS
from tests.bench.workloads import ARRAY_MB, ENGINES, TASKS

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ROOT = Path(__file__).parents[2]
ROWS = {
    "start_s": f"from nothing to the first result, {ENGINES} engines (s)",
    "call_us": "median blocking call (µs)",
    "direct_us": "the same, to a named engine (µs)",
    "apply_per_s": f"{TASKS:,} separate apply_async (tasks/s)",
    "map_per_s": f"one map of {TASKS:,}, a task per element (tasks/s)",
    "send_GBs": f"{ARRAY_MB} MB array as an argument (GB/s)",
    "share_s": f"{ARRAY_MB} MB array to both engines (s)",
    "pull_GBs": f"{ARRAY_MB} MB array back (GB/s)",
    "memory_MB": "idle memory of all processes but the caller's (MB)",
}


def measured(name: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.systems", name], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def shown(values: list[float]) -> str:
    """Median, and the span of all rounds."""
    middle = statistics.median(values)
    places = 0 if middle >= 100 else 1 if middle >= 10 else 3
    low, high = min(values), max(values)
    return f"{middle:,.{places}f} ({low:,.{places}f}–{high:,.{places}f})"


@pytest.mark.bench
def test_figures(capsys: pytest.CaptureFixture[str]) -> None:
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    for _ in range(ROUNDS):
        for name in SYSTEMS:
            rounds[name].append(measured(name))
    lines = [
        f"{ROUNDS} rounds in turn, median (lowest–highest); Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}",
        "",
        f"| | {' | '.join(SYSTEMS)} |",
        f"| --- {'| ---: ' * len(SYSTEMS)}|",
    ]
    for key, text in ROWS.items():
        cells = [[figures[key] for figures in rounds[name] if key in figures] for name in SYSTEMS]
        lines.append(f"| {text} | {' | '.join(shown(values) if values else '' for values in cells)} |")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert all(len(figures) == ROUNDS for figures in rounds.values())


@pytest.mark.bench
def test_import_time(capsys: pytest.CaptureFixture[str]) -> None:
    """`import tuiparallel` beside an empty program, in milliseconds."""
    code = "import time; a = time.perf_counter(); import {}; print(1000 * (time.perf_counter() - a))"

    def median(module: str) -> float:
        runs = [
            subprocess.run([sys.executable, "-c", code.format(module)], capture_output=True, text=True, check=True)
            for _ in range(7)
        ]
        return statistics.median(float(run.stdout) for run in runs)

    with capsys.disabled():
        for module in (
            "tuiparallel",
            "tuiparallel.errors",
            "tuiparallel.client.client",
            "tuiparallel.cluster.cluster",
        ):
            print(f"\nimport {module}: {median(module):.0f} ms", end="")
        print()
    assert median("tuiparallel") > 0
