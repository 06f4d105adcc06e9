"""How long things took, from the times of their tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from tuiparallel.client.metadata import Metadata


def _times(tasks: Sequence[Metadata], key: str) -> list[datetime]:
    return [task[key] for task in tasks if task[key] is not None]


def elapsed(tasks: Sequence[Metadata], ended: bool, now: float) -> float:
    """Seconds since the first submission, until the last result or (not ended) now."""
    submitted = _times(tasks, "submitted")
    if not submitted:
        return 0.0
    begin = min(submitted).timestamp()
    received = _times(tasks, "received")
    return (max(received).timestamp() if ended and received else now) - begin


def wall_time(tasks: Sequence[Metadata]) -> float:
    """Seconds from the first submission to the last result."""
    submitted, received = _times(tasks, "submitted"), _times(tasks, "received")
    return (max(received) - min(submitted)).total_seconds() if submitted and received else 0.0


def serial_time(tasks: Sequence[Metadata]) -> float:
    """Seconds of execution, added up."""
    return math.fsum(
        (task["completed"] - task["started"]).total_seconds()
        for task in tasks
        if task["started"] is not None and task["completed"] is not None
    )
