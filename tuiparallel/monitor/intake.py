"""Everything an observer knows, and how the hub's messages change it. No lock here: the store holds it.

Each row goes to its table; a section's version moves only when a table says that something changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf
from operator import attrgetter

import msgspec

from tuiparallel.monitor.engines import Engines
from tuiparallel.monitor.failures import Failures
from tuiparallel.monitor.functions import Functions
from tuiparallel.monitor.lints import Facts, Thresholds, judge
from tuiparallel.monitor.names import Names
from tuiparallel.monitor.output import MAX_BYTES, MAX_LINES, Output
from tuiparallel.monitor.progress import Progress
from tuiparallel.monitor.rows import EventView, LinkState, LinkView, Lint, Section
from tuiparallel.monitor.sanitize import clean_line
from tuiparallel.monitor.spans import EngineSpans, Span
from tuiparallel.monitor.tasks import OPEN_NUMBERS, TaskTable
from tuiparallel.wire.messages import (
    BatchRow,
    Chunk,
    ClientRow,
    Counters,
    Delta,
    EngineRow,
    EventRow,
    FailureRow,
    FunctionRow,
    LimitRow,
    MergedRow,
    Snapshot,
    TaskRow,
    Vital,
)
from tuiparallel.wire.states import TERMINAL, EngineState, State

RATE_SECONDS = 60
MERGED_AT_MOST = 0.998
EVENTS_AGAIN = 1_000
_OUTCOMES = {State.DONE: False, State.ERROR: True, State.LOST: True, State.EXPIRED: True}
_SILENT = (EngineState.UNRESPONSIVE, EngineState.LIMBO)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept of each kind."""

    tasks: int = 1_000_000
    spans: int = 1_000_000
    lines: int = MAX_LINES
    bytes: int = MAX_BYTES
    events: int = 10_000
    kinds: int = 1_000
    functions: int = 2_000
    clients: int = 1_000


