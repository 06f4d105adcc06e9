"""A task's life: which state may follow which, and on what event.

This table is the whole law; the drawing in the README is checked against it. Terminal states have no way out: an
outcome never changes, and late copies are counted and dropped by the hub.
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Where a task is. QUEUED and ASSIGNED are open, the others are terminal."""

    QUEUED = 0
    ASSIGNED = 1
    DONE = 2
    ERROR = 3
    LOST = 4
    ABORTED = 5
    EXPIRED = 6


class Step(IntEnum):
    """What happens to a task."""

    ASSIGN = 0  # leased to an engine
    REQUEUE = 1  # given back unstarted, or another attempt is allowed
    FINISH = 2
    FAIL = 3
    LOSE = 4
    ABORT = 5
    EXPIRE = 6


MOVES: dict[State, dict[Step, State]] = {
    State.QUEUED: {
        Step.ASSIGN: State.ASSIGNED,
        Step.FAIL: State.ERROR,  # a dependency that can never be met
        Step.LOSE: State.LOST,  # a direct task whose engine went away
        Step.ABORT: State.ABORTED,
        Step.EXPIRE: State.EXPIRED,
    },
    State.ASSIGNED: {
        Step.REQUEUE: State.QUEUED,
        Step.FINISH: State.DONE,
        Step.FAIL: State.ERROR,
        Step.LOSE: State.LOST,
        Step.ABORT: State.ABORTED,
        Step.EXPIRE: State.EXPIRED,
    },
    State.DONE: {},
    State.ERROR: {},
    State.LOST: {},
    State.ABORTED: {},
    State.EXPIRED: {},
}

OPEN = frozenset({State.QUEUED, State.ASSIGNED})
TERMINAL = frozenset(State) - OPEN


class EngineState(IntEnum):
    """What an engine is doing, as the hub knows it."""

    STARTING = 0
    IDLE = 1
    BUSY = 2
    UNRESPONSIVE = 3
    LIMBO = 4
    LEAVING = 5
    RESTARTING = 6
    DEAD = 7
