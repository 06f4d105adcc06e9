"""How a figure is taken."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

Figures = dict[str, float]


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Median duration of one call."""
    return statistics.median(seconds(call) for _ in range(repeats))


def per_second(call: Callable[[], object], items: int) -> float:
    """Items per second of one call that handles them all."""
    return items / seconds(call)


def descendants(pid: int) -> list[int]:
    """All processes below one (Linux)."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def proportional_mb(pids: list[int]) -> float:
    """Memory of some processes together in MB, shared pages counted in parts (Linux)."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total / 1024
