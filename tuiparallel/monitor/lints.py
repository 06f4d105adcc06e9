"""The eight warnings: what each looks at, its threshold, its sentence. They judge facts; they keep nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tuiparallel.monitor.engines import Engines, Seat
from tuiparallel.monitor.functions import Functions, ran
from tuiparallel.monitor.progress import Course
from tuiparallel.monitor.rows import Lint
from tuiparallel.wire.messages import Counters, LimitRow
from tuiparallel.wire.states import EngineState

MOST = 50  # warnings that are shown


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When each warning begins. Durations are seconds, parts are fractions. silenced: ids that are switched off."""

    silent: float = 10.0
    straggler: float = 3.0  # times the 95th percentile
    straggler_least: int = 20  # tasks of the function that have ended
    straggler_age: float = 1.0  # younger tasks are nobody's trouble
    idle: float = 5.0
    errors: float = 0.05
    errors_of: int = 200  # newest outcomes
    errors_least: int = 40
    memory: float = 0.90
    tiny: float = 0.001
    tiny_outside: float = 0.30
    tiny_least: int = 1_000  # tasks of the function that have ended
    storage: float = 0.80
    lag: float = 0.1
    skipped_for: float = 60.0  # seconds a skip is worth a warning
    silenced: frozenset[str] = frozenset()


HELP: Mapping[str, str] = MappingProxyType(
    {
        "silent": "The hub has not heard this engine for longer than the threshold: its host, its network or the "
        "process itself is stuck.",
        "straggler": "A task runs far longer than 95 % of its function's tasks have.",
        "idle": "An engine has nothing to do while work waits that it may not take.",
        "errors": "Too many of the newest tasks failed.",
        "memory": "An engine's process is near its memory limit; the kernel may kill it.",
        "tiny": "A function's tasks are so short that most of the time goes into sending them: use chunksize.",
        "storage": "A bounded store of the hub is filling up; the oldest in it goes first.",
        "observer": "This console did not get every event, or gets them late; counts stay exact.",
    }
)
"""What each warning means, by id; all of them can be switched off by Thresholds.silenced."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is judged, at hub time `at`."""

    at: float
    engines: Engines
    functions: Functions
    counters: Counters
    open: Sequence[Course]
    outcomes: Sequence[bool]  # of the newest tasks that ended by themselves, True: failed; oldest first
    limits: Iterable[LimitRow]
    skipped: int
    skipped_at: float | None
    lag: float


def judge(facts: Facts, limits: Thresholds) -> list[Lint]:
    """The warnings that hold, the most urgent kind first."""
    found = [
        *_silent(facts, limits),
        *_memory(facts, limits),
        *_straggler(facts, limits),
        *_errors(facts, limits),
        *_idle(facts, limits),
        *_storage(facts, limits),
        *_tiny(facts, limits),
        *_observer(facts, limits),
    ]
    return [lint for lint in found if lint.id not in limits.silenced]


def _alive(facts: Facts) -> Iterator[Seat]:
    return (seat for seat in facts.engines.seats.values() if seat.row.state != EngineState.DEAD)


