"""F14, F20, F46: clients are killed or stopped, and messages get lost on the way."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import wait_until
from tests.faults.chaos import PATIENCE, wait_process_state
from tests.faults.ledger import Ledger
from tests.faults.tasks import pause, value_of, wait_for
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import NoSuchTask
from tuiparallel.link import failpoints
from tuiparallel.link.clock import SystemClock

Start = Callable[..., Cluster]
Show = Callable[[object], None]
ROOT = Path(__file__).parents[2]


def at_night(value: str) -> Any:
    return pytest.param(value, marks=pytest.mark.long)


SUBMITTING = """
import sys
from pathlib import Path
from tests.faults.ledger import Ledger
from tuiparallel.client.client import Client

rc = Client(sys.argv[1])
ledger = Ledger(Path(sys.argv[2]))
print(rc.session, flush=True)
view = rc.load_balanced_view()
for _ in range(10_000):
    ledger.submit(view)
rc.wait()
"""


def submitting(cluster: Cluster, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A client process that submits 10,000 tasks, and its session."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUBMITTING, str(cluster.connection_file), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _many(ledger: Ledger) -> bool:
    return len(ledger.starts()) > 50


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_f14_a_client_is_killed_while_it_submits(
    start: Start, tmp_path: Path, seed: int, show: Show, rounds: int
) -> None:
    cluster = start(2)
    with cluster as rc:
        for number in range(rounds):
            folder = tmp_path / str(number)
            folder.mkdir()
            ledger = Ledger(folder)
            process, session = submitting(cluster, folder)
            with process:
                wait_until(functools.partial(_many, ledger))
                pause((seed + 7919 * number) % 100 / 250)
                process.send_signal(signal.SIGKILL)
                process.wait()
            submitted = Path(ledger.at_clients).read_text().count("submit")

            def settled() -> bool:
                status = rc.queue_status()
                return not status["unassigned"] and not any(status[engine]["tasks"] for engine in rc.ids)

            wait_until(settled, PATIENCE)
            starts = ledger.starts()
            assert starts and set(starts.values()) == {1}
            assert set(starts) == set(range(len(starts))), "a prefix of what was submitted runs, without holes"
            assert len(starts) <= submitted
            ids = [f"{session}-{counter}" for counter in range(len(starts))]
            assert rc.get_result(ids).get(PATIENCE) == [value_of(counter) for counter in range(len(starts))]
            with pytest.raises(NoSuchTask):
                rc.get_result(f"{session}-{len(starts)}").get(PATIENCE)
            show(
                f"F14: client killed after {submitted:,} submissions; {len(starts):,} were accepted, ran, and are there"
            )


STOPPING = """
import os, sys
from tuiparallel.client.client import Client

rc = Client(sys.argv[1])
view = rc.load_balanced_view()
answers = [view.apply_async(os.urandom, int(sys.argv[3])) for _ in range(int(sys.argv[2]))]
rc.queue_status()  # the hub answers it after it has taken all of these
print(rc.session, flush=True)
sys.stdin.readline()
for answer in answers:
    assert len(answer.get(120)) == int(sys.argv[3])
print("all", flush=True)
"""


@pytest.mark.parametrize(
    "count, size", [(2000, 50_000), pytest.param(40_000, 60_000, marks=pytest.mark.long)], ids=["100 MB", "2.4 GB"]
)
def test_f20_a_stopped_client_costs_the_hub_a_window(
    start: Start, show: Show, tmp_path: Path, count: int, size: int, until: Callable[..., None]
) -> None:
    cluster = start(2)
    with cluster as rc:
        rc.load_balanced_view().map_sync(abs, range(1000))
        gate = (
            tmp_path / "gate"
        )  # until it is there nothing runs, so that all results are due to a client that stands
        held = rc[:].apply_async(wait_for, str(gate))
        hub = psutil.Process(cluster.pids["hub"])
        before = hub.memory_info().rss
        arguments = [str(cluster.connection_file), str(count), str(size)]
        with subprocess.Popen(
            [sys.executable, "-c", STOPPING, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            try:
                session = process.stdout.readline().strip()
                process.send_signal(signal.SIGSTOP)
                wait_process_state(process.pid, "T")
                gate.touch()
                held.get(PATIENCE)
                until(lambda: rc.result_status(f"{session}-{count - 1}")["completed"], 400.0, "all tasks have run")
                until(lambda: not rc.queue_status()["unassigned"], 60.0)
                most = hub.memory_info().rss
                begun = SystemClock.monotonic()
                assert rc.load_balanced_view().apply_sync(abs, -1) == 1
                other = SystemClock.monotonic() - begun
                process.send_signal(signal.SIGCONT)
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline().strip() == "all"
            finally:
                process.send_signal(signal.SIGCONT)
                process.kill()
    show(
        f"F20: {count * size / 1e6:,.0f} MB due to a stopped client: hub + {(most - before) / 1e6:.0f} MB; "
        f"a call of another one {1000 * other:.1f} ms"
    )
    assert most - before < 100e6


@pytest.mark.parametrize(
    "what", ["link.drop=0.01; link.repeat=0.01", at_night("link.drop=0.05"), at_night("link.repeat=0.05")]
)
def test_f46_messages_are_lost_or_come_twice(start: Start, ledger: Ledger, seed: int, show: Show, what: str) -> None:
    plan = "; ".join(f"{part.strip()}@{seed}" for part in what.split(";"))
    cluster = start(2, env={"TUIPAR_FAIL": plan}, resend_interval=1.0)
    answers = []
    with cluster as rc:
        failpoints.arm(plan)
        try:
            view = rc.load_balanced_view()
            for round in range(60):
                answers += [ledger.submit(view, 0.001) for _ in range(5)]
                answers += [ledger.submit(rc[rc.ids[round % 2]], 0.001) for _ in range(3)]
                pause(0.01)
            ledger.collect(answers, PATIENCE)
        finally:
            failpoints.arm("")
    report = ledger.check(f"F46 {what}", seed=seed)
    show(report)
    assert report.clean and not report.errors


def test_f46_a_client_that_stops_in_between(start: Start, ledger: Ledger) -> None:
    """Nothing of this process is lost by a hub that dies while another connection is half open."""
    cluster = start(1)
    with cluster as rc, cluster.connect() as other:
        answers = [ledger.submit(rc.load_balanced_view(), 0.001) for _ in range(200)]
        os.kill(cluster.pids["hub"], signal.SIGKILL)
        answers += [ledger.submit(other.load_balanced_view(), 0.001) for _ in range(200)]
        ledger.collect(answers, PATIENCE)
    assert ledger.check("F46").clean
