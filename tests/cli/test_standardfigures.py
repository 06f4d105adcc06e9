"""The standard library's and the machine's own figures: small ones, of real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tuiparallel.cli.standardfigures import STANDARDS
from tuiparallel.cli.workloads import QUICK, rows

TINY = replace(QUICK, calls=3, separate=50, tasks=100, few=20, array_mb=1, repeats=2, small_arrays=20, idle_s=0.05)


@pytest.mark.live
@pytest.mark.parametrize(("name", "some"), [("bare 0MQ", "blocking_us"), ("memory copy", "pull_GBs")])
def test_figures_are_of_the_rows(name: str, some: str) -> None:
    figures = STANDARDS[name](TINY)
    assert figures.keys() <= {row.key for row in rows(TINY)}
    assert figures[some] > 0


@pytest.mark.live
def test_the_pool_in_a_program_of_its_own() -> None:
    code = (
        "import json; from dataclasses import replace; from tuiparallel.cli.standardfigures import pool_figures;"
        "from tuiparallel.cli.workloads import Sizes;"
        f"print(json.dumps(pool_figures({TINY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures.keys() <= {row.key for row in rows(TINY)}
    assert all(figures[key] > 0 for key in ("start_s", "map_per_s", "apply_per_s", "pull_GBs", "small_per_s"))


def test_workers_import_nothing_large() -> None:
    code = "import sys, tuiparallel.cli.standardfigures; print([n for n in ('zmq', 'numpy', 'msgspec', 'psutil') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
