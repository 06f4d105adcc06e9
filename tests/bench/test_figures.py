"""The figures of the README, each with its spread, and the marks. It measures and never fails on a number."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

import pytest

from tests.bench.comparison import compared, complete, text

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
QUICK = bool(os.environ.get("BENCH_QUICK"))


@pytest.mark.bench
def test_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """All systems that are installed here."""
    with capsys.disabled():
        print()
        samples = compared((), ROUNDS, QUICK, lambda note: print(note, file=sys.stderr, flush=True))
        print("\n" + text(samples, ROUNDS, QUICK))
    assert complete(samples, ROUNDS), samples.failed


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

    found = {
        module: median(module)
        for module in (
            "tuiparallel",
            "tuiparallel.errors",
            "tuiparallel.client.client",
            "tuiparallel.cluster.cluster",
        )
    }
    with capsys.disabled():
        print("\n" + "\n".join(f"import {module}: {spent:.0f} ms" for module, spent in found.items()))
    assert min(found.values()) > 0
