"""The hub dies, comes back, repeats itself, asks for tasks back: nothing is lost and nothing runs twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.engine.scripted import PATIENCE, ScriptedHub, lease
from tuiparallel.wire.messages import (
    PROTOCOL,
    Beat,
    Began,
    EngineHello,
    EngineWelcome,
    Interrupt,
    Kept,
    Kind,
    Lease,
    Probe,
    Refused,
    Results,
    Returned,
    Revoke,
    Run,
)


def note(path: str) -> int:
    with open(path, "a") as file:
        return file.write("x")


def wait_for_file(path: str) -> str:
    import os
    import threading

    while not os.path.exists(path):
        threading.Event().wait(0.001)
    return path


def last_hello(hub: ScriptedHub) -> EngineHello:
    return [message for message in hub.heard if isinstance(message, EngineHello)][-1]


def test_f34_a_copy_of_a_run_is_not_run_again(hub: ScriptedHub) -> None:
    path = str(hub.folder / "runs")
    batch, functions = hub.batch(Kind.APPLY, [(path,)], note)
    for _ in range(3):
        hub.send(Run([batch], functions))
    assert hub.value(batch.tasks[0]) == 1
    hub.send(Run([batch], functions))
    assert hub.call(lambda: 1) == 1
    assert Path(path).read_text() == "x"


def test_f45_revoked_tasks_do_not_start(hub: ScriptedHub, tmp_path: Path) -> None:
    gate, runs = str(tmp_path / "gate"), str(tmp_path / "runs")
    first, functions = hub.batch(Kind.APPLY, [(gate,)], wait_for_file)
    rest, more = hub.batch(Kind.APPLY, [(runs,)] * 5, note)
    hub.send(Run([first, rest], functions | more))
    hub.wait_for(Began)
    everything = [lease(task, first.leases[0]) for task in first.tasks]
    everything += [lease(task, rest.leases[0]) for task in rest.tasks[1:]]
    hub.send(Revoke(everything))
    returned = hub.wait_for(Returned)
    assert returned.leases == everything[1:] and returned.refused == everything[:1]
    hub.send(Run([rest], {}))  # a late copy
    Path(gate).touch()
    assert hub.value(rest.tasks[0]) == 1
    assert hub.call(lambda: 1) == 1
    assert Path(runs).read_text() == "x"
    assert set(hub.ran) & set(rest.tasks[1:]) == set()


def test_results_survive_a_hub_that_was_away(hub: ScriptedHub, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    hub.keep = False  # this hub dies before it has kept anything
    done = hub.apply(lambda: 41)
    running = hub.apply(wait_for_file, gate)
    hub.wait_for(Began)
    assert hub.value(done) == 41
    queued, functions = hub.batch(Kind.APPLY, [(1,)], lambda x: x)
    hub.send(Run([queued], functions))
    hub.listen()
    hub.ran.clear()
    hub.doors.close()
    Path(gate).touch()
    hub.keep = True
    hub.doors = hub._open()
    hub.boot = "b2"
    hub.until(lambda: last_hello(hub).boot == "b1")
    listed = last_hello(hub)
    assert {one.task for one in listed.holding} >= {done}
    assert hub.value(running) == gate
    assert hub.value(done) == 41
    assert hub.value(queued.tasks[0]) == 1
    assert hub.copies == 0
    assert hub.call(lambda: 2) == 2


def test_what_the_welcome_keeps_is_not_sent_again(hub: ScriptedHub) -> None:
    hub.keep = False
    task = hub.apply(lambda: 1)
    hub.outcome(task)
    hub.doors.close()
    hub.welcome = lambda hello: EngineWelcome(PROTOCOL, "b2", "c1", 0, [], hello.holding)
    hub.doors = hub._open()
    hub.keep = True
    hub.until(lambda: last_hello(hub).boot == "b1")
    assert last_hello(hub).holding == [Lease(task, 1)]
    assert hub.call(lambda: 2) == 2
    assert hub.copies == 0


def test_a_result_that_is_not_wanted_any_more_is_not_sent(hub: ScriptedHub, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    running = hub.apply(wait_for_file, gate)
    hub.wait_for(Began)
    hub.doors.close()
    hub.welcome = lambda hello: EngineWelcome(PROTOCOL, "b2", "c1", 0, hello.running, [])
    hub.doors = hub._open()
    hub.until(lambda: last_hello(hub).boot == "b1")
    Path(gate).touch()
    assert hub.call(lambda: 2) == 2
    assert running not in hub.ran


def test_nothing_starts_while_too_much_is_unkept(folder: Path) -> None:
    hub = ScriptedHub(folder, unkept_bytes=50_000, keep=False)
    try:
        hub.start_engine()
        batch = hub.submit(Kind.APPLY, [(i,) for i in range(20)], lambda i: str(i) * 10_000)
        hub.outcome(batch.tasks[4])
        hub.send(Probe())
        assert hub.wait_for(Beat).queued == 15  # 50,000 bytes are under way: it waits
        hub.keep = True
        hub.send(Kept([m.number for m in hub.heard if isinstance(m, Results)]))
        assert hub.value(batch.tasks[19]) == "19" * 10_000
    finally:
        hub.close()


def test_a_refused_engine_says_why_and_leaves(folder: Path) -> None:
    hub = ScriptedHub(folder)
    try:
        hub.welcome = lambda hello: Refused("ProtocolMismatch", "too old")  # type: ignore[assignment,return-value]
        process = hub.start_engine()
        hub.until(lambda: process.poll() is not None)
        assert process.returncode == 76
    finally:
        hub.close()


def test_an_engine_without_a_hub_gives_up(folder: Path) -> None:
    hub = ScriptedHub(folder, orphan_timeout=0.3)
    try:
        process = hub.start_engine()
        assert hub.call(lambda: 1) == 1
        hub.doors.close()
        process.wait(PATIENCE)
        assert process.returncode == 0
        hub.doors = hub._open()
    finally:
        hub.close()


def test_a_task_of_before_goes_on_and_can_be_interrupted_afterwards(hub: ScriptedHub) -> None:
    def endless() -> None:
        while True:
            pass

    task = hub.apply(endless)
    hub.wait_for(Began)
    hub.reopen("b2")
    hub.until(lambda: hub.count(EngineHello) == 2)
    assert [one.task for one in last_hello(hub).running] == [task]
    hub.until(lambda: hub.count(Began) == 2)  # a hub that was away is told again
    hub.send(Interrupt(signal.SIGINT, task))
    assert hub.error(task).ename == "KeyboardInterrupt"
    assert hub.call(os.getpid) == hub.processes[0].pid
