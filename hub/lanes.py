"""Balanced tasks that wait for an engine, in the order in which they are to be given out.

Higher priority first; within one priority sessions take turns, so that a client with a hundred thousand tasks does not
keep another one waiting; within a session by submission. Tasks that may run on the same engines share a lane, so a task
that fits nowhere now never stands in the way of one that does.

No socket, thread or clock in this file. A task that ended while it waited stays in its deque and is passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import inf

from tuiparallel.hub.task import Task
from tuiparallel.wire.states import State

Places = tuple[frozenset[int] | None, frozenset[int]]  # may run on, may not run on


def _nothing(task: Task) -> float:
    return 0.0


class Lane:
    """Waiting tasks of one session and priority that may run on the same engines."""

    __slots__ = ("places", "queue")

    def __init__(self, places: Places) -> None:
        self.places = places
        self.queue: deque[Task] = deque()

    def admits(self, engine: int) -> bool:
        allowed, excluded = self.places
        return (allowed is None or engine in allowed) and engine not in excluded

    def head(self) -> Task | None:
        """Its first task that still waits."""
        queue = self.queue
        while queue:
            if queue[0].state is State.QUEUED:
                return queue[0]
            queue.popleft()
        return None

    def take(
        self, count: int, seconds: float, cost_of: Callable[[Task], float], taken: list[Task]
    ) -> tuple[int, float]:
        """Move at most `count` tasks to `taken`, none once `seconds` are full; returns how many, and their seconds."""
        queue = self.queue
        given, spent, cost, batch = 0, 0.0, 0.0, None
        while queue and given < count:
            task = queue[0]
            if task.state is not State.QUEUED:
                queue.popleft()
                continue
            if task.batch is not batch:
                batch, cost = task.batch, cost_of(task)
            if given and spent + cost > seconds:
                break
            taken.append(queue.popleft())
            given += 1
            spent += cost
        return given, spent


class Lanes:
    """All lanes. len() is the number of tasks that wait, ended ones not counted (the owner says so by forget())."""

    def __init__(self) -> None:
        self._levels: dict[int, dict[int, dict[Places, Lane]]] = {}
        self._order: list[int] = []  # priorities, highest first
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def _lane(self, task: Task) -> Lane:
        priority = task.batch.work.priority
        level = self._levels.get(priority)
        if level is None:
            level = self._levels[priority] = {}
            self._order = sorted(self._levels, reverse=True)
        lanes = level.get(task.batch.session)
        if lanes is None:
            lanes = level[task.batch.session] = {}
        places = (task.places, task.tried)
        lane = lanes.get(places)
        if lane is None:
            lane = lanes[places] = Lane(places)
        return lane

    def extend(self, tasks: Iterable[Task]) -> None:
        """Append tasks in order."""
        lane: Lane | None = None
        batch = places = tried = None
        for task in tasks:
            if lane is None or task.batch is not batch or task.places is not places or task.tried is not tried:
                lane = self._lane(task)
                batch, places, tried = task.batch, task.places, task.tried
            lane.queue.append(task)
            self._waiting += 1

    def extend_front(self, tasks: list[Task]) -> None:
        """Put tasks back before all others of their lanes, the lowest id first: they waited longest."""
        for task in sorted(tasks, key=lambda task: task.id, reverse=True):
            self._lane(task).queue.appendleft(task)
            self._waiting += 1

    def forget(self, count: int = 1) -> None:
        """That many waiting tasks have ended."""
        self._waiting -= count

    def _turns(self, engine: int) -> Iterator[list[Lane]]:
        """Per priority, highest first: for each session in turn the lane whose head is its oldest fitting task."""
        for priority in self._order:
            level = self._levels[priority]
            turn: list[Lane] = []
            for lanes in level.values():
                best: Lane | None = None
                oldest = 0
                for lane in lanes.values():
                    head = lane.head()
                    if head is not None and lane.admits(engine) and (best is None or head.id < oldest):
                        best, oldest = lane, head.id
                if best is not None:
                    turn.append(best)
            if turn:
                yield turn

    def take(
        self, engine: int, count: int, seconds: float = inf, cost_of: Callable[[Task], float] = _nothing
    ) -> list[Task]:
        """At most `count` tasks for an engine, best first; they no longer wait.

        cost_of says how long a task will take, the same for all of a batch. None is added once `seconds` are full.
        """
        taken: list[Task] = []
        left = seconds
        while len(taken) < count and self._waiting and left > 0:
            turn = next(self._turns(engine), None)
            if turn is None:
                break
            # A single session may give all at once; several give alternately.
            share = count - len(taken) if len(turn) == 1 else max(1, (count - len(taken)) // len(turn))
            part = left / len(turn)
            for lane in turn:
                given, spent = lane.take(min(share, count - len(taken)), part, cost_of, taken)
                self._waiting -= given
                left -= spent
            self._prune(turn)
        return taken

    def _prune(self, emptied: list[Lane]) -> None:
        """Rotate the sessions, and drop lanes and levels that are empty, so that old sessions leave nothing."""
        if not self._waiting:
            self._levels, self._order = {}, []
            return
        if not any(not lane.queue for lane in emptied):
            self._rotate()
            return
        for priority in list(self._levels):
            level = self._levels[priority]
            for session in list(level):
                lanes = level[session]
                for places in [places for places, lane in lanes.items() if not lane.queue]:
                    del lanes[places]
                if not lanes:
                    del level[session]
            if not level:
                del self._levels[priority]
        self._order = sorted(self._levels, reverse=True)
        self._rotate()

    def _rotate(self) -> None:
        """Who went first goes last the next time."""
        for level in self._levels.values():
            if len(level) > 1:
                session = next(iter(level))
                level[session] = level.pop(session)

    def move(self, task: Task) -> None:
        """A task's places have changed: take it from wherever it waits to the front of its new lane. Rare, and slow."""
        for level in self._levels.values():
            for lane in level.get(task.batch.session, {}).values():
                try:
                    lane.queue.remove(task)
                except ValueError:
                    continue
                break
        self.extend_front([task])

    def waiting(self) -> Iterator[Task]:
        """All waiting tasks, in no useful order."""
        for level in self._levels.values():
            for lanes in level.values():
                for lane in lanes.values():
                    yield from (task for task in lane.queue if task.state is State.QUEUED)
