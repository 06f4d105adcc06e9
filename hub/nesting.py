"""Tasks that wait for tasks of their own: those that only such engines could run are ended instead of waited for.

No socket, thread or clock in this file. A part of the scheduler. A host is a running task that waits, without a limit,
for tasks that it has submitted itself. Hosts are stuck when all they wait for could only run on engines whose first
task is itself a stuck host: the largest such set is found by leaving out, again and again, each host one of whose tasks
can still move. Whatever is in doubt (an engine that is starting, a task that has just ended) counts as able to move;
waiting clients repeat themselves, so the next look decides it. Nothing here is done while no task waits for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tuiparallel.hub import failures
from tuiparallel.hub.aborts import Aborts
from tuiparallel.hub.dependencies import Dependencies
from tuiparallel.hub.events import Effect, RevokeTasks, TaskWaits
from tuiparallel.hub.seats import LEAST_LOAD, Seat
from tuiparallel.hub.task import Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.states import State


@dataclass(frozen=True, slots=True)
class Host:
    """A task that waits for others, the lease it runs under, and what it waits for."""

    task: TaskId
    lease: int
    awaited: Sequence[TaskId]


_REASON = (
    "every engine that could run it is busy with a task that waits for it: it would wait for ever. Add engines, wait "
    "outside of the tasks, or give the waits a timeout"
)


class Nesting(Aborts):
    """TaskWaits, and the ends of tasks that no engine will ever be free for."""

    def __init__(
        self, horizon: float = 0.010, hwm: int = 0, scheme: str = LEAST_LOAD, random: Random | None = None
    ) -> None:
        super().__init__(horizon, hwm, scheme, random)
        self._hosts: dict[int, Host] = {}  # by the session inside the task
        self._hosts_changed = False
        self._doomed: set[int] = set()  # held by an engine that is asked to give them back, to be ended then

    def _waits(self, event: TaskWaits) -> None:
        host = self.tasks.get(event.task)
        if host is None or host.engine is None or not event.awaited:
            self._hosts.pop(event.session, None)
            return
        self._hosts[event.session] = Host(host.id, host.lease, event.awaited)
        self._hosts_changed = True

    def _free_nested(self, date: float, effects: list[Effect]) -> None:
        """End what stuck hosts wait for."""
        self._hosts_changed = False
        self._doomed &= self.tasks.keys()
        stuck = Stuck(self._running_hosts(), self.seats, self.dependencies)
        revokes: dict[int, list[Task]] = {}
        for task in stuck.victims(self.tasks):
            if task.state is State.QUEUED:
                if task.id not in self._groups and task.batch.work.balanced:
                    self.lanes.forget()
                self._end(task, State.ERROR, failures.impossible(_REASON), date, effects)
            elif task.state is State.ASSIGNED and task.engine is not None:
                self._doomed.add(task.id)
                if not task.revoking:
                    task.revoking = True
                    self.seats[task.engine].revoking += 1
                    revokes.setdefault(task.engine, []).append(task)
        effects += [RevokeTasks(engine, tasks) for engine, tasks in revokes.items()]

    def _end_doomed(self, task: Task, date: float, effects: list[Effect]) -> None:
        """An engine has given it back unstarted."""
        self._doomed.discard(task.id)
        self._end(task, State.ERROR, failures.impossible(_REASON), date, effects)

    def _running_hosts(self) -> dict[int, Host]:
        """The hosts that are first on their engines, by task; those that run no more are forgotten."""
        found: dict[int, Host] = {}
        for session, host in list(self._hosts.items()):
            task = self.tasks.get(host.task)
            if task is None or task.lease != host.lease or task.engine is None:
                del self._hosts[session]
            elif self.seats[task.engine].running is task and task.ending is None:
                found[host.task] = host
        return found


class Stuck:
    """The largest set of hosts none of whose tasks can move while all of them wait."""

    def __init__(self, hosts: dict[int, Host], seats: dict[int, Seat], dependencies: Dependencies) -> None:
        self._hosts = dict(hosts)
        self._seats = seats
        self._dependencies = dependencies

    def victims(self, tasks: dict[int, Task]) -> list[Task]:
        """What stuck hosts wait for and no engine runs, each once."""
        moving = True
        while moving:
            moving = False
            for id, host in list(self._hosts.items()):
                if not all(
                    (task := tasks.get(one)) is not None and self._cannot_move(task, tasks) for one in host.awaited
                ):
                    del self._hosts[id]
                    moving = True
        found = {one: tasks[one] for host in self._hosts.values() for one in host.awaited if one not in self._hosts}
        return list(found.values())

    def _cannot_move(self, task: Task, tasks: dict[int, Task], depth: int = 0) -> bool:
        if task.id in self._hosts:
            return True
        if task.engine is not None and (seat := self._seats.get(task.engine)) and seat.running is task:
            return False
        work = task.batch.work
        if task.state is State.QUEUED and work.timeout:
            return False  # its own limit ends it, if it waits for others
        if task.state is State.QUEUED and (needs := self._dependencies.needs_of(task)):
            open_needs = [tasks.get(id) for id in needs]
            return depth < _DEEPEST and all(
                need is not None and self._cannot_move(need, tasks, depth + 1) for need in open_needs
            )
        if work.balanced:
            able = [seat for id, seat in self._seats.items() if task.places is None or id in task.places]
        else:
            seat = self._seats.get(task.batch.target(task.id) or 0)
            able = [seat] if seat is not None else []
        return bool(able) and all(self._busy(seat) for seat in able)

    def _busy(self, seat: Seat) -> bool:
        """Whether an engine works on a stuck host, or is about to leave without taking anything more."""
        if seat.limbo:
            return False
        return not seat.open or (seat.running is not None and seat.running.id in self._hosts)


_DEEPEST = 100  # dependencies behind dependencies that are looked through
