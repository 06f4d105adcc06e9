"""AsyncResult: S56 to S72, on engines of a real cluster."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import weakref
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

import tests
from tests.conftest import PATIENCE
from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.client import Client
from tuiparallel.client.hubresult import AsyncHubResult
from tuiparallel.client.mapresult import AsyncMapResult
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import AbortedTask, CompositeError, RemoteError

Here = Callable[[str], dict[str, Any]]
SLEEP = "import time\ndef nap(s, value=None):\n    time.sleep(s)\n    return value\n"


@pytest.fixture
def nap(here: Here) -> Callable[..., Any]:
    found: Callable[..., Any] = here(SLEEP)["nap"]
    return found


def test_s56_everything_gives_async_results(rc: Client) -> None:
    view, balanced = rc[:], rc.load_balanced_view()
    results = [
        view.apply(abs, 1), view.execute("x = 1"), view.push({"a": 1}), view.pull("a"), view.scatter("b", [1]),
        view.gather("b"), view.map(abs, []), balanced.map(abs, []), balanced.apply(abs, 1), view.reduce(max, [1, 2]),
        view.update({"c": 1}), view.scatter("d", []), view.run(tests.__file__), view.starmap(pow, [(2, 3)]),
        view.starmap(pow, []), balanced.starmap(pow, []), rc.broadcast_view().apply(abs, 1), rc.clear(),
    ]  # fmt: skip
    assert all(isinstance(result, AsyncResult) for result in results)
    assert (
        isinstance(results[6], AsyncMapResult)
        and results[6].get(timeout=PATIENCE) == results[7].get(timeout=PATIENCE) == []
    )
    assert rc.wait(results, timeout=PATIENCE)


def test_s57_wait_returns_none_and_raises_nothing(rc: Client, nap: Any) -> None:
    slow, bad = rc[0].apply_async(nap, 0.3), rc[1].apply_async(lambda: 1 / 0)
    assert slow.wait(0.01) is None and not slow.ready()
    assert bad.wait() is None and bad.ready()
    assert slow.wait() is None and slow.ready()


def test_wait_for_output_says_whether_all_of_it_is_here(rc: Client) -> None:
    slow = rc[0].execute("import time; print('begun'); time.sleep(0.3); print('done')", block=False)
    assert slow.wait_for_output(0.01) is False
    assert slow.wait_for_output(PATIENCE) is True and slow.stdout == "begun\ndone\n"
    bad = rc[1].execute("print('before'); 1 / 0", block=False)
    assert bad.wait_for_output(PATIENCE) is True and bad.stdout == "before\n"
    with pytest.raises(TypeError):
        bad.wait_for_output("soon")  # type: ignore[arg-type]


def test_s58_s59_ready_and_successful(rc: Client, nap: Any) -> None:
    slow, bad = rc[0].apply_async(nap, 0.2), rc[1].apply_async(lambda: 1 / 0)
    assert slow.ready() is False
    with pytest.raises(AssertionError):
        slow.successful()
    slow.wait(), bad.wait()
    assert slow.successful() is True and bad.successful() is False


def test_s60_get_with_a_timeout(rc: Client, nap: Any) -> None:
    slow = rc[0].apply_async(nap, 0.3, "value")
    with pytest.raises(TimeoutError):
        slow.get(timeout=0.01)
    assert slow.get(timeout=PATIENCE) == "value"


def test_s61_s62_errors_of_calls(rc: Client) -> None:
    with pytest.raises(RemoteError) as caught:
        rc[1].apply_sync(lambda: 1 / 0)
    error = caught.value
    assert (error.ename, error.evalue, error.engine_info["engine_id"]) == ("ZeroDivisionError", "division by zero", 1)
    assert set(error.engine_info) == {"engine_id", "engine_uuid", "method"} and "1 / 0" in error.traceback
    assert str(error) == "[1:apply] ZeroDivisionError: division by zero"

    def fails_on(engine: int) -> int:
        from tuiparallel import current_task

        task = current_task()
        assert task is not None
        return 1 // (task.engine_id - engine)

    with pytest.raises(CompositeError) as composite:
        rc[:].apply_sync(fails_on, 2)
    assert isinstance(composite.value, RemoteError)
    assert [entry[3]["engine_id"] for entry in composite.value.elist] == [2]
    assert len(composite.value.results) == 4 and composite.value.results[0] == -1


def test_s63_s64_result_and_get_dict(rc: Client) -> None:
    result = rc[:].apply_async(abs, -1)
    assert result.result == result.r == [1] * 4
    assert result.get_dict() == result.result_dict == dict.fromkeys(rc.ids, 1)
    twice = rc[0].apply_async(abs, 1).join(rc[0].apply_async(abs, 1))
    with pytest.raises(ValueError, match="engine 0"):
        twice.get_dict()


def test_s65_an_aborted_call_never_runs(rc: Client, nap: Any) -> None:
    busy = rc[0].apply_async(nap, 0.5)
    never = rc[0].execute("touched = True")
    never.abort()
    with pytest.raises(AbortedTask) as caught:
        never.get(timeout=1)
    assert caught.value.ename == "AbortedTask" and not busy.ready()
    busy.get(timeout=PATIENCE)
    with pytest.raises(NameError):
        rc[0]["touched"]


def test_s66_s67_s69_metadata(rc: Client) -> None:
    result = rc[2].apply_async(abs, -1)
    result.get(timeout=PATIENCE)
    facts = result.metadata
    assert facts["engine_id"] == facts.engine_id == 2 == result.engine_id == result["engine_id"]
    assert facts.submitted <= facts.started <= facts.completed <= facts.received
    assert all(isinstance(facts[key], datetime) and facts[key].tzinfo for key in ("submitted", "received"))
    assert (facts.status, facts.state, facts.msg_id) == ("ok", "done", result.msg_ids[0])
    known = rc.engine_info(2)
    assert facts.engine_uuid and (facts.engine_uuid, facts.host) == (known["uuid"], known["host"])
    assert facts.after == [] and facts.follow == []
    assert [m.engine_id for m in rc[[3, 1]].apply_async(abs, 1).metadata] == [3, 1]
    assert "pyerr" not in facts.keys() and facts.pyerr is None  # noqa: SIM118
    failed = rc[0].apply_async(lambda: 1 / 0)
    failed.wait(PATIENCE)
    assert failed.status == "error" and failed.pyerr.ename == "ZeroDivisionError"


def test_s67_nobody_has_to_ask_for_received(rc: Client, until: Callable[..., None]) -> None:
    results = [rc[0].apply_async(abs, -1), rc[:].apply_async(abs, -1)]
    until(lambda: results[0].metadata.received is not None and None not in results[1].received)
    assert all(result.ready() for result in results)


def test_s68_output_of_tasks(rc: Client) -> None:
    result = rc[0].execute("import sys\nprint('out')\nprint('err', file=sys.stderr)\n1 + 1", silent=False)
    result.get(timeout=PATIENCE)
    assert result.stdout == "out\n" and result.stderr == "err\n"
    assert result.pyout["data"]["text/plain"] == "2"
    assert rc[0].apply_async(print, "hello").get(timeout=PATIENCE) is None
    printed = rc[:].apply_async(print, "hello")
    printed.wait(PATIENCE)
    assert printed.stdout == ["hello\n"] * 4


def test_s70_s71_other_clients_results(rc: Client, cluster: Cluster, nap: Any) -> None:
    done = rc[0].execute("print('said')\n5", silent=False)
    bad = rc[1].apply_async(lambda: 1 / 0)
    slow = rc[2].apply_async(nap, 0.4, "slow")
    done.get(timeout=PATIENCE), bad.wait(PATIENCE)
    own = rc.get_result(done.msg_ids[0])
    assert type(own) is AsyncResult and own.get() == done.get()
    with cluster.connect() as other:
        theirs = other.get_result(done.msg_ids[0])
        assert type(theirs) is AsyncHubResult and theirs.get(timeout=PATIENCE) == done.get()
        for key in ("stdout", "engine_id", "started", "completed", "name", "execute_result", "status"):
            assert theirs.metadata[key] == done.metadata[key], key
        failed = other.get_result(bad.msg_ids)
        failed.wait(PATIENCE)
        with pytest.raises(CompositeError) as caught:
            failed.get()
        [error] = caught.value.errors
        assert isinstance(error, ZeroDivisionError) and error.traceback == bad.exception().traceback  # type: ignore[union-attr]
        assert failed.metadata[0].error.ename == "ZeroDivisionError" and failed.successful() is False
        waiting = other.get_result(slow.msg_ids[0])
        assert not waiting.ready() and waiting.get(timeout=PATIENCE) == "slow"
        assert waiting.wall_time >= 0.4


def test_s72_history_results_and_metadata(rc: Client) -> None:
    before = len(rc.history)
    one, two = rc[0].apply_async(abs, -1), rc[:].apply_async(abs, -2)
    assert list(rc.history)[before:] == [*one.msg_ids, *two.msg_ids]
    assert rc.history[-1] == two.msg_ids[-1]
    rc.wait(timeout=PATIENCE)
    assert rc.results[one.msg_ids[0]] == 1 and rc.metadata[two.msg_ids[0]].status == "ok"
    assert one.msg_ids[0] not in rc.results
    rc.get_result(one.msg_ids[0], owner=False).get()
    assert one.msg_ids[0] in rc.results and list(rc.results) == one.msg_ids
    rc.purge_local_results("all")
    assert len(rc.results) == 0


# Beyond the seed --------------------------------------------------------------------------------------------------


def test_items_iteration_and_progress(rc: Client, nap: Any) -> None:
    result = rc[:].apply_async(nap, 0.2, 7)
    assert len(result) == 4 and result.progress == 0
    with pytest.raises(TimeoutError):
        result[0]
    assert list(result) == [7] * 4 and result[1:3] == [7, 7] and result.progress == 4
    assert result.elapsed >= 0.2 and result.wall_time >= 0.2 and result.serial_time >= 0.8
    assert result.timedelta(result.submitted, result.received) == pytest.approx(result.wall_time)
    single = rc[0].apply_async(abs, 1)
    with pytest.raises(TypeError):
        iter(single)
    assert single.get(timeout=PATIENCE) == 1


def test_return_when_and_return_exceptions(rc: Client, nap: Any) -> None:
    view = rc.load_balanced_view()
    result = view.apply_async(nap, 0.5, 1).join(view.apply_async(lambda: 1 / 0))
    with pytest.raises(CompositeError):
        result.get(timeout=PATIENCE, return_when=concurrent.futures.FIRST_EXCEPTION)
    assert not result.ready()
    done, pending = result.wait(10, return_when=concurrent.futures.FIRST_COMPLETED)
    assert len(done) == 1 and len(pending) == 1
    first, second = result.get(timeout=PATIENCE, return_exceptions=True)
    assert first == 1 and isinstance(second, ZeroDivisionError)


def test_split_and_join(rc: Client) -> None:
    result = rc[:].apply_async(abs, -5)
    pieces = result.split()
    assert [piece.get(timeout=PATIENCE) for piece in pieces] == [5] * 4
    assert pieces[0].join(*pieces[1:]).get() == [5] * 4


async def test_await_and_async_for(rc: Client, nap: Any) -> None:
    assert await rc[0].apply_async(nap, 0.1, "x") == "x"
    assert [value async for value in rc[:].apply_async(nap, 0.05, 1)] == [1] * 4
    assert [v async for v in rc.load_balanced_view().map_async(abs, range(20))] == list(range(20))
    with pytest.raises(ZeroDivisionError):
        await rc[0].apply_async(lambda: 1 / 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rc[0].apply_async(nap, 0.5)._awaited(), 0.05)


def test_futures_and_callbacks(rc: Client, nap: Any) -> None:
    assert rc[0].apply_async(abs, -1).as_future().result(timeout=PATIENCE) == 1
    future = rc[0].apply_async(lambda: 1 / 0).as_future()
    assert isinstance(future.exception(timeout=PATIENCE), ZeroDivisionError)
    heard: list[Any] = []
    told = threading.Event()

    def callback(result: AsyncResult) -> None:
        heard.append((result.get(), rc[1].apply_sync(abs, -9)))  # waits are allowed here
        told.set()

    rc[0].apply_async(nap, 0.05, "v").add_done_callback(callback)
    assert told.wait(PATIENCE) and heard == [("v", 9)]


def test_published_data(rc: Client, here: Here) -> None:
    f = here("from tuiparallel import publish_data\ndef f():\n    publish_data({'a': [1]})\n    return 2")["f"]
    result = rc[0].apply_async(f)
    assert result.get(timeout=PATIENCE) == 2 and result.data == {"a": [1]}
    assert rc[1].apply_async(abs, 1).data == {}


def test_a_dropped_result_is_freed_and_its_task_goes_on(rc: Client, nap: Any) -> None:
    result = rc[0].apply_async(nap, 1.5, bytes(1000))
    call, name = weakref.ref(result._parts[0].call), result.msg_ids[0]
    assert rc.outstanding == {name}
    del result
    gc.collect()
    assert call() is None and rc.outstanding == {name}
    assert rc.wait(name, timeout=PATIENCE) and rc.outstanding == set()
    assert rc.get_result(name).get(timeout=PATIENCE) == bytes(1000)


def test_times_are_aware_and_exception_is_given(rc: Client) -> None:
    bad = rc[0].apply_async(lambda: 1 / 0)
    assert isinstance(bad.exception(timeout=PATIENCE), ZeroDivisionError)
    assert bad.metadata.received - bad.metadata.submitted < timedelta(seconds=10)
    assert rc[0].apply_async(abs, 1).exception(timeout=PATIENCE) is None


def test_cancel_is_a_bool(rc: Client, nap: Any) -> None:
    busy, queued = rc[0].apply_async(nap, 0.4), rc[0].apply_async(abs, 1)
    assert queued.cancel() is True
    assert busy.cancel() is False
    busy.get(timeout=PATIENCE)
    assert busy.cancel() is False


def test_display_outputs(rc: Client, capsys: pytest.CaptureFixture[str]) -> None:
    result = rc[:2].execute("print('hi')", block=True)
    result.display_outputs()
    assert capsys.readouterr().out == "[stdout:0]\nhi\n[stdout:1]\nhi\n"
    with pytest.raises(ValueError, match="groupby"):
        result.display_outputs("x")


def test_s66_metadata_has_sizes(rc: Client, cluster: Cluster, nap: Any) -> None:
    large = bytes(3 << 20)
    one = rc[0].apply_async(lambda data, copy: bytes(data) if copy else nap(0.05), large, True)
    many = rc[:].map_async(len, [b"x" * n for n in range(0, 40_000, 10_000)])
    small = rc[0].apply_async(nap, 0.1)
    for result in (one, many, small):
        result.get(timeout=PATIENCE)
    assert 3 << 20 <= one.size < 3.1 * (1 << 20) and 3 << 20 <= one.result_size < 3.1 * (1 << 20)
    assert many.size == sorted(many.size) and 30_000 <= many.size[-1] < 31_000
    assert 0 < small.size < 1000 and 0 < small.result_size < 1000
    assert 10 << 20 < small.peak_rss < 10 << 30
    with cluster.connect() as other:
        for result in (one, many, small):
            theirs = other.get_result(result.msg_ids)
            theirs.get(timeout=PATIENCE)
            mine = result.size if isinstance(result.size, list) else [result.size]
            assert theirs.size == mine
            assert theirs.result_size == (
                result.result_size if isinstance(result.size, list) else [result.result_size]
            )


def test_an_async_hub_result_was_received_when_the_hub_had_it(rc: Client, cluster: Cluster, nap: Any) -> None:
    result = rc[0].apply_async(nap, 0.05)
    result.get(timeout=PATIENCE)
    with cluster.connect() as other:
        asked = rc._session.clock.time()
        theirs = other.get_result(result.msg_ids[0])
        theirs.get(timeout=PATIENCE)
        assert theirs.completed <= theirs.received
        assert theirs.received.timestamp() < asked
        assert theirs.received == other.db_query({"msg_id": theirs.msg_id}, ["received"])[0]["received"]


def test_the_place_of_a_failed_element_comes_with_its_exception(rc: Client) -> None:
    for view in (rc[:], rc.load_balanced_view()):
        result = view.map_async(lambda x: 1 // (x - 5), range(10))
        error = result.exception(timeout=PATIENCE)
        assert isinstance(error, CompositeError)
        assert [one.index for one in error.errors] == [5]
        assert error.errors[0].facts == {"index": 5} and isinstance(error.errors[0], ZeroDivisionError)
