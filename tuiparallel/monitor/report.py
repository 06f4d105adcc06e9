"""The store as JSON objects and as text tables, for the verbs without a screen.

The keys are those of the command line's schema 1: keys are added, never renamed or removed. Unknown is None, times are
ISO 8601 UTC with microseconds and Z, durations seconds, sizes bytes. Locale, width and colour change no JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tuiparallel.monitor.lints import duration
from tuiparallel.monitor.output import cells
from tuiparallel.monitor.query import Query
from tuiparallel.monitor.rows import (
    BatchView,
    ClientView,
    EngineView,
    Eta,
    FailureKind,
    FunctionView,
    HeaderView,
    TaskView,
)
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.messages import LimitRow
from tuiparallel.wire.states import State

SCHEMA = 1
NOUNS = ("engines", "tasks", "errors", "functions", "clients")
Row = dict[str, Any]

_STATUS = {State.QUEUED: None, State.ASSIGNED: None, State.DONE: "ok"}  # any other one is an error


def iso(at: float | None) -> str | None:
    """A time as the JSON has it; None stays None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# JSON -------------------------------------------------------------------------------------------------------------


def envelope(kind: str, cluster: str | None) -> Row:
    """The keys every object begins with."""
    return {"schema": SCHEMA, "kind": kind, "cluster": cluster}


def status_row(header: HeaderView, hub_rss: int | None = None, limits: Sequence[LimitRow] = ()) -> Row:
    """One cluster. hub_rss: resident memory of the hub's process, by whoever can measure it."""
    c = header.counters
    return envelope("status", header.cluster) | {
        "at": iso(header.at),
        "hub": {"pid": header.pid, "since": iso(header.started), "rss": hub_rss, "boots": header.boots},
        "engines": {
            "total": header.up,
            "busy": header.busy,
            "idle": max(header.up - header.busy, 0),
            "expected": header.expected,
        },
        "clients": header.clients,
        "tasks_per_s": round(header.rate, 3),
        "durability": header.durability,
        "tasks": {
            "queued": c.queued,
            "assigned": c.assigned,
            "done": c.done,
            "error": c.error,
            "lost": c.lost,
            "aborted": c.aborted,
            "expired": c.expired,
        },
        "limits": {row.name: {"used": row.used, "limit": row.limit} for row in limits},
    }


def engine_row(view: EngineView, cluster: str | None) -> Row:
    """An engine. queue: direct tasks waiting in the hub; tasks: those it holds; cpu: a fraction of one core."""
    row = view.row
    return envelope("engine", cluster) | {
        "id": row.id,
        "uuid": row.uuid,
        "host": row.host,
        "pid": row.pid,
        "state": view.state.name.lower(),
        "since": iso(row.since),
        "last_seen": iso(row.heard),
        "queue": row.queue,
        "tasks": row.held,
        "completed": row.done,
        "errors": row.errors,
        "cpu": view.cpu,
        "rss": view.vital.rss if view.vital else None,
        "msg_id": view.msg_id,
        "was": row.was,
        "reason": row.reason or None,
    }


def task_row(view: TaskView, cluster: str | None) -> Row:
    """A task, or count ended tasks that went too fast to be told one by one."""
    return envelope("task", cluster) | {
        "msg_id": view.msg_id,
        "name": view.name,
        "label": view.label,
        "state": view.state.name.lower(),
        "status": _STATUS.get(view.state, "error"),
        "engine": view.engine,
        "client": view.client,
        "attempts": view.attempt,
        "submitted": iso(view.submitted),
        "started": iso(view.started),
        "completed": iso(view.completed),
        "wait_s": view.wait,
        "run_s": view.run,
        "size": view.size,
        "result_size": view.result_size,
        "count": view.count,
    }


