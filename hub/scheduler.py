"""Which task runs where and when, and how each of them ends.

Events in, effects out: no socket, thread or clock in this file; `now` is monotonic seconds, `date` seconds since the
epoch. handle() takes one event, itself a batch; settle() says once per turn what depends on all of them: who is given
what, and who must give something back. check() asserts what holds between turns.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import assert_never

from tuiparallel.hub import failures
from tuiparallel.hub.dependencies import Fact, counted
from tuiparallel.hub.events import (
    AbortAsked,
    AttemptEnded,
    Death,
    DropLeases,
    Effect,
    EngineBack,
    EngineClosing,
    EngineJoined,
    EngineLost,
    EngineRuns,
    Event,
    InterruptTask,
    LeasesGivenBack,
    LeasesReturned,
    ReplaceEngine,
    RevokeTasks,
    RunTasks,
    TaskBegan,
    TaskEnded,
    TasksRan,
    TasksSubmitted,
    TaskWaits,
)
from tuiparallel.hub.nesting import Nesting
from tuiparallel.hub.seats import Seat
from tuiparallel.hub.task import NOWHERE, Batch, Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Lease, Ran
from tuiparallel.wire.states import State, Step

TIME_LIMIT_GRACE = 5.0  # seconds between the interrupt of a task and the end of its engine


class Scheduler(Nesting):
    """The rules' two doors: handle() and settle()."""

    # One event -----------------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float, date: float) -> list[Effect]:
        """What follows at once from one event."""
        effects: list[Effect] = []
        match event:
            case TasksSubmitted():
                self._submit(event, now, date, effects)
            case TasksRan():
                self._ran(event, now, effects)
            case LeasesReturned():
                self._returned(event, now, date, effects)
            case TaskBegan(engine, id, lease, started):
                self._began(engine, id, lease, started, now)
            case EngineRuns(engine, id):
                self._runs(engine, id)
            case EngineJoined(engine):
                self.seats[engine] = seat = Seat(engine)
                seat.progress = now
            case EngineBack(engine, leases):
                self._back(engine, leases, now, effects)
            case EngineClosing(engine):
                if leaving := self.seats.get(engine):
                    leaving.open = False
                    self._stranded = True
            case EngineLost():
                self._lost(event, now, date, effects)
            case AbortAsked():
                self._abort(event, now, date, effects)
            case TaskWaits():
                self._waits(event)
            case _:
                assert_never(event)
        return effects

    # Submitting ----------------------------------------------------------------------------------------------------

    def _submit(self, event: TasksSubmitted, now: float, date: float, effects: list[Effect]) -> None:
        batch = event.batch
        new = [Task(TaskId(id), batch) for id in range(batch.first, batch.first + batch.count)]
        self._enqueue(event, new, now, date, effects)

    def _enqueue(
        self, event: TasksSubmitted, new: list[Task], now: float, date: float, effects: list[Effect]
    ) -> None:
        work = event.batch.work
        self.tasks.update((task.id, task) for task in new)
        if event.invalid:
            for task in new:
                self._end(task, State.ERROR, failures.invalid(event.invalid), date, effects)
            return
        if not work.balanced:
            self._queue_direct(new, event.gone, date, effects)
            return
        if work.targets is not None:
            places = frozenset(work.targets)
            for task in new:
                task.places = places
        if not event.needs:
            self._queue_balanced(new, date, effects)
            return
        group = self.dependencies.waits_for(new, event.needs, event.ended)
        if group.over:
            self._decide(group, date, effects)
            return
        self.waiting += len(new)
        for task in new:
            self._groups[task.id] = group
            if work.timeout:
                self._timer(now + work.timeout, "dependency", task)

    def _queue_direct(self, tasks: list[Task], gone: dict[int, Death], date: float, effects: list[Effect]) -> None:
        for task in tasks:
            target = task.batch.target(task.id)
            seat = self.seats.get(target) if target is not None else None
            if seat is None or not (seat.open or seat.limbo):
                death = (gone.get(target) if target is not None else None) or Death("was never there")
                error = failures.engine_error(task, -1 if target is None else target, death, False)
                self._end(task, State.LOST, error, date, effects)
            else:
                seat.direct.append(task)

    # Running -------------------------------------------------------------------------------------------------------

    def _began(self, engine: int, id: int, lease: int, started: float, now: float) -> None:
        task = self.tasks.get(id)
        seat = self.seats.get(engine)
        if task is None or seat is None or task.engine != engine or task.lease != lease:
            return
        task.started = started
        seat.running = task
        if seat.guest is not None:
            seat.guest, self._stranded = None, True
        if task.batch.work.time_limit:
            self._timer(now + task.batch.work.time_limit, "limit", task)

    def _runs(self, engine: int, id: int | None) -> None:
        seat = self.seats.get(engine)
        if seat is not None and id != seat.guest and (seat.guest is not None or id not in seat.held):
            # What is held counts as what is meant: an engine runs its tasks in order, and says so late.
            seat.guest = None if id is None or id in seat.held else id
            self._stranded = True

    def _ran(self, event: TasksRan, now: float, effects: list[Effect]) -> None:
        seat = self.seats.get(event.engine)
        if seat is not None:
            seat.progress = now
        seconds, count = 0.0, 0
        batch: Batch | None = None
        tasks, engine = self.tasks, event.engine
        for ran in event.ran:
            task = tasks.get(ran.task)
            if task is None or task.lease != ran.lease or task.engine != engine or task.state is not State.ASSIGNED:
                self.late += 1
                if seat is not None and ran.task == seat.guest:
                    seat.guest, self._stranded = None, True
                continue
            if task.batch is not batch:
                if batch is not None:
                    self._learn(batch, seconds, count)
                batch, seconds, count = task.batch, 0.0, 0
            seconds += ran.completed - ran.started
            count += 1
            if seat is not None:
                seat.release(task)
                if seat.guest is not None:
                    seat.guest, self._stranded = None, True
            if not ran.ok:
                self._failed(task, ran, now, effects)
            elif self._ticket_of or self._groups:
                self._finish(task, State.DONE, ran, effects)
            else:  # nobody waits for it: ASSIGNED -> DONE, the other move on the hot path
                task.state = State.DONE
                del tasks[task.id]
                batch.open -= 1
                effects.append(TaskEnded(task, State.DONE, ran))
        if batch is not None:
            self._learn(batch, seconds, count)

    def _failed(self, task: Task, ran: Ran, now: float, effects: list[Effect]) -> None:
        """A task raised: it ends, unless it may be tried again."""
        error = ran.extras.error if ran.extras is not None else None
        if task.ending is not None:
            reason = (
                failures.aborted(task, task.engine)
                if task.ending is State.ABORTED
                else failures.expired_running(task, task.engine)
            )
            self._end(task, task.ending, reason, ran.completed, effects, ran.started)
            return
        work = task.batch.work
        engine = task.engine
        if error is not None and error.ename == "UnmetDependency" and work.balanced and engine is not None:
            task.tried = task.tried | {engine}
            if any(seat.open and self._admits(task, id) for id, seat in self.seats.items()):
                self._again(task, ran, "unmet", effects, count=False)
            else:
                nowhere = failures.impossible("its function dependency is met on no engine")
                self._end(task, State.ERROR, nowhere, ran.completed, effects, ran.started)
            return
        if work.balanced and task.attempt <= work.retries and work.retry_on in ("any", "error"):
            self._elsewhere(task)
            self._again(task, ran, "error", effects)
            return
        self._finish(task, State.ERROR, ran, effects)

    def _elsewhere(self, task: Task) -> None:
        """Another attempt prefers another engine, if there is one that may have it."""
        engine = task.engine
        task.tried = NOWHERE
        if engine is not None and any(
            id != engine and seat.open and seat.guest is None and self._admits(task, id)
            for id, seat in self.seats.items()
        ):
            task.tried = frozenset({engine})

    def _again(self, task: Task, ran: Ran | None, outcome: str, effects: list[Effect], count: bool = True) -> None:
        assert task.engine is not None
        started = ran.started if ran is not None else task.started
        ended = ran.completed if ran is not None else None
        effects.append(AttemptEnded(task, task.attempt, task.engine, started, ended, outcome))
        self._give_back(task)
        if count:
            task.attempt += 1
        self.lanes.extend_front([task])
        effects.append(LeasesGivenBack([task], self._new_lease()))

    def _give_back(self, task: Task) -> None:
        task.step(Step.REQUEUE)
        task.engine = None
        task.started = None
        task.revoking = task.refused = False

    # Engines that go, come back, or give back -----------------------------------------------------------------------

    def _back(self, engine: int, leases: Iterable[Lease], now: float, effects: list[Effect]) -> None:
        """Which of an engine's leases are still its own, and what of its tasks never arrived."""
        seat = self.seats.get(engine)
        if seat is None:
            effects.append(DropLeases(engine, list(leases)))
            return
        seat.progress = now
        known: set[int] = set()
        drop: list[Lease] = []
        for lease in leases:
            task = self.tasks.get(lease.task)
            if task is not None and task.engine == engine and task.lease == lease.lease:
                known.add(lease.task)
            else:
                drop.append(lease)
        if drop:
            effects.append(DropLeases(engine, drop))
        unheard = [task for task in seat.held.values() if task.id not in known and not task.revoking]
        if unheard:
            effects.append(RunTasks(engine, unheard, again=True))
        # Of those that never arrived too: the engine gives them back, and refuses a late copy.
        asked = [task for task in seat.held.values() if task.revoking]
        if asked:
            effects.append(RevokeTasks(engine, asked))

    def _returned(self, event: LeasesReturned, now: float, date: float, effects: list[Effect]) -> None:
        seat = self.seats.get(event.engine)
        free: list[Task] = []
        for lease in event.leases:
            task = self._leased(lease, event.engine)
            if task is None or seat is None:
                continue
            seat.release(task)
            if task.ending is not None:
                self._end(task, task.ending, failures.aborted(task, None), date, effects)
                continue
            if task.id in self._doomed:
                self._end_doomed(task, date, effects)
                continue
            self._give_back(task)
            free.append(task)
        if free and seat is not None:
            direct = [task for task in free if not task.batch.work.balanced]
            seat.direct.extendleft(reversed(direct))
            self.lanes.extend_front([task for task in free if task.batch.work.balanced])
            effects.append(LeasesGivenBack(free, self._new_lease()))
        for lease in event.refused:
            task = self._leased(lease, event.engine)
            if task is None or seat is None:
                continue
            self._doomed.discard(task.id)
            task.refused = True
            if task.revoking:
                task.revoking = False
                seat.revoking -= 1
            if task.ending is State.ABORTED:
                self._abort_started(task, now, effects)

    def _leased(self, lease: Lease, engine: int) -> Task | None:
        task = self.tasks.get(lease.task)
        if task is None or task.engine != engine or task.lease != lease.lease or task.state is not State.ASSIGNED:
            return None
        return task

    def _lost(self, event: EngineLost, now: float, date: float, effects: list[Effect]) -> None:
        seat = self.seats.pop(event.engine, None)
        if seat is None:
            return
        held = list(seat.held.values())
        for task in held:
            seat.release(task)
        started = _may_have_started(held, event.mark) if event.exact else len(held)
        free: list[Task] = []
        for position, task in enumerate(held):
            ran = position < started
            work = task.batch.work
            if task.ending is not None:
                error = (
                    failures.expired_running(task, event.engine)
                    if task.ending is State.EXPIRED
                    else failures.aborted(task, event.engine)
                )
                self._end(task, task.ending, error, date, effects)
            elif work.balanced and not ran:
                self._give_back(task)
                free.append(task)
            elif work.balanced and task.attempt <= work.retries and work.retry_on in ("any", "death"):
                self._elsewhere(task)
                self._again(task, None, "death", effects)
            else:
                error = failures.engine_error(task, event.engine, event.death, ran)
                self._end(task, State.LOST, error, date, effects)
        if free:
            self.lanes.extend_front(free)
            effects.append(LeasesGivenBack(free, self._new_lease()))
        while (direct := seat.next_direct()) is not None:
            seat.direct.popleft()
            error = failures.engine_error(direct, event.engine, event.death, False)
            self._end(direct, State.LOST, error, date, effects)
        self._stranded = True

    def _rescue(self, date: float, effects: list[Effect]) -> None:
        """Waiting tasks that no engine may run: let them forget what they tried, or end those that nothing can help."""
        open_seats = {id for id, seat in self.seats.items() if seat.open or seat.limbo}
        free = {id for id in open_seats if self.seats[id].guest is None}
        if not open_seats:
            # With no engine at all, tasks wait for a first one; those tied to engines that are gone cannot.
            stuck = [task for task in self.lanes.waiting() if task.places is not None]
        else:
            stuck = [
                task
                for task in self.lanes.waiting()
                if (task.places is not None and not any(self._admits(task, engine) for engine in open_seats))
                or (task.tried and self._is_kept_waiting(task, free))
            ]
        for task in stuck:
            if task.state is not State.QUEUED:
                continue  # the end of another one has decided it
            alive = open_seats if task.places is None else open_seats & task.places
            self.lanes.forget()
            if alive:
                task.tried = NOWHERE
                # The copy left behind in the old lane must not run: the lane is emptied of it here.
                self.lanes.move(task)
            else:
                where = ", ".join(map(str, sorted(task.places or ())))
                reason = f"none of the engines it may run on is there any more (it was bound to {where or 'none'})"
                self._end(task, State.ERROR, failures.impossible(reason), date, effects)

    @staticmethod
    def _is_kept_waiting(task: Task, free: set[int]) -> bool:
        """Whether all engines that could have it now are among those it has tried."""
        able = free if task.places is None else free & task.places
        return bool(able) and able <= task.tried

    def ahead(self) -> float:
        """Seconds for which every engine has work, as far as is known; 0 without engines."""
        return min((seat.load for seat in self.seats.values()), default=0.0)

    # Once per turn -------------------------------------------------------------------------------------------------

    def settle(self, now: float, date: float) -> list[Effect]:
        """Give out what can be given, move what stands behind something long, end what is over its time."""
        effects: list[Effect] = []
        self._expire(now, date, effects)
        while self._stranded:
            self._stranded = False
            self._rescue(date, effects)
        given: dict[int, list[Task]] = {}
        self._lease_for.clear()
        for seat in self.seats.values():
            if seat.direct and seat.open:
                self._give_direct(seat, given, now)
        if len(self.lanes):
            self._give_balanced(given, now)
        for engine, tasks in given.items():
            effects.append(RunTasks(engine, tasks))
        self._rebalance(now, effects)
        if self._hosts_changed:
            self._free_nested(date, effects)
        return effects

    # Time ----------------------------------------------------------------------------------------------------------

    def _expire(self, now: float, date: float, effects: list[Effect]) -> None:
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)
            if not self._lives(timer):
                continue
            _, _, what, id, _ = timer
            task = self.tasks[id]
            if what == "dependency":
                self._end(task, State.EXPIRED, failures.expired_waiting(task), date, effects)
            elif what == "limit":
                if task.ending is None:
                    task.ending = State.EXPIRED
                    assert task.engine is not None
                    effects.append(InterruptTask(task.engine, task.id))
                    self._timer(now + TIME_LIMIT_GRACE, "grace", task)
            elif task.ending is not None and self._is_first(task):
                assert task.engine is not None
                effects.append(ReplaceEngine(task.engine, "its task did not stop when it was interrupted"))
                self._timer(now + TIME_LIMIT_GRACE, "grace", task)  # the order may get lost

    # Restart, and what must hold -----------------------------------------------------------------------------------

    def restore_engine(self, engine: int, now: float) -> None:
        """An engine of the hub's former life, not heard of yet: it may hold tasks but gets none."""
        seat = self.seats[engine] = Seat(engine)
        seat.open, seat.limbo = False, True
        seat.progress = now

    def restore_lease(self, task: Task, engine: int, lease: int) -> None:
        """A task that was leased in the hub's former life; its places are those of places_of()."""
        seat = self.seats[engine]
        self.tasks[task.id] = task
        task.state = State.ASSIGNED
        task.engine = engine
        task.lease = lease
        seat.hold(task, self._cost(task))
        self.next_lease = max(self.next_lease, lease + 1)

    @staticmethod
    def places_of(batch: Batch, followed: dict[TaskId, Fact]) -> frozenset[int] | None:
        """Where tasks of a batch may run that were given out once; None: anywhere.

        followed: those of the tasks in its `follow` that have ended.
        """
        work = batch.work
        if not work.balanced:
            return None
        targets = frozenset(work.targets) if work.targets is not None else None
        if work.follow is None:
            return targets
        allowed = counted([], [(work.follow, True, list(followed))], followed).allowed()
        return targets if allowed is None else allowed if targets is None else targets & allowed

    def restore_queued(self, event: TasksSubmitted, tasks: list[Task], now: float, date: float) -> list[Effect]:
        """Open tasks of the hub's former life that no engine had."""
        effects: list[Effect] = []
        self._enqueue(event, tasks, now, date, effects)
        return effects

    def end_all(self, death: Death, date: float) -> list[Effect]:
        """Nothing that is still open will ever run."""
        effects: list[Effect] = []
        for task in list(self.tasks.values()):
            if task.id in self.tasks:
                if task.id not in self._groups and task.batch.work.balanced and task.state is State.QUEUED:
                    self.lanes.forget()
                error = failures.engine_error(task, -1 if task.engine is None else task.engine, death, False)
                self._end(task, State.LOST, error, date, effects)
        return effects

    def welcome_back(self, engine: int) -> None:
        """A restored engine has said Hello."""
        if seat := self.seats.get(engine):
            seat.open, seat.limbo = True, False


def _may_have_started(held: list[Task], mark: Lease | None) -> int:
    """How many of the tasks an engine held, in order, may have started, given the last one it did start."""
    if mark is None:
        return 0
    for position, task in enumerate(held):
        if task.id == mark.task and task.lease == mark.lease:
            return position + 1
    return 0  # what it started last has its result here, so nothing after it had begun
