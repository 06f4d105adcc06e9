"""What code that runs as a task can ask about itself: the running task, and a place for data it publishes.

The engine sets this around each call. In any other process there is no current task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CurrentTask:
    """The task that is running: what current_task() returns. Frozen.

    msg_id: str. engine_id: int. attempt: int, from 1. label: str or None. client: the session that submitted it, a
    str.
    """

    msg_id: str
    engine_id: int
    attempt: int
    label: str | None
    client: str


class _Holder:
    """One per process. describe is asked only when somebody wants to know, so that a start costs nothing here."""

    describe: Callable[[], CurrentTask | None] | None = None
    published: dict[str, Any] | None = None
    home: str | None = None


_holder = _Holder()


def announce(describe: Callable[[], CurrentTask | None] | None) -> None:
    """For the engine: who answers current_task(); None when this process stops being an engine."""
    _holder.describe = describe


def live_in(directory: str | None) -> None:
    """For the engine: the directory of the cluster that this process belongs to."""
    _holder.home = directory


def home_directory() -> str | None:
    """The directory of the cluster that this process is an engine of; None in any other process."""
    return _holder.home


def current_task() -> CurrentTask | None:
    """The task that this code runs in.

        >>> rc[2].apply_sync(lambda: tp.current_task().engine_id), tp.current_task()
        (2, None)

    Returns a frozen object with the attributes msg_id, engine_id, attempt (from 1), label and client (the session
    that submitted it); None outside of tasks.
    Raises nothing.
    """
    return None if _holder.describe is None else _holder.describe()


def publish_data(data: dict[str, Any]) -> None:
    """Add entries to the `data` of the running task's result, which the caller reads as AsyncResult.data.

        >>> ar = rc[0].apply_async(lambda: tp.publish_data({"loss": 0.5}))
        >>> ar.wait(10)
        >>> ar.data
        {'loss': 0.5}

    data: a dict; later entries of the same name win.
    Returns None; outside of tasks it does nothing.
    Raises TypeError when data is no dict.
    """
    if not isinstance(data, dict):
        raise TypeError(f"publish_data takes a dict of names and values, not {type(data).__name__}")
    if current_task() is not None:
        _holder.published = {**(_holder.published or {}), **data}


def take_published() -> dict[str, Any] | None:
    """For the engine: what the task that has just ended published."""
    published, _holder.published = _holder.published, None
    return published