class Intake:
    """The tables, and the facts about the cluster as a whole."""

    def __init__(self, bounds: Bounds | None = None, thresholds: Thresholds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.thresholds = thresholds or Thresholds()
        self.versions = dict.fromkeys(Section, 0)
        self.names = Names()
        self.engines = Engines()
        self.tasks = TaskTable(self.names, self.bounds.tasks)
        self.spans: dict[int, EngineSpans] = {}
        self.span_count = 0
        self.spans_gone = 0
        self.functions = Functions(self.bounds.functions)
        self.failures = Failures(self.bounds.kinds)
        self.progress = Progress()
        self.output = Output(self.bounds.lines, self.bounds.bytes)
        self.clients: dict[int, ClientRow] = {}
        self.limits: dict[str, LimitRow] = {}
        self.events: deque[EventView] = deque(maxlen=self.bounds.events)
        self.event_number = 0
        self.lints: list[Lint] = []
        self.outcomes: deque[bool] = deque(maxlen=self.thresholds.errors_of)
        self.counters = Counters()
        self.link = LinkView(LinkState.CONNECTING, 0.0)
        self.cluster = self.boot = self.durability = ""
        self.started = 0.0
        self.pid = self.boots = self.expected = self.skipped = self.messages = 0
        self.skipped_at: float | None = None
        self.at: float | None = None  # of the newest message
        self.number: int | None = None  # of the newest Snapshot or Delta
        self.offset: float | None = None  # local time minus the hub's
        self.lag = 0.0
        self.ended_at: deque[tuple[float, int]] = deque()  # (hub time, tasks ended), about one a second
        self.doubtful: set[int] = set()  # open before a gap, not heard of since
        self.gap_began = 0.0  # hub time of the last message before the gap
        self.all_open_listed = True  # the newest snapshot had a row for every open task
        self.history_complete = False

    def moved(self, *sections: Section) -> None:
        """These sections have changed."""
        for section in sections:
            self.versions[section] += 1

    # Whole messages, apart from their tasks ------------------------------------------------------------------------

    def snapshot(self, message: Snapshot, now: float) -> None:
        """Begin, or begin again after a gap."""
        before = self.at
        self.offset = None
        self._clock(message.at, now)
        self.number = message.number
        self.cluster, self.boot = clean_line(message.cluster), message.boot
        self.started, self.pid, self.boots = message.started, message.pid, message.boots
        self.durability, self.expected = message.durability, message.expected
        if before is not None:
            # What happened between the two messages is not known, except for what history pages still tell.
            for spans in self.spans.values():
                spans.unknown(before, message.at)
            present = {row.id for row in message.tasks}
            table = self.tasks
            if not self.doubtful:
                self.gap_began = before
            self.doubtful = set(table.open) - present
            listed = sum(State(row.state) not in TERMINAL for row in message.tasks)
            self.all_open_listed = listed >= message.counters.queued + message.counters.assigned
            self.engines.missing([row.id for row in message.engines], message.at)
            self.progress.missing(row.id for row in message.batches)
            for number in set(self.clients) - {row.session for row in message.clients}:
                gone = self.clients[number]
                self.clients[number] = msgspec.structs.replace(gone, connected=False, outstanding=0)
            self.moved(Section.TIMELINE, Section.ENGINES, Section.BATCHES, Section.CLIENTS)
        if message.skipped != self.skipped:
            if message.skipped > self.skipped:
                self.skipped_at = message.at
            self.skipped = message.skipped
        self.limits = {row.name: row for row in message.limits}
        self.functions.replace(message.functions)
        self.history_complete = False
        self.put_engines(message.engines, message.at)
        self.put_rest(message.clients, message.batches, [], message.failures, [], message.vitals, message.at)
        self.put_counters(message.counters, message.at)
        self.moved(Section.HEADER, Section.FUNCTIONS)

    def delta(self, message: Delta, now: float) -> None:
        """What changed since the message before."""
        self._clock(message.at, now)
        self.number = message.number
        if message.expected and message.expected != self.expected:
            self.expected = message.expected
            self.moved(Section.HEADER)
        for row in message.limits:
            if self.limits.get(row.name) != row:
                self.limits[row.name] = row
                self.moved(Section.HEADER)
        self.put_engines(message.engines, message.at)
        self.put_rest(
            message.clients,
            message.batches,
            message.functions,
            message.failures,
            message.output,
            message.vitals,
            message.at,
        )
        for event in message.events:
            self.put_event(event)
        self.put_counters(message.counters, message.at)

    def _clock(self, at: float, now: float) -> None:
        """Learn how far the local clock is from the hub's: the fastest message tells."""
        apart = now - at
        self.offset = apart if self.offset is None else min(self.offset, apart)
        self.lag = apart - self.offset
        self.at = at
        self.messages += 1

    # Rows ----------------------------------------------------------------------------------------------------------

    def put_counters(self, counters: Counters, at: float) -> None:
        """Take in the exact counts, and note how many tasks have ended for the rates."""
        if counters != self.counters:
            self.counters = counters
            self.moved(Section.HEADER)
        ended = counters.done + counters.error + counters.lost + counters.aborted + counters.expired
        if self.ended_at and ended < self.ended_at[-1][1]:
            self.ended_at.clear()
        if self.ended_at and at - self.ended_at[-1][0] < 0.2:
            self.ended_at[-1] = (self.ended_at[-1][0], ended)
        else:
            self.ended_at.append((at, ended))
        while len(self.ended_at) > 2 and self.ended_at[1][0] < at - RATE_SECONDS - 2:
            self.ended_at.popleft()

    def put_engines(self, rows: Iterable[EngineRow], at: float) -> None:
        """Take in engines; their rows also say what runs now, and which time is unknown."""
        for row in rows:
            if not self.engines.put(row, at):
                continue
            self.moved(Section.ENGINES)
            spans = self._spans(row.id)
            running = row.task is not None and row.started is not None and row.state != EngineState.DEAD
            was = spans.open
            if running and row.started is not None and row.task is not None:
                spans.open = Span(row.started, inf, inf, self.names.index(row.name), row.task)
            else:
                spans.open = None
            if spans.open != was:
                self.moved(Section.TIMELINE)
            silent = row.state in _SILENT
            if silent and spans.unknown_since is None:
                spans.unknown_since = row.heard
                self.moved(Section.TIMELINE)
            elif not silent and spans.unknown_since is not None:
                spans.unknown(spans.unknown_since, row.heard if row.state == EngineState.DEAD else at)
                spans.unknown_since = None
                self.moved(Section.TIMELINE)

    def put_tasks(self, rows: Sequence[TaskRow], page: bool = False) -> None:
        """Take in tasks; page: from history, where merged rows may stand for them already."""
        older: dict[int, list[Span]] = {}
        moved = timeline = False
        for row in rows:
            self.doubtful.discard(row.id)
            slot = self.tasks.slot(row.id)
            was_open = slot is None or self.tasks.phases[slot] in OPEN_NUMBERS
            # History tells less of a task than its live row did, and nothing that a merged row has not told.
            if page and (not was_open or (slot is None and self._merged_over(row))):
                continue
            if not self.tasks.put(row):
                continue
            moved = True
            if not was_open or row.state not in _OUTCOMES:
                continue
            if not page:
                self.outcomes.append(_OUTCOMES[State(row.state)])
                self.functions.bytes_moved(clean_line(row.name), row.size, row.result_size or 0)
            if row.engine is None:
                continue
            timeline = True
            if _OUTCOMES[State(row.state)]:
                self._spans(row.engine).fail(row.completed or row.received or row.submitted, row.id)
            self.engines.ran(row.engine, row.id, self.names.texts[self.names.index(row.name)])
            if row.started and row.completed and row.completed >= row.started:
                length = row.completed - row.started
                span = Span(row.started, row.completed, length, self.names.index(row.name), row.id)
                older.setdefault(row.engine, []).append(span)
        for engine, spans in older.items():
            self._add_spans(engine, spans)
        if moved:
            self.moved(Section.TASKS)
        if timeline or older:
            self.moved(Section.TIMELINE)

    def put_merged(self, rows: Sequence[MergedRow]) -> None:
        """Take in many ended tasks at once."""
        for row in rows:
            self.doubtful.discard(row.first)
            if not self.tasks.put_merged(row, self.at or 0.0):
                continue
            failed = _OUTCOMES.get(State(row.state))
            if failed is not None:
                self.outcomes.extend([failed] * min(row.count, self.thresholds.errors_of))
                self.functions.bytes_moved(clean_line(row.name), row.size, row.result_size)
            self.moved(Section.TASKS, Section.TIMELINE)
            if row.engine < 0:  # none of them came to an engine
                continue
            if failed:
                self._spans(row.engine).fail(row.end or self.at or 0.0, row.first)
            self.engines.ran(row.engine, row.first, self.names.texts[self.names.index(row.name)])
            if row.end >= row.start > 0 and failed is not None:
                # Never quite full, so that it is told from one long task.
                busy = min(row.busy, MERGED_AT_MOST * (row.end - row.start))
                self._add_spans(row.engine, [Span(row.start, row.end, busy, self.names.index(row.name), row.first)])

    def put_rest(
        self,
        clients: Iterable[ClientRow],
        batches: Iterable[BatchRow],
        functions: Iterable[FunctionRow],
        failures: Iterable[FailureRow],
        output: Iterable[Chunk],
        vitals: Sequence[Vital],
        at: float,
    ) -> None:
        """Take in the rows that concern one table each."""
        for client in clients:
            self._put_client(client)
        if any([self.progress.put(batch, at) for batch in batches]):
            self.moved(Section.BATCHES)
        if any([self.functions.put(function) for function in functions]):
            self.moved(Section.FUNCTIONS)
        if any([self.failures.put(failure) for failure in failures]):
            self.moved(Section.FAILURES)
        if any([self.output.put(chunk) for chunk in output]):
            self.moved(Section.OUTPUT)
        if vitals:
            if any([self.engines.measure(vital, at) for vital in vitals]):
                self.moved(Section.ENGINES)
            self.moved(Section.VITALS)

    def _put_client(self, row: ClientRow) -> None:
        if not (row.host.isprintable() and row.name.isprintable() and row.hex.isprintable()):
            row = msgspec.structs.replace(
                row, host=clean_line(row.host), name=clean_line(row.name), hex=clean_line(row.hex)
            )
        if self.clients.get(row.session) == row:
            return
        if self.tasks.sessions.get(row.session) != row.hex:
            self.tasks.sessions[row.session] = row.hex
            self.moved(Section.TASKS)
        self.clients[row.session] = row
        if len(self.clients) > self.bounds.clients:
            gone = min(self.clients.values(), key=lambda item: (item.connected, item.outstanding > 0, item.since))
            del self.clients[gone.session]
        self.moved(Section.CLIENTS, Section.HEADER)

    def put_event(self, row: EventRow) -> None:
        """Take in an event, unless it is among the newest already: whoever attaches is told the newest again."""
        text = clean_line(row.text)
        for event in islice(reversed(self.events), EVENTS_AGAIN):
            if event.at < row.at:
                break
            if (event.at, event.kind, event.text, event.engine) == (row.at, row.kind, text, row.engine):
                return
        self.note(row.at, row.kind, row.text, row.engine)

    def note(
        self,
        at: float,
        kind: str,
        text: str,
        engine: int | None = None,
        source: str = "cluster",
        python: str = "",
    ) -> None:
        """Write an event."""
        event = EventView(self.event_number, at, clean_line(kind), clean_line(text), engine, source, python)
        self.events.append(event)
        self.event_number += 1
        self.moved(Section.EVENTS)

    def reconcile(self) -> None:
        """Drop open rows that cannot be true, because the hub counts fewer open tasks.

        When tasks come fast their ends are told merged, without their names; what ran first most likely ended first.
        """
        excess = len(self.tasks.open) - len(self.doubtful) - self.counters.queued - self.counters.assigned
        if excess <= 0:
            return
        kept = {seat.row.task for seat in self.engines.seats.values()} | self.doubtful
        gone = list(islice((task for task in self.tasks.open if task not in kept), excess))
        if gone:
            self.tasks.forget(gone)
            self.moved(Section.TASKS)

    # Spans ---------------------------------------------------------------------------------------------------------

    def _spans(self, engine: int) -> EngineSpans:
        found = self.spans.get(engine)
        if found is None:
            found = self.spans[engine] = EngineSpans()
        return found

    def _add_spans(self, engine: int, new: list[Span]) -> None:
        spans = self._spans(engine)
        before = spans.count
        new = [span for span in new if not spans.has(span)]
        if len(new) == 1:
            spans.add(new[0])
        else:
            spans.add_many(new)
        self.span_count += spans.count - before
        if self.span_count > self.bounds.spans:
            largest = max(self.spans.values(), key=attrgetter("count"))
            gone = largest.trim(max(largest.count // 16, self.span_count - self.bounds.spans))
            self.span_count -= gone
            self.spans_gone += gone

    def _merged_over(self, row: TaskRow) -> bool:
        """Whether a merged row stands for this ended task already."""
        if row.engine is None or row.started is None or row.completed is None or row.engine not in self.spans:
            return False
        return self.spans[row.engine].merged_at((row.started + row.completed) / 2, self.names.index(row.name))

    # Time ----------------------------------------------------------------------------------------------------------

    def hub_time(self, now: float) -> float:
        """The hub's time at local time `now`."""
        return now - (self.offset or 0.0)

    def tick(self, now: float) -> None:
        """Judge the warnings anew, unless nothing can be known because the link is not live."""
        if self.link.state is not LinkState.LIVE:
            return
        facts = Facts(
            self.hub_time(now),
            self.engines,
            self.functions,
            self.counters,
            self.progress.open(),
            list(self.outcomes),
            self.limits.values(),
            self.skipped,
            self.skipped_at,
            self.lag,
        )
        lints = judge(facts, self.thresholds)
        if lints != self.lints:
            self.lints = lints
            self.moved(Section.WARNINGS)

    def settle(self) -> int:
        """Drop rows of tasks that were open before a gap and of which neither snapshot nor history knows; how many.

        A snapshot that did not list all open tasks leaves the rest in doubt: then the counters decide.
        """
        before = len(self.tasks)
        if self.doubtful and self.all_open_listed:
            self.tasks.forget(self.doubtful)
            self.moved(Section.TASKS)
        self.doubtful.clear()
        self.reconcile()
        return before - len(self.tasks)
