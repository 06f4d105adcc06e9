"""Template, supervisor and engines as real processes; the test plays the hub."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine.scripted import ScriptedHub
from tuiparallel.wire.messages import (
    EndCluster,
    EngineHello,
    Exited,
    Kind,
    Leave,
    Run,
    SignalEngine,
    Spawn,
    Started,
    Vitals,
)


@pytest.fixture
def cluster_hub(folder: Path) -> Iterator[ScriptedHub]:
    hub = ScriptedHub(folder, n=2)
    yield hub
    left = processes(hub)
    hub.close()
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert not left


def processes(hub: ScriptedHub) -> list[int]:
    sign = str(hub.folder / "start.json")
    found = []
    for process in psutil.process_iter():
        try:
            if sign in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def end(hub: ScriptedHub) -> None:
    """Close the lifeline; nothing may be left."""
    process = hub.processes[-1]
    assert process.stdin is not None
    process.stdin.close()
    hub.until(lambda: process.poll() is not None)
    assert not processes(hub)


def test_it_starts_all_and_leaves_nothing(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    process = hub.start_cluster()
    assert process.stdout is not None
    record = json.loads((hub.folder / "cluster.json").read_text())
    assert json.loads(process.stdout.readline()) == {"event": "hub", "pid": record["pids"]["hub"]}
    assert record["pids"]["template"] == process.pid
    assert len(processes(hub)) == 5
    hub.wait_for(Started)
    hub.wait_for(Vitals, lambda vitals: len(vitals.vitals) == 2)
    assert hub.call(lambda: 7) == 7
    end(hub)
    assert process.returncode == 0
    assert sorted(path.name for path in hub.folder.iterdir()) == ["log", "start.json", "work"]
    assert not list((hub.folder / "log").glob("*.tmp"))


def test_the_hub_can_end_the_cluster(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    process = hub.start_cluster()
    hub.tell(EndCluster("test"))
    hub.until(lambda: process.poll() is not None)
    assert process.returncode == 0
    assert not processes(hub)


def test_an_exit_is_reported_with_its_facts(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    hub.start_cluster()

    def die() -> None:
        import os
        import sys

        print("my last words", file=sys.stderr)
        os._exit(3)

    batch, functions = hub.batch(Kind.APPLY, [()], die)
    hub.send(Run([batch], functions))
    exited = hub.wait_for(Exited)
    assert (exited.exitcode, exited.signum) == (3, None)
    assert "my last words" in exited.stderr_tail
    assert exited.mark is not None and (exited.mark.task, exited.mark.lease) == (batch.tasks[0], batch.leases[0])
    assert exited.peak_rss > 1 << 20
    end(hub)


def test_a_crashed_engine_is_restarted_and_names_whom_it_follows(folder: Path) -> None:
    hub = ScriptedHub(folder, n=1, restart="on-failure")
    try:
        hub.start_cluster(n=1)
        uuid = next(iter(hub.ids))
        assert hub.call(lambda: 1) == 1
        os.kill(hub.call(os.getpid), signal.SIGKILL)
        exited = hub.wait_for(Exited)
        assert (exited.uuid, exited.signum, exited.marked) == (uuid, signal.SIGKILL, True)
        hub.until(lambda: len(hub.ids) == 2)
        hello = hub.wait_for(EngineHello, lambda hello: hello.uuid != uuid)
        assert hello.was == 0
        assert hub.wait_for(Started, lambda started: started.engines[0][2] == 0).engines[0][0] == hello.uuid
        hub.send(Leave("no more"))
        hub.until(lambda: hub.count(Exited) == 2)
        assert exited.peak_rss > 0
        end(hub)
        assert len(hub.ids) == 2
    finally:
        hub.close()


def test_what_the_hub_has_killed_is_not_restarted(folder: Path) -> None:
    hub = ScriptedHub(folder, n=1, restart="on-failure")
    try:
        hub.start_cluster(n=1)
        hub.tell(SignalEngine(next(iter(hub.ids)), signal.SIGKILL))
        assert hub.wait_for(Exited).signum == signal.SIGKILL
        vitals = hub.count(Vitals)
        hub.tell(Spawn(1, [0]))  # the hub itself says what follows
        hub.until(lambda: len(hub.ids) == 2)
        hub.until(lambda: hub.count(Vitals) > vitals + 1)
        assert len(hub.ids) == 2
        end(hub)
    finally:
        hub.close()


def test_spawn_starts_more(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    hub.start_cluster()
    hub.tell(Spawn(2, [1]))
    hub.until(lambda: len(hub.ids) == 4)
    assert {hello.was for hello in hub.heard if isinstance(hello, EngineHello)} == {None, 1}
    end(hub)
