"""F1, F2, F5, F7 to F10 on real clusters: what user code may do to an engine, and what its caller sees."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import PATIENCE, on_time
from tests.live.conftest import PrivateCluster
from tuiparallel.client.client import Client
from tuiparallel.errors import AbortedTask, CompositeError, EngineError, RemoteError, SerializationError
from tuiparallel.link.clock import Deadline, SystemClock


@pytest.fixture
def rc(private_cluster: PrivateCluster) -> Iterator[Client]:
    """A client of a cluster whose engines may be broken."""
    cluster = private_cluster(2, restart="on-failure", max_restarts=100)
    with cluster.start_and_connect_sync() as client:
        client.wait_for_engines(2, timeout=PATIENCE)
        yield client


def wait_for_two(rc: Client, until: Callable[..., None]) -> None:
    until(lambda: len(rc.ids) == 2, PATIENCE, "two engines")


def kill_me() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


@on_time
def test_f1_an_engine_is_killed_in_a_task(rc: Client, until: Callable[..., None], slack: float) -> None:
    clock = SystemClock()
    for _ in range(5):
        begun = clock.monotonic()
        answer = rc.load_balanced_view().apply_async(kill_me)
        with pytest.raises(EngineError) as caught:
            answer.get(PATIENCE)
        assert clock.monotonic() - begun < 2.0 * slack
        assert caught.value.signal == signal.SIGKILL and caught.value.pid and caught.value.may_have_started
        wait_for_two(rc, until)
    assert rc.load_balanced_view().map_sync(abs, range(-20, 0)) == list(range(20, 0, -1))


def test_f2_the_other_engines_parts_are_kept(rc: Client, until: Callable[..., None]) -> None:
    def die_on(engine: int) -> int:
        import os

        from tuiparallel import current_task

        task = current_task()
        assert task is not None
        if task.engine_id == engine:
            os.kill(os.getpid(), 9)
        return task.engine_id

    first, second = rc.ids
    answer = rc[:].apply_async(die_on, first)
    waiting = rc[first].apply_async(os.getpid)
    with pytest.raises(CompositeError) as caught:
        answer.get(PATIENCE)
    assert isinstance(caught.value.results[0], EngineError)
    assert caught.value.results[1] == second
    with pytest.raises(EngineError):
        waiting.get(PATIENCE)
    wait_for_two(rc, until)


@on_time
def test_f5_an_endless_task_is_aborted(rc: Client, until: Callable[..., None], tmp_path: Path, slack: float) -> None:
    def endless(begun: str) -> None:
        open(begun, "w").close()
        while True:
            pass

    def hold_the_gil(begun: str) -> None:
        import ctypes
        import threading

        threading.Event().wait(0.5)  # long enough for the hub to hear that it runs
        open(begun, "w").close()
        ctypes.PyDLL(None).sleep(600)

    view = rc[rc.ids[0]]
    pid = view.apply_sync(os.getpid)
    for number, (function, limit, grace) in enumerate([(endless, 1.0, 10.0), (hold_the_gil, 3.0, 1.0)]):
        begun = tmp_path / str(number)
        answer = view.apply_async(function, str(begun))
        until(begun.exists)
        deadline = Deadline(SystemClock(), limit * slack)
        rc.abort(answer, running=True, grace=grace)
        with pytest.raises(AbortedTask):
            answer.get(deadline.left())
        if function is endless:
            assert view.apply_sync(os.getpid) == pid  # an interrupt was enough
    wait_for_two(rc, until)


def crash() -> None:
    import ctypes

    ctypes.string_at(0)


def exhaust() -> None:
    exhaust()


@pytest.mark.parametrize("number", range(3))
def test_f7_exits(rc: Client, until: Callable[..., None], number: int) -> None:
    view = rc.load_balanced_view()

    def leave() -> None:
        raise SystemExit(3)

    def really_leave() -> None:
        import os
        import sys

        print("my last words", file=sys.stderr)
        os._exit(3)

    with pytest.raises(RemoteError, match="SystemExit"):
        view.apply_sync(leave)
    with pytest.raises(RecursionError):
        view.apply_sync(exhaust)
    assert len(rc.ids) == 2
    with pytest.raises(EngineError) as caught:
        view.apply_sync(really_leave)
    assert caught.value.exitcode == 3 and "my last words" in caught.value.stderr_tail
    with pytest.raises(EngineError) as caught:
        view.apply_sync(crash)
    assert caught.value.signal == signal.SIGSEGV and "Segmentation fault" in caught.value.stderr_tail
    wait_for_two(rc, until)


def test_f8_forks(rc: Client) -> None:
    def fork_and_return() -> tuple[int, int]:
        import os

        me = os.getpid()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return me, child

    for _ in range(10):
        me, child = rc[rc.ids[0]].apply_sync(fork_and_return)
        assert child > 0 and not psutil.pid_exists(child)
        assert me == rc[rc.ids[0]].apply_sync(os.getpid)


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


@pytest.mark.parametrize("kind", ["direct", "balanced"])
def test_f9_results_that_cannot_travel(rc: Client, kind: str) -> None:
    view: Any = rc[rc.ids[0]] if kind == "direct" else rc.load_balanced_view()

    def raise_odd() -> None:
        class Odd(Exception):
            def __init__(self, one: int, two: int) -> None:
                super().__init__("odd")

        raise Odd(1, 2)

    with pytest.raises(SerializationError, match="generator"):
        view.apply_async(lambda: (x for x in "abc")).get(PATIENCE)
    with pytest.raises(SerializationError):
        view.apply_async(lambda: __import__("threading").Lock()).get(PATIENCE)
    with pytest.raises(RemoteError, match="Odd"):
        view.apply_async(raise_odd).get(PATIENCE)
    assert view.apply_async(lambda: 1).get(PATIENCE) == 1


def test_f10_a_lot_of_output(rc: Client) -> None:
    def print_a_lot() -> int:
        for _ in range(5000):
            print("x" * 9_999)
        return 1

    answer = rc[rc.ids[0]].apply_async(print_a_lot)
    assert answer.get(60) == 1
    assert len(answer.stdout) < (1 << 20) + 100
    assert answer.stdout.endswith(f"… {50_000_000 - (1 << 20):,} bytes left out\n")

    def close_all() -> str:
        import os

        for number in (0, 1, 2):
            os.close(number)
        return "closed"

    assert rc[rc.ids[0]].apply_async(close_all).get(PATIENCE) == "closed"
    assert rc[rc.ids[0]].apply_async(os.system, "true").get(PATIENCE) == 0
