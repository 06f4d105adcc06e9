"""What happens to the scheduler, and what it wants done: both are batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Lease, Need, Ran
from tuiparallel.wire.states import State

# Events -----------------------------------------------------------------------------------------------------------


class TasksSubmitted(msgspec.Struct, frozen=True, gc=False):
    """A new batch. needs: each dependency with its tasks; ended: how those of them that are not open have ended."""

    batch: Batch
    needs: Sequence[tuple[Need, bool, Sequence[TaskId]]] = ()
    ended: dict[TaskId, Fact] = {}
    invalid: str = ""  # why a dependency is none; empty when all are fine
    gone: dict[int, Death] = {}  # targets that are no more, and why


@dataclass(frozen=True, slots=True)
class EngineJoined:
    """A new engine may be given work."""

    engine: int


@dataclass(frozen=True, slots=True)
class EngineBack:
    """An engine has connected again, with all leases it still knows of, in whatever part of their life."""

    engine: int
    leases: Sequence[Lease]


@dataclass(frozen=True, slots=True)
class EngineClosing:
    """An engine is to leave: it gets no new work."""

    engine: int


@dataclass(frozen=True, slots=True)
class Death:
    """Why an engine is gone, as people are told."""

    text: str
    host: str = ""
    pid: int = 0
    exitcode: int | None = None
    signum: int | None = None
    peak_rss: int = 0
    stderr_tail: str = ""


@dataclass(frozen=True, slots=True)
class EngineLost:
    """An engine is gone for good. mark: the last thing it started; exact: the mark can be trusted."""

    engine: int
    death: Death
    mark: Lease | None = None
    exact: bool = False


class TasksRan(msgspec.Struct, frozen=True, gc=False):
    """Results of leased tasks, in the order in which they happened."""

    engine: int
    ran: Sequence[Ran]


@dataclass(frozen=True, slots=True)
class LeasesReturned:
    """The answer to a Revoke: given back unstarted, or refused because they had started."""

    engine: int
    leases: Sequence[Lease]
    refused: Sequence[Lease] = ()


@dataclass(frozen=True, slots=True)
class TaskBegan:
    """A task has been running for a while."""

    engine: int
    task: int
    lease: int
    started: float


@dataclass(frozen=True, slots=True)
class EngineRuns:
    """What an engine says it works on; None: nothing. It may be what the engine had before it was given up."""

    engine: int
    task: int | None


@dataclass(frozen=True, slots=True)
class AbortAsked:
    """End these open tasks as aborted; with running also what has started. The answer is AbortSettled(ticket)."""

    ticket: int
    tasks: Sequence[TaskId]
    running: bool = False
    grace: float = 5.0


@dataclass(frozen=True, slots=True)
class TaskWaits:
    """A running task waits without a limit for tasks of its own session; awaited is empty when it waits no more."""

    session: int
    task: TaskId
    awaited: Sequence[TaskId]


Event = (
    TasksSubmitted
    | EngineJoined
    | EngineBack
    | EngineClosing
    | EngineLost
    | TasksRan
    | LeasesReturned
    | TaskBegan
    | EngineRuns
    | AbortAsked
    | TaskWaits
)

# Effects ----------------------------------------------------------------------------------------------------------


class RunTasks(msgspec.Struct, frozen=True, gc=False):
    """Give these to an engine, in this order, all under one lease. again: copies of leases given before."""

    engine: int
    tasks: list[Task]
    again: bool = False


@dataclass(frozen=True, slots=True)
class RevokeTasks:
    """Ask an engine to give these back if they have not started."""

    engine: int
    tasks: list[Task]


@dataclass(frozen=True, slots=True)
class DropLeases:
    """An engine has these, and must forget them."""

    engine: int
    leases: list[Lease]


@dataclass(frozen=True, slots=True)
class InterruptTask:
    """Send SIGINT to a running task."""

    engine: int
    task: TaskId


@dataclass(frozen=True, slots=True)
class ReplaceEngine:
    """Kill an engine and start another in its place: a task that had to end did not."""

    engine: int
    reason: str


class TaskEnded(msgspec.Struct, frozen=True, gc=False):
    """A terminal state; ran has the body or the error (in extras)."""

    task: Task
    state: State
    ran: Ran


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt that was not the last one."""

    task: Task
    attempt: int
    engine: int
    started: float | None
    ended: float | None
    outcome: str


class LeasesGivenBack(msgspec.Struct, frozen=True, gc=False):
    """These tasks are nobody's now: the history must not take them for started.

    lease: the number of this on record, taken when it happened, so that it stands before the leases given afterwards.
    """

    tasks: list[Task]
    lease: int


@dataclass(frozen=True, slots=True)
class AbortSettled:
    """What became of the tasks of an AbortAsked."""

    ticket: int
    aborted: list[TaskId]
    running: list[TaskId]
    done: list[TaskId]


Effect = (
    RunTasks
    | RevokeTasks
    | DropLeases
    | InterruptTask
    | ReplaceEngine
    | TaskEnded
    | AttemptEnded
    | LeasesGivenBack
    | AbortSettled
)
