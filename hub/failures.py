"""The errors that the hub itself gives to tasks, as text with facts.

No socket, thread or clock in this file. Each ename is a class of tuiparallel.errors; clients build it from the facts.
"""

from __future__ import annotations

import signal

from tuiparallel.hub.events import Death
from tuiparallel.hub.task import Task
from tuiparallel.wire.messages import ErrorText, Extras, Ran


def outcome_of(task: Task, error: ErrorText, started: float | None, completed: float) -> Ran:
    """A result that no engine sent."""
    return Ran(task.id, task.lease, False, started or 0.0, completed, b"", Extras(error=error))


def engine_error(task: Task, engine: int, death: Death, may_have_started: bool) -> ErrorText:
    """EngineError: the engine went away with the task, or with the task in its queue."""
    how = describe(death)
    what = "while it ran this task" if may_have_started else "before it had started this task"
    return ErrorText(
        "EngineError",
        f"engine {engine} (pid {death.pid}) {how} {what}",
        "",
        engine,
        facts={
            "engine_id": engine,
            "host": death.host,
            "pid": death.pid,
            "exitcode": death.exitcode,
            "signal": death.signum,
            "peak_rss": death.peak_rss,
            "stderr_tail": death.stderr_tail,
            "attempts": task.attempt,
            "may_have_started": may_have_started,
            "reason": death.text,
        },
    )


def describe(death: Death) -> str:
    """How a process ended, in words."""
    if death.signum is not None:
        try:
            name = signal.Signals(death.signum).name
        except ValueError:
            name = f"signal {death.signum}"
        words = f"was killed by {name}"
    elif death.exitcode is not None:
        words = f"ended with exit code {death.exitcode}"
    else:
        return death.text or "is gone"
    return f"{words} ({death.text})" if death.text else words


def aborted(task: Task, engine: int | None) -> ErrorText:
    """AbortedTask: somebody asked for it."""
    return ErrorText("AbortedTask", f"task {task.batch.work.name} was aborted", "", engine)


def expired_waiting(task: Task) -> ErrorText:
    """TaskTimeout: its dependencies were not met in time."""
    limit = task.batch.work.timeout
    return ErrorText("TaskTimeout", f"its dependencies were not met within {limit:g} s", "", facts={"timeout": limit})


def expired_running(task: Task, engine: int | None) -> ErrorText:
    """TaskTimeout: it ran longer than it may."""
    limit = task.batch.work.time_limit
    return ErrorText(
        "TaskTimeout", f"it ran longer than its time_limit of {limit:g} s", "", engine, facts={"time_limit": limit}
    )


def impossible(reason: str) -> ErrorText:
    """ImpossibleDependency: no engine can ever run it, or what it waits for ended the other way."""
    return ErrorText("ImpossibleDependency", reason, "")


def invalid(reason: str) -> ErrorText:
    """InvalidDependency: what it waits for is no task this hub knows."""
    return ErrorText("InvalidDependency", reason, "")
