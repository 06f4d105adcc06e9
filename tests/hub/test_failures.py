"""The hub's own errors: each names the thing, the reason and the facts, and is a class that clients have."""

from __future__ import annotations

import pytest

import tuiparallel.errors
from tuiparallel.hub import failures
from tuiparallel.hub.events import Death
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Work


def task() -> Task:
    work = Work(0, "simulate", True, 0.0, timeout=2.5, time_limit=7.0)
    return Task(TaskId(1), Batch(TaskId(1), 1, work, b"", None, [b""]))


@pytest.mark.parametrize(
    ("death", "words"),
    [
        (Death("", signum=9), "was killed by SIGKILL"),
        (Death("out of memory?", signum=9), "was killed by SIGKILL (out of memory?)"),
        (Death("", signum=250), "was killed by signal 250"),
        (Death("", exitcode=3), "ended with exit code 3"),
        (Death("has been silent for 30 s"), "has been silent for 30 s"),
        (Death(""), "is gone"),
    ],
)
def test_how_an_engine_ended(death: Death, words: str) -> None:
    assert failures.describe(death) == words


def test_an_engine_error_has_all_facts() -> None:
    error = failures.engine_error(task(), 3, Death("", "host", 44, None, 11, 99, "tail"), True)
    assert error.evalue == "engine 3 (pid 44) was killed by SIGSEGV while it ran this task"
    assert set(error.facts) >= {
        "engine_id",
        "host",
        "pid",
        "exitcode",
        "signal",
        "peak_rss",
        "stderr_tail",
        "attempts",
    }
    assert "before it had started" in failures.engine_error(task(), 3, Death(""), False).evalue


def test_every_error_is_a_class_of_the_package() -> None:
    errors = [
        failures.engine_error(task(), 0, Death(""), True), failures.aborted(task(), None), failures.impossible("x"),
        failures.expired_waiting(task()), failures.expired_running(task(), 1), failures.invalid("y"),
    ]  # fmt: skip
    for error in errors:
        assert issubclass(getattr(tuiparallel.errors, error.ename), tuiparallel.errors.RemoteError)
    assert "2.5 s" in failures.expired_waiting(task()).evalue and "7 s" in failures.expired_running(task(), 1).evalue
    assert "simulate" in failures.aborted(task(), None).evalue
