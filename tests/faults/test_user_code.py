"""F7 to F10 and F45 on real clusters: exits, forks, results that cannot travel, output without end, tasks moved on."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.conftest import wait_until
from tests.faults.chaos import PATIENCE, kill_hub, new_hub
from tests.faults.ledger import Ledger
from tests.faults.tasks import pause
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import processes_of
from tuiparallel.errors import EngineError, RemoteError

Start = Callable[..., Cluster]
Show = Callable[[object], None]


# F7: seven ways to end ----------------------------------------------------------------------------------------------


def leave() -> None:
    raise SystemExit(3)


def leave_now() -> None:
    import os

    os.write(2, b"my last words\n")
    os._exit(3)


def crash() -> None:
    import ctypes

    ctypes.string_at(0)


def abort() -> None:
    import os

    os.abort()


def exhaust() -> None:
    exhaust()


def leave_from_a_thread() -> str:
    import sys
    import threading

    thread = threading.Thread(target=sys.exit, args=(4,))
    thread.start()
    thread.join()
    return "still here"


def leave_now_from_a_thread() -> None:
    import os
    import threading

    threading.Thread(target=os._exit, args=(5,)).start()
    threading.Event().wait(10)


Ending = tuple[Callable[[], Any], str, int | None, int | None]
ENDINGS: list[Ending] = [
    (leave, "SystemExit", None, None),
    (exhaust, "RecursionError", None, None),
    (leave_from_a_thread, "", None, None),
    (leave_now, "EngineError", 3, None),
    (leave_now_from_a_thread, "EngineError", 5, None),
    (crash, "EngineError", None, signal.SIGSEGV),
    (abort, "EngineError", None, signal.SIGABRT),
]


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.long)])
def test_f7_every_way_to_end_is_told_as_what_it_was(start: Start, rounds: int) -> None:
    cluster = start(2)
    with cluster as rc:
        for _ in range(rounds):
            for function, ename, code, signum in ENDINGS:
                cluster.scale(2)
                wait_until(lambda: len(rc.ids) == 2, PATIENCE, "two engines")
                before = rc.ids
                error = rc.load_balanced_view().apply_async(function).exception(PATIENCE)
                if not ename:
                    assert error is None
                elif ename != "EngineError":
                    assert isinstance(error, RemoteError) and error.ename == ename and rc.ids == before
                else:
                    assert isinstance(error, EngineError), function
                    assert (error.exitcode, error.signal) == (code, signum), function
                    assert function is not leave_now or "my last words" in error.stderr_tail


# F8: children -------------------------------------------------------------------------------------------------------


def pool_of_processes() -> list[int]:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, range(-4, 0))


def fork_and_return_twice() -> str:
    import os

    return "child" if os.fork() == 0 else "parent"


def fork_and_stay() -> int:
    import os

    child = os.fork()
    if child == 0:
        import select

        select.select([], [], [], 600)
        os._exit(0)
    return child


def test_f8_children_of_tasks(start: Start) -> None:
    cluster = start(1)
    with cluster as rc:
        for _ in range(5):
            assert rc[0].apply_sync(pool_of_processes) == [4, 3, 2, 1]
            assert rc[0].apply_sync(fork_and_return_twice) == "parent"
        staying = rc[0].apply_sync(fork_and_stay)
        assert psutil.pid_exists(staying)
        assert rc[0].apply_sync(abs, -1) == 1
        assert rc.ids == [0]
    wait_until(lambda: not psutil.pid_exists(staying), PATIENCE, "the child ends with its engine")


# F9: results that cannot travel -------------------------------------------------------------------------------------


def made(kind: str) -> Any:
    """A result, or an exception, of an odd kind."""
    import threading

    if kind == "generator":
        return (x for x in "abc")
    if kind == "lock":
        return threading.Lock()
    if kind == "frame":
        import sys

        return sys._getframe()
    if kind == "deep":
        found: list[Any] = []
        for _ in range(100_000):
            found = [found]
        return found
    if kind == "bad reduce":

        class Odd:
            def __reduce__(self) -> Any:
                raise ValueError("no")

        return Odd()
    if kind == "bad state":

        class Sour:
            def __setstate__(self, state: Any) -> None:
                raise ValueError("sour")

            def __getstate__(self) -> Any:
                return {"a": 1}

        return Sour()

    class Strange(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("strange")

        def __str__(self) -> str:
            if kind == "exception that cannot be shown":
                raise ValueError("no")
            return "strange"

    raise Strange(1, 2)


KINDS = (
    "generator", "lock", "frame", "deep", "bad reduce", "bad state", "exception", "exception that cannot be shown",
)  # fmt: skip


@pytest.mark.parametrize("how", ["direct", "balanced", "map"])
def test_f9_eight_kinds_of_results_that_cannot_travel(start: Start, how: str) -> None:
    cluster = start(1)
    with cluster as rc:
        pid = rc[0].apply_sync(os.getpid)
        for kind in KINDS:
            answer: Any
            if how == "map":
                answer = rc.load_balanced_view().map_async(made, [kind], chunksize=1)
            else:
                answer = (rc[0] if how == "direct" else rc.load_balanced_view()).apply_async(made, kind)
            with pytest.raises(Exception) as caught:
                answer.get(PATIENCE)
            assert not isinstance(caught.value, TimeoutError | EngineError), kind
            assert rc[0].apply_sync(os.getpid) == pid
        assert not rc.outstanding


# F10: output --------------------------------------------------------------------------------------------------------


def shout(megabytes: int) -> int:
    import os

    line = b"x" * 9_999 + b"\n"
    for _ in range(megabytes * 100):
        os.write(1, line)
    return megabytes


@pytest.mark.parametrize("megabytes", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_f10_output_without_end_costs_the_hub_little(start: Start, show: Show, megabytes: int) -> None:
    cluster = start(1)
    with cluster as rc:
        rc[0].apply_sync(shout, 1)
        hub = psutil.Process(cluster.pids["hub"])
        before = hub.memory_info().rss
        answer = rc[0].apply_async(shout, megabytes)
        most = before
        while not answer.ready():
            most = max(most, hub.memory_info().rss)
            pause(0.02)
        assert answer.get(0) == megabytes
        assert len(answer.stdout) < (1 << 20) + 100 and answer.stdout.endswith("bytes left out\n")
        assert rc[0].apply_sync(abs, -1) == 1
    show(f"F10: {megabytes} MB printed: hub + {(most - before) / 1e6:.1f} MB")
    assert most - before < 50e6


# F45: tasks are taken back from one engine and given to another ------------------------------------------------------


def moved(rc: Client, ledger: Ledger, rng: random.Random) -> list[Any]:
    """Tasks stand behind a longer one while the other engine runs dry, so that they are asked back."""
    view = rc.load_balanced_view()
    answers = [ledger.submit(view, 0.0005) for _ in range(rng.randrange(20, 60))]
    answers.append(ledger.submit(view, rng.uniform(0.02, 0.08)))
    answers += [ledger.submit(view, 0.0005) for _ in range(rng.randrange(20, 60))]
    return answers


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["started meanwhile", "engine dies", "messages are lost"])
def test_f45_nothing_runs_twice_when_it_is_moved(
    start: Start, ledger: Ledger, seed: int, show: Show, how: str, rounds: int
) -> None:
    rng = random.Random(seed)
    env = {"TUIPAR_FAIL": f"link.drop=0.02@{seed}"} if how == "messages are lost" else {}
    cluster = start(2, env=env, resend_interval=1.0)
    with cluster as rc:
        for _ in range(rounds):
            cluster.scale(2)
            wait_until(lambda: len(rc.ids) == 2, PATIENCE, "two engines")
            answers = moved(rc, ledger, rng)
            if how == "engine dies":
                pause(rng.uniform(0.0, 0.05))
                victims = sorted(set(processes_of(cluster.directory)) - set(cluster.pids.values()))
                os.kill(rng.choice(victims), signal.SIGKILL)
            ledger.collect(answers, PATIENCE)
            if how == "engine dies":  # the hub may hear of it after the tasks of the other one have ended
                wait_until(lambda: len(rc.ids) == 1, PATIENCE, "the death is known")
    allowed = {"EngineError"} if how == "engine dies" else set()
    report = ledger.check(f"F45 {how}", allowed=allowed, seed=seed)
    report.faults = rounds
    show(report)
    assert report.clean


@pytest.mark.parametrize("clusters", [1, pytest.param(20, marks=pytest.mark.long)])
def test_f45_nothing_runs_twice_when_the_hub_dies_while_it_is_moved(
    start: Start, ledger: Ledger, seed: int, show: Show, clusters: int
) -> None:
    rng = random.Random(seed)
    for _ in range(clusters):
        cluster = start(2)
        with cluster as rc:
            for _ in range(5 if clusters > 1 else 2):
                answers = moved(rc, ledger, rng)
                hub = cluster.pids["hub"]
                pause(rng.uniform(0.0, 0.08))
                kill_hub(cluster)
                new_hub(cluster, hub)
                ledger.collect(answers, PATIENCE)
    report = ledger.check("F45 hub dies", seed=seed)
    report.faults = 5 * clusters if clusters > 1 else 2
    show(report)
    assert report.clean
