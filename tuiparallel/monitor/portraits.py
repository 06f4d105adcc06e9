"""Rows as people see them, made of the tables: header, engines, submissions, functions. The store holds the lock."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from tuiparallel.monitor.functions import Sketch, ran
from tuiparallel.monitor.intake import Intake
from tuiparallel.monitor.progress import Course
from tuiparallel.monitor.rows import BatchView, EngineView, FunctionView, HeaderView, Health
from tuiparallel.wire.messages import FunctionRow, LimitRow
from tuiparallel.wire.states import EngineState

RATE_OVER = 5.0  # seconds
FULL = 0.95
_UP = frozenset(EngineState) - {EngineState.DEAD, EngineState.STARTING, EngineState.RESTARTING}


def header(known: Intake, now: float) -> HeaderView:
    """What the header shows."""
    at = known.hub_time(now)
    rows = [seat.row for seat in known.engines.seats.values()]
    eta, partial = known.progress.overall(at)
    up = sum(row.state in _UP for row in rows)
    return HeaderView(
        cluster=known.cluster,
        boot=known.boot,
        link=known.link,
        at=at,
        started=known.started,
        up=up,
        expected=known.expected or up,
        busy=sum(row.task is not None and row.state != EngineState.DEAD for row in rows),
        counters=known.counters,
        rate=_rate(known),
        rates=_rates(known),
        eta=eta,
        eta_partial=partial,
        warnings=len(known.lints),
        skipped=known.skipped,
        lag=known.lag,
        late=known.counters.late,
        full=tuple(row.name for row in known.limits.values() if 0 < row.limit * FULL < row.used),
        clients=sum(client.connected for client in known.clients.values()),
        pid=known.pid,
        durability=known.durability,
        boots=known.boots,
    )


def _rate(known: Intake) -> float:
    """Ended tasks per second over the last few seconds."""
    points = known.ended_at
    if len(points) < 2 or known.at is None:
        return 0.0
    end, ended = known.at, points[-1][1]
    start = next((point for point in reversed(points) if point[0] <= end - RATE_OVER), points[0])
    return (ended - start[1]) / (end - start[0]) if end > start[0] else 0.0


def _rates(known: Intake) -> tuple[float, ...]:
    """Ended tasks in each of the last whole seconds, oldest first."""
    points = known.ended_at
    if len(points) < 2 or known.at is None:
        return ()
    last: dict[int, int] = {}
    for at, ended in points:
        last[int(at)] = ended
    first, end = int(points[0][0]), int(known.at)
    found: list[float] = []
    before = last[first]
    for second in range(first + 1, end + 1):
        ended = last.get(second, before)
        found.append(float(ended - before))
        before = ended
    return tuple(found[-60:])


def health(known: Intake) -> Health:
    """How full the stores are."""
    ours = (
        LimitRow("tasks", len(known.tasks), known.bounds.tasks),
        LimitRow("spans", known.span_count, known.bounds.spans),
        LimitRow("output lines", known.output.kept, known.output.max_lines),
        LimitRow("output bytes", known.output.bytes, known.output.max_bytes),
        LimitRow("events", len(known.events), known.bounds.events),
        LimitRow("failure kinds", len(known.failures), known.bounds.kinds),
        LimitRow("functions", len(known.functions.rows), known.bounds.functions),
        LimitRow("engines", len(known.engines.seats), known.engines.limit),
        LimitRow("clients", len(known.clients), known.bounds.clients),
    )
    hub = tuple(known.limits.values())
    return Health(ours, hub, known.skipped, known.lag, known.messages, known.output.dropped)


def engine(known: Intake, engine: int, now: float) -> EngineView:
    """An engine that is known."""
    seat = known.engines.seats[engine]
    row = seat.row
    at = known.hub_time(now)
    age = max(at - row.started, 0.0) if row.task is not None and row.started is not None else None
    waiting = row.queue + row.held
    mean = known.functions.mean(row.name or seat.last_name, least=5)
    est = 0.0 if waiting == 0 else None
    if waiting and mean is not None:
        est = max(waiting * mean - min(age or 0.0, mean), 0.0)
    return EngineView(
        row=row,
        vital=known.engines.vital(row.uuid),
        age=age,
        est=est,
        silent=max(at - row.heard, 0.0),
        warnings=tuple(lint.id for lint in known.lints if lint.engine == engine),
        msg_id=None if row.task is None else known.tasks.msg_id(row.task),
        last_task=seat.last_task,
        last_name=seat.last_name,
    )


def running_tasks(known: Intake) -> list[int]:
    """The TaskIds that the engines say they run, ascending."""
    return sorted(seat.row.task for seat in known.engines.seats.values() if seat.row.task is not None)


def batch(known: Intake, course: Course, at: float, running: Sequence[int]) -> BatchView:
    """A submission, at hub time `at`; `running` are the TaskIds that run, ascending."""
    row = course.row
    rate = course.rate(at)
    return BatchView(
        id=row.id,
        name=row.name,
        label=row.label,
        session=row.session,
        client=known.tasks.client(row.session),
        total=row.total,
        done=row.done,
        failed=row.failed,
        running=row.running or bisect_left(running, row.id + row.total) - bisect_left(running, row.id),
        submitted=row.submitted,
        last=row.last,
        balanced=row.balanced,
        rate=rate[0] if rate else None,
        eta=course.eta(at),
        aborted=row.aborted,
    )


def functions(known: Intake) -> list[FunctionView]:
    """All functions, also those of which nothing has ended yet, which have no totals at the hub."""
    rows = list(known.functions.rows.values())
    seen = known.functions.rows.keys() | known.functions.folded.keys()
    open_ = open_by_name(known)
    rows += [FunctionRow(name, 0, 0, 0.0, 0.0, 0.0, 0.0) for name in open_ if name not in seen]
    if others := known.functions.others():
        rows.append(others)
    return [function(known, row, open_.get(row.name, (0, 0))) for row in rows]


def open_by_name(known: Intake) -> dict[str, tuple[int, int]]:
    """(waiting, running) tasks of each function: submissions tell how many are open, engines what they run."""
    running = Counter(
        seat.row.name
        for seat in known.engines.seats.values()
        if seat.row.task is not None and seat.row.state != EngineState.DEAD
    )
    left: Counter[str] = Counter()
    for course in known.progress.open():
        left[course.row.name] += course.row.total - course.row.done - course.row.failed
    return {name: (max(left[name] - running[name], 0), running[name]) for name in left.keys() | running.keys()}


def function(known: Intake, row: FunctionRow, open_: tuple[int, int]) -> FunctionView:
    """A function's totals; open_: how many of its tasks wait, and run."""
    count = row.done + row.failed
    p50, p95 = known.functions.spread(row.name)
    size, result_size = known.functions.sizes.get(row.name, (0, 0))
    return FunctionView(
        name=row.name,
        count=count,
        queued=open_[0],
        running=open_[1],
        done=row.done,
        failed=row.failed,
        total=row.run,
        mean=row.run / runs if (runs := ran(row)) else 0.0,
        p50=min(p50, row.slowest),
        p95=min(p95, row.slowest),
        slowest=row.slowest,
        wait=row.wait,
        back=row.back,
        size=size,
        result_size=result_size,
        histogram=Sketch(row.buckets).histogram(),
    )
