"""Defects that must not come back: the rows D1 to D39 that concern the client, on real clusters."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.conftest import PATIENCE, on_time, wait_until
from tests.live.conftest import Occupy
from tuiparallel.client.client import Client
from tuiparallel.client.dependency import Dependency
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import processes_of
from tuiparallel.cluster.running import record_in
from tuiparallel.errors import AbortedTask, CompositeError, EngineError, HubUnreachable, NoSuchTask, RemoteError
from tuiparallel.link.clock import SystemClock

Here = Callable[[str], dict[str, Any]]
Private = Callable[..., Cluster]


@pytest.fixture
def nap(here: Here) -> Callable[..., Any]:
    found: Callable[..., Any] = here("import time\ndef nap(s, value=None):\n    time.sleep(s)\n    return value")[
        "nap"
    ]
    return found


def test_d01_d02_d03_db_query_compares_as_it_says(rc: Client) -> None:
    view = rc[0].set_flags(label="compared")
    ids = [view.apply_async(abs, i).msg_ids[0] for i in range(3)]
    bad = view.apply_async(lambda: 1 / 0).msg_ids[0]
    rc.wait(timeout=PATIENCE)
    found = rc.db_query({"label": "compared", "msg_id": {"$in": [*ids, bad]}})
    assert [row["msg_id"] for row in found] == [*ids, bad]
    ran = sorted(found, key=lambda row: row["completed"])
    later = rc.db_query({"msg_id": {"$in": [*ids, bad]}, "completed": {"$gt": ran[1]["completed"]}})
    assert {row["msg_id"] for row in later} == {row["msg_id"] for row in ran[2:]}
    both = rc.db_query({"label": "compared", "status": "error", "msg_id": {"$in": [*ids, bad]}})
    assert [row["msg_id"] for row in both] == [bad]
    assert rc.db_query({"timeout": {"$lt": 5}, "msg_id": {"$in": ids}}) == []


def test_d04_flags_take_as_dict(rc: Client) -> None:
    view = rc.load_balanced_view()
    first = view.apply_async(abs, 1)
    view.set_flags(after=Dependency(first).as_dict())
    assert view.apply_async(abs, -2).get(timeout=PATIENCE) == 2


def test_d05_tasks_that_waited_for_an_engine_start_in_order(private_cluster: Private) -> None:
    with private_cluster(n=0) as rc:
        view = rc.load_balanced_view()
        results = [view.apply_async(abs, i) for i in range(50)]
        rc.scale(1, block=True)
        assert rc.wait(results, timeout=PATIENCE)
        starts = [result.started for result in results]
        assert starts == sorted(starts)


def test_d06_d07_histories_hold_each_task_once(rc: Client) -> None:
    view = rc.load_balanced_view()
    view.map_sync(abs, range(200))
    assert len(view.history) == len(set(view.history)) == 200
    named = view.history[-3:]
    rc.get_result(named, owner=False).get(timeout=PATIENCE)
    assert list(rc.metadata) == list(rc.results) == named and len(rc.metadata) == 3
    assert "engine_id" not in rc.metadata and [rc.metadata[name].msg_id for name in rc.metadata] == named


def test_d08_result_status_survives_local_errors(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = rc[0].apply_async(lambda: 1 / 0)
    bad.wait(PATIENCE)
    asked: list[Any] = []
    query = rc._query

    def noted(what: str, **arguments: Any) -> Any:
        asked.append(arguments)
        return query(what, **arguments)

    monkeypatch.setattr(rc, "_query", noted)
    slow = rc[0].apply_async(abs, 1)
    status = rc.result_status([bad, bad, slow, slow.msg_ids[0]])
    assert bad.msg_ids[0] in status["completed"]
    assert sum(count for call in asked for _, _, count in call["tasks"]) <= 1


def test_d09_tasks_of_a_former_hub_have_a_status(private_cluster: Private) -> None:
    cluster = private_cluster(n=1)
    with cluster.start_and_connect_sync() as rc:
        done = rc[0].apply_async(abs, -1)
        done.wait(PATIENCE)
        record = record_in(cluster.directory)
        assert record is not None
        os.kill(record.pids["hub"], signal.SIGKILL)
        assert rc[0].apply_async(abs, -2).get(timeout=PATIENCE) == 2
        with cluster.connect() as other:
            assert other.result_status(done.msg_ids) == {"pending": [], "completed": done.msg_ids}


def test_d10_d11_resubmit_keeps_flags_and_targets(rc: Client) -> None:
    view = rc.load_balanced_view([1, 2])
    earlier = view.apply_async(abs, 1)
    with view.temp_flags(label="kept", retries=3, after=earlier, follow=earlier):
        result = view.apply_async(abs, -3)
    direct = rc[3].apply_async(os.getpid)
    rc.wait(timeout=PATIENCE)
    again, straight = rc.resubmit(result), rc.resubmit(direct)
    assert again.get(timeout=PATIENCE) == 3 and straight.get(timeout=PATIENCE) == direct.get()
    facts = again.metadata
    assert (facts.label, facts.retries, facts.targets) == ("kept", 3, [1, 2])
    assert facts.after == earlier.msg_ids and facts.follow == earlier.msg_ids
    assert straight.metadata.engine_id == 3 and straight.metadata.targets == [3]


def test_d12_a_plural_result_of_aborted_tasks_raises(rc: Client, nap: Any) -> None:
    busy = rc[:].apply_async(nap, 0.5)
    result = rc[:].apply_async(abs, 1)
    result.abort()
    with pytest.raises(CompositeError) as caught:
        result.get(timeout=PATIENCE)
    assert {error.ename for error in caught.value.errors} == {"AbortedTask"}
    assert result.successful() is False
    busy.wait(PATIENCE)


def test_d13_get_result_of_own_and_foreign_has_all(rc: Client, cluster: Cluster) -> None:
    with cluster.connect() as other:
        foreign = other[1].apply_async(abs, -7)
        foreign.wait(PATIENCE)
    own = rc[0].apply_async(abs, -8)
    both = rc.get_result([own, foreign.msg_ids[0], own.msg_ids[0]])
    assert both.get(timeout=PATIENCE) == [8, 7, 8] and both.msg_ids == [*own.msg_ids, *foreign.msg_ids, *own.msg_ids]


def test_d14_d15_purge_by_targets_and_generators(rc: Client) -> None:
    one, two = rc[1].apply_async(abs, 1), rc[2].apply_async(abs, 1)
    rc.wait(timeout=PATIENCE)
    rc.get_result([one, two], owner=False)
    rc.purge_results(targets=1)
    assert one.msg_ids[0] not in rc.results and two.msg_ids[0] in rc.results
    rc.purge_results(job for job in [two])
    assert len(rc.results) == 0
    with pytest.raises(ValueError):
        rc.purge_results()
    with pytest.raises((RemoteError, IndexError)):
        slow = rc[0].execute("import time; time.sleep(.4)")
        try:
            rc.purge_hub_results(slow)
        finally:
            slow.wait(PATIENCE)


def test_d16_d17_d18_gather_of_odd_parts(rc: Client) -> None:
    view = rc[:]
    array = np.arange(10, dtype="u1")
    view.scatter("a", array, dist="r", block=True)
    joined = view.gather("a", dist="r", block=True)
    assert joined.dtype == array.dtype and np.array_equal(joined, array)
    view.scatter("b", np.arange(5, dtype="f4"), flatten=True, block=True)
    joined = view.gather("b", block=True)
    assert joined.dtype == np.dtype("f4") and joined.tolist() == [0, 1, 2, 3, 4]
    for number, part in enumerate(([], [1, 2], [], [3])):
        rc[number]["c"] = part
    assert view.gather("c", block=True) == [1, 2, 3]
    rc[0]["d"] = np.zeros(0, dtype="i8")
    rc[1:]["d"] = np.ones(2, dtype="i8")
    assert view.gather("d", block=True).tolist() == [1] * 6


def test_d19_return_exceptions_keeps_the_length(rc: Client) -> None:
    values = rc.load_balanced_view().map_sync(
        lambda x: 1 // x, [1, 0, 0, 0, 1, 0, 1], chunksize=3, return_exceptions=True
    )
    assert [isinstance(value, ZeroDivisionError) for value in values] == [0, 1, 1, 1, 0, 1, 0]


def test_d20_odd_values_are_sendable(rc: Client) -> None:
    mixed = {1: "a", "b": 2, None: 3, (1, 2): 4}
    assert rc[0].apply_sync(lambda d: d, mixed) == mixed
    functions = [lambda x, i=i: x + i for i in range(100)]
    assert rc[0].apply_sync(lambda fs: sum(f(1) for f in fs), functions) == sum(range(100)) + 100


def test_d21_more_retries_than_engines_end_in_the_error(rc: Client) -> None:
    view = rc.load_balanced_view()
    with view.temp_flags(retries=6):
        result = view.apply_async(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.get(timeout=PATIENCE)
    assert len(result.metadata.attempts) == 6


@on_time
def test_d22_d23_abort_says_what_it_did_at_once(rc: Client, occupy: Occupy, slack: float) -> None:
    busy = occupy(rc[0], 3.0)
    queued = rc[0].apply_async(abs, 1)
    wait_until(lambda: rc.queue_status(0)["queue"] == 2)
    began = SystemClock.monotonic()
    answer = rc.abort([busy, queued], block=True)
    assert isinstance(queued.exception(PATIENCE), AbortedTask) and SystemClock.monotonic() - began < 0.5 * slack
    assert not busy.ready() and answer["running"] == busy.msg_ids and answer["aborted"] == queued.msg_ids
    assert busy.get(timeout=PATIENCE).status == "ok"


def test_d24_get_in_a_done_callback_returns(rc: Client) -> None:
    values: list[Any] = []
    told = threading.Event()

    def callback(result: Any) -> None:
        values.append(result.get())
        told.set()

    rc[0].apply_async(abs, -3).add_done_callback(callback)
    assert told.wait(PATIENCE) and values == [3]


def test_d25_ctrl_c_ends_a_blocking_call(rc: Client, nap: Any) -> None:
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        rc[0].apply_sync(nap, 1.0, "later")
    timer.join()
    assert caught.value.async_result.get(timeout=PATIENCE) == "later"  # type: ignore[attr-defined]


@on_time
def test_d26_a_negative_rest_of_time_is_none_left(rc: Client, nap: Any, slack: float) -> None:
    result = rc[0].apply_async(nap, 30)
    began = SystemClock.monotonic()
    with pytest.raises(TimeoutError):
        result.get(timeout=-0.5)
    assert rc.wait(result, timeout=-3) is False and SystemClock.monotonic() - began < 0.3 * slack
    assert not result.ready()
    rc.abort(result, running=True, block=True)


def test_d27_wait_interactive_raises_when_late(rc: Client, nap: Any, capsys: pytest.CaptureFixture[str]) -> None:
    result = rc[:].apply_async(nap, 0.5)
    with pytest.raises(TimeoutError):
        result.wait_interactive(interval=0.05, timeout=0.1)
    result.wait_interactive(interval=0.05, timeout=PATIENCE)
    out, err = capsys.readouterr()
    assert out == "" and "4/4" in err


def test_d28_only_its_async_result_keeps_a_result_alive(rc: Client) -> None:
    view = rc.load_balanced_view()
    before = psutil.Process().memory_info().rss
    for _ in range(20):
        result = view.apply_async(bytearray, 5_000_000)
        result.get(timeout=PATIENCE)
    del result
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 50 << 20
    assert not list(rc._session.ledger.living())


def test_d29_remote_functions_keep_flags_apart(rc: Client) -> None:
    view = rc.load_balanced_view()
    labels: dict[str, set[Any]] = {"a": set(), "b": set()}
    functions = {name: view.remote(label=name, block=False)(abs) for name in labels}

    def use(name: str) -> None:
        for _ in range(50):
            labels[name].add(functions[name](1).metadata.label)

    threads = [threading.Thread(target=use, args=(name,)) for name in labels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert labels == {"a": {"a"}, "b": {"b"}} and view.label is None
    rc.wait(timeout=PATIENCE)


def test_b41_d30_without_a_hub_everything_ends(private_cluster: Private, nap: Any) -> None:
    cluster = private_cluster(n=1)
    cluster.start_and_connect_sync().close()
    rc = cluster.connect(hub_timeout=1.0, query_timeout=1.0)
    with rc:
        waiting = rc[0].apply_async(nap, 30)
        rc._session.wait(lambda: not len(rc._session.link.outbox), PATIENCE)
        future = waiting.as_future()
        for number in (signal.SIGSTOP, signal.SIGKILL):  # all at once: none can tell of another's end
            for pid in processes_of(cluster.directory):
                os.kill(pid, number)
        with pytest.raises(HubUnreachable, match=r"not been reachable for \d+ s .hub_timeout is 1.*is kept"):
            waiting.get(timeout=PATIENCE)
        with pytest.raises(HubUnreachable):
            rc.queue_status()
        assert isinstance(future.exception(timeout=PATIENCE), HubUnreachable) and waiting.wait() is None


@on_time
def test_d31_a_dead_engine_is_named_at_once(private_cluster: Private, occupy: Occupy, slack: float) -> None:
    with private_cluster(n=2) as rc:
        pid = rc[1].apply_sync(os.getpid)
        result = occupy(rc[1], 100.0)
        os.kill(pid, signal.SIGKILL)
        began = SystemClock.monotonic()
        with pytest.raises(EngineError) as caught:
            result.get(timeout=PATIENCE)
        assert SystemClock.monotonic() - began < 1.0 * slack
        assert caught.value.engine_id == 1 and caught.value.signal == 9


def test_d32_broadcast_views_are_whole(rc: Client) -> None:
    view = rc.broadcast_view([2, 0])
    with view.temp_flags(track=True):
        result = view.apply_async(lambda a: (float(a.sum()), __import__("os").getpid()), np.ones(10))
    result.wait_on_send(timeout=PATIENCE)
    values = result.get(timeout=PATIENCE)
    assert [value[1] for value in values] == [rc[2].apply_sync(os.getpid), rc[0].apply_sync(os.getpid)]
    assert view.outstanding == set()
    rc.purge_results(result)


def test_d33_memory_of_client_and_hub_stays_flat(rc: Client, cluster: Cluster) -> None:
    view = rc.load_balanced_view()
    hub, mine = psutil.Process(cluster.pids["hub"]), psutil.Process()
    for _ in range(4):
        view.map_sync(abs, range(10_000))
    gc.collect()
    before = mine.memory_info().rss, hub.memory_info().rss
    for _ in range(8):
        view.map_sync(abs, range(10_000))
    gc.collect()
    assert mine.memory_info().rss - before[0] < 8 << 20
    assert hub.memory_info().rss - before[1] < 16 << 20
    assert not list(rc._session.ledger.living()) and rc.outstanding == set()


def test_d34_imap_keeps_all_engines_busy(rc: Client, here: Here) -> None:
    where = here(
        "import time\nfrom tuiparallel import current_task\n"
        "def where(i):\n    time.sleep(0.4 if i == 0 else 0.01)\n    return current_task().engine_id"
    )["where"]
    used = list(rc.load_balanced_view().imap(where, range(40)))
    assert len(used) == 40 and set(used) == set(rc.ids)


def test_d35_stream_output_prints_each_line_once(
    rc: Client, here: Here, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    chatty = here(
        "import time\ndef chatty(n, begun):\n    for i in range(n):\n        print('line', i, flush=True)\n"
        "        time.sleep(0.05)\n        open(begun, 'w').close()"
    )["chatty"]
    early = rc[:2].apply_async(chatty, 6, os.devnull)
    with early.stream_output():
        early.wait(PATIENCE)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == sorted(f"[stdout:{e}] line {i}" for e in (0, 1) for i in range(6))
    late = rc[0].apply_async(chatty, 8, str(tmp_path / "begun"))
    wait_until((tmp_path / "begun").exists)
    with late.stream_output():
        late.wait(PATIENCE)
    assert capsys.readouterr().out.splitlines() == [f"line {i}" for i in range(8)]
    with late.stream_output():
        pass
    assert capsys.readouterr().out.splitlines() == [f"line {i}" for i in range(8)]


def test_d37_a_remote_attribute_error_arrives_as_itself(rc: Client) -> None:
    result = rc[0].apply_async(lambda: None.nothing)  # type: ignore[attr-defined]
    result.wait(PATIENCE)
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'nothing'"):
        _ = result.r
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = result.nonsense


def test_d38_by_value_functions_need_no_module(rc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"only_here_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text("def make():\n    def inner(x):\n        return x + 1\n    return inner\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    inner = __import__(name).make()
    with pytest.raises(ImportError):
        rc[0].execute(f"import {name}", block=True)
    assert rc[0].apply_sync(inner, 1) == 2


def test_d39_no_key_in_environment_or_arguments(rc: Client, cluster: Cluster) -> None:
    content = (Path(rc._session.connection.directory) / "client.json").read_text()
    keys = [word for word in content.replace('"', " ").split() if len(word) >= 40 and "/" not in word]
    for pid in processes_of(cluster.directory):
        process = psutil.Process(pid)
        text = " ".join(process.cmdline()) + str(process.environ())
        assert not any(key in text for key in keys)
    with pytest.raises(NoSuchTask):
        rc.result_status("ffff-1")
