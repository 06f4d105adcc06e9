"""How each task ends, once, and what its end decides: dependencies, and aborts that wait for it.

No socket, thread or clock in this file. A part of the scheduler.
"""

from __future__ import annotations

from tuiparallel.hub import failures
from tuiparallel.hub.dependencies import Fact, Group, Verdict
from tuiparallel.hub.events import (
    AbortSettled,
    Effect,
    TaskEnded,
)
from tuiparallel.hub.sharing import Sharing
from tuiparallel.hub.task import Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import ErrorText, Ran
from tuiparallel.wire.states import State, Step

_STEPS = {
    State.DONE: Step.FINISH,
    State.ERROR: Step.FAIL,
    State.LOST: Step.LOSE,
    State.ABORTED: Step.ABORT,
    State.EXPIRED: Step.EXPIRE,
}


class Endings(Sharing):
    """The ends of tasks."""

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
