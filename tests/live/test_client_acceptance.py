"""What is promised as a whole, with its figures (`-s` shows them): arrays, hand-over, graphs of tasks, memory, two clients."""

from __future__ import annotations

import gc
import random
import statistics
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import PATIENCE, on_time
from tests.live.conftest import PrivateCluster
from tuiparallel.client.client import Client
from tuiparallel.client.dependency import Dependency
from tuiparallel.client.hubresult import AsyncHubResult
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import ImpossibleDependency, InvalidDependency, RemoteError
from tuiparallel.link.clock import SystemClock

pytestmark = pytest.mark.live

Here = Callable[[str], dict[str, Any]]

DEEP = """
def inside(box):
    return box["three"][0]["levels"][1]
def writeable(top, box, *, key):
    return [top.flags.writeable, inside(box).flags.writeable, key.flags.writeable]
def echo(array):
    return array, {"three": [{"levels": (0, array)}]}
def refused(array):
    array[0] = 1
def nap(seconds):
    import time
    time.sleep(seconds)
def speak(words):
    import sys
    print(words)
    print(words.upper(), file=sys.stderr)
    return len(words)
"""


def _anonymous() -> int:
    """Bytes of this process's own memory, files not counted."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) << 10


@pytest.mark.parametrize("size", [16, 100_000_000])
def test_arrays_are_read_only_everywhere(rc: Client, here: Here, size: int) -> None:
    """At the top and three levels deep, in keyword arguments, in a pull: on engines and on the client."""
    names = here(DEEP)
    array = np.arange(size // 8, dtype=np.float64)
    box = {"three": [{"levels": (0, array)}]}
    assert rc[0].apply_sync(names["writeable"], array, box, key=array) == [False] * 3
    top, deep = rc[0].apply_sync(names["echo"], array)
    found = [top, names["inside"](deep)]
    rc[0].push({"kept": box}, block=True)
    found.append(names["inside"](rc[0]["kept"]))
    rc[:2].scatter("part", array, block=True)
    found.append(rc[:2].gather("part", block=True))
    for one in found:
        assert not one.flags.writeable and np.array_equal(one, array)
        with pytest.raises(ValueError, match="read-only"):
            one[0] = 1
    with pytest.raises(RemoteError, match="read-only"):
        rc[0].apply_sync(names["refused"], array)
    assert array.flags.writeable
    gc.collect()  # the tracebacks above hold this frame, and so the mapped arrays


@pytest.mark.long
def test_a_tracked_array_may_be_overwritten_when_it_was_sent(rc: Client, here: Here) -> None:
    """200 MB, twenty times: apply_async returns at once, and the engine sees the old contents."""
    nap = here(DEEP)["nap"]
    clock = SystemClock()
    array = np.empty(25_000_000)
    view = rc[:1]
    view.track = True
    returned: list[float] = []
    sent: list[float] = []
    for round in range(20):
        array[:] = round
        busy = rc[0].apply_async(nap, 0.05)  # so that the task surely begins after the array was overwritten
        before = clock.monotonic()
        result = view.apply_async(lambda a: float(a.sum()), array)
        returned.append(clock.monotonic() - before)
        assert result.sent is False
        result.wait_on_send(timeout=PATIENCE)
        assert result.sent
        sent.append(clock.monotonic() - before)
        array[:] = -1
        assert result.get(timeout=PATIENCE) == [round * 25_000_000.0]
        busy.get(timeout=PATIENCE)
    print(f"\napply_async of 200 MB: median {1e3 * statistics.median(returned):.2f} ms, slowest "
          f"{1e3 * max(returned):.2f} ms; sent after {statistics.median(sent):.3f} s (median); 20 of 20 sums")  # fmt: skip
    assert max(returned) < 0.010


def test_a_graph_of_500_tasks_keeps_its_order_and_places(rc: Client, here: Here) -> None:
    nap = here(DEEP)["nap"]
    dice = random.Random(4)
    view = rc.load_balanced_view()
    nodes: list[Any] = []
    edges: list[tuple[list[int], int | None]] = []
    for node in range(500):
        after = dice.sample(range(max(0, node - 40), node), min(node, dice.randint(0, 3)))
        follow = dice.choice(range(max(0, node - 40), node)) if node and dice.random() < 0.3 else None
        flags = {"after": [nodes[one] for one in after], "follow": None if follow is None else nodes[follow]}
        with view.temp_flags(**flags):
            nodes.append(view.apply_async(nap, 0.001))
        edges.append((after, follow))
    assert rc.wait(nodes, timeout=60)
    facts = [node.metadata for node in nodes]
    assert {one.status for one in facts} == {"ok"}
    for one, (after, follow) in zip(facts, edges, strict=True):
        assert all(one.started >= facts[other].completed for other in after)
        if follow is not None:
            assert one.started >= facts[follow].completed and one.engine_id == facts[follow].engine_id
    print(f"\n{sum(len(after) for after, _ in edges)} edges of after, "
          f"{sum(follow is not None for _, follow in edges)} of follow, all in order")  # fmt: skip


@on_time
def test_impossible_and_invalid_dependencies_fail_at_once(rc: Client, slack: float) -> None:
    view = rc.load_balanced_view()
    clock = SystemClock()
    good, bad = view.apply_async(abs, 1), view.apply_async(lambda: 1 / 0)
    good.wait(), bad.wait()
    elsewhere = [rc[0].apply_async(abs, 1), rc[1].apply_async(abs, 1)]
    rc.wait(elsewhere)
    for flags, error in (
        ({"after": bad}, ImpossibleDependency),
        ({"after": Dependency([good], success=False, failure=True)}, ImpossibleDependency),
        ({"follow": elsewhere}, ImpossibleDependency),
        ({"after": "nobody-7"}, InvalidDependency),
    ):
        before = clock.monotonic()
        with view.temp_flags(**flags):
            result = view.apply_async(abs, 1)
        failure = result.exception(timeout=PATIENCE)
        assert type(failure) is error
        print(f"\n{error.__name__} after {1e3 * (clock.monotonic() - before):.1f} ms")
        assert clock.monotonic() - before < 1.0 * slack


@pytest.mark.long
def test_a_large_map_leaves_no_memory_behind(rc: Client, until: Callable[..., None]) -> None:
    view = rc.load_balanced_view()
    assert sum(view.map_sync(abs, range(100_000), chunksize=1)) == sum(range(100_000))  # warms up
    gc.collect()
    before = _anonymous()
    result = view.map_async(abs, range(100_000), chunksize=1)
    assert len(result.get(timeout=300)) == 100_000
    held = _anonymous()
    del result
    gc.collect()
    after = _anonymous()
    print(
        f"\nmap of 100,000: {(held - before) / 1e6:+.1f} MB with its result, {(after - before) / 1e6:+.1f} MB without"
    )
    assert abs(after - before) < 10e6
    assert not rc.outstanding and len(rc.results) == 0


@pytest.mark.long
def test_a_loop_of_calls_does_not_grow_the_client(rc: Client) -> None:
    view = rc.load_balanced_view()
    for number in range(10_000):
        assert view.apply_async(abs, -number).get() == number
    gc.collect()
    before = _anonymous()
    for number in range(100_000):
        assert view.apply_async(abs, -number).get() == number
    gc.collect()
    grown = _anonymous() - before
    print(f"\n100,000 apply_async(...).get(): {grown / 1e6:+.2f} MB")
    assert grown < 2e6


def test_two_clients_see_each_others_results(private_cluster: PrivateCluster, here: Here) -> None:
    """With metadata, output and errors; also a client that starts after the first has gone."""
    speak = here(DEEP)["speak"]
    cluster: Cluster = private_cluster(n=2)
    one = cluster.start_and_connect_sync()
    with one, cluster.connect() as two:
        spoken = one[0].apply_async(speak, "hello")
        failed = two.load_balanced_view().apply_async(lambda: dict[str, int]()["missing"])
        both = [spoken.msg_ids[0], failed.msg_ids[0]]
        spoken.get(timeout=PATIENCE), failed.wait(PATIENCE)
        _compare(two, spoken, failed, both)
        _compare(one, spoken, failed, both)
    with cluster.connect() as late:
        _compare(late, spoken, failed, both)


def _compare(client: Client, spoken: Any, failed: Any, both: list[str]) -> None:
    first, second = client.get_result(both[0]), client.get_result(both[1])
    assert isinstance(first, AsyncHubResult) == (client.session != spoken.session)
    assert first.get(timeout=PATIENCE) == 5
    assert (first.stdout, first.stderr) == ("hello\n", "HELLO\n")
    with pytest.raises(KeyError, match="missing") as caught:
        second.get(timeout=PATIENCE)
    theirs = caught.value
    assert isinstance(theirs, RemoteError) and theirs.ename == "KeyError" and "lambda" in theirs.traceback
    for mine, here in ((spoken, first), (failed, second)):
        for key in ("msg_id", "name", "status", "state", "engine_id", "submitted", "started", "completed", "size"):
            assert here.metadata[key] == mine.metadata[key], key
        assert isinstance(here.received, datetime) and here.received >= here.completed
    assert client.result_status(both)["completed"] == both
