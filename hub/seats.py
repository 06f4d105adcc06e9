"""An engine as the rules see it: what it holds, what waits for it alone, how much work it has ahead.

No socket, thread or clock in this file; seconds come in from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from tuiparallel.hub.task import Task
from tuiparallel.wire.states import State

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

    __slots__ = (
        "id",
        "held",
        "direct",
        "load",
        "open",
        "progress",
        "done",
        "revoking",
        "running",
        "limbo",
        "used",
        "guest",
    )

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
        self.used = 0  # when a scheme chose it last, as a number that grows with each choice
        self.guest: int | None = None  # a task it still works on that is not, or no longer, one of those it holds
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


# Schemes -----------------------------------------------------------------------------------------------------------

Pick = Callable[[Sequence[int], Random], int]
"""The place of one engine in a list of their loads (tasks held), least recently chosen first. Those of ipyparallel."""


def _lru(loads: Sequence[int], random: Random) -> int:
    return 0


def _plainrandom(loads: Sequence[int], random: Random) -> int:
    return random.randrange(len(loads))


def _weighted(loads: Sequence[int], random: Random) -> int:
    """The less loaded of two that are drawn with the inverse of their loads as weights."""
    one, other = random.choices(range(len(loads)), [1.0 / (1e-6 + load) for load in loads], k=2)
    return one if loads[one] <= loads[other] else other


def _twobin(loads: Sequence[int], random: Random) -> int:
    """The less recently chosen of two that are drawn by lot."""
    return min(random.randrange(len(loads)), random.randrange(len(loads)))


LEAST_LOAD = "leastload"
SCHEMES: dict[str, Pick | None] = {
    LEAST_LOAD: None,  # decided in sharing, by seconds of work instead of tasks
    "lru": _lru,
    "plainrandom": _plainrandom,
    "weighted": _weighted,
    "twobin": _twobin,
}
GRAINS = 16  # choices per engine and round at the most: more tasks are chosen for in bunches


class Scheme:
    """Chooses engines for tasks, one at a time while they are few, in a manner other than by least load."""

    def __init__(self, pick: Pick, random: Random) -> None:
        self._pick, self._random = pick, random
        self._choices = 0

    def shares(self, rooms: Sequence[tuple[Seat, int]], tasks: int) -> list[tuple[Seat, int]]:
        """How many of these tasks each engine is to be given, of those that have room for some more."""
        line = sorted(rooms, key=lambda entry: entry[0].used)
        left = {seat.id: room for seat, room in line}
        chosen: dict[int, int] = {}
        tasks = min(tasks, sum(left.values()))
        grain = max(1, tasks // (GRAINS * len(line)))
        while tasks > 0:
            at = self._pick([len(seat.held) + chosen.get(seat.id, 0) for seat, _ in line], self._random)
            seat, room = line.pop(at)
            count = min(grain, tasks, left[seat.id])
            chosen[seat.id] = chosen.get(seat.id, 0) + count
            left[seat.id] -= count
            tasks -= count
            self._choices += 1
            seat.used = self._choices
            if left[seat.id]:
                line.append((seat, room))
        return [(seat, chosen[seat.id]) for seat, _ in rooms if seat.id in chosen]
