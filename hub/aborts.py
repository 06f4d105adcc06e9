"""Ending tasks because somebody asks: queued ones at once, held ones when they are given back, running ones by signal.

No socket, thread or clock in this file. A part of the scheduler.
"""

from __future__ import annotations

from tuiparallel.hub import failures
from tuiparallel.hub.endings import Endings
from tuiparallel.hub.events import (
    AbortAsked,
    Effect,
    InterruptTask,
    RevokeTasks,
    TaskEnded,
)
from tuiparallel.hub.floor import Ticket
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.messages import Extras, Ran
from tuiparallel.wire.states import State

_ASKING = -1  # stands in a ticket while its tasks are gone through, so that it is not answered early


class Aborts(Endings):
    """AbortAsked, from the asking to the last task decided."""

    def _abort(self, event: AbortAsked, now: float, date: float, effects: list[Effect]) -> None:
        ticket = Ticket({_ASKING}, event.running, event.grace)
        self._tickets[event.ticket] = ticket
        revokes: dict[int, list[Task]] = {}
        batch: Batch | None = None
        extras: Extras | None = None
        forgotten = 0
        for id in event.tasks:
            task = self.tasks.get(id)
            if task is None:
                ticket.done.append(id)
                continue
            if task.state is State.QUEUED:
                if task.batch is not batch:  # one text for all of a batch: they may be a hundred thousand
                    batch, extras = task.batch, Extras(error=failures.aborted(task, None))
                ticket.aborted.append(id)
                ran = Ran(id, task.lease, False, task.started or 0.0, date, b"", extras)
                if id not in self._groups and batch.work.balanced:
                    forgotten += 1
                if self._groups or self._ticket_of or len(self.dependencies):
                    self._finish(task, State.ABORTED, ran, effects)
                else:  # nobody waits for it: QUEUED -> ABORTED
                    task.state = State.ABORTED
                    del self.tasks[id]
                    batch.open -= 1
                    effects.append(TaskEnded(task, State.ABORTED, ran))
                continue
            ticket.left.add(id)
            self._ticket_of.setdefault(id, []).append(event.ticket)
            seat = self.seats[task.engine] if task.engine is not None else None
            if seat is not None and seat.running is task:
                self._abort_started(task, now, effects, event.running)
            elif seat is not None:
                task.ending = task.ending or State.ABORTED
                if not task.revoking:
                    task.revoking = True
                    seat.revoking += 1
                revokes.setdefault(seat.id, []).append(task)
                if event.running:  # it may have begun, and hold the engine so fast that it cannot even say so
                    self._timer(now + event.grace, "grace", task)
        self.lanes.forget(forgotten)
        effects += [RevokeTasks(engine, tasks) for engine, tasks in revokes.items()]
        ticket.left.discard(_ASKING)
        self._answer(event.ticket, effects)

    def _is_first(self, task: Task) -> bool:
        """Whether a leased task is the one its engine works on, as far as can be seen from here."""
        seat = self.seats.get(task.engine) if task.engine is not None else None
        return seat is not None and (seat.running is task or next(iter(seat.held.values()), None) is task)

    def _abort_started(self, task: Task, now: float, effects: list[Effect], interrupt: bool = True) -> None:
        """A task to be aborted has started: leave it alone, or interrupt it, as the tickets say.

        interrupt: whether who asks now means running tasks too; what others have asked for goes on.
        """
        tickets = [self._tickets[number] for number in self._ticket_of.get(task.id, ())]
        graces = [ticket.grace for ticket in tickets if ticket.running_too]
        if graces and interrupt:
            task.ending = State.ABORTED
            assert task.engine is not None
            effects.append(InterruptTask(task.engine, task.id))
            self._timer(now + min(graces), "grace", task)
        elif not graces and task.ending is State.ABORTED:
            task.ending = None
        for number in list(self._ticket_of.get(task.id, ())):
            ticket = self._tickets[number]
            if not ticket.running_too:
                self._settle_ticket(task, number, ticket.running, effects)
