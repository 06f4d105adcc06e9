"""Places where a test may make a process fail: TUIPAR_FAIL="hub.committed=kill@3; hub.commit=ENOSPC@5".

Each entry names a point, what happens there (kill, or the name of an errno) and at which visit, counted from 1; with
"kill@3+" at that visit and each one after it. Without the variable a point costs one dictionary look-up.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3

POINTS = ("hub.drained", "hub.handled", "hub.commit", "hub.committed", "hub.sending", "hub.sent")


class _Plan:
    __slots__ = ("what", "at", "ever", "visits")

    def __init__(self, what: str, at: int, ever: bool) -> None:
        self.what, self.at, self.ever, self.visits = what, at, ever, 0


def _parse(text: str) -> dict[str, _Plan]:
    plans: dict[str, _Plan] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        point, _, action = entry.partition("=")
        what, _, at = action.partition("@")
        if point not in POINTS:
            raise ValueError(f"TUIPAR_FAIL names {point!r}: known are {', '.join(POINTS)}")
        plans[point] = _Plan(what, int(at.rstrip("+") or 1), at.endswith("+"))
    return plans


_plans = _parse(os.environ.get("TUIPAR_FAIL", ""))


def failpoint(point: str) -> None:
    """Fail here if the environment says so."""
    plan = _plans.get(point)
    if plan is None:
        return
    plan.visits += 1
    if plan.visits != plan.at and not (plan.ever and plan.visits > plan.at):
        return
    if plan.what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise sqlite3.OperationalError(os.strerror(getattr(errno, plan.what)))
