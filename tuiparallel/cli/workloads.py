"""What is measured: the workloads' functions, their sizes, the table's rows, and how a figure is taken.

Engines import this file for the functions, so it imports nothing large.
"""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tuiparallel.link.clock import SystemClock

Figures = dict[str, float]  # by key: those of ROWS, and a few more that explain them
MB = 1 << 20
SMALL_FLOATS = 8192  # of a small array: 64 kB
SMALL_MB = SMALL_FLOATS * 8 / MB
SHORT_MAPS = 20  # short maps whose median is taken
_DISTINCT = 100  # small arrays with contents of their own


def echo(value: object = None) -> object:
    """The task that does nothing."""
    return value


def nbytes(array: Any) -> int:
    """Makes an array cross without a large answer."""
    return int(array.nbytes)


@dataclass(frozen=True)
class Sizes:
    """How much is done for each figure."""

    engines: int = 2
    calls: int = 2_000  # blocking calls whose median is taken
    separate: int = 20_000  # single asynchronous calls
    tasks: int = 100_000  # of the long map
    few: int = 1_000  # of the short map
    array_mb: int = 100
    repeats: int = 5  # of what is done with the large array
    small_arrays: int = 10_000
    more_engines: int = 8  # that share the large array
    many_engines: int = 64  # that are started at once
    idle_s: float = 5.0


FULL = Sizes()
QUICK = Sizes(calls=1_000, separate=5_000, tasks=20_000, repeats=3, small_arrays=2_000, many_engines=16, idle_s=2.0)


def wanted(arguments: Sequence[str]) -> Sizes:
    """The sizes that a command line asks for: --quick or not."""
    return QUICK if "--quick" in arguments else FULL


class Row(NamedTuple):
    """One line of the table. higher: whether more is better; places: decimals."""

    key: str
    text: str
    unit: str
    higher: bool
    places: int


def rows(sizes: Sizes) -> list[Row]:
    """The table's rows, in order."""
    s = sizes
    return [
        Row("start_s", f"start to first result, {s.engines} engines", "s", False, 3),
        Row("ready_s", f"start of {s.many_engines} engines until all are ready", "s", False, 2),
        Row("blocking_us", "blocking call, balanced", "µs", False, 0),
        Row("direct_us", "blocking call to a named engine", "µs", False, 0),
        Row("apply_per_s", f"{s.separate:,} separate apply_async, then all results", "tasks/s", True, 0),
        Row("map_per_s", f"map of {s.tasks:,}, a task per element", "tasks/s", True, 0),
        Row("few_per_s", f"map of {s.few:,}, a task per element", "tasks/s", True, 0),
        Row("growth", f"tasks/s at {s.tasks:,} over tasks/s at {s.few:,}", "x", True, 2),
        Row("argument_GBs", f"{s.array_mb} MB array as an argument", "GB/s", True, 2),
        Row("share_s", f"{s.array_mb} MB array pushed to {s.engines} engines", "s", False, 3),
        Row("share_more_s", f"{s.array_mb} MB array pushed to {s.more_engines} engines", "s", False, 3),
        Row("pull_GBs", f"{s.array_mb} MB array pulled", "GB/s", True, 2),
        Row("small_per_s", f"{s.small_arrays:,} arrays of 64 kB there and back", "arrays/s", True, 0),
        Row("memory_MB", f"idle memory of {s.engines} engines and what serves them", "MB", False, 0),
        Row("idle_cpu", "idle CPU of the same, of one core", "%", False, 2),
    ]


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    clock = SystemClock()
    begin = clock.monotonic()
    call()
    return clock.monotonic() - begin


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Median duration of one call."""
    return statistics.median(seconds(call) for _ in range(repeats))


def gb_per_s(mb: float, call: Callable[[], object], repeats: int) -> float:
    """Median speed of a call that moves so many MB (2**20 bytes), in 2**30 bytes per second."""
    return mb / 1024 / median_seconds(call, repeats)


def large_array(sizes: Sizes) -> Any:
    """float64 numbers without a pattern."""
    import numpy as np

    return np.random.default_rng(1).random(sizes.array_mb * MB // 8)


def small_arrays(count: int) -> list[Any]:
    """So many arrays of 64 kB: objects of their own, _DISTINCT contents."""
    import numpy as np

    block = np.random.default_rng(2).random((_DISTINCT, SMALL_FLOATS))
    return [block[index % _DISTINCT] for index in range(count)]


def small_per_s(call: Callable[[], Iterable[Any]], given: list[Any]) -> float:
    """Arrays per second of one call that gives back those it was given. Raises ValueError as checked does."""
    back: list[Any] = []
    passed = seconds(lambda: back.extend(call()))
    checked(back, given)
    return len(given) / passed


def checked(results: Iterable[Any], given: Iterable[Any]) -> None:
    """Raise ValueError unless the first and the last result are what was given: a figure of wrong results is none."""
    got, want = list(results), list(given)
    if len(got) != len(want) or any(bytes(got[at]) != bytes(want[at]) for at in (0, -1)):
        raise ValueError("the arrays that came back are not those that were sent")


def processes_below(pid: int) -> list[int]:
    """Pids of all processes below one."""
    import psutil

    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def memory_mb(pids: Iterable[int]) -> float | None:
    """Memory of some processes together in MB, shared pages counted in parts; None where the system cannot tell."""
    import psutil

    total = 0
    for pid in pids:
        try:
            used = getattr(psutil.Process(pid).memory_full_info(), "pss", None)
        except psutil.NoSuchProcess:
            continue
        if used is None:
            return None
        total += used
    return total / MB


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time that some processes have used so far, all their threads together."""
    return sum(_cpu_of(pid) for pid in pids)


def _cpu_of(pid: int) -> float:
    try:  # nanoseconds, where there are any: psutil has the kernel's ticks, 10 ms
        threads = os.listdir(f"/proc/{pid}/task")
        return sum(_nanoseconds(f"/proc/{pid}/task/{thread}/schedstat") for thread in threads) / 1e9
    except (OSError, ValueError, IndexError):
        pass
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _nanoseconds(path: str) -> int:
    with open(path) as file:
        return int(file.read().split()[0])


def idle_cpu_percent(pids: list[int], interval: float) -> float:
    """CPU of some processes in so many seconds of doing nothing, in percent of one core."""
    clock = SystemClock()
    nothing = threading.Event()
    nothing.wait(min(1.0, interval))  # what the start left to do
    used, begin = cpu_seconds(pids), clock.monotonic()
    nothing.wait(interval)
    return 100 * (cpu_seconds(pids) - used) / (clock.monotonic() - begin)


def idle_figures(pids: list[int], interval: float) -> Figures:
    """memory_MB and idle_cpu of these processes, measured over so many seconds; without what cannot be measured."""
    figures = {"idle_cpu": idle_cpu_percent(pids, interval)}
    memory = memory_mb(pids)
    if memory is not None:
        figures["memory_MB"] = memory
    return figures
