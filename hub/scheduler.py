"""Which task runs where and when, and how each of them ends.

Events in, effects out: no socket, thread or clock in this file; `now` is monotonic seconds, `date` seconds since the
epoch. handle() takes one event, itself a batch; settle() says once per turn what depends on all of them: who is given
what, and who must give something back. check() asserts what holds between turns.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from tuiparallel.hub import failures
from tuiparallel.hub.dependencies import Dependencies, Fact, Group, Verdict
from tuiparallel.hub.events import (
    AbortAsked,
    AbortSettled,
    AttemptEnded,
    Death,
    DropLeases,
    Effect,
    EngineBack,
    EngineClosing,
    EngineJoined,
    EngineLost,
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
)
from tuiparallel.hub.lanes import Lanes
from tuiparallel.hub.seats import MOST_HELD, Pace, Seat
from tuiparallel.hub.task import NOWHERE, Batch, Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import ErrorText, Lease, Ran
from tuiparallel.wire.states import State, Step

WORTH_MOVING = 0.005  # seconds of work a busy engine must hold ahead before an idle one is given some of it
PATIENCE = 0.010  # seconds without a result after which what an engine holds ahead may be moved
MOST_PACES = 10_000  # functions whose pace is remembered
TIME_LIMIT_GRACE = 5.0  # seconds between the interrupt of a task and the end of its engine

_ASKING = -1  # stands in a ticket while its tasks are gone through, so that it is not answered early

_STEPS = {
    State.DONE: Step.FINISH,
    State.ERROR: Step.FAIL,
    State.LOST: Step.LOSE,
    State.ABORTED: Step.ABORT,
    State.EXPIRED: Step.EXPIRE,
}


@dataclass(slots=True)
class _Ticket:
    """An AbortAsked that has not been answered in full."""

    left: set[int]
    running_too: bool
    grace: float
    aborted: list[TaskId] = field(default_factory=list)
    running: list[TaskId] = field(default_factory=list)
    done: list[TaskId] = field(default_factory=list)


class Scheduler:
    """All open tasks and all engines. horizon: seconds of work an engine holds ahead; hwm: a fixed number instead."""

    def __init__(self, horizon: float = 0.010, hwm: int = 0) -> None:
        self.horizon = horizon
        self.hwm = hwm
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
        self._tickets: dict[int, _Ticket] = {}
        self._ticket_of: dict[int, list[int]] = {}  # task -> tickets that wait for it
        self._recheck: float | None = None
        self._lease_for: dict[int, int] = {}  # of this turn, by engine
        self._stranded = False  # tasks may wait for engines that are gone

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
            self._queue_direct(new, date, effects)
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

    def _queue_direct(self, tasks: list[Task], date: float, effects: list[Effect]) -> None:
        for task in tasks:
            target = task.batch.target(task.id)
            seat = self.seats.get(target) if target is not None else None
            if seat is None or not (seat.open or seat.limbo):
                death = Death("no such engine is running")
                error = failures.engine_error(task, -1 if target is None else target, death, False)
                self._end(task, State.LOST, error, date, effects)
            else:
                seat.direct.append(task)

    def _queue_balanced(self, tasks: list[Task], date: float, effects: list[Effect]) -> None:
        self.lanes.extend(tasks)
        if tasks and tasks[0].places is not None:
            self._stranded = True

    def _decide(self, group: Group, date: float, effects: list[Effect]) -> None:
        """A group's dependencies are met, or can never be."""
        tasks = [task for task in group.tasks if task.state is State.QUEUED]
        if group.verdict() is Verdict.IMPOSSIBLE:
            error = failures.impossible("a task it depends on has ended the other way")
            for task in tasks:
                self._end(task, State.ERROR, error, date, effects)
            return
        allowed = group.allowed()
        if allowed is not None:
            for task in tasks:
                task.places = allowed if task.places is None else task.places & allowed
        self._queue_balanced(tasks, date, effects)

    # Running -------------------------------------------------------------------------------------------------------

    def _began(self, engine: int, id: int, lease: int, started: float, now: float) -> None:
        task = self.tasks.get(id)
        seat = self.seats.get(engine)
        if task is None or seat is None or task.engine != engine or task.lease != lease:
            return
        task.started = started
        seat.running = task
        if task.batch.work.time_limit:
            self._timer(now + task.batch.work.time_limit, "limit", task)

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
                continue
            if task.batch is not batch:
                if batch is not None:
                    self._learn(batch, seconds, count)
                batch, seconds, count = task.batch, 0.0, 0
            seconds += ran.completed - ran.started
            count += 1
            if seat is not None:
                seat.release(task)
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

    def _learn(self, batch: Batch, seconds: float, count: int) -> None:
        key = (batch.function, batch.work.name)
        pace = self._paces.get(key)
        if pace is None:
            if len(self._paces) >= MOST_PACES:
                del self._paces[next(iter(self._paces))]
            pace = self._paces[key] = Pace()
        pace.learn(max(0.0, seconds), count)

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
            id != engine and seat.open and self._admits(task, id) for id, seat in self.seats.items()
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
        task.revoking = False

    @staticmethod
    def _admits(task: Task, engine: int) -> bool:
        return (task.places is None or engine in task.places) and engine not in task.tried

    # Ending --------------------------------------------------------------------------------------------------------

    def _end(
        self,
        task: Task,
        state: State,
        error: ErrorText,
        date: float,
        effects: list[Effect],
        started: float | None = None,
    ) -> None:
        """End a task with an error of the hub's own."""
        self._finish(task, state, failures.outcome_of(task, error, started or task.started, date), effects)

    def _finish(self, task: Task, state: State, ran: Ran, effects: list[Effect]) -> None:
        pending = [(task, state, ran)]
        while pending:  # the end of one may decide others: a loop, since a chain may be long
            task, state, ran = pending.pop()
            if task.id in self._groups:
                del self._groups[task.id]
                self.waiting -= 1
            task.step(_STEPS[state])
            del self.tasks[task.id]
            task.batch.open -= 1
            effects.append(TaskEnded(task, state, ran))
            if task.id in self._ticket_of:
                self._tick(task, effects)
            if len(self.dependencies):
                fact = Fact(state is State.DONE, task.engine)
                for group in self.dependencies.ended(task.id, fact):
                    for member in group.tasks:
                        if self._groups.pop(member.id, None) is not None:
                            self.waiting -= 1
                    if group.verdict() is Verdict.IMPOSSIBLE:
                        error = failures.impossible("a task it depends on has ended the other way")
                        pending += [
                            (member, State.ERROR, failures.outcome_of(member, error, None, ran.completed))
                            for member in group.tasks
                            if member.state is State.QUEUED
                        ]
                    else:
                        self._decide(group, ran.completed, effects)

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
        unheard = [task for task in seat.held.values() if task.id not in known]
        if unheard:
            effects.append(RunTasks(engine, unheard, again=True))
        asked = [task for task in seat.held.values() if task.revoking and task.id in known]
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
        if not open_seats:
            # With no engine at all, tasks wait for a first one; those tied to engines that are gone cannot.
            stuck = [task for task in self.lanes.waiting() if task.places is not None]
        else:
            stuck = [
                task
                for task in self.lanes.waiting()
                if (task.places is not None or task.tried)
                and not any(self._admits(task, engine) for engine in open_seats)
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

    # Aborting ------------------------------------------------------------------------------------------------------

    def _abort(self, event: AbortAsked, now: float, date: float, effects: list[Effect]) -> None:
        ticket = _Ticket({_ASKING}, event.running, event.grace)
        self._tickets[event.ticket] = ticket
        revokes: dict[int, list[Task]] = {}
        for id in event.tasks:
            task = self.tasks.get(id)
            if task is None:
                ticket.done.append(id)
                continue
            if task.state is State.QUEUED:
                if task.id not in self._groups and task.batch.work.balanced:
                    self.lanes.forget()
                ticket.aborted.append(id)
                self._end(task, State.ABORTED, failures.aborted(task, None), date, effects)
                continue
            ticket.left.add(id)
            self._ticket_of.setdefault(id, []).append(event.ticket)
            seat = self.seats[task.engine] if task.engine is not None else None
            if seat is not None and seat.running is task:
                task.ending = State.ABORTED
                self._abort_started(task, now, effects)
            elif seat is not None:
                task.ending = task.ending or State.ABORTED
                if not task.revoking:
                    task.revoking = True
                    seat.revoking += 1
                revokes.setdefault(seat.id, []).append(task)
                if event.running:  # it may have begun, and hold the engine so fast that it cannot even say so
                    self._timer(now + event.grace, "grace", task)
        effects += [RevokeTasks(engine, tasks) for engine, tasks in revokes.items()]
        ticket.left.discard(_ASKING)
        self._answer(event.ticket, effects)

    def _is_first(self, task: Task) -> bool:
        """Whether a leased task is the one its engine works on, as far as can be seen from here."""
        seat = self.seats.get(task.engine) if task.engine is not None else None
        return seat is not None and (seat.running is task or next(iter(seat.held.values()), None) is task)

    def _abort_started(self, task: Task, now: float, effects: list[Effect]) -> None:
        """A task to be aborted has started: leave it alone, or interrupt it, as the tickets say."""
        tickets = [self._tickets[number] for number in self._ticket_of.get(task.id, ())]
        graces = [ticket.grace for ticket in tickets if ticket.running_too]
        if graces:
            task.ending = State.ABORTED
            assert task.engine is not None
            effects.append(InterruptTask(task.engine, task.id))
            self._timer(now + min(graces), "grace", task)
        else:
            task.ending = None
        for number in list(self._ticket_of.get(task.id, ())):
            ticket = self._tickets[number]
            if not ticket.running_too:
                self._settle_ticket(task, number, ticket.running, effects)

    def _settle_ticket(self, task: Task, number: int, answer: list[TaskId], effects: list[Effect]) -> None:
        ticket = self._tickets[number]
        ticket.left.discard(task.id)
        answer.append(task.id)
        waiting = self._ticket_of[task.id]
        waiting.remove(number)
        if not waiting:
            del self._ticket_of[task.id]
        self._answer(number, effects)

    def _tick(self, task: Task, effects: list[Effect]) -> None:
        for number in list(self._ticket_of[task.id]):
            ticket = self._tickets[number]
            answer = ticket.aborted if task.state is State.ABORTED else ticket.done
            self._settle_ticket(task, number, answer, effects)

    def _answer(self, number: int, effects: list[Effect]) -> None:
        ticket = self._tickets[number]
        if not ticket.left:
            del self._tickets[number]
            effects.append(AbortSettled(number, ticket.aborted, ticket.running, ticket.done))

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
        return effects

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
        seats = [seat for seat in self.seats.values() if seat.open and self._room(seat)]
        while seats and len(self.lanes):
            seats.sort(key=_by_load)
            share = -(-len(self.lanes) // len(seats))
            hungry: list[Seat] = []
            for seat in seats:
                tasks = self.lanes.take(seat.id, min(share, self._room(seat)))
                if not tasks:
                    continue
                self._assign(seat, tasks, now)
                given.setdefault(seat.id, []).extend(tasks)
                if self._room(seat):
                    hungry.append(seat)
            seats = hungry

    def _room(self, seat: Seat) -> int:
        """How many more balanced tasks an engine should hold now."""
        held = len(seat.held)
        if self.hwm:
            return max(0, self.hwm - held)
        if not held:
            return self._fits(self.horizon)
        ahead = self.horizon - seat.load
        return min(self._fits(ahead), MOST_HELD - held) if ahead > 0 else 0

    def _fits(self, seconds: float) -> int:
        """How many tasks of those that wait next fill so many seconds; at least one."""
        cost = self._next_cost
        return max(1, min(MOST_HELD, int(seconds / cost)))

    @property
    def _next_cost(self) -> float:
        task = self.lanes.peek()
        return self._cost(task) if task is not None else self.horizon

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
        for task in tasks:
            if task.batch is not batch:
                batch, cost = task.batch, self._cost(task)
            task.state = State.ASSIGNED  # QUEUED -> ASSIGNED, the one move on the hot path
            task.engine = seat.id
            task.lease = lease
            seat.hold(task, cost)

    def _new_lease(self) -> int:
        lease = self.next_lease
        self.next_lease += 1
        return lease

    def _rebalance(self, now: float, effects: list[Effect]) -> None:
        """Let an idle engine have what stands unstarted behind others."""
        self._recheck = None
        idle = [seat for seat in self.seats.values() if seat.open and not seat.held]
        if not idle:
            return
        for victim in sorted(self.seats.values(), key=_by_load, reverse=True):
            if len(victim.held) < 2 or victim.revoking:
                continue
            stuck = now - victim.progress
            if victim.load < WORTH_MOVING and stuck < PATIENCE:
                self._recheck = min(self._recheck or now + PATIENCE, victim.progress + PATIENCE)
                continue
            behind = [
                task for task in list(victim.held.values())[1:] if task.batch.work.balanced and not task.revoking
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

    # Time ----------------------------------------------------------------------------------------------------------

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

    # Restart, and what must hold -----------------------------------------------------------------------------------

    def restore_engine(self, engine: int, now: float) -> None:
        """An engine of the hub's former life, not heard of yet: it may hold tasks but gets none."""
        seat = self.seats[engine] = Seat(engine)
        seat.open, seat.limbo = False, True
        seat.progress = now

    def restore_lease(self, task: Task, engine: int, lease: int) -> None:
        """A task that was leased in the hub's former life."""
        seat = self.seats[engine]
        self.tasks[task.id] = task
        task.state = State.ASSIGNED
        task.engine = engine
        task.lease = lease
        seat.hold(task, self._cost(task))
        self.next_lease = max(self.next_lease, lease + 1)

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


def _by_load(seat: Seat) -> tuple[float, int]:
    return (seat.load, len(seat.held))


def _may_have_started(held: list[Task], mark: Lease | None) -> int:
    """How many of the tasks an engine held, in order, may have started, given the last one it did start."""
    if mark is None:
        return 0
    for position, task in enumerate(held):
        if task.id == mark.task and task.lease == mark.lease:
            return position + 1
    return 0  # what it started last has its result here, so nothing after it had begun
