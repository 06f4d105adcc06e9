"""What code that runs as a task can ask about itself: the running task, and a place for data it publishes.

The engine sets this around each call. In any other process there is no current task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CurrentTask:
    """The task that is running. client: the session that submitted it. attempt counts from 1."""

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
    """The task this code runs in; None outside of tasks."""
    return None if _holder.describe is None else _holder.describe()


def publish_data(data: dict[str, Any]) -> None:
    """Add these entries to the `data` of the running task's result. Outside of tasks it does nothing.

    Raises TypeError when it is not a dict.
    """
    if not isinstance(data, dict):
        raise TypeError(f"publish_data takes a dict of names and values, not {type(data).__name__}")
    if current_task() is not None:
        _holder.published = {**(_holder.published or {}), **data}


def take_published() -> dict[str, Any] | None:
    """For the engine: what the task that has just ended published."""
    published, _holder.published = _holder.published, None
    return published
