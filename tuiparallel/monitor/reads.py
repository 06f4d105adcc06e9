"""What can be asked of a store: the interface that views, lints and reports are written against.

Every read takes the store's one lock for as long as it copies what it returns. `now` is the local clock's time
(seconds since the epoch); the store turns it into the hub's. Rows are addressed by id, never by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tuiparallel.monitor.query import Query
from tuiparallel.monitor.rows import (
    BatchView,
    ClientView,
    EngineView,
    EventView,
    FailureKind,
    FunctionView,
    HeaderView,
    Health,
    Lane,
    Lint,
    Mark,
    OutputFilter,
    OutputLine,
    Section,
    TaskView,
)
from tuiparallel.wire.messages import LimitRow


class TaskList(Protocol):
    """Tasks that match a query, in an order: kept up to date by refresh, read by position, found by id."""

    def refresh(self) -> bool:
        """Take in what changed since the last call; True when the list is another now.

        In the order of submission only changed tasks are looked at; any other order is built anew, so call it rarely.
        """

    def __len__(self) -> int:
        """How many rows match, as of the last refresh."""

    def rows(self, start: int, count: int) -> list[TaskView]:
        """Rows start .. start + count - 1; one whose task has gone since the refresh is left out."""

    def ids(self) -> Sequence[int]:
        """The TaskIds of all rows, in order (a copy)."""

    def index(self, task: int) -> int | None:
        """Where a task stands, None when it is not in the list."""


class LineList(Protocol):
    """Output lines that pass a filter, oldest first."""

    def refresh(self) -> bool:
        """Take in what came, changed and went since the last call; True when the list is another now."""

    def __len__(self) -> int:
        """How many lines pass, as of the last refresh."""

    def rows(self, start: int, count: int) -> list[OutputLine]:
        """Lines start .. start + count - 1 of those that pass; one that went since the refresh is left out."""

    def index(self, number: int) -> int:
        """Position of the first line whose absolute number is at least `number`: what an anchor turns into."""

    def number(self, index: int) -> int:
        """Absolute number of the line at a position; raises IndexError outside the list."""

    def find(self, text: str, regex: bool = False, case: bool = False) -> list[int]:
        """Positions of the lines that contain text. Raises re.error for a faulty expression."""


class Reads(Protocol):
    """The reads of ClusterStore."""

    def version(self, section: Section) -> int:
        """A number that is another one exactly when the section's content is."""

    def hub_time(self, now: float) -> float:
        """The hub's time at local time `now`."""

    def header(self, now: float) -> HeaderView:
        """What the header shows."""

    def health(self, now: float) -> Health:
        """How full the stores are."""

    def limits(self) -> list[LimitRow]:
        """The hub's bounded stores."""

    # Engines

    def engine_ids(
        self, now: float, where: Query | None = None, sort: str = "id", reverse: bool = False
    ) -> list[int]:
        """Ids of the engines that match, sorted by a field of query.ENGINE_FIELDS; ties and unknown by id, last."""

    def engine_rows(self, engines: Sequence[int], now: float) -> list[EngineView]:
        """These engines, in this order; ids that are not known are left out."""

    def engine(self, engine: int, now: float) -> EngineView | None:
        """One engine."""

    def vitals(self, engine: int, metric: str, window: int = 60) -> list[float]:
        """Measurements, oldest first: metric "cpu" (cores), "rss" (bytes) or "memory" (fraction of the limit).

        window 60: one per second; 600: one per 10 s; 3600: one per minute. At most 60 values each.
        """

    # Tasks

    def task_list(self, where: Query | None = None, sort: str = "submitted", reverse: bool = True) -> TaskList:
        """A list of tasks; newest first by default. sort is a field of query.TASK_FIELDS."""

    def task(self, task: int) -> TaskView | None:
        """One task."""

    def task_rows(self, tasks: Sequence[int]) -> list[TaskView]:
        """These tasks, in this order; ids that are not known are left out."""

    def task_named(self, msg_id: str) -> TaskView | None:
        """The task with this msg_id."""

    def task_counts(self) -> tuple[int, int]:
        """(rows kept, tasks the hub has counted that have no row here)."""

    def msg_id(self, task: int) -> str:
        """The name people see of a TaskId."""

    # Timeline

    def timeline(self, engines: Sequence[int], start: float, end: float, columns: int, now: float) -> list[Lane]:
        """One lane per engine, `columns` cells of equal time from start to end (hub time) each.

        A live step asks for its newest columns only. Cells after the hub's now are idle.
        """

    def busy(self, engine: int, start: float, end: float, now: float) -> float:
        """Seconds in which this engine ran tasks, between two times."""

    def task_at(self, engine: int, at: float, now: float) -> TaskView | None:
        """What ran there then."""

    def next_failure(self, engines: Sequence[int], at: float, back: bool = False) -> Mark | None:
        """The next (or previous) failure on these engines, strictly after (before) a time."""

    def oldest(self) -> float | None:
        """Start of the oldest span kept, None when there is none."""

    def history_complete(self) -> bool:
        """Whether history has been loaded back to the first task the hub still has."""

    # The rest

    def batches(self, now: float) -> list[BatchView]:
        """Submissions: unfinished ones first, newest first."""

    def batch(self, batch: int, now: float) -> BatchView | None:
        """One submission, by the TaskId of its first task."""

    def clients(self) -> list[ClientView]:
        """Client sessions, those with a connection first."""

    def functions(self, sort: str = "total", reverse: bool = True) -> list[FunctionView]:
        """Functions; sort is a field of FunctionView."""

    def function(self, name: str) -> FunctionView | None:
        """One function."""

    def failures(self, hidden: bool = False) -> list[FailureKind]:
        """Kinds of failures, most frequent first; with hidden also those of aborted tasks."""

    def failure_kind(self, key: int) -> FailureKind | None:
        """One kind."""

    def failure_kind_of(self, task: int) -> FailureKind | None:
        """The kind of a failed task that is kept as an instance."""

    def failures_before(self) -> int:
        """Failures the hub has counted of which this observer has no text."""

    def output_list(self, where: OutputFilter | None = None) -> LineList:
        """Output lines that pass a filter."""

    def last_output(self, engine: int, count: int) -> list[OutputLine]:
        """The newest lines of one engine, oldest first."""

    def events(self, start: int, count: int) -> list[EventView]:
        """Events start .. start + count - 1 of those kept, oldest first."""

    def event_count(self) -> int:
        """How many events are kept."""

    def warnings(self) -> list[Lint]:
        """The lints that hold, as of the last tick."""
