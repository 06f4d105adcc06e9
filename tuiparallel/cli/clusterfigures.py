"""This project's own figures; `python -m tuiparallel.cli.clusterfigures [--quick]` prints them as one line of JSON."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tuiparallel.cli.workloads import (
    SHORT_MAPS,
    Figures,
    Sizes,
    checked,
    cpu_seconds,
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
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.running import record_in
from tuiparallel.link.clock import SystemClock

_DO_NOT_COUNT = frozenset({"template", "supervisor"})  # neither is on the path of a task


@contextmanager
def private_cluster(n: int) -> Iterator[tuple[Cluster, Client]]:
    """A cluster that leaves nothing behind, and a client of it; all engines are ready."""
    cluster = Cluster(n)
    try:
        with cluster as client:
            client.wait_for_engines(n, timeout=60)
            yield cluster, client
    finally:
        shutil.rmtree(cluster.directory, ignore_errors=True)  # its history and logs


def sides(cluster: Cluster) -> dict[str, list[int]]:
    """Pids of the three sides of a task: client (this process), hub, engines. What only serves them is left out."""
    record = record_in(cluster.directory)
    if record is None:
        raise RuntimeError(f"{cluster.name} has ended; see {cluster.directory}/log")
    other = {pid for role, pid in record.pids.items() if role in _DO_NOT_COUNT or role == "hub"}
    engines = [pid for pid in processes_below(os.getpid()) if pid not in other]
    return {"client": [os.getpid()], "hub": [record.pids["hub"]], "engines": engines}


def timed_sides(cluster: Cluster, call: Callable[[], object], tasks: int) -> dict[str, float]:
    """What passes and what each side computes during a call, in microseconds per task: wall, client, hub, engines."""
    pids = sides(cluster)
    before = {side: cpu_seconds(members) for side, members in pids.items()}
    found = {"wall": seconds(call)}
    found |= {side: cpu_seconds(members) - before[side] for side, members in pids.items()}
    return {side: 1e6 * spent / tasks for side, spent in found.items()}


def cluster_figures(sizes: Sizes) -> Figures:
    """This project: private clusters with default durability."""
    clock = SystemClock()
    begin = clock.monotonic()
    with private_cluster(sizes.engines) as (cluster, client):
        client.load_balanced_view().apply_sync(echo, 1)
        figures = {"start_s": clock.monotonic() - begin}
        figures |= idle_figures(processes_below(os.getpid()), sizes.idle_s)
        figures |= _tasks(cluster, client, sizes)
        figures |= _arrays(client, sizes)
    begin = clock.monotonic()
    with private_cluster(sizes.many_engines):
        figures["ready_s"] = clock.monotonic() - begin
    return figures


def _tasks(cluster: Cluster, client: Client, sizes: Sizes) -> Figures:
    balanced, one = client.load_balanced_view(), client[0]
    figures = {"blocking_us": 1e6 * median_seconds(lambda: balanced.apply_sync(echo, 1), sizes.calls)}
    figures["direct_us"] = 1e6 * median_seconds(lambda: one.apply_sync(echo, 1), sizes.calls)

    def separately() -> None:
        for answer in [balanced.apply_async(echo, index) for index in range(sizes.separate)]:
            answer.get()

    def mapped(tasks: int) -> None:
        balanced.map_sync(echo, range(tasks), chunksize=1)

    figures["few_per_s"] = sizes.few / median_seconds(lambda: mapped(sizes.few), SHORT_MAPS)
    for name, call, tasks in (
        ("apply", separately, sizes.separate),
        ("map", lambda: mapped(sizes.tasks), sizes.tasks),
    ):
        parts = timed_sides(cluster, call, tasks)
        figures[f"{name}_per_s"] = 1e6 / parts["wall"]
        figures |= {f"{name}_{side}_us": spent for side, spent in parts.items()}
    figures["growth"] = figures["map_per_s"] / figures["few_per_s"]
    return figures


def _arrays(client: Client, sizes: Sizes) -> Figures:
    array, few = large_array(sizes), small_arrays(sizes.small_arrays)
    everyone, balanced, one = client[:], client.load_balanced_view(), client[0]
    everyone.push({"a": array}, block=True)  # engines import numpy now
    figures = {"argument_GBs": gb_per_s(sizes.array_mb, lambda: one.apply_sync(nbytes, array), sizes.repeats)}
    figures |= _shared(client, array, sizes)
    figures["pull_GBs"] = gb_per_s(sizes.array_mb, lambda: one.pull("a", block=True), sizes.repeats)
    checked([one.pull("a", block=True)], [array])
    figures["small_per_s"] = small_per_s(lambda: balanced.map_sync(echo, few, chunksize=1), few)
    return figures


def _shared(few: Client, array: Any, sizes: Sizes) -> Figures:
    """The large array to all engines of two clusters, in turn: the machine is not as fast at all times."""
    times: dict[str, list[float]] = {"share_s": [], "share_more_s": []}
    with private_cluster(sizes.more_engines) as (_, many):
        many[:].push({"a": array}, block=True)  # engines import numpy now
        for _ in range(sizes.repeats):  # as with few engines: what is pushed goes into memory that was used before
            many[0].apply_sync(nbytes, array)
        for _ in range(sizes.repeats):
            for name, client in (("share_s", few), ("share_more_s", many)):
                everyone = client[:]
                times[name].append(seconds(lambda: everyone.push({"a": array}, block=True)))  # noqa: B023
    return {name: statistics.median(found) for name, found in times.items()}


if __name__ == "__main__":
    print(json.dumps(cluster_figures(wanted(sys.argv[1:]))))
