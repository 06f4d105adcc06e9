"""F1 to F4, F13, F43: engines, and those who watch them, are killed or stopped."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import pytest

from tests.conftest import on_time, wait_until
from tests.faults.chaos import PATIENCE, Load, hold, wait_process_state
from tests.faults.ledger import Ledger, Report
from tests.faults.tasks import deadly, pause
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import processes_of
from tuiparallel.errors import EngineError
from tuiparallel.link.clock import SystemClock

Start = Callable[..., Cluster]
Show = Callable[[object], None]
PIDS = "EngineError"


def engine_pids(rc: Client) -> dict[int, int]:
    """Pid by engine id."""
    return {engine: rc[engine].apply_sync(os.getpid) for engine in rc.ids}


def living(cluster: Cluster) -> list[int]:
    """Pids of the cluster's engines, found without asking them."""
    return sorted(set(processes_of(cluster.directory)) - set(cluster.pids.values()))


def deaths(start: Start, ledger: Ledger, count: int, seed: int) -> Report:
    """Tasks that kill their engine, each among others that must run elsewhere."""
    recoveries = []
    cluster = start(3)
    with cluster as rc:
        for _ in range(count):
            cluster.scale(3)
            wait_until(lambda: len(rc.ids) == 3, PATIENCE, "three engines")
            before = ledger.map(rc.load_balanced_view(), 10, 0.002)
            begun = SystemClock.monotonic()
            fatal = ledger.call(rc.load_balanced_view(), deadly)
            after = ledger.map(rc.load_balanced_view(), 10, 0.002)
            error = fatal[1].exception(PATIENCE)
            recoveries.append(SystemClock.monotonic() - begun)
            assert isinstance(error, EngineError)
            assert error.signal == signal.SIGKILL and error.pid and error.engine_id is not None
            assert error.may_have_started and str(error.engine_id) in str(error) and "SIGKILL" in str(error)
            assert error.pid not in (os.getpid(), *cluster.pids.values())
            ledger.collect([*before, fatal, *after], PATIENCE)
    report = ledger.check("F1 engine SIGKILL in a task", allowed={PIDS}, seed=seed)
    report.faults, report.recoveries = count, recoveries
    return report


@on_time
def test_f1_a_task_kills_its_engine(start: Start, ledger: Ledger, seed: int, show: Show, slack: float) -> None:
    report = deaths(start, ledger, 10, seed)
    show(report)
    # What stood before it in the same engine, ended but not yet sent, goes with it; nothing that had not started does.
    assert report.clean and report.errors[PIDS] >= 10
    assert max(report.recoveries) < 2.0 * slack


@pytest.mark.long
def test_f1_two_hundred_deaths(start: Start, ledger: Ledger, seed: int, show: Show) -> None:
    report = deaths(start, ledger, 200, seed)
    show(report)
    assert report.clean and report.errors[PIDS] >= 200
    times = sorted(report.recoveries)
    assert times[100] <= 0.5 and times[-1] <= 2.0


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.long)])
def test_f1_engines_are_killed_under_load(start: Start, ledger: Ledger, seed: int, show: Show, kills: int) -> None:
    rng = random.Random(seed)
    cluster = start(4)
    faults = 0
    with cluster as rc:
        load = Load(cluster, ledger, clients=2, tasks=kills * 700, seconds=0.002, seed=seed)
        while faults < kills and load.running:
            cluster.scale(4)
            wait_until(lambda: len(rc.ids) == 4, PATIENCE, "four engines")
            os.kill(rng.choice(living(cluster)), signal.SIGKILL)
            faults += 1
            pause(rng.uniform(0.05, 0.3))
        load.join()
    report = ledger.check("F1 engines killed under load", allowed={PIDS, "NoSuchEngine"}, seed=seed)
    report.faults = faults
    show(report)
    assert report.clean and faults


def test_f2_direct_calls_end_with_their_engine_and_balanced_ones_run_elsewhere(start: Start, ledger: Ledger) -> None:
    with start(2) as rc:
        first, second = rc.ids
        pid = rc[first].apply_sync(os.getpid)
        running = ledger.submit(rc[first], 30.0)
        wait_until(lambda: ledger.starts()[running[0]])
        direct = [ledger.submit(rc[first]) for _ in range(100)]
        balanced = [ledger.submit(rc.load_balanced_view(), 0.001) for _ in range(400)]
        other = [ledger.submit(rc[second]) for _ in range(100)]
        os.kill(pid, signal.SIGKILL)
        for name, answer in direct:
            error = answer.exception(PATIENCE)
            assert isinstance(error, EngineError) and error.signal == signal.SIGKILL and not error.may_have_started
            ledger.note(name, f"end {PIDS}")
        assert isinstance(running[1].exception(PATIENCE), EngineError)
        ledger.collect([running], PATIENCE)
        ledger.collect(balanced + other, PATIENCE)
        assert rc.ids == [second]
    report = ledger.check("F2 direct calls", allowed={PIDS})
    assert report.clean and report.errors == {PIDS: 101}
    starts = ledger.starts()
    assert not any(starts[name] for name, _ in direct)