def failure_row(kind: FailureKind, cluster: str | None) -> Row:
    """A kind of failure. msg_ids are those whose text is kept; evalue and traceback are the newest one's."""
    newest = kind.instances[-1] if kind.instances else None
    return envelope("failure", cluster) | {
        "ename": kind.ename,
        "evalue": newest.evalue if newest else kind.message,
        "count": kind.count,
        "first": iso(kind.first),
        "last": iso(kind.last),
        "engines": list(kind.engines),
        "msg_ids": [failure.msg_id for failure in kind.instances],
        "traceback": newest.traceback if newest else None,
    }


def function_row(view: FunctionView, cluster: str | None) -> Row:
    """Totals of one function; mean and quantile are None before anything has ended."""
    return envelope("function", cluster) | {
        "name": view.name,
        "count": view.count,
        "errors": view.failed,
        "mean_s": view.mean if view.count else None,
        "p95_s": view.p95 if view.count else None,
        "total_s": view.total,
    }


def client_row(view: ClientView, cluster: str | None) -> Row:
    """A client session."""
    return envelope("client", cluster) | {
        "session": view.hex,
        "host": view.host,
        "pid": view.pid,
        "since": iso(view.since),
        "outstanding": view.outstanding,
        "connected": view.connected,
    }


def submission_row(view: BatchView, cluster: str | None) -> Row:
    """A submission's progress."""
    return envelope("submission", cluster) | {
        "name": view.name,
        "label": view.label,
        "client": view.client,
        "total": view.total,
        "done": view.done,
        "failed": view.failed,
        "submitted": iso(view.submitted),
        "tasks_per_s": view.rate,
        "eta_s": view.eta.seconds if view.eta else None,
        "eta_spread_s": view.eta.spread if view.eta else None,
    }


def listing(store: ClusterStore, noun: str, now: float, where: Query | None = None) -> Iterator[Row]:
    """The objects of `ls NOUN`. Raises ValueError for an unknown noun."""
    cluster = store.header(now).cluster

    def passes(view: object) -> bool:
        return where is None or where.matches(view)

    match noun:
        case "engines":
            for engine in store.engine_rows(store.engine_ids(now, where), now):
                yield engine_row(engine, cluster)
        case "tasks":
            found = store.task_list(where)
            found.refresh()
            for task in found.rows(0, len(found)):
                yield task_row(task, cluster)
        case "errors":
            for kind in filter(passes, store.failures(hidden=where is not None)):
                yield failure_row(kind, cluster)
        case "functions":
            for function in filter(passes, store.functions()):
                yield function_row(function, cluster)
        case "clients":
            for client in filter(passes, store.clients()):
                yield client_row(client, cluster)
        case _:
            raise ValueError(f"no list of {noun!r}: there are {', '.join(NOUNS)}")


def once_rows(store: ClusterStore, now: float, hub_rss: int | None = None) -> Iterator[Row]:
    """The objects of `--once --json`: status, unfinished submissions, engines, failures."""
    header = store.header(now)
    yield status_row(header, hub_rss, store.limits())
    for batch in store.batches(now):
        if not batch.finished:
            yield submission_row(batch, header.cluster)
    yield from listing(store, "engines", now)
    yield from listing(store, "errors", now)


# Text -------------------------------------------------------------------------------------------------------------

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "engines": ("id", "state", "queue", "tasks", "completed", "errors", "cpu", "rss", "host", "pid", "msg_id"),
    "tasks": ("msg_id", "state", "engine", "name", "label", "wait_s", "run_s", "count"),
    "errors": ("count", "ename", "evalue", "engines", "last"),
    "functions": ("name", "count", "errors", "mean_s", "p95_s", "total_s"),
    "clients": ("session", "host", "pid", "outstanding", "since"),
}
"""What the text of each noun shows, in this order."""


def table(noun: str, rows: Sequence[Row], width: int | None = None) -> list[str]:
    """Rows as lines under a line of titles; numbers to the right. A line longer than width ends in `…`."""
    titles = COLUMNS[noun]
    texts = [[text_of(title, row[title]) for title in titles] for row in rows]
    numeric = [
        bool(rows) and all(row[title] is None or isinstance(row[title], int | float) for row in rows)
        for title in titles
    ]
    return columns([list(titles), *texts], numeric, width)


