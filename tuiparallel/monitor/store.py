"""ClusterStore: everything an observer knows, behind one short lock, read by what is visible.

The feed applies messages; views ask for the version of a section and, when it is another one, for the rows they show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from threading import Lock

from tuiparallel.monitor import portraits
from tuiparallel.monitor.fields import ENGINE_FIELDS, TASK_FIELDS, Nouns, field_named, sorted_by
from tuiparallel.monitor.intake import Bounds, Intake
from tuiparallel.monitor.linelist import Lines, LockedLines
from tuiparallel.monitor.lints import MOST, Thresholds
from tuiparallel.monitor.observed import observed
from tuiparallel.monitor.progress import PER_VIEW
from tuiparallel.monitor.query import Query
from tuiparallel.monitor.reads import LineList, Reads, TaskList
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
    LinkView,
    Lint,
    Mark,
    OutputFilter,
    OutputLine,
    Section,
    TaskView,
)
from tuiparallel.monitor.spans import EngineSpans
from tuiparallel.monitor.tasklist import LockedTasks, Tasks
from tuiparallel.monitor.timeline import edges, lane
from tuiparallel.wire.ids import parse_msg_id, task_id
from tuiparallel.wire.messages import Delta, LimitRow, Snapshot, TaskRow

SLICE = 100  # tasks applied at a time: about a millisecond under the lock


class ClusterStore(Reads):
    """What an observer knows of one cluster. Any thread may call any method; `now` is the local clock's time."""

    def __init__(self, bounds: Bounds | None = None, thresholds: Thresholds | None = None) -> None:
        self._lock = Lock()
        self._in = Intake(bounds, thresholds)

    # Taking in -----------------------------------------------------------------------------------------------------

    def apply(self, message: Snapshot | Delta, now: float) -> None:
        """Take in a message of the hub. Messages older than the newest one are ignored.

        Many tasks are taken in slices, so that no read waits for long.
        """
        known = self._in
        with self._lock:
            if isinstance(message, Snapshot):
                known.snapshot(message, now)
            elif known.number is not None and message.number <= known.number:
                return
            else:
                known.delta(message, now)
        self._tasks(message.tasks, page=False)
        if isinstance(message, Delta) and message.merged:
            for start in range(0, len(message.merged), SLICE):
                with self._lock:
                    known.put_merged(message.merged[start : start + SLICE])
        with self._lock:
            known.reconcile()

    def apply_page(self, rows: Sequence[TaskRow], last: bool) -> None:
        """Take in a page of history; last: the hub has nothing older."""
        self._tasks(rows, page=True)
        with self._lock:
            if last and not self._in.history_complete:
                self._in.history_complete = True
                self._in.moved(Section.TASKS, Section.TIMELINE)

    def _tasks(self, rows: Sequence[TaskRow], page: bool) -> None:
        for start in range(0, len(rows), SLICE):
            with self._lock:
                self._in.put_tasks(rows[start : start + SLICE], page)

    def next_number(self) -> int | None:
        """The number the next Delta must have; None before the first Snapshot."""
        with self._lock:
            return None if self._in.number is None else self._in.number + 1

    def set_link(self, link: LinkView) -> None:
        """Say how the observer stands to the hub."""
        with self._lock:
            if link != self._in.link:
                self._in.link = link
                self._in.moved(Section.HEADER)

    def tick(self, now: float) -> None:
        """Judge the warnings anew; to be called about once a second."""
        with self._lock:
            self._in.tick(now)

    def note(self, kind: str, text: str, now: float, engine: int | None = None, python: str = "") -> None:
        """Write an event of this console: an action with its Python line, or something about the link."""
        with self._lock:
            self._in.note(self._in.hub_time(now), kind, text, engine, "action" if python else "cluster", python)

    def forget_dead(self) -> list[int]:
        """Drop dead engines; their ids."""
        with self._lock:
            gone = self._in.engines.forget_dead()
            for engine in gone:
                if (spans := self._in.spans.pop(engine, None)) is not None:
                    self._in.span_count -= spans.count
            if gone:
                self._in.moved(Section.ENGINES, Section.TIMELINE)
            return gone

    def doubtful(self) -> tuple[int, float | None]:
        """How many tasks were open before a gap and are not accounted for, and when (hub time) the gap began."""
        with self._lock:
            return len(self._in.doubtful), self._in.gap_began if self._in.doubtful else None

    def settle(self) -> int:
        """History has been read over the gap: drop the doubtful tasks that cannot be open; how many there were."""
        with self._lock:
            return self._in.settle()

    # The whole -----------------------------------------------------------------------------------------------------

    def version(self, section: Section) -> int:
        return self._in.versions[section]

    def hub_time(self, now: float) -> float:
        return self._in.hub_time(now)

    @property
    def boot(self) -> str:
        """Boot id of the hub the store was last told of."""
        return self._in.boot

    @property
    def link(self) -> LinkView:
        """How the observer stands to the hub."""
        return self._in.link

    def header(self, now: float) -> HeaderView:
        with self._lock:
            return portraits.header(self._in, now)

    def health(self, now: float) -> Health:
        with self._lock:
            return portraits.health(self._in)

    def limits(self) -> list[LimitRow]:
        with self._lock:
            return list(self._in.limits.values())

    def observed(self, nouns: Nouns, field: str) -> Mapping[str, int]:
        """The values a field has now, each with the number of its rows: what completion offers."""
        with self._lock:
            return observed(self._in, nouns, field)

    # Engines -------------------------------------------------------------------------------------------------------

    def engine_ids(
        self, now: float, where: Query | None = None, sort: str = "id", reverse: bool = False
    ) -> list[int]:
        with self._lock:
            if sort == "id" and (where is None or where.empty):
                return sorted(self._in.engines.seats, reverse=reverse)
            views = [portraits.engine(self._in, engine, now) for engine in sorted(self._in.engines.seats)]
        if where is not None:
            views = [view for view in views if where.matches(view)]
        return [view.id for view in sorted_by(views, field_named(ENGINE_FIELDS, sort).read, reverse)]

    def engine_rows(self, engines: Sequence[int], now: float) -> list[EngineView]:
        with self._lock:
            return [portraits.engine(self._in, engine, now) for engine in engines if engine in self._in.engines.seats]

    def engine(self, engine: int, now: float) -> EngineView | None:
        with self._lock:
            return portraits.engine(self._in, engine, now) if engine in self._in.engines.seats else None

    def vitals(self, engine: int, metric: str, window: int = 60) -> list[float]:
        with self._lock:
            seat = self._in.engines.seats.get(engine)
            return self._in.engines.history(seat.row.uuid, metric, window) if seat else []

    # Tasks ---------------------------------------------------------------------------------------------------------

    def task_list(self, where: Query | None = None, sort: str = "submitted", reverse: bool = True) -> TaskList:
        field_named(TASK_FIELDS, sort)
        return LockedTasks(self._lock, Tasks(self._in.tasks, where, sort, reverse))

    def task(self, task: int) -> TaskView | None:
        with self._lock:
            slot = self._in.tasks.slot(task)
            return None if slot is None else self._in.tasks.view(slot)

    def task_rows(self, tasks: Sequence[int]) -> list[TaskView]:
        table = self._in.tasks
        with self._lock:
            return [table.view(slot) for task in tasks if (slot := table.slot(task)) is not None]

    def task_named(self, msg_id: str) -> TaskView | None:
        try:
            hex_, counter = parse_msg_id(msg_id)
        except ValueError:
            return None
        with self._lock:
            sessions = [session for session, name in self._in.tasks.sessions.items() if name == hex_]
        return self.task(task_id(sessions[0], counter)) if sessions else None

    def task_counts(self) -> tuple[int, int]:
        known = self._in
        with self._lock:
            c = known.counters
            total = c.queued + c.assigned + c.done + c.error + c.lost + c.aborted + c.expired
            return len(known.tasks), max(total - known.tasks.represented, 0)

    def msg_id(self, task: int) -> str:
        with self._lock:
            return self._in.tasks.msg_id(task)

    # Timeline ------------------------------------------------------------------------------------------------------

    def timeline(self, engines: Sequence[int], start: float, end: float, columns: int, now: float) -> list[Lane]:
        borders = edges(start, end, columns)
        found: list[Lane] = []
        for engine in engines:
            with self._lock:
                known = self._in.spans.get(engine)
                spans = EngineSpans() if known is None else known  # without ended spans it is falsy, and still counts
                found.append(lane(engine, spans, self._in.names.texts, borders, self._in.hub_time(now)))
        return found

    def busy(self, engine: int, start: float, end: float, now: float) -> float:
        with self._lock:
            spans = self._in.spans.get(engine)
            return spans.busy(start, end, self._in.hub_time(now)) if spans is not None else 0.0

    def task_at(self, engine: int, at: float, now: float) -> TaskView | None:
        with self._lock:
            spans = self._in.spans.get(engine)
            span = spans.at(at, self._in.hub_time(now)) if spans is not None else None
            slot = self._in.tasks.slot(span.task) if span else None
            return None if slot is None else self._in.tasks.view(slot)

    def next_failure(self, engines: Sequence[int], at: float, back: bool = False) -> Mark | None:
        found: list[Mark] = []
        with self._lock:
            for engine in engines:
                if (spans := self._in.spans.get(engine)) and (mark := spans.next_failure(at, back)):
                    found.append(Mark(engine, *mark))
        if not found:
            return None
        return max(found, key=attrgetter("at")) if back else min(found, key=attrgetter("at"))

    def oldest(self) -> float | None:
        with self._lock:
            starts = [start for spans in self._in.spans.values() if (start := spans.oldest()) is not None]
            return min(starts, default=None)

    def history_complete(self) -> bool:
        return self._in.history_complete

    # Submissions, clients, functions, failures -----------------------------------------------------------------------

    def batches(self, now: float) -> list[BatchView]:
        with self._lock:
            at = self._in.hub_time(now)
            courses = [*self._in.progress.open(), *self._in.progress.finished()][:PER_VIEW]
            running = portraits.running_tasks(self._in)
            return [portraits.batch(self._in, course, at, running) for course in courses]

    def batch(self, batch: int, now: float) -> BatchView | None:
        with self._lock:
            course = self._in.progress.courses.get(batch)
            if course is None:
                return None
            return portraits.batch(self._in, course, self._in.hub_time(now), portraits.running_tasks(self._in))

    def clients(self) -> list[ClientView]:
        with self._lock:
            rows = sorted(self._in.clients.values(), key=lambda row: (not row.connected, row.since, row.session))
            left = self._in.progress.left_by_session()
        return [
            ClientView(row.session, row.hex, row.host, row.pid, row.name, row.since, row.connected,
                       left.get(row.session, row.outstanding))
            for row in rows
        ]  # fmt: skip

    def functions(self, sort: str = "total", reverse: bool = True) -> list[FunctionView]:
        with self._lock:
            views = portraits.functions(self._in)
        return sorted_by(views, attrgetter(sort), reverse)

    def function(self, name: str) -> FunctionView | None:
        with self._lock:
            row = self._in.functions.rows.get(name)
            open_ = portraits.open_by_name(self._in).get(name, (0, 0))
            return portraits.function(self._in, row, open_) if row else None

    def failures(self, hidden: bool = False) -> list[FailureKind]:
        with self._lock:
            return self._in.failures.kinds(self._in.at or 0.0, self._in.tasks.msg_id, hidden)

    def failure_kind(self, key: int) -> FailureKind | None:
        with self._lock:
            return self._in.failures.kind(key, self._in.at or 0.0, self._in.tasks.msg_id)

    def failure_kind_of(self, task: int) -> FailureKind | None:
        with self._lock:
            key = self._in.failures.key_of(task)
            return None if key is None else self._in.failures.kind(key, self._in.at or 0.0, self._in.tasks.msg_id)

    def failures_before(self) -> int:
        with self._lock:
            c = self._in.counters
            return max(c.error + c.lost + c.expired - self._in.failures.total_shown, 0)

    # Output, events, warnings --------------------------------------------------------------------------------------

    def output_list(self, where: OutputFilter | None = None) -> LineList:
        return LockedLines(self._lock, self._in.output.lines, Lines(self._in.output, where or OutputFilter()))

    def last_output(self, engine: int, count: int) -> list[OutputLine]:
        with self._lock:
            return self._in.output.newest(engine, count)

    def events(self, start: int, count: int) -> list[EventView]:
        with self._lock:
            events = self._in.events
            start = max(start, 0)
            return [events[at] for at in range(start, min(start + count, len(events)))]

    def event_count(self) -> int:
        return len(self._in.events)

    def warnings(self) -> list[Lint]:
        with self._lock:
            return self._in.lints[:MOST]