def test_f3_all_engines_die_and_others_come_later(start: Start, ledger: Ledger) -> None:
    cluster = start(2)
    with cluster as rc:
        pids = engine_pids(rc)
        started = [ledger.submit(rc[engine], 30.0) for engine in rc.ids]
        wait_until(lambda: len(ledger.starts()) == 2)
        queued = [ledger.submit(rc.load_balanced_view()) for _ in range(1000)]
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        ledger.collect(started, PATIENCE)
        wait_until(lambda: not rc.ids)
        hold(1.0, lambda: not any(answer.ready() for _, answer in queued))
        cluster.scale(2)
        ledger.collect(queued, PATIENCE)
    report = ledger.check("F3 all engines", allowed={PIDS})
    assert report.clean and report.errors == {PIDS: 2}


def stopped(start: Start, ledger: Ledger, seconds: float, timeout: float) -> tuple[Report, int, list[int], list[int]]:
    """An engine is stopped for so long with such an engine_timeout, while it has a started and unstarted tasks."""
    cluster = start(2, engine_timeout=timeout, probe_interval=0.25, heartbeat_interval=0.25, heartbeat_timeout=0.5)
    with cluster as rc:
        before = rc.ids
        pid = rc[before[0]].apply_sync(os.getpid)
        running = ledger.submit(rc[before[0]], 1.0)
        wait_until(lambda: ledger.starts()[running[0]])
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_process_state(pid, "T")
            behind = [ledger.submit(rc[before[0]]) for _ in range(20)]
            balanced = [ledger.submit(rc.load_balanced_view(), 0.01) for _ in range(100)]
            pause(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        ledger.collect([running, *behind, *balanced], PATIENCE)
        first = running[1].exception(0)
        wait_until(lambda: ledger.check("").tasks and len(rc.ids) >= 1)
        value = rc[before[1]].apply_sync(abs, -1)
        assert value == 1
        wait_until(lambda: rc.ids == before, PATIENCE, f"the same engines as before, {before}")
        assert rc[before[0]].apply_sync(os.getpid) == pid
        again = running[1].exception(0)
        assert type(first) is type(again)  # the late copy has changed nothing
        report = ledger.check("F4 engine stopped", allowed={PIDS})
        return report, pid, before, rc.ids


def test_f4_a_short_stop_is_a_delay(start: Start, ledger: Ledger) -> None:
    report, _, before, after = stopped(start, ledger, 0.75, timeout=5.0)
    assert report.clean and not report.errors and before == after


def test_f4_a_long_stop_loses_tasks_and_the_engine_comes_back_as_itself(start: Start, ledger: Ledger) -> None:
    report, _, before, after = stopped(start, ledger, 3.0, timeout=1.5)
    assert report.clean and before == after
    assert report.errors[PIDS] >= 1


@pytest.mark.parametrize("seconds", [3.0, pytest.param(30.0, marks=pytest.mark.long)])
def test_f13_a_stopped_hub_declares_nobody_dead(start: Start, ledger: Ledger, seconds: float) -> None:
    timeout = 1.5 if seconds < 30.0 else 10.0
    cluster = start(2, engine_timeout=timeout, probe_interval=0.3, heartbeat_interval=0.3, heartbeat_timeout=0.8)
    with cluster as rc:
        before, hub = rc.ids, cluster.pids["hub"]
        answers = [ledger.submit(rc.load_balanced_view(), 0.002) for _ in range(500)]
        wait_until(lambda: len(ledger.starts()) > 20)
        os.kill(hub, signal.SIGSTOP)
        try:
            wait_process_state(hub, "T")
            answers += [ledger.submit(rc.load_balanced_view(), 0.002) for _ in range(200)]
            pause(seconds)
        finally:
            os.kill(hub, signal.SIGCONT)
        ledger.collect(answers, PATIENCE)
        assert rc.ids == before
        hold(1.5 * timeout if seconds < 30.0 else 1.0, lambda: rc.ids == before)
    report = ledger.check("F13 hub stopped")
    assert report.clean and not report.errors


@on_time
def test_f43_without_a_supervisor_exits_are_seen_by_the_link(start: Start, ledger: Ledger, slack: float) -> None:
    cluster = start(2)
    with cluster as rc:
        pids = engine_pids(rc)
        old = cluster.pids["supervisor"]
        os.kill(old, signal.SIGKILL)
        first = rc.ids[0]
        answers = [ledger.submit(rc.load_balanced_view(), 0.002) for _ in range(500)]
        os.kill(pids[first], signal.SIGKILL)
        begun = SystemClock.monotonic()
        ledger.collect(answers, PATIENCE)
        assert SystemClock.monotonic() - begun < 35.0 * slack
        wait_until(lambda: rc.ids == [pid for pid in pids if pid != first], PATIENCE)
        wait_until(lambda: cluster.pids["supervisor"] != old)
    report = ledger.check("F43 supervisor and engine", allowed={PIDS})
    assert report.clean and report.errors[PIDS] <= 40
