"""Which tasks an action is about: the rows that are chosen, or the submissions behind them; no widget in this file.

The hub sends rows of at most some thousand queued tasks. What it has no rows of is still named: a submission is a
session and a range of counters, so a submission, a client and a function stand for all of their tasks.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from tuiparallel.console import figures
from tuiparallel.console.actions import Here
from tuiparallel.console.desk import Desk
from tuiparallel.monitor.query import ENGINE_FIELDS, TASK_FIELDS, parse
from tuiparallel.monitor.rows import BatchView, Phase, TaskView
from tuiparallel.wire.ids import IdRange, counter_of

NAMED = 5  # examples a dialog shows
RECOUNTED = 2_000  # tasks up to which an open question counts anew what still waits

WAITING = (Phase.QUEUED, Phase.WAITING, Phase.HELD)


@dataclass(frozen=True, slots=True)
class Running:
    """A task that an engine works on."""

    id: int
    msg_id: str
    name: str
    engine: int
    client: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The open tasks a deed is about: ids where all rows are known, else whole submissions, or all of some engines."""

    ids: tuple[str, ...]
    owners: tuple[str, ...]  # sessions; empty when they are not known
    on: str  # "on e7", "of fit"
    examples: tuple[str, ...]
    count: int  # how many wait
    running: tuple[Running, ...] = ()
    engines: tuple[int, ...] = ()  # not empty: everything waiting on these engines
    spans: tuple[IdRange, ...] = ()  # not empty: all tasks of these submissions, ended ones too
    ended: int = 0  # of the spans: how many had ended when they were chosen
    tasks: tuple[int, ...] = ()  # ids: their TaskIds
    batches: tuple[int, ...] = ()  # spans: the submissions' ids


def session(desk: Desk) -> str:
    """The session of this console's client; empty while there is none."""
    return desk.client.session if desk.client is not None else ""


def ours(desk: Desk) -> set[str]:
    """The sessions of this console: its client, and the one that its local cells have."""
    pid, host = desk.local_pid(), socket.gethostname()
    here = {row.hex for row in desk.store.clients() if row.pid == pid and row.host == host} if pid else set()
    return {hex for hex in (session(desk), *here) if hex}


def find(query: str, desk: Desk) -> list[TaskView]:
    """The tasks that a query matches."""
    found = desk.store.task_list(parse(query, TASK_FIELDS))
    found.refresh()
    return found.rows(0, len(found))


def numbers(here: Here) -> list[int]:
    """The ids of what is chosen that are numbers."""
    return [id for id in here.ids if isinstance(id, int)]


def open_rows(here: Here, desk: Desk) -> list[TaskView]:
    """The open tasks of what is chosen, as far as there are rows of them."""
    listed = ",".join(map(str, numbers(here)))
    match here.kind:
        case "task":
            return [row for row in desk.store.task_rows(numbers(here)) if row.open]
        case "engine":
            return find(f"engine:{listed} state:open", desk)
        case "batch":
            return find(f"batch:{listed} state:open", desk)
        case "client":
            return find(f"client:{','.join(map(str, here.ids))} state:open", desk)
        case "function":
            names = ",".join('"' + str(name).replace('"', "") + '"' for name in here.ids)
            return find(f"fn:{names} state:open", desk)
        case _:
            return []


def open_batches(here: Here, desk: Desk) -> list[BatchView]:
    """The unfinished submissions that are chosen as wholes."""
    now = desk.clock.time()
    if here.kind == "batch":
        found = [desk.store.batch(id, now) for id in numbers(here)]
        return [batch for batch in found if batch is not None and not batch.finished]
    if here.kind not in ("client", "function"):
        return []
    return [
        batch
        for batch in desk.store.batches(now)
        if not batch.finished and (batch.client if here.kind == "client" else batch.name) in here.ids
    ]


def running_now(here: Here, desk: Desk, rows: Sequence[TaskView], batches: Sequence[BatchView]) -> list[Running]:
    """Which of the chosen tasks run, by the engines' own word where a task has no row that says so."""
    known = {row.id: row for row in rows}
    found = {
        row.id: Running(row.id, row.msg_id, row.name, row.engine, row.client)
        for row in rows
        if row.phase is Phase.RUNNING and row.engine is not None
    }
    now = desk.clock.time()
    for view in desk.store.engine_rows(desk.store.engine_ids(now), now):
        task = view.row.task
        if task is None or task in found:
            continue
        batch = next((one for one in batches if one.id <= task < one.id + one.total), None)
        if task in known or batch is not None or (here.kind == "engine" and view.id in here.ids):
            row = known.get(task) or desk.store.task(task)
            client = row.client if row is not None else batch.client if batch is not None else ""
            found[task] = Running(task, desk.store.msg_id(task), view.row.name, view.id, client)
    return sorted(found.values(), key=lambda one: one.engine)