def text_of(key: str, value: Any) -> str:
    """One value for people."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value))
    form = _FORMS.get(key)
    return form(value) if form else str(value)


_FORMS: Mapping[str, Callable[[Any], str]] = {
    "wait_s": duration,
    "run_s": duration,
    "mean_s": duration,
    "p95_s": duration,
    "total_s": duration,
    "cpu": lambda value: f"{value:.0%}",
    "rss": lambda value: size(value),
    "since": lambda value: f"{value[:19]}Z",
    "last": lambda value: f"{value[:19]}Z",
    "evalue": lambda value: value.partition("\n")[0],
}


def size(value: float) -> str:
    """Bytes in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def columns(lines: Sequence[Sequence[str]], right: Sequence[bool], width: int | None = None) -> list[str]:
    """Cells in aligned columns; right says which are aligned to the right."""
    widths = [max(cells(line[at]) for line in lines) for at in range(len(right))]
    found: list[str] = []
    for line in lines:
        parts = [
            " " * (room - cells(text)) + text if flush else text + " " * (room - cells(text))
            for text, room, flush in zip(line, widths, right, strict=True)
        ]
        found.append(clipped("  ".join(parts).rstrip(), width))
    return found


def clipped(text: str, width: int | None) -> str:
    """A text that takes at most width cells, ending in `…` when it was longer."""
    if width is None or cells(text) <= width:
        return text
    room = max(width - 1, 0)
    used = 0
    for at, char in enumerate(text):
        used += cells(char)
        if used > room:
            return text[:at] + "…"
    return text


def once(store: ClusterStore, now: float, width: int | None = None) -> list[str]:
    """The lines of `--once`: header, Now, Engines, Errors; plain text."""
    header = store.header(now)
    lines = [_headline(header, width), "", "Now"]
    lines += _now(store, now, width)
    engines = list(listing(store, "engines", now))
    lines += ["", f"Engines  {header.up} of {header.expected}"]
    lines += table("engines", engines, width) if engines else ["No engines. To start some: tuipar engines -n 4"]
    errors = list(listing(store, "errors", now))
    lines += ["", f"Errors  {header.failed:,}"]
    if errors:
        lines += table("errors", errors, width)
    else:
        lines.append("No failures" if not header.failed else "The texts of these failures are not kept here")
    return lines


def _headline(header: HeaderView, width: int | None) -> str:
    """The header, its last parts left out where they do not fit."""
    c = header.counters
    parts = [
        f"{header.cluster}  {header.link.state.value}",
        f"{header.up}/{header.expected} engines",
        f"run {c.running:,}",
        f"queue {c.queued:,}",
        f"failed {header.failed:,}",
        f"done {c.done:,}",
        f"{header.rate:.0f}/s",
    ]
    if header.eta or header.eta_partial:
        parts.append(f"ETA {'>' if header.eta_partial and header.eta else ''}{eta(header.eta)}")
    if header.warnings:
        parts.append(f"! {header.warnings}")
    while len(parts) > 1 and width is not None and cells("  ".join(parts)) > width:
        parts.pop()
    return clipped("  ".join(parts), width)


def eta(value: Eta | None) -> str:
    """When something is done, or that nobody knows."""
    return f"{duration(value.seconds)} ±{duration(value.spread)}" if value else "unknown"


def _now(store: ClusterStore, now: float, width: int | None) -> list[str]:
    batches = [batch for batch in store.batches(now) if not batch.finished]
    lines = [
        [
            f"{batch.name} {batch.label}" if batch.label else batch.name,
            f"{batch.ended:,}/{batch.total:,}",
            f"{batch.fraction:.0%}",
            f"{batch.rate:.3g}/s" if batch.rate is not None else "?",
            eta(batch.eta),
            batch.client,
        ]
        for batch in batches
    ]
    found = columns(lines, [False, True, True, True, False, False], width) if lines else ["Nothing runs"]
    return found + [clipped(f"! {lint.sentence}", width) for lint in store.warnings()]
