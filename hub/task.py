"""A task and the submission it came with, as the hub keeps them while they are open.

No socket, thread or clock in this file. Ended tasks live in the history only.
"""

from __future__ import annotations

import msgspec

from tuiparallel.wire.ids import TaskId, session_of
from tuiparallel.wire.messages import Work
from tuiparallel.wire.states import MOVES, State, Step


class Batch:
    """One Submit: what its tasks share, and their bodies (one each, or a single one for all)."""

    __slots__ = (
        "first",
        "count",
        "session",
        "work",
        "function",
        "code",
        "calls",
        "size",
        "open",
        "blobs",
        "over",
    )

    def __init__(
        self,
        first: TaskId,
        count: int,
        work: Work,
        function: bytes,
        code: bytes | None,
        calls: list[bytes],
        blobs: list[tuple[int, str, int]] | None = None,
    ) -> None:
        self.first = first
        self.count = count
        self.session = session_of(first)
        self.work = work
        self.function = function
        self.code = code
        self.calls = calls
        self.size = sum(map(len, calls))
        self.open = count
        self.blobs = blobs or []
        self.over = False  # all its tasks have ended

    def call(self, task: int) -> bytes:
        """The body of one of its tasks."""
        return self.calls[0] if len(self.calls) == 1 else self.calls[task - self.first]

    def target(self, task: int) -> int | None:
        """The engine of a direct task; None for a balanced one."""
        if self.work.balanced or self.work.targets is None:
            return None
        return self.work.targets[task - self.first]


NOWHERE: frozenset[int] = frozenset()


class Task(msgspec.Struct, eq=False, gc=False):
    """One open task: a struct, since a hundred thousand of them are made at once. cost is the seconds it is expected
    to take where it is held."""

    id: TaskId
    batch: Batch
    state: State = State.QUEUED
    engine: int | None = None
    lease: int = 0
    attempt: int = 1
    started: float | None = None  # when the engine said it began; only for tasks that take a while
    cost: float = 0.0
    revoking: bool = False
    refused: bool = False  # the engine was asked for it, and had begun it: asking again would be answered the same
    ending: State | None = None  # ABORTED or EXPIRED: what an interrupted task is to end as
    places: frozenset[int] | None = None  # engines it may run on; None: any
    tried: frozenset[int] = NOWHERE  # engines that are no longer an option for it

    def step(self, step: Step) -> None:
        """Move along the table of a task's life. Raises KeyError for a move the table does not have."""
        self.state = MOVES[self.state][step]

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.state.name} engine={self.engine} lease={self.lease}>"
