"""What people would use instead, on the same work: `python -m tests.bench.peers NAME [--quick]` prints one line of JSON.

Each does what its own guide recommends for a workload. None is a dependency: what is not importable is not measured.
They need a fraction of a millisecond and more per task, so they get fewer tasks; the figures are rates.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from tuiparallel.cli.workloads import (
    FULL,
    QUICK,
    Figures,
    checked,
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

SIZES = wanted(sys.argv[2:])
TASKS, SMALL = (3_000, 1_000) if SIZES is FULL else (300, 100)
CALLS = SIZES.calls // 20 if SIZES is FULL else QUICK.calls // 50


def _idle() -> Figures:
    return idle_figures(processes_below(os.getpid()), SIZES.idle_s)


def ipyparallel() -> Figures:
    """ipyparallel, hub and engines on this host."""
    ipp: Any = importlib.import_module("ipyparallel")
    clock = SystemClock()
    begin = clock.monotonic()
    cluster = ipp.Cluster(n=SIZES.engines, log_level=logging.ERROR)
    client = cluster.start_and_connect_sync(activate=False)
    try:
        client.wait_for_engines(SIZES.engines)
        everyone, balanced, one = client[:], client.load_balanced_view(), client[0]
        balanced.apply_sync(echo, 1)
        figures = {"start_s": clock.monotonic() - begin, **_idle()}
        figures["blocking_us"] = 1e6 * median_seconds(lambda: balanced.apply_sync(echo, 1), CALLS)
        figures["direct_us"] = 1e6 * median_seconds(lambda: one.apply_sync(echo, 1), CALLS)

        def separately() -> None:
            for answer in [balanced.apply_async(echo, index) for index in range(TASKS)]:
                answer.get()

        figures["apply_per_s"] = TASKS / seconds(separately)
        figures["map_per_s"] = TASKS / seconds(lambda: balanced.map_sync(echo, range(TASKS), chunksize=1))
        array, few = large_array(SIZES), small_arrays(SMALL)
        everyone.push({"a": array}, block=True)
        figures["argument_GBs"] = gb_per_s(SIZES.array_mb, lambda: one.apply_sync(nbytes, array), SIZES.repeats)
        figures["share_s"] = median_seconds(lambda: everyone.push({"a": array}, block=True), SIZES.repeats)
        figures["pull_GBs"] = gb_per_s(SIZES.array_mb, lambda: one.pull("a", block=True), SIZES.repeats)
        # A map would make one array of the results; separate calls leave them as they are.
        figures["small_per_s"] = small_per_s(
            lambda: [answer.get() for answer in [balanced.apply_async(echo, item) for item in few]], few
        )
        return figures
    finally:
        client.close()
        cluster.stop_cluster_sync()


def distributed() -> Figures:
    """dask.distributed, a local cluster of processes with a thread each."""
    library: Any = importlib.import_module("distributed")
    clock = SystemClock()
    begin = clock.monotonic()
    cluster = library.LocalCluster(
        n_workers=SIZES.engines, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
    )
    client = library.Client(cluster)
    try:
        client.wait_for_workers(SIZES.engines)
        client.submit(echo, 1, pure=False).result()
        figures = {"start_s": clock.monotonic() - begin, **_idle()}
        figures["blocking_us"] = 1e6 * median_seconds(lambda: client.submit(echo, 1, pure=False).result(), CALLS)

        def separately() -> None:
            client.gather([client.submit(echo, index, pure=False) for index in range(TASKS)])

        figures["apply_per_s"] = TASKS / seconds(separately)
        figures["map_per_s"] = TASKS / seconds(lambda: client.gather(client.map(echo, range(TASKS), pure=False)))
        array, few = large_array(SIZES), small_arrays(SMALL)
        figures["argument_GBs"] = gb_per_s(
            SIZES.array_mb,
            lambda: client.submit(nbytes, client.scatter(array, hash=False), pure=False).result(),
            SIZES.repeats,
        )
        figures["share_s"] = median_seconds(lambda: client.scatter(array, hash=False, broadcast=True), SIZES.repeats)
        held = client.scatter(array, hash=False)
        figures["pull_GBs"] = gb_per_s(SIZES.array_mb, lambda: client.gather(held), SIZES.repeats)
        checked([client.gather(held)], [array])
        figures["small_per_s"] = small_per_s(
            lambda: client.gather(client.map(echo, client.scatter(few, hash=False), pure=False)), few
        )
        return figures
    finally:
        client.close()
        cluster.close()


class Holder:
    """An actor: what a named engine is elsewhere."""

    def __init__(self) -> None:
        self.array: Any = None

    def echo(self, value: object) -> object:
        """The task that does nothing."""
        return value

    def keep(self, array: Any) -> int:
        """Hold it."""
        self.array = array
        return int(array.nbytes)

    def give(self) -> Any:
        """Give back what is held."""
        return self.array


def ray() -> Figures:
    """ray on this host, its object store 2 GB."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    library: Any = importlib.import_module("ray")
    clock = SystemClock()
    begin = clock.monotonic()
    library.init(
        num_cpus=SIZES.engines, include_dashboard=False, logging_level="ERROR", object_store_memory=2 * 10**9
    )
    try:
        call, size, get = library.remote(echo), library.remote(nbytes), library.get
        get(call.remote(1))
        figures = {"start_s": clock.monotonic() - begin, **_idle()}
        figures["blocking_us"] = 1e6 * median_seconds(lambda: get(call.remote(1)), CALLS)

        def separately() -> None:
            get([call.remote(index) for index in range(TASKS)])

        figures["apply_per_s"] = TASKS / seconds(separately)
        figures["map_per_s"] = TASKS / seconds(separately)  # its guide maps by separate calls
        few = small_arrays(SMALL)
        figures["small_per_s"] = small_per_s(lambda: get([call.remote(item) for item in few]), few)
        array = large_array(SIZES)
        get(size.remote(array))
        figures["argument_GBs"] = gb_per_s(SIZES.array_mb, lambda: get(size.remote(array)), SIZES.repeats)
        actor = library.remote(num_cpus=0)(Holder)
        holders = [actor.remote() for _ in range(SIZES.engines)]
        get([holder.echo.remote(1) for holder in holders])
        figures["direct_us"] = 1e6 * median_seconds(lambda: get(holders[0].echo.remote(1)), CALLS)

        def share() -> None:
            kept = library.put(array)
            get([holder.keep.remote(kept) for holder in holders])

        share()
        figures["share_s"] = median_seconds(share, SIZES.repeats)
        figures["pull_GBs"] = gb_per_s(SIZES.array_mb, lambda: get(holders[0].give.remote()), SIZES.repeats)
        return figures
    finally:
        library.shutdown()


PEERS: dict[str, Callable[[], Figures]] = {"ipyparallel": ipyparallel, "distributed": distributed, "ray": ray}


def importable() -> list[str]:
    """The names of those that are installed here."""
    return [name for name in PEERS if importlib.util.find_spec(name) is not None]


if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]]()))
