"""Who is there and what is open: the state of the scheduler's rules, its timers, and what must hold.

No socket, thread or clock in this file. The parts that decide (Sharing, Endings, Aborts) stand upon it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tuiparallel.hub.dependencies import Dependencies, Group
from tuiparallel.hub.lanes import Lanes
from tuiparallel.hub.seats import LEAST_LOAD, SCHEMES, Pace, Scheme, Seat
from tuiparallel.hub.task import Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.states import State


@dataclass(slots=True)
class Ticket:
    """An AbortAsked that has not been answered in full."""

    left: set[int]
    running_too: bool
    grace: float
    aborted: list[TaskId] = field(default_factory=list)
    running: list[TaskId] = field(default_factory=list)
    done: list[TaskId] = field(default_factory=list)


class Floor:
    """All open tasks and all engines. horizon: seconds of work an engine holds ahead; hwm: a fixed number instead.

    scheme: how engines are chosen for tasks, one of SCHEMES; those that draw lots draw them from random.
    """

    def __init__(
        self, horizon: float = 0.010, hwm: int = 0, scheme: str = LEAST_LOAD, random: Random | None = None
    ) -> None:
        self.horizon = horizon
        self.hwm = hwm
        pick = SCHEMES[scheme]
        self.scheme = None if pick is None else Scheme(pick, random or Random(0))
        self.tasks: dict[int, Task] = {}
        self.seats: dict[int, Seat] = {}
        self.lanes = Lanes()
        self.dependencies = Dependencies()
        self.late = 0  # copies of outcomes that were dropped
        self.waiting = 0  # tasks that wait for a dependency
        self.next_lease = 1
        self._paces: dict[tuple[bytes, str], Pace] = {}
        self._groups: dict[int, Group] = {}  # of waiting tasks
        self._timers: list[tuple[float, int, str, int, int]] = []  # at, order, what, task, lease
        self._timer_count = 0
        self._tickets: dict[int, Ticket] = {}
        self._ticket_of: dict[int, list[int]] = {}  # task -> tickets that wait for it
        self._recheck: float | None = None
        self._lease_for: dict[int, int] = {}  # of this turn, by engine
        self._stranded = False  # tasks may wait for engines that are gone

    @staticmethod
    def _admits(task: Task, engine: int) -> bool:
        return (task.places is None or engine in task.places) and engine not in task.tried

    def _new_lease(self) -> int:
        lease = self.next_lease
        self.next_lease += 1
        return lease

    def next_deadline(self) -> float | None:
        """When settle() must be called again, by the monotonic clock, though nothing happens."""
        while self._timers and not self._lives(self._timers[0]):
            heapq.heappop(self._timers)
        first = self._timers[0][0] if self._timers else None
        if self._recheck is not None:
            return self._recheck if first is None else min(first, self._recheck)
        return first

    def _timer(self, at: float, what: str, task: Task) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (at, self._timer_count, what, task.id, task.lease))

    def _lives(self, timer: tuple[float, int, str, int, int]) -> bool:
        _, _, what, id, lease = timer
        task = self.tasks.get(id)
        if task is None:
            return False
        return id in self._groups if what == "dependency" else task.lease == lease and task.state is State.ASSIGNED

    def open_tasks(self) -> Iterator[Task]:
        return iter(self.tasks.values())

    def is_waiting(self, id: int) -> bool:
        """Whether a task waits for a dependency."""
        return id in self._groups

    def why(self, id: TaskId) -> str:
        """Why a task waits, in a sentence; empty when it does not."""
        task = self.tasks.get(id)
        if task is None or task.state is not State.QUEUED:
            return ""
        if id in self._groups:
            count = len(self.dependencies.open_dependencies(task))
            return f"waits for {count} task{'s' if count != 1 else ''} it depends on"
        if not task.batch.work.balanced:
            return f"waits in the queue of engine {task.batch.target(id)}"
        able = [seat for engine, seat in self.seats.items() if seat.open and self._admits(task, engine)]
        if not able:
            return "waits for an engine: none that may run it is there"
        if task.places is not None:
            return f"waits for one of its target engines ({', '.join(map(str, sorted(task.places)))}): all are busy"
        return "waits for an engine to have room: all windows are full"

    def check(self) -> None:
        """Assert what holds between turns."""
        for task in self.tasks.values():
            assert task.state in (State.QUEUED, State.ASSIGNED), task
            assert (task.state is State.ASSIGNED) == (task.engine is not None), task
            if task.engine is not None:
                assert self.seats[task.engine].held.get(task.id) is task, task
        for seat in self.seats.values():
            assert all(task.engine == seat.id for task in seat.held.values()), seat.id
            assert seat.revoking == sum(task.revoking for task in seat.held.values()), seat.id
        queued = sum(task.state is State.QUEUED for task in self.tasks.values())
        direct = sum(task.state is State.QUEUED for seat in self.seats.values() for task in seat.direct)
        assert queued == len(self.lanes) + direct + self.waiting, (queued, len(self.lanes), direct, self.waiting)
        assert sum(1 for _ in self.lanes.waiting()) == len(self.lanes)
        assert self.waiting == len(self._groups)
        assert set(self._ticket_of) <= set(self.tasks)
