"""What user code may do to an engine: F7 to F10, interrupts, results that cannot be sent."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.engine.scripted import ScriptedHub
from tests.faults.chaos import PATIENCE
from tuiparallel.errors import RemoteError, SerializationError
from tuiparallel.wire.messages import (
    Answer,
    Beat,
    Began,
    Fenced,
    Inquiry,
    Interrupt,
    Kind,
    Leave,
    Output,
    Probe,
    Results,
    Run,
)


def endless() -> None:
    while True:
        pass


def began(hub: ScriptedHub, task: int) -> None:
    hub.wait_for(Began, lambda message: message.task == task)


# F7: exits --------------------------------------------------------------------------------------------------------


def leave_by_exit() -> None:
    sys.exit(3)


def exhaust_the_stack() -> None:
    exhaust_the_stack()


def exit_from_a_thread() -> str:
    import threading

    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    return "went on"


def test_f7_exits_that_are_errors(hub: ScriptedHub) -> None:
    assert hub.error(hub.apply(leave_by_exit)).ename == "SystemExit"
    assert hub.error(hub.apply(exhaust_the_stack)).ename == "RecursionError"
    assert hub.error(hub.apply(lambda: next(iter(())))).ename == "StopIteration"
    assert (
        hub.error(hub.submit(Kind.EXECUTE, [("raise GeneratorExit", None, True)]).tasks[0]).ename == "GeneratorExit"
    )
    assert hub.call(exit_from_a_thread) == "went on"
    assert hub.processes[0].poll() is None


def crash() -> None:
    import ctypes

    ctypes.string_at(0)


@pytest.mark.parametrize(
    ("function", "code"),
    [(lambda: os._exit(3), 3), (crash, -signal.SIGSEGV), (os.abort, -signal.SIGABRT)],
    ids=["_exit", "segfault", "abort"],
)
def test_f7_exits_that_end_the_process(hub: ScriptedHub, function: Callable[[], None], code: int) -> None:
    hub.apply(function)
    hub.until(lambda: hub.processes[0].poll() is not None)
    assert hub.processes[0].returncode == code
    assert not hub.ran


# F8: forks --------------------------------------------------------------------------------------------------------


def fork_and_return() -> str:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return "parent"
    return "child"


def fork_and_raise() -> int:
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    raise ValueError("in the child")


def fork_and_exit() -> int:
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.exit(5)


def use_a_pool() -> list[int]:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2, -3])


def terminate_children() -> list[int]:
    codes = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(writer, b"here")
            while True:
                signal.pause()
        os.read(reader, 4)
        os.kill(pid, signum)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return codes


def test_f8_children_can_be_terminated(hub: ScriptedHub) -> None:
    term, interrupted = hub.call(terminate_children)
    assert term == -signal.SIGTERM
    assert interrupted == 1  # KeyboardInterrupt, as in any other script
    for _ in range(20):
        assert hub.call(use_a_pool) == [1, 2, 3]


def test_f8_children_are_no_engines(hub: ScriptedHub) -> None:
    assert hub.call(fork_and_return) == "parent"
    ran = hub.outcome(hub.apply(fork_and_raise))
    assert unpacked(hub, ran.task) == 1
    assert ran.extras is not None and "ValueError: in the child" in ran.extras.stderr
    assert hub.call(fork_and_exit) == 5
    assert hub.call(use_a_pool) == [1, 2, 3]
    assert hub.copies == 0
    assert not psutil.Process(hub.processes[0].pid).children()
    assert hub.leave() == 0


def unpacked(hub: ScriptedHub, task: int) -> Any:
    return hub.value(task)


# F9: results ------------------------------------------------------------------------------------------------------


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raise_odd() -> None:
    raise Odd(1, 2)


def raise_silent() -> None:
    raise Silent


def raise_with_a_lock() -> None:
    import threading

    error = ValueError("locked")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


def contain_itself() -> list[Any]:
    box: list[Any] = []
    box.append(box)
    return box


class Refuses:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("not me")


def test_f9_results_that_cannot_be_sent(hub: ScriptedHub) -> None:
    unsendable: list[Callable[[], Any]] = [
        lambda: (x for x in "abc"),
        lambda: [1, {"a": __import__("threading").Lock()}],
        Refuses,
    ]
    for make in unsendable:
        task = hub.apply(make)
        with pytest.raises(SerializationError):
            raise hub.error(task)
    recursive = hub.call(contain_itself)
    assert recursive[0] is recursive
    for name, function in (("Odd", raise_odd), ("Silent", raise_silent), ("ValueError", raise_with_a_lock)):
        error = hub.error(hub.apply(function))
        assert isinstance(error, RemoteError) and error.ename == name
    assert hub.call(lambda: "alive") == "alive"


def test_a_result_that_is_too_large_to_pickle_says_so(hub: ScriptedHub) -> None:
    values = hub.call(lambda: list(range(3_000_000)))
    assert len(values) == 3_000_000  # it went into a blob


# F10: output ------------------------------------------------------------------------------------------------------


def print_a_lot() -> int:
    line = "x" * 9_999
    for _ in range(10_000):
        print(line)
    return 1


def test_f10_output_is_cut_and_counted(hub: ScriptedHub) -> None:
    ran = hub.outcome(hub.apply(print_a_lot))
    assert ran.ok and ran.extras is not None
    assert len(ran.extras.stdout) < (1 << 20) + 100
    assert ran.extras.stdout.endswith(f"\n… {100_000_000 - (1 << 20):,} bytes left out\n")
    live = "".join(chunk.text for message in hub.heard if isinstance(message, Output) for chunk in message.chunks)
    assert len(live) <= len(ran.extras.stdout)
    assert psutil.Process(hub.processes[0].pid).memory_info().rss < 120 << 20


def close_the_standard_descriptors() -> str:
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            os.close(descriptor)
    print("still printed")
    return "closed"


def test_f10_closed_descriptors_are_opened_again(hub: ScriptedHub) -> None:
    task = hub.apply(close_the_standard_descriptors)
    assert hub.value(task) == "closed"
    extras = hub.ran[task].extras
    assert extras is not None and extras.stdout == "still printed\n"
    ran = hub.outcome(hub.apply(os.system, "echo from a child; echo oh >&2"))
    assert ran.extras is not None and (ran.extras.stdout, ran.extras.stderr) == ("from a child\n", "oh\n")
    with pytest.raises(ValueError):
        hub.execute("import sys; sys.stdout.close(); print('x')")
    ran = hub.outcome(hub.submit(Kind.EXECUTE, [("print('again')", None, True)]).tasks[0])
    assert ran.extras is not None and ran.extras.stdout == "again\n"


def print_from_everywhere() -> None:
    import ctypes
    import subprocess

    print("python")
    os.write(1, b"descriptor\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"c")
    libc.fflush(None)
    subprocess.run(["sh", "-c", "echo child; echo oops >&2"], check=True)


def test_output_is_captured_from_everywhere(hub: ScriptedHub) -> None:
    ran = hub.outcome(hub.apply(print_from_everywhere))
    assert ran.extras is not None
    assert (ran.extras.stdout, ran.extras.stderr) == ("python\ndescriptor\nc\nchild\n", "oops\n")


def print_and_go_on() -> None:
    print("first", flush=True)
    endless()


def test_output_is_live(hub: ScriptedHub) -> None:
    task = hub.apply(print_and_go_on)
    output = hub.wait_for(Output)
    assert [(c.task, c.stream, c.text, c.offset) for c in output.chunks] == [(task, "stdout", "first\n", 0)]
    hub.send(Interrupt(signal.SIGINT, task))
    assert hub.error(task).ename == "KeyboardInterrupt"
    hub.execute("import threading; threading.Timer(0, print, ['late']).start()")
    late = hub.wait_for(Output, lambda message: any("late" in chunk.text for chunk in message.chunks))
    assert late.chunks[0].offset == len("first\n")


# Interrupts and control -------------------------------------------------------------------------------------------


def sleep_in_c() -> None:
    __import__("threading").Event().wait(600)


@pytest.mark.parametrize("function", [endless, sleep_in_c])
def test_a_running_task_can_be_interrupted(hub: ScriptedHub, function: Callable[[], None]) -> None:
    batch, functions = hub.batch(Kind.APPLY, [()], function)
    after, more = hub.batch(Kind.APPLY, [(5,)], lambda x: x)
    hub.send(Run([batch, after], functions | more))
    task = batch.tasks[0]
    began(hub, task)
    hub.send(Interrupt(signal.SIGINT, after.tasks[0]))  # it does not run yet
    hub.send(Probe())
    assert hub.wait_for(Beat).task == task
    hub.send(Interrupt(signal.SIGINT, task))
    error = hub.error(task)
    assert error.ename == "KeyboardInterrupt" and "interrupts.py" not in error.traceback
    assert hub.value(after.tasks[0]) == 5


def test_interrupts_never_hit_the_engine_itself(hub: ScriptedHub) -> None:
    batch = hub.submit(Kind.APPLY, [(i,) for i in range(1000)], lambda x: sum(range(x)))
    for task in batch.tasks[::7]:
        hub.send(Interrupt(signal.SIGINT, task))
        hub.send(Interrupt(signal.SIGINT))
        hub.listen(0)
    for i, task in enumerate(batch.tasks):
        ran = hub.outcome(task)
        assert hub.value(task) == sum(range(i)) if ran.ok else hub.error(task).ename == "KeyboardInterrupt"
    assert hub.copies == 0 and len(hub.ran) == 1000
    assert hub.processes[0].poll() is None


def test_an_interrupted_coroutine_does_not_go_on_later(hub: ScriptedHub) -> None:
    hub.execute("import asyncio\nlog = []")

    async def wait() -> None:
        import asyncio

        try:
            await asyncio.sleep(600)
        finally:
            log.append("cancelled")  # type: ignore[name-defined] # noqa: F821

    task = hub.apply(wait)
    began(hub, task)
    hub.send(Interrupt(signal.SIGINT, task))
    assert hub.error(task).ename == "KeyboardInterrupt"
    assert hub.pull("log") == [["cancelled"]]


def test_questions_are_answered_while_a_task_runs(hub: ScriptedHub) -> None:
    hub.push(number=5)

    def endless() -> None:  # by value: nothing has to be imported first
        while True:
            pass

    task = hub.apply(endless)
    began(hub, task)
    for request, question in enumerate(("stack", "names", "complete", "inspect")):
        hub.send(Inquiry(request, question, "numb" if question == "complete" else "number", 4))
    hub.until(lambda: hub.count(Answer) == 4)
    answers = {message.request: message.body for message in hub.heard if isinstance(message, Answer)}
    assert "in endless" in answers[0] and "user_code" not in answers[0]
    assert [row[:2] for row in answers[1]] == [["number", "int"]]
    assert answers[2] == ["number"]
    assert answers[3].startswith("number: int")
    hub.send(Interrupt(signal.SIGINT, task))
    hub.outcome(task)


@pytest.mark.parametrize("message", [Leave("test"), Fenced()])
def test_it_leaves_also_while_a_task_runs(hub: ScriptedHub, message: Leave | Fenced) -> None:
    before = hub.apply(lambda: 1)
    task = hub.apply(endless)
    began(hub, task)
    hub.send(message)
    hub.until(lambda: hub.processes[0].poll() is not None, PATIENCE)
    assert hub.processes[0].returncode == 0
    assert hub.value(before) == 1 and task not in hub.ran


def test_what_was_registered_for_the_exit_runs(hub: ScriptedHub) -> None:
    hub.execute("import atexit, pathlib\natexit.register(pathlib.Path('bye').touch)")
    assert hub.leave() == 0
    assert (hub.folder / "work" / "bye").exists()


def test_a_long_task_is_announced_soon_also_after_a_pause(hub: ScriptedHub) -> None:
    def wait() -> None:
        import threading

        threading.Event().wait(1.5)

    for _ in range(2):
        hub.call(lambda: 1)
        seen = hub.count(Began)
        task = hub.apply(wait)
        hub.until(lambda seen=seen: hub.count(Began) > seen, 0.4)  # type: ignore[misc]
        hub.send(Interrupt(signal.SIGINT, task))
        hub.outcome(task)


def test_results_wait_for_nobody_when_a_long_task_follows(hub: ScriptedHub) -> None:
    quick, functions = hub.batch(Kind.APPLY, [(1,)], lambda x: x)
    slow, more = hub.batch(Kind.APPLY, [()], endless)
    hub.send(Run([quick, slow], functions | more))
    assert hub.value(quick.tasks[0]) == 1
    assert slow.tasks[0] not in hub.ran
    hub.send(Interrupt(signal.SIGINT, slow.tasks[0]))
    hub.outcome(slow.tasks[0])


def test_results_come_in_batches(hub: ScriptedHub) -> None:
    batch = hub.submit(Kind.APPLY, [(i,) for i in range(1000)], lambda x: x)
    hub.outcome(batch.tasks[-1])
    assert hub.count(Results) < 50
