"""Who is given what, and who must give something back: windows, queues, idle engines.

No socket, thread or clock in this file. A part of the scheduler.
"""

from __future__ import annotations

from math import inf

from tuiparallel.hub.events import (
    Effect,
    RevokeTasks,
)
from tuiparallel.hub.floor import Floor
from tuiparallel.hub.seats import MOST_HELD, Pace, Scheme, Seat
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.states import State

WORTH_MOVING = 0.005  # seconds of work a busy engine must hold ahead before an idle one is given some of it
PATIENCE = 0.010  # seconds without a result after which what an engine holds ahead may be moved
MOST_PACES = 10_000  # functions whose pace is remembered


class Sharing(Floor):
    """Gives waiting tasks to engines, so that each has a few milliseconds of work ahead and none idles."""

    def _learn(self, batch: Batch, seconds: float, count: int) -> None:
        key = (batch.function, batch.work.name)
        pace = self._paces.get(key)
        if pace is None:
            if len(self._paces) >= MOST_PACES:
                del self._paces[next(iter(self._paces))]
            pace = self._paces[key] = Pace()
        pace.learn(max(0.0, seconds), count)

    def _give_direct(self, seat: Seat, given: dict[int, list[Task]], now: float) -> None:
        room = (self.hwm or MOST_HELD) - len(seat.held)
        tasks: list[Task] = []
        while room > 0 and (task := seat.next_direct()) is not None:
            seat.direct.popleft()
            tasks.append(task)
            room -= 1
        if tasks:
            self._assign(seat, tasks, now)
            given.setdefault(seat.id, []).extend(tasks)

    def _give_balanced(self, given: dict[int, list[Task]], now: float) -> None:
        seats = [seat for seat in self.seats.values() if seat.open and self._room(seat, now)]
        if self.scheme is not None and len(seats) > 1:
            seats = self._give_by_scheme(self.scheme, seats, given, now)
        while seats and len(self.lanes):
            if len(seats) > 1:
                seats.sort(key=_by_load)
            share = -(-len(self.lanes) // len(seats))
            hungry: list[Seat] = []
            for seat in seats:
                ahead = inf if self.hwm else self.horizon - seat.load
                tasks = self.lanes.take(seat.id, min(share, self._room(seat, now)), ahead, self._cost)
                if not tasks:
                    continue
                self._assign(seat, tasks, now)
                given.setdefault(seat.id, []).extend(tasks)
                if not len(self.lanes):
                    return
                if self._room(seat, now):
                    hungry.append(seat)
            seats = hungry

    def _give_by_scheme(
        self, scheme: Scheme, seats: list[Seat], given: dict[int, list[Task]], now: float
    ) -> list[Seat]:
        """Give as a scheme says, as long as that gives anything; returns who has room when it does not.

        What is left then may not run where the scheme would have it.
        """
        took = True
        while took and seats and len(self.lanes):
            took = False
            for seat, share in scheme.shares([(seat, self._room(seat, now)) for seat in seats], len(self.lanes)):
                ahead = inf if self.hwm else self.horizon - seat.load
                tasks = self.lanes.take(seat.id, share, ahead, self._cost)
                if tasks:
                    took = True
                    self._assign(seat, tasks, now)
                    given.setdefault(seat.id, []).extend(tasks)
            seats = [seat for seat in seats if self._room(seat, now)]
        return seats

    def _room(self, seat: Seat, now: float) -> int:
        """How many more balanced tasks an engine may hold now, however short they are; none when it has enough.

        None either while nothing has come from it for a moment: what it works on is a long one, and what was taken
        from behind it should not go back there. Nor while it works on something that is none of these.
        """
        held = len(seat.held)
        if held and now - seat.progress >= PATIENCE or seat.guest is not None:
            return 0
        if self.hwm:
            return max(0, self.hwm - held)
        return max(0, MOST_HELD - held) if seat.load < self.horizon else 0

    def _cost(self, task: Task) -> float:
        pace = self._paces.get((task.batch.function, task.batch.work.name))
        # A function never seen fills an engine by itself: it may be a long one.
        return pace.mean if pace is not None and pace.mean is not None else self.horizon

    def _assign(self, seat: Seat, tasks: list[Task], now: float) -> None:
        if not seat.held:
            seat.progress = now
        lease = self._lease_for.get(seat.id)
        if lease is None:  # one for all that a turn gives an engine: it is the name of one Run on record
            lease = self._lease_for[seat.id] = self._new_lease()
        batch, cost = None, 0.0
        engine, held, load = seat.id, seat.held, seat.load
        for task in tasks:
            if task.batch is not batch:
                batch, cost = task.batch, self._cost(task)
            task.state = State.ASSIGNED  # QUEUED -> ASSIGNED, the one move on the hot path
            task.engine = engine
            task.lease = lease
            task.cost = cost
            held[task.id] = task
            load += cost
        seat.load = load

    def _rebalance(self, now: float, effects: list[Effect]) -> None:
        """Let an idle engine have what stands unstarted behind others."""
        self._recheck = None
        seats = self.seats.values()
        # What an engine works on itself cannot be moved: with nothing behind it, there is nothing to look at.
        behind_others = [seat for seat in seats if len(seat.held) > (seat.guest is None) and not seat.revoking]
        if not behind_others:
            return
        idle = [seat for seat in seats if seat.open and not seat.held and seat.guest is None]
        if not idle:
            return
        for victim in sorted(behind_others, key=_by_load, reverse=True):
            first = 1 if victim.guest is None else 0
            stuck = now - victim.progress
            if victim.load < WORTH_MOVING and stuck < PATIENCE:
                self._recheck = min(self._recheck or now + PATIENCE, victim.progress + PATIENCE)
                continue
            behind = [
                task
                for task in list(victim.held.values())[first:]
                if task.batch.work.balanced and not (task.revoking or task.refused)
            ]
            movable = [task for task in behind if any(self._admits(task, seat.id) for seat in idle)]
            if not movable:
                continue
            # All of them when the first has been running for long, else a fair share, from the far end.
            count = len(movable) if stuck >= PATIENCE else max(1, len(movable) * len(idle) // (len(idle) + 1))
            asked = movable[-count:]
            for task in asked:
                task.revoking = True
            victim.revoking += len(asked)
            effects.append(RevokeTasks(victim.id, asked))


def _by_load(seat: Seat) -> tuple[float, int]:
    return (seat.load, len(seat.held))
