"""Template, supervisor and engines as real processes; the test plays the hub."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine.scripted import PATIENCE, ScriptedHub
from tuiparallel.wire.messages import (
    EndCluster,
    EngineHello,
    Exited,
    GaveUp,
    Kind,
    Leave,
    Run,
    SignalEngine,
    Spawn,
    Started,
    SupervisorHello,
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


# When parts of it die ---------------------------------------------------------------------------------------------


def pids(hub: ScriptedHub) -> dict[str, int]:
    found: dict[str, int] = json.loads((hub.folder / "cluster.json").read_text())["pids"]
    return found


def test_a_hub_that_dies_is_started_again(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    hub.start_cluster()
    before = pids(hub)
    (hub.folder / "hub-exits").write_text("75")  # the next one asks at once for another start
    os.kill(before["hub"], signal.SIGKILL)
    hub.until(lambda: pids(hub)["hub"] != before["hub"] and not (hub.folder / "hub-exits").exists())
    hub.until(lambda: len(processes(hub)) == 5)
    assert hub.call(lambda: 1) == 1
    end(hub)


def test_a_hub_that_ends_cleanly_ends_the_cluster(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    process = hub.start_cluster()
    os.kill(pids(hub)["hub"], signal.SIGTERM)
    hub.until(lambda: process.poll() is not None)
    assert process.returncode == 0 and not processes(hub)


def test_f43_engines_go_on_without_a_supervisor(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    hub.start_cluster()
    before = pids(hub)["supervisor"]
    os.kill(before, signal.SIGKILL)
    hub.until(lambda: hub.count(SupervisorHello) == 2)
    second = [message for message in hub.heard if isinstance(message, SupervisorHello)][-1]
    assert second.pid != before
    hub.until(lambda: pids(hub)["supervisor"] == second.pid)  # it may greet before it is on record
    hub.until(
        lambda: {uuid for uuid, _, _ in [m for m in hub.heard if isinstance(m, Started)][-1].engines} == set(hub.ids)
    )
    task = hub.apply(os._exit, 9)
    exited = hub.wait_for(Exited)
    assert exited.exitcode == 9 and exited.mark is not None and exited.mark.task == task
    assert len(hub.ids) == 2
    end(hub)


def test_nothing_outlives_a_template_that_is_killed(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    hub.start_cluster()
    hub.processes[-1].kill()
    hub.processes[-1].wait()
    hub.until(lambda: not processes(hub))


def test_a_template_without_a_lifeline_ends_by_a_signal(folder: Path) -> None:
    hub = ScriptedHub(folder, n=1, detached=True)
    try:
        process = hub.start_cluster("--detached", n=1)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        assert hub.call(lambda: 1) == 1
        assert hub.call(lambda: 2) == 2
        process.terminate()
        hub.until(lambda: process.poll() is not None)
        assert process.returncode == 0 and not processes(hub)
    finally:
        hub.close()


def test_what_cannot_start_is_said(folder: Path) -> None:
    hub = ScriptedHub(folder, n=1)
    try:
        process = hub.start_cluster(n=0, hub="tests.engine.no_such_hub")
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert (said["event"], said["what"]) == ("failed", "hub")
        assert "no_such_hub" in said["reason"] and said["log"].endswith("template.log")
        assert process.wait(PATIENCE) == 1 and not processes(hub)
    finally:
        hub.close()


def test_b13_an_engine_that_cannot_start_is_said(folder: Path) -> None:
    hub = ScriptedHub(folder, n=1, work_dir=str(folder / "missing"))
    try:
        process = hub.start_cluster(n=0)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "hub"
        said = json.loads(process.stdout.readline())
        assert (said["event"], said["what"], said["reason"]) == ("failed", "engine", "exit code 70")
        assert "No such file or directory" in Path(said["log"]).read_text()
        end(hub)
    finally:
        hub.close()


def fork_a_child_that_stays() -> int:
    pid = os.fork()
    if not pid:
        signal.pause()
    return pid


def test_f8_children_of_tasks_end_with_their_engine(cluster_hub: ScriptedHub) -> None:
    hub = cluster_hub
    hub.start_cluster()
    child = hub.call(fork_a_child_that_stays)
    assert psutil.pid_exists(child)
    os.kill(hub.call(os.getpid), signal.SIGKILL)
    hub.wait_for(Exited)
    hub.until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    end(hub)


def test_restarts_come_to_an_end(folder: Path) -> None:
    hub = ScriptedHub(folder, n=1, restart="on-failure", max_restarts=2)
    try:
        hub.start_cluster(n=1)
        for count in (2, 3):
            os.kill(hub.call(os.getpid), signal.SIGKILL)
            hub.until(lambda count=count: len(hub.ids) == count)  # type: ignore[misc]
        os.kill(hub.call(os.getpid), signal.SIGKILL)
        assert "max_restarts" in hub.wait_for(GaveUp).text
        end(hub)
    finally:
        hub.close()
