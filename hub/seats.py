"""An engine as the rules see it: what it holds, what waits for it alone, how much work it has ahead.

No socket, thread or clock in this file; seconds come in from outside.
"""

from __future__ import annotations

from collections import deque

from tuiparallel.hub.task import Task
from tuiparallel.wire.states import State

SCHEMES = ("leastload", "lru", "plainrandom", "weighted", "twobin")
MOST_HELD = 1000  # tasks an engine holds at the most, however short they are
OVERHEAD = 10e-6  # seconds an engine spends on a task beside running it


class Pace:
    """How long the tasks of one function take: a running mean of seconds; None before the first has ended."""

    __slots__ = ("mean",)

    def __init__(self) -> None:
        self.mean: float | None = None

    def learn(self, seconds: float, count: int) -> None:
        """`count` tasks ended after `seconds` of execution all together. Newer ones weigh more."""
        average = seconds / count + OVERHEAD
        if self.mean is None:
            self.mean = average
        else:
            keep = 0.9 ** min(count, 50)
            self.mean = keep * self.mean + (1.0 - keep) * average


class Seat:
    """One engine. held is in the order in which the engine was given its tasks, which is the order it runs them in."""

    __slots__ = ("id", "held", "direct", "load", "open", "progress", "done", "revoking", "running", "limbo")

    def __init__(self, id: int) -> None:
        self.id = id
        self.held: dict[int, Task] = {}
        self.direct: deque[Task] = deque()
        self.load = 0.0  # seconds of work held, as far as is known
        self.open = True  # may be given work
        self.limbo = False  # of the hub's former life, and not heard of yet: it will be open, or lost
        self.progress = 0.0  # when it last sent a result or was given the first of what it holds
        self.done = 0
        self.revoking = 0  # tasks asked back and not yet answered
        self.running: Task | None = None  # what it said it began, if that takes a while

    def hold(self, task: Task, cost: float) -> None:
        self.held[task.id] = task
        task.cost = cost
        self.load += cost

    def release(self, task: Task) -> None:
        if self.held.pop(task.id, None) is not None:
            self.load -= task.cost
            if not self.held:
                self.load = 0.0  # rounding must not add up
            if task.revoking:
                task.revoking = False
                self.revoking -= 1
            if self.running is task:
                self.running = None

    def next_direct(self) -> Task | None:
        """The first direct task that still waits."""
        while self.direct:
            if self.direct[0].state is State.QUEUED:
                return self.direct[0]
            self.direct.popleft()
        return None
