"""What the machine and the standard library do with the same work; `python -m tuiparallel.cli.standardfigures NAME [--quick]`.

It prints the figures as one line of JSON. The Pool's workers import this file as it is their main program, so it
imports nothing large.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any

from tuiparallel.cli.workloads import (
    SHORT_MAPS,
    Figures,
    Sizes,
    echo,
    gb_per_s,
    idle_figures,
    large_array,
    median_seconds,
    nbytes,
    processes_below,
    seconds,
    small_arrays,
    small_per_s,
    wanted,
)
from tuiparallel.link.clock import SystemClock

_held: Any = None  # what a worker of the Pool keeps


def _hold(array: Any) -> int:
    global _held
    _held = array
    return nbytes(array)


def _held_array(_: object = None) -> Any:
    return _held


def pool_figures(sizes: Sizes) -> Figures:
    """multiprocessing.Pool, spawned: no hub, no record of any task, one host."""
    clock = SystemClock()
    begin = clock.monotonic()
    with multiprocessing.get_context("spawn").Pool(sizes.engines) as pool:
        pool.apply(echo, (1,))
        figures = {"start_s": clock.monotonic() - begin}
        figures |= idle_figures(processes_below(os.getpid()), sizes.idle_s)
        figures["blocking_us"] = 1e6 * median_seconds(lambda: pool.apply(echo, (1,)), sizes.calls)

        def separately() -> None:
            for answer in [pool.apply_async(echo, (index,)) for index in range(sizes.separate)]:
                answer.get()

        def mapped(tasks: int) -> None:
            pool.map(echo, range(tasks), chunksize=1)

        figures["few_per_s"] = sizes.few / median_seconds(lambda: mapped(sizes.few), SHORT_MAPS)
        figures["apply_per_s"] = sizes.separate / seconds(separately)
        figures["map_per_s"] = sizes.tasks / seconds(lambda: mapped(sizes.tasks))
        figures["growth"] = figures["map_per_s"] / figures["few_per_s"]
        array, few = large_array(sizes), small_arrays(sizes.small_arrays)
        pool.apply(nbytes, (array,))
        figures["argument_GBs"] = gb_per_s(sizes.array_mb, lambda: pool.apply(nbytes, (array,)), sizes.repeats)
        figures["small_per_s"] = small_per_s(lambda: pool.map(echo, few, chunksize=1), few)
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # one worker: the array comes from where it is
        pool.apply(_hold, (array,))
        figures["pull_GBs"] = gb_per_s(sizes.array_mb, lambda: pool.apply(_held_array), sizes.repeats)
    return figures


def echo_figures(sizes: Sizes) -> Figures:
    """A bare 0MQ echo through a Python broker process, one message per call: no task, no record, one echoing process."""
    from tuiparallel.link.echo import BareEcho

    with BareEcho() as bare:
        bare.call()
        return {
            "blocking_us": 1e6 * median_seconds(bare.call, sizes.calls),
            "apply_per_s": sizes.separate / seconds(lambda: bare.stream(sizes.separate)),
            "map_per_s": sizes.tasks / seconds(lambda: bare.stream(sizes.tasks)),
        }


def copy_figures(sizes: Sizes) -> Figures:
    """A plain copy in memory, into pages that exist: nothing that moves an array can be faster."""
    import numpy as np

    source = large_array(sizes)
    target = source.copy()
    speed = gb_per_s(sizes.array_mb, lambda: np.copyto(target, source), 2 * sizes.repeats)
    return {"argument_GBs": speed, "pull_GBs": speed, "share_s": sizes.array_mb / 1024 / speed}


STANDARDS: dict[str, Callable[[Sizes], Figures]] = {
    "Pool": pool_figures,
    "bare 0MQ": echo_figures,
    "memory copy": copy_figures,
}

if __name__ == "__main__":
    print(json.dumps(STANDARDS[sys.argv[1]](wanted(sys.argv[2:]))))
