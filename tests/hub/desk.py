"""The scheduler's rules with a memory of what they wanted, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.events import (
    Death,
    Effect,
    EngineJoined,
    EngineLost,
    Event,
    TaskBegan,
    TaskEnded,
    TasksRan,
    TasksSubmitted,
)
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import TaskId, task_id
from tuiparallel.wire.messages import ErrorText, Extras, Lease, Need, Ran, Work
from tuiparallel.wire.states import State


class Desk:
    """The rules with a memory of what they wanted. Tasks are named by their counters; all are of session 1."""

    def __init__(self, engines: int = 1, hwm: int = 1, horizon: float = 0.01) -> None:
        self.rules = Scheduler(horizon, hwm)
        self.now = 100.0
        self.next = {1: 0, 2: 0, 3: 0}
        self.ended: dict[int, TaskEnded] = {}
        self.effects: list[Effect] = []
        for engine in range(engines):
            self.tell(EngineJoined(engine))

    def tell(self, *events: Event) -> list[Effect]:
        """One turn."""
        found: list[Effect] = []
        for event in events:
            found += self.rules.handle(event, self.now, self.now)
        found += self.rules.settle(self.now, self.now)
        self.rules.check()
        for effect in found:
            if isinstance(effect, TaskEnded):
                assert effect.task.id not in self.ended
                self.ended[effect.task.id] = effect
        self.effects += found
        return found

    def submit(self, count: int = 1, session: int = 1, balanced: bool = True, **facts: object) -> list[int]:
        """New tasks; returns their ids."""
        first = task_id(session, self.next[session])
        self.next[session] += count
        work = Work(0, "f", balanced, 0.0, **facts)  # type: ignore[arg-type]
        needs: list[tuple[Need, bool, list[TaskId]]] = []
        facts_of: dict[TaskId, Fact] = {}
        for need, follow in ((work.after, False), (work.follow, True)):
            if need is not None:
                ids = [TaskId(first) for _, first, _ in need.tasks]
                needs.append((need, follow, ids))
                for id in ids:
                    if id in self.ended:
                        ended = self.ended[id]
                        facts_of[id] = Fact(ended.state is State.DONE, ended.task.engine)
        self.tell(TasksSubmitted(Batch(first, count, work, b"f", b"c", [b"x"]), needs, facts_of))
        return list(range(first, first + count))

    def held(self, engine: int) -> list[int]:
        return list(self.rules.seats[engine].held)

    def finish(self, id: int, error: str = "") -> list[Effect]:
        task = self.rules.tasks[id]
        assert task.engine is not None
        extras = Extras(error=ErrorText(error, "", "")) if error else None
        ran = Ran(id, task.lease, not error, self.now, self.now + 0.001, b"", extras)
        return self.tell(TasksRan(task.engine, [ran]))

    def lease(self, id: int) -> Lease:
        return Lease(id, self.rules.tasks[id].lease)

    def begin(self, id: int) -> None:
        task = self.rules.tasks[id]
        assert task.engine is not None
        self.tell(TaskBegan(task.engine, id, task.lease, self.now))

    def lose(self, engine: int, mark: Lease | None = None, exact: bool = True) -> None:
        self.tell(EngineLost(engine, Death("killed"), mark, exact))

    def state(self, id: int) -> State:
        return self.ended[id].state if id in self.ended else self.rules.tasks[id].state

    def error(self, id: int) -> str:
        extras = self.ended[id].ran.extras
        assert extras is not None and extras.error is not None
        return extras.error.ename

    def order(self, engine: int = 0) -> list[int]:
        """Run what one engine is given, one after the other; the order."""
        order: list[int] = []
        while held := self.held(engine):
            order.append(held[0])
            self.finish(held[0])
        return order

    def of(self, kind: type[Effect]) -> Sequence[Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


def need(*ids: int, **facts: bool) -> Need:
    return Need([("s", id, 1) for id in ids], **facts)