def _silent(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    # The hub tells a silent engine by its state; a row that merely has not changed has an old `heard` too.
    for seat in _alive(facts):
        silence = facts.at - seat.row.heard
        if seat.row.state in (EngineState.UNRESPONSIVE, EngineState.LIMBO) and silence > limits.silent:
            yield Lint(
                "silent",
                f"e{seat.row.id} silent for {duration(silence)} (limit {duration(limits.silent)})",
                f"> {duration(limits.silent)}",
                engine=seat.row.id,
                task=seat.row.task,
                value=silence,
            )


def _memory(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    for seat in _alive(facts):
        vital = facts.engines.vital(seat.row.uuid)
        if vital is not None and vital.limit > 0 and vital.rss > limits.memory * vital.limit:
            part = vital.rss / vital.limit
            yield Lint(
                "memory",
                f"e{seat.row.id} memory at {part:.0%} of its limit",
                f"> {limits.memory:.0%}",
                engine=seat.row.id,
                value=part,
            )


def _straggler(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    for seat in _alive(facts):
        row = seat.row
        if row.task is None or row.started is None or (function := facts.functions.rows.get(row.name)) is None:
            continue
        age = facts.at - row.started
        if ran(function) < limits.straggler_least or age <= limits.straggler_age:
            continue
        p95 = facts.functions.spread(row.name)[1]
        if age > limits.straggler * p95:
            yield Lint(
                "straggler",
                f"e{row.id} {row.name} runs {duration(age)}; its p95 is {duration(p95)}",
                f"> {limits.straggler:g} × p95, n ≥ {limits.straggler_least}",
                engine=row.id,
                task=row.task,
                name=row.name,
                value=age,
            )


def _errors(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    newest = facts.outcomes[-limits.errors_of :]
    failed = sum(newest)
    if len(newest) >= limits.errors_least and failed > limits.errors * len(newest):
        yield Lint(
            "errors",
            f"{failed} of the last {len(newest)} tasks failed",
            f"> {limits.errors:.0%} of the last {limits.errors_of}",
            value=failed / len(newest),
        )


def _idle(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    ready = facts.counters.queued - facts.counters.waiting
    if ready <= 0:
        return
    for seat in _alive(facts):
        if seat.row.state != EngineState.IDLE or seat.idle_since is None:
            continue
        idle = facts.at - seat.idle_since
        if idle > limits.idle:
            yield Lint(
                "idle",
                f"e{seat.row.id} idle {duration(idle)}: {_why_idle(facts, ready)}",
                f"> {duration(limits.idle)} while work waits",
                engine=seat.row.id,
                value=idle,
            )


def _why_idle(facts: Facts, ready: int) -> str:
    """Why an idle engine does not get any of the tasks that wait."""
    direct = sum(seat.row.queue for seat in _alive(facts))
    balanced = [course.row.name for course in facts.open if course.row.balanced and _waits(course)]
    if ready > direct and balanced:
        return f"{_listed(balanced)} {'do' if len(set(balanced)) > 1 else 'does'} not target it"
    holders = sorted((seat.row.queue, seat.row.id) for seat in _alive(facts) if seat.row.queue)
    if holders:
        names = [course.row.name for course in facts.open if not course.row.balanced and _waits(course)]
        which = _listed(names) if names else f"{direct} tasks"
        return f"{which} {'waits' if len(set(names)) == 1 or direct == 1 else 'wait'} for {_listed([f'e{engine}' for _, engine in holders[::-1]])} by address"
    return f"none of the {ready} tasks that wait may run there"


def _waits(course: Course) -> bool:
    row = course.row
    return row.done + row.failed + row.running < row.total


def _listed(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")


def _storage(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    for row in facts.limits:
        if row.limit > 0 and row.used > limits.storage * row.limit:
            part = row.used / row.limit
            yield Lint(
                "storage",
                f"the hub's {row.name} is {part:.0%} full",
                f"> {limits.storage:.0%}",
                name=row.name,
                value=part,
            )


def _tiny(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    busy = {course.row.name for course in facts.open}
    for name in sorted(busy):
        row = facts.functions.rows.get(name)
        if row is None or row.done < limits.tiny_least:
            continue
        median = facts.functions.spread(name)[0]
        whole = row.run + row.wait + row.back
        outside = (row.wait + row.back) / whole if whole > 0 else 0.0
        if median < limits.tiny and outside > limits.tiny_outside:
            yield Lint(
                "tiny",
                f"{name} runs {duration(median)}, {outside:.0%} of the time is outside it: use chunksize",
                f"median < {duration(limits.tiny)}, > {limits.tiny_outside:.0%} outside",
                name=name,
                value=median,
            )


def _observer(facts: Facts, limits: Thresholds) -> Iterator[Lint]:
    if facts.skipped_at is not None and facts.at - facts.skipped_at < limits.skipped_for:
        yield Lint("observer", f"{facts.skipped:,} events skipped for this console", "> 0", value=facts.skipped)
    elif facts.lag > limits.lag:
        yield Lint(
            "observer", f"this console is {duration(facts.lag)} late", f"> {duration(limits.lag)}", value=facts.lag
        )


def duration(seconds: float) -> str:
    """A duration as people write it: 12ms, 4.2s, 42s, 4m02s, 3h05m, 2d04h."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 0.000_999_5:
        return f"{seconds * 1e6:.0f}µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s".replace(".0s", "s")
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"
