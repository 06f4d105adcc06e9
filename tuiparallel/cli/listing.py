"""status, ls and --once: what a cluster is doing, from the same store that the console shows."""

from __future__ import annotations

import difflib
import shutil
import sys
from pathlib import Path

import psutil

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import ExitCode, usage
from tuiparallel.cli.observing import Watch, watch
from tuiparallel.cluster.place import directory_of
from tuiparallel.cluster.running import ClusterRecord, running_clusters
from tuiparallel.monitor import report
from tuiparallel.monitor.fields import (
    CLIENT_FIELDS,
    ENGINE_FIELDS,
    FAILURE_FIELDS,
    FUNCTION_FIELDS,
    TASK_FIELDS,
    Nouns,
)
from tuiparallel.monitor.lints import duration
from tuiparallel.monitor.query import Query, QueryError, parse

Row = report.Row
NOUNS = (*report.NOUNS, "clusters")
_FIELDS: dict[str, Nouns] = {
    "engines": ENGINE_FIELDS,
    "tasks": TASK_FIELDS,
    "errors": FAILURE_FIELDS,
    "functions": FUNCTION_FIELDS,
    "clients": CLIENT_FIELDS,
}
_CLUSTER_COLUMNS = ("name", "engines", "since", "hub_pid", "file")


def cluster_row(record: ClusterRecord, file: Path) -> Row:
    """A running cluster; file is what a Client connects with."""
    return report.envelope("cluster", record.name) | {
        "name": record.name,
        "engines": record.n,
        "since": report.iso(record.since),
        "hub_pid": record.pids.get("hub"),
        "file": str(file),
    }


def ls(call: Call, noun: str, where: str | None, width: int | None) -> int:
    """Print the rows of one noun that match."""
    if noun not in NOUNS:
        near = difflib.get_close_matches(noun, NOUNS, n=1)
        raise usage(f"ls {noun!r}: {f'did you mean {near[0]!r}?' if near else 'known are ' + ', '.join(NOUNS)}")
    if noun == "clusters":
        if where is not None:
            raise usage("ls clusters has no --where")
        return _clusters(call, width)
    wanted = query(where, _FIELDS[noun])
    with watch(call, past=noun == "tasks") as watched:
        if noun == "tasks":
            watched.load_history()
        rows = list(report.listing(watched.store, noun, watched.now(), wanted))
    if call.out.as_json:
        for row in rows:
            call.out.json(row | {"cluster": watched.name})
    elif rows:
        _lines(call, report.table(noun, rows, _width(width)))
    else:
        call.out.note(f"no {noun}")
    return ExitCode.DONE


def query(text: str | None, fields: Nouns) -> Query | None:
    """A query; a faulty one is a usage error that points at the place."""
    if text is None:
        return None
    try:
        return parse(text, fields)
    except QueryError as error:
        raise usage(f"--where {text!r}: {error}") from error


def _clusters(call: Call, width: int | None) -> int:
    rows = [cluster_row(record, directory_of(name) / "client.json") for name, record in running_clusters().items()]
    if call.out.as_json:
        for row in rows:
            call.out.json(row)
    elif rows:
        cells = [[report.text_of(key, row[key]) for key in _CLUSTER_COLUMNS] for row in rows]
        right = [key in ("engines", "hub_pid") for key in _CLUSTER_COLUMNS]
        _lines(call, report.columns([list(_CLUSTER_COLUMNS), *cells], right, _width(width)))
    else:
        call.out.note("no cluster is running: tuipar start, or Cluster() in Python")
    return ExitCode.DONE


def _width(given: int | None) -> int | None:
    if given is not None or not sys.stdout.isatty():
        return given
    return shutil.get_terminal_size().columns


def _lines(call: Call, lines: list[str]) -> None:
    for line in lines:
        call.out.text(line)


def status(call: Call) -> int:
    """Print one cluster in a few lines."""
    with watch(call) as watched:
        now = watched.now()
        header = watched.store.header(now)
        row = report.status_row(header, _hub_memory(watched), watched.store.limits()) | {"cluster": watched.name}
        up = duration(max(0.0, header.at - header.started))
    hub, tasks, engines = row["hub"], row["tasks"], row["engines"]
    others = "".join(
        f", {tasks[state]:,} {state}" for state in ("error", "lost", "aborted", "expired") if tasks[state]
    )
    memory = "" if hub["rss"] is None else f", {report.size(hub['rss'])}"
    lines = [
        f"{watched.name}: up {up}, hub {hub['pid']}{memory}, started {hub['boots']}x, durability {row['durability']}",
        f"engines  {engines['total']} of {engines['expected']}: {engines['busy']} busy, {engines['idle']} idle",
        f"tasks    {tasks['queued']:,} queued, {tasks['assigned']:,} assigned, {tasks['done']:,} done{others};"
        f" {row['tasks_per_s']:,.1f}/s",
        f"clients  {row['clients']}",
    ]
    full = [
        f"{name} {limit['used']:,} of {limit['limit']:,}" for name, limit in row["limits"].items() if limit["used"]
    ]
    lines += [f"used     {', '.join(full)}"] if full else []
    call.out.both(row, "\n".join(lines))
    return ExitCode.DONE


def _hub_memory(watched: Watch) -> int | None:
    pid = watched.store.header(watched.now()).pid
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else None
    except psutil.Error:  # on another host
        return None


def once(call: Call, width: int | None) -> int:
    """Print header, Now, Engines and Errors, once."""
    with watch(call) as watched:
        now = watched.now()
        if call.out.as_json:
            for row in report.once_rows(watched.store, now, _hub_memory(watched)):
                call.out.json(row | {"cluster": watched.name})
        else:
            _lines(call, report.once(watched.store, now, _width(width)))
    return ExitCode.DONE
