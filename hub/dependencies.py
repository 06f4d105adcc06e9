"""What `after` and `follow` wait for, as edges and counters: an ended task touches only those that wait for it.

No socket, thread or clock in this file. All tasks of one Submit share their dependencies, so they wait as one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from tuiparallel.hub.task import Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Need


@dataclass(frozen=True, slots=True)
class Fact:
    """How a task that is no longer open has ended, and where."""

    ok: bool
    engine: int | None


class Verdict(Enum):
    """WAITING goes on; READY: all is met; IMPOSSIBLE: can never be met."""

    WAITING = 0
    READY = 1
    IMPOSSIBLE = 2


@dataclass(slots=True, eq=False)
class _Clause:
    """One Need of a group: `follow` also restricts where the group may run."""

    need: Need
    follow: bool
    total: int
    group: Group
    met: int = 0
    failed: int = 0
    places: list[int | None] = field(default_factory=list)

    def count(self, fact: Fact) -> None:
        if self.need.success if fact.ok else self.need.failure:
            self.met += 1
            self.places.append(fact.engine)
        else:
            self.failed += 1

    def verdict(self) -> Verdict:
        if self.need.all:
            if self.failed:
                return Verdict.IMPOSSIBLE
            return Verdict.READY if self.met == self.total else Verdict.WAITING
        if self.met or not self.total:
            return Verdict.READY
        return Verdict.IMPOSSIBLE if self.failed == self.total else Verdict.WAITING

    def allowed(self) -> frozenset[int] | None:
        """Where the group may run: with `all` where every dependency ran, else where any of them did."""
        if not self.follow or not self.total:
            return None
        ran = {place for place in self.places if place is not None}
        if self.need.all and len(ran) > 1:
            return frozenset()  # they ran in different places: no engine has them all
        return frozenset(ran)


@dataclass(slots=True, eq=False)
class Group:
    """Tasks of one Submit that wait for the same things."""

    tasks: list[Task]
    clauses: list[_Clause] = field(default_factory=list)
    over: bool = False  # decided, one way or the other

    def verdict(self) -> Verdict:
        verdicts = [clause.verdict() for clause in self.clauses]
        if Verdict.IMPOSSIBLE in verdicts:
            return Verdict.IMPOSSIBLE
        return Verdict.WAITING if Verdict.WAITING in verdicts else Verdict.READY

    def allowed(self) -> frozenset[int] | None:
        """The engines that all follow clauses leave; None: any."""
        places: frozenset[int] | None = None
        for clause in self.clauses:
            here = clause.allowed()
            if here is not None:
                places = here if places is None else places & here
        return places


def counted(
    tasks: list[Task], needs: Sequence[tuple[Need, bool, Sequence[TaskId]]], ended: dict[TaskId, Fact]
) -> Group:
    """A group that knows what has ended, and waits for nothing yet."""
    group = Group(tasks)
    for need, follow, ids in needs:
        distinct = list(dict.fromkeys(ids))
        clause = _Clause(need, follow, len(distinct), group)
        group.clauses.append(clause)
        for id in distinct:
            fact = ended.get(id)
            if fact is not None:
                clause.count(fact)
    return group


class Dependencies:
    """All groups that wait. waits_for() and ended() are its two events."""

    def __init__(self) -> None:
        self._edges: dict[TaskId, list[_Clause]] = {}

    def __len__(self) -> int:
        return len(self._edges)

    def waits_for(
        self,
        tasks: list[Task],
        needs: Sequence[tuple[Need, bool, Sequence[TaskId]]],
        ended: dict[TaskId, Fact],
    ) -> Group:
        """A new group. needs: each Need, whether it is a follow, and its tasks; ended: those that are no longer open."""
        group = counted(tasks, needs, ended)
        if group.verdict() is Verdict.WAITING:
            for clause, (_, _, ids) in zip(group.clauses, needs, strict=True):
                for id in dict.fromkeys(ids):
                    if id not in ended:
                        self._edges.setdefault(id, []).append(clause)
        else:
            group.over = True
        return group

    def ended(self, id: TaskId, fact: Fact) -> list[Group]:
        """A task has ended; returns the groups that this decides (READY or IMPOSSIBLE), each once."""
        decided: list[Group] = []
        for clause in self._edges.pop(id, ()):
            clause.count(fact)
            group = clause.group
            if not group.over and group.verdict() is not Verdict.WAITING:
                group.over = True
                decided.append(group)
        return decided

    def needs_of(self, task: Task) -> list[TaskId]:
        """The same, looked for with less care for duplicates; nothing is looked through when nothing waits."""
        return self.open_dependencies(task) if self._edges else []

    def open_dependencies(self, task: Task) -> list[TaskId]:
        """The tasks that a task still waits for: for people who ask why, not for the hot path."""
        return [
            id
            for id, clauses in self._edges.items()
            if any(not clause.group.over and task in clause.group.tasks for clause in clauses)
        ]
