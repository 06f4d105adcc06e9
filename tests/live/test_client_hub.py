"""Hub and control: S73 to S85, on real clusters."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE, on_time
from tests.live.conftest import Occupy
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.running import clusters, record_in
from tuiparallel.errors import AbortedTask, NoSuchTask, RemoteError, ResultExpired
from tuiparallel.link.clock import SystemClock

Here = Callable[[str], dict[str, Any]]
Private = Callable[..., Cluster]


@pytest.fixture
def nap(here: Here) -> Callable[..., Any]:
    found: Callable[..., Any] = here("import time\ndef nap(s, value=None):\n    time.sleep(s)\n    return value")[
        "nap"
    ]
    return found


def test_s73_results_outlive_their_client(rc: Client, cluster: Cluster) -> None:
    with cluster.connect() as first:
        name = first[0].apply_async(pow, 3, 4).msg_ids[0]
        first.wait(timeout=PATIENCE)
    assert rc.get_result(name).get(timeout=PATIENCE) == 81
    assert name in rc.hub_history()


def test_s74_a_killed_hub_comes_back_with_everything(private_cluster: Private, nap: Any) -> None:
    cluster = private_cluster(n=2)
    rc = cluster.start_and_connect_sync()
    with rc:
        done = rc[0].apply_async(pow, 2, 10)
        assert done.get(timeout=PATIENCE) == 1024
        busy, queued = rc[0].apply_async(nap, 0.5, "busy"), rc[0].apply_async(nap, 0.0, "queued")
        rc.wait(done)
        record = record_in(cluster.directory)
        assert record is not None
        os.kill(record.pids["hub"], signal.SIGKILL)
        assert [busy.get(timeout=PATIENCE), queued.get(timeout=PATIENCE)] == ["busy", "queued"]
        with cluster.connect() as other:
            assert other.get_result(done.msg_ids[0]).get(timeout=PATIENCE) == 1024
            assert other.hub_history()[: len(rc.history)] == list(rc.history)


def test_s75_queue_status(rc: Client, nap: Any) -> None:
    busy, waiting = rc[1].apply_async(nap, 0.5), rc[1].apply_async(abs, 1)
    status = rc.queue_status()
    assert set(status) == {*rc.ids, "unassigned"} and status["unassigned"] == 0
    assert status[1]["queue"] == 2 and set(status[1]) == {"queue", "completed", "tasks"}
    assert rc.queue_status(1)["queue"] == rc[1].queue_status()["queue"] == 2
    verbose = rc.queue_status(1, verbose=True)
    assert sorted(verbose["queue"]) == sorted(busy.msg_ids + waiting.msg_ids)
    rc.wait(timeout=PATIENCE)


def test_s75_no_dead_engines_in_it(private_cluster: Private) -> None:
    with private_cluster(n=2) as rc:
        rc.shutdown(0, block=True)
        rc._session.wait(lambda: rc.ids == [1], PATIENCE)
        assert set(rc.queue_status()) == {1, "unassigned"}


def test_s76_result_status_of_a_mix(rc: Client, cluster: Cluster, nap: Any) -> None:
    with cluster.connect() as other:
        foreign = other[0].apply_async(abs, -4)
        foreign.wait(PATIENCE)
    own, bad, slow = rc[0].apply_async(abs, 1), rc[1].apply_async(lambda: 1 / 0), rc[2].apply_async(nap, 0.5)
    rc.wait([own, bad], timeout=PATIENCE)
    status = rc.result_status([own, slow.msg_ids[0], foreign.msg_ids[0], bad, own])
    assert status == {
        "pending": slow.msg_ids,
        "completed": [own.msg_ids[0], foreign.msg_ids[0], bad.msg_ids[0]],
    }
    values = rc.result_status([own, foreign.msg_ids[0]], status_only=False)
    assert values[own.msg_ids[0]] == 1 and values[foreign.msg_ids[0]] == 4
    with pytest.raises(ZeroDivisionError):
        rc.result_status([own, bad], status_only=False)
    kept = rc[0].apply_async(abs, -6).msg_ids[0]
    assert rc.get_result(kept, owner=False).get(timeout=PATIENCE) == 6
    old, rest = own.msg_ids[0], {"pending": [], "completed": [own.msg_ids[0], kept]}
    del own
    gc.collect()
    assert rc.result_status([old, kept, kept]) == rest
    assert rc.result_status([kept, old], status_only=False)[old] == 1
    with pytest.raises(NoSuchTask):
        rc.result_status("0123-4")
    slow.wait(PATIENCE)


def test_s77_purged_results_are_gone(rc: Client, cluster: Cluster) -> None:
    result = rc[0].apply_async(bytes, 100_000)
    result.wait(PATIENCE)
    name = result.msg_ids[0]
    rc.get_result(name, owner=False)
    rc.purge_results(jobs=(job for job in [name]))
    assert name not in rc.results
    with cluster.connect() as other, pytest.raises(ResultExpired):
        other.get_result(name).get(timeout=PATIENCE)
    assert rc.db_query({"msg_id": name}) == [] and name not in rc.hub_history()


def size_of(file: Path) -> int:
    """0 for what is no file, or is none any more."""
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:
        return 0


def test_s77_and_what_they_held_is_given_back(private_cluster: Private, until: Callable[..., None]) -> None:
    cluster = private_cluster(n=1)
    with cluster as rc:
        blobs = Path(cluster.config.blobs)

        def stored() -> int:
            return sum(size_of(file) for file in blobs.rglob("*"))

        empty = stored()
        names = [name for _ in range(3) for name in rc[0].apply_async(bytes, 8 << 20).msg_ids]
        assert rc.wait(names, timeout=PATIENCE)
        assert stored() - empty >= 24 << 20
        rc.purge_results("all")
        until(lambda: stored() - empty < 9 << 20, what="a pool of one buffer may stay")
        assert rc.db_query({"msg_id": {"$in": names}}) == []


@on_time
def test_s78_control_overtakes_queues(rc: Client, nap: Any, slack: float) -> None:
    view = rc[0]
    busy = view.apply_async(nap, 100)
    queued = [view.apply_async(abs, 1) for _ in range(10_000)]
    began = SystemClock.monotonic()
    answer = rc.abort(queued[-1], block=True)
    assert SystemClock.monotonic() - began < 1.0 * slack and answer["aborted"] == queued[-1].msg_ids
    rc.abort(queued, block=True)
    rc.wait(queued, timeout=PATIENCE)
    assert isinstance(queued[0].exception(PATIENCE), AbortedTask)
    began = SystemClock.monotonic()
    rc.abort(busy, block=True, running=True)
    assert isinstance(busy.exception(PATIENCE), AbortedTask) and SystemClock.monotonic() - began < 5 * slack


def test_s79_abort_of_several(rc: Client, nap: Any) -> None:
    busy = rc[0].apply_async(nap, 0.5)
    rc[0].push({"ran": []}, block=False)
    queued = [rc[0].execute(f"ran.append({i})") for i in range(5)]
    answer = rc.abort([queued[0].msg_ids[0], queued[1:4], "nobody-1"], block=True)
    assert answer["aborted"] == [queued[i].msg_ids[0] for i in range(4)] and answer["unknown"] == ["nobody-1"]
    assert [isinstance(result.exception(PATIENCE), AbortedTask) for result in queued[:4]] == [True] * 4
    assert queued[4].get(timeout=PATIENCE).status == "ok" and busy.ready()
    assert rc[0]["ran"] == [4]


def test_s80_clear_leaves_no_names(rc: Client) -> None:
    rc[:].push({"a": 1, "b": 2}, block=True)
    rc[:].clear(block=True)
    left = set(rc[0].pull("list(globals())", block=True))
    assert all(name.startswith("__") for name in left), left
    with pytest.raises(NameError):
        rc[0]["a"]


def test_s80_clear_comes_before_what_is_queued(rc: Client, occupy: Occupy) -> None:
    rc[0].push({"a": 1}, block=True)
    busy = occupy(rc[0], 0.5)
    queued = rc[0].pull("a")
    rc.clear(0, block=True)
    cleared = SystemClock.time()
    assert busy.get(timeout=PATIENCE).status == "ok" and busy.completed.timestamp() <= cleared
    with pytest.raises(NameError):
        queued.get(timeout=PATIENCE)


def test_s81_shutdown_ends_engines_then_everything(private_cluster: Private) -> None:
    cluster = private_cluster(n=3)
    rc = cluster.start_and_connect_sync()
    assert rc.shutdown([0], block=True) == [0]
    rc._session.wait(lambda: rc.ids == [1, 2], PATIENCE)
    rc.shutdown(hub=True, block=True)
    assert rc.closed and not cluster.running and cluster.name not in clusters()


def test_s82_spin_makes_no_request(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    result = rc[0].apply_async(abs, -1)
    monkeypatch.setattr(rc._session, "ask", None)
    rc.spin()
    assert result.get(timeout=PATIENCE) == 1


def test_s83_wait_takes_anything_that_stands_for_tasks(rc: Client, nap: Any) -> None:
    results = [rc[i].apply_async(nap, 0.1) for i in range(4)]
    with rc.executor() as pool:
        future = pool.submit(nap, 0.1, 3)
        mixed = [results[0], results[1].msg_ids[0], -1, {results[3].msg_ids[0]}, future, "unknown-7"]
        assert rc.wait(mixed, timeout=PATIENCE) is True
    assert future.result(0) == 3
    slow = rc[0].apply_async(nap, 0.4)
    assert rc.wait(slow, timeout=0.05) is False and rc.wait(timeout=0.01) is False
    assert rc.wait() is True and slow.ready()


def test_s83_wait_for_tasks_of_another_client(rc: Client, cluster: Cluster, nap: Any) -> None:
    with cluster.connect() as other:
        theirs = other[0].apply_async(nap, 0.5)
        assert other.queue_status(0)["queue"] == 1  # the hub knows the task: an unknown one would count as done
        assert rc.wait(theirs.msg_ids, timeout=0.05) is False
        assert rc.wait(theirs.msg_ids, timeout=PATIENCE) is True
        theirs.wait(PATIENCE)


def test_s84_outstanding_shrinks_as_results_come(rc: Client, nap: Any) -> None:
    results = [rc[0].apply_async(nap, 0.05) for _ in range(3)]
    names = {result.msg_ids[0] for result in results}
    assert rc.outstanding <= names and results[2].msg_ids[0] in rc.outstanding
    view = rc[1]
    mine = view.apply_async(nap, 0.2)
    assert view.outstanding == set(mine.msg_ids)
    rc.wait(timeout=PATIENCE)
    assert rc.outstanding == view.outstanding == set()


def test_signals_reach_a_running_task(rc: Client, nap: Any) -> None:
    result = rc[0].apply_async(nap, 20)
    rc._session.wait(lambda: rc.queue_status(0)["queue"] == 1, PATIENCE)
    started = threading.Event()
    started.wait(0.2)
    rc.send_signal("SIGINT", 0, block=True)
    with pytest.raises(RemoteError) as caught:
        result.get(timeout=PATIENCE)
    assert caught.value.ename == "KeyboardInterrupt"


def test_restart_gives_new_ids(private_cluster: Private) -> None:
    with private_cluster(n=2) as rc:
        pid = rc[0].apply_sync(os.getpid)
        answer = rc.restart_engines(0, block=True)
        assert list(answer) == [0] and answer[0] not in (0, 1)
        rc._session.wait(lambda: answer[0] in rc.ids, PATIENCE)
        assert rc[answer[0]].apply_sync(os.getpid) != pid


def test_scale_up_and_down(private_cluster: Private) -> None:
    with private_cluster(n=1) as rc:
        assert len(rc.scale(3, block=True)) == 3
        assert len(rc.scale(2, block=True)) == 2


def test_resubmit_runs_a_task_again(rc: Client) -> None:
    view = rc.load_balanced_view()
    with view.temp_flags(label="again", retries=2):
        result = view.apply_async(pow, 2, 8)
    result.wait(PATIENCE)
    again = rc.resubmit(result.msg_ids)
    assert again.get(timeout=PATIENCE) == [256] and again.msg_ids != result.msg_ids
    assert again.metadata[0].label == "again" and again.metadata[0].retries == 2


def test_db_query_finds_tasks(rc: Client) -> None:
    with rc[0].temp_flags():
        view = rc[0].set_flags(label="needle")
        result = view.apply_async(abs, -1)
    result.wait(PATIENCE)
    [found] = rc.db_query({"label": "needle", "msg_id": result.msg_ids[0]}, keys=["engine_id", "completed"])
    assert found["msg_id"] == result.msg_ids[0] and found["engine_id"] == 0


def test_engine_info(rc: Client) -> None:
    info = rc.engine_info()
    assert list(info) == rc.ids and info[0]["pid"] == rc[0].apply_sync(os.getpid)
    assert rc.engine_info(1)["uuid"]


def test_client_in_a_task_connects_to_its_own_cluster(rc: Client, cluster: Cluster, here: Here) -> None:
    f = here(
        "def f():\n    import tuiparallel\n    with tuiparallel.Client() as rc:\n        return rc.name, rc.ids"
    )["f"]
    assert rc[0].apply_async(f).get(timeout=PATIENCE) == (cluster.name, rc.ids)


def test_paths_and_dicts_connect_too(rc: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(rc._session.connection.directory) / "client.json"
    import json

    for given in (str(file), file, json.loads(file.read_text()), cluster.name, None):
        with Client(given) as other:
            assert other.ids == rc.ids
    monkeypatch.setenv("TUIPAR_CLUSTER", cluster.name)
    with Client() as other, Client(cluster=cluster) as third, Client(cluster_id=cluster.name) as fourth:
        assert other.name == third.name == fourth.name == cluster.name