def on(here: Here, desk: Desk, batches: Sequence[BatchView]) -> str:
    """What the chosen tasks belong to, in words."""
    match here.kind:
        case "engine":
            return f"on e{figures.ranges(numbers(here))}"
        case "batch":
            return f"of {', '.join(dict.fromkeys(batch.name for batch in batches))}" if batches else ""
        case "client":
            return f"of {', '.join(owner_name(str(id), desk) for id in here.ids)}"
        case "function":
            return f"of {', '.join(map(str, here.ids[:3]))}"
        case _:
            return ""


def owner_name(hex: str, desk: Desk) -> str:
    """A client's name for people."""
    if hex == session(desk):
        return "this console"
    return next((row.name for row in desk.store.clients() if row.hex == hex and row.name), hex[:8])


def whose(owners: Sequence[str], desk: Desk) -> str:
    """Whose the tasks are, in words."""
    if not owners:
        return "of any client"
    if set(owners) <= ours(desk):
        return "all of this console"
    if len(owners) == 1:
        return f"all of {owner_name(owners[0], desk)}, another client"
    return f"of {figures.plural(len(owners), 'client')}"


def choose(here: Here, desk: Desk) -> Chosen:
    """What an abort here would be about."""
    rows, batches = open_rows(here, desk), open_batches(here, desk)
    everything = here.kind == "engine" and set(numbers(here)) >= _up(desk)
    if everything:  # whoever marks all engines means what waits in the hub for any of them as well
        batches = [batch for batch in desk.store.batches(desk.clock.time()) if not batch.finished]
        rows = find("state:open", desk)
    running = tuple(running_now(here, desk, rows, batches))
    busy = {one.id for one in running}
    waiting = [row for row in rows if row.phase in WAITING and row.id not in busy]
    examples = tuple(f"{row.msg_id} {row.name}" for row in waiting[-NAMED:][::-1])
    where = on(here, desk, batches)
    if everything:
        where += " and in the hub"
    elif here.kind == "engine":
        engines = desk.store.engine_rows(numbers(here), desk.clock.time())
        there = sum(row.row.queue + max(0, row.row.held - (row.row.task is not None)) for row in engines)
        if there > len(waiting):
            # The hub has more than it sends rows of: then the deed is about the engines, and says so.
            return Chosen((), (), where, examples, there, running, tuple(row.id for row in engines))
    there = sum(batch.total - batch.ended for batch in batches) - len(running)
    if there > len(waiting):
        return Chosen(
            (), tuple(dict.fromkeys(batch.client for batch in batches)), where, examples, there, running,
            spans=tuple((batch.client, counter_of(batch.id), batch.total) for batch in batches),
            ended=sum(batch.ended for batch in batches), batches=tuple(batch.id for batch in batches),
        )  # fmt: skip
    owners = tuple(dict.fromkeys(row.client for row in rows))
    return Chosen(tuple(row.msg_id for row in waiting), owners, where, examples, len(waiting), running,
                  tasks=tuple(row.id for row in waiting))  # fmt: skip


def _up(desk: Desk) -> set[int]:
    """The engines that are there."""
    return set(desk.store.engine_ids(desk.clock.time(), parse("state:up", ENGINE_FIELDS)))


def still_waiting(chosen: Chosen, desk: Desk) -> int | None:
    """How many of the chosen tasks wait now; None when that is not counted."""
    now = desk.clock.time()
    if chosen.batches:
        found = [desk.store.batch(id, now) for id in chosen.batches]
        left = sum(min(batch.total, span[2]) - batch.ended - batch.running
                   for batch, span in zip(found, chosen.spans, strict=True) if batch is not None)  # fmt: skip
        return max(0, min(chosen.count, left))
    if chosen.engines or len(chosen.tasks) > RECOUNTED:
        return None
    views = desk.store.engine_rows(desk.store.engine_ids(now), now)
    busy = {view.row.task for view in views}
    return sum(1 for row in desk.store.task_rows(chosen.tasks) if row.phase in WAITING and row.id not in busy)
