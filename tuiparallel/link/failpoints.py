"""Places where a test may make a process fail: TUIPAR_FAIL="hub.committed=kill@3; hub.commit=ENOSPC@5; link.drop=0.01".

Each entry names a point, what happens there (kill, or the name of an errno) and at which visit, counted from 1; with
"kill@3+" at that visit and each one after it, with "EIO@3-5" at these three. Points of the link have the chance, at each message, that it is lost
(link.drop) or sent twice (link.repeat); what stands behind their @ is a seed. Without the variable a point costs one
dictionary look-up.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
from collections.abc import Callable

POINTS = (
    "hub.drained", "hub.handled", "hub.commit", "hub.logged", "hub.writing", "hub.settled", "hub.committed",
    "hub.sending", "hub.sent",
)  # fmt: skip
"""In the order of a turn. logged: in the logbook; writing: in a transaction; settled: it is over, the logbook full."""
CHANCES = ("link.drop", "link.repeat")


class _Plan:
    __slots__ = ("what", "first", "last", "visits")

    def __init__(self, what: str, when: str) -> None:
        first, dash, last = when.partition("-")
        self.what, self.visits = what, 0
        self.first = int(first.rstrip("+") or 1)
        self.last = int(last) if dash else sys.maxsize if when.endswith("+") else self.first


class _Chance:
    __slots__ = ("share", "seed", "draw")

    def __init__(self, share: float, seed: int) -> None:
        self.share, self.seed = share, seed
        self.draw: Callable[[], float] | None = None

    def falls(self) -> bool:
        if self.draw is None:  # only now, as processes are forked: no two of them lose the same messages
            self.draw = random.Random(f"{self.seed} {os.getpid()}").random
        return self.draw() < self.share


def _parse(text: str) -> dict[str, _Plan]:
    plans: dict[str, _Plan] = {}
    for point, what, at in _entries(text):
        if point in POINTS:
            plans[point] = _Plan(what, at)
        elif point not in CHANCES:
            raise ValueError(f"TUIPAR_FAIL names {point!r}: known are {', '.join(POINTS + CHANCES)}")
    return plans


def _parse_chances(text: str) -> dict[str, _Chance]:
    return {point: _Chance(float(what), int(at or 0)) for point, what, at in _entries(text) if point in CHANCES}


def _entries(text: str) -> list[tuple[str, str, str]]:
    found = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        point, _, action = entry.partition("=")
        what, _, at = action.partition("@")
        found.append((point, what, at))
    return found


_plans = _parse(os.environ.get("TUIPAR_FAIL", ""))
_chances = _parse_chances(os.environ.get("TUIPAR_FAIL", ""))


def arm(text: str) -> None:
    """Follow this plan from now on, and no other; "" ends all failing. Raises ValueError for an unknown point."""
    global _plans, _chances
    _plans, _chances = _parse(text), _parse_chances(text)


def spend(part: str) -> None:
    """The points of this part of the system fail no more: a process has died of them, its successor is to live."""
    for point in [point for point in _plans if point.startswith(part)]:
        del _plans[point]


def failpoint(point: str) -> None:
    """Fail here if the environment says so."""
    plan = _plans.get(point)
    if plan is None:
        return
    plan.visits += 1
    if not plan.first <= plan.visits <= plan.last:
        return
    if plan.what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(getattr(errno, plan.what), os.strerror(getattr(errno, plan.what)))


def chance(point: str) -> bool:
    """Whether the message that is about to leave meets this mishap."""
    if not _chances:
        return False
    found = _chances.get(point)
    return found is not None and found.falls()
