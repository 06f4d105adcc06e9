"""What each acting key does, as calls on the Client's public methods; no widget in this file.

A Deed is frozen when its question opens: it holds the ids it is about, the level it asks on, and its Python line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuiparallel.console import figures
from tuiparallel.console.actions import Action, Here
from tuiparallel.console.desk import Desk
from tuiparallel.monitor.query import ENGINE_FIELDS, TASK_FIELDS, Query, parse
from tuiparallel.monitor.rows import Phase, TaskView
from tuiparallel.wire.ids import counter_of

if TYPE_CHECKING:
    from tuiparallel.client import Client

FEW = 20  # tasks up to which a question of one's own is a line in the footer
NAMED = 5  # examples a dialog shows
SPELLED = 3  # ids up to which the Python line spells them out


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to be asked for and done."""

    action: Action
    level: int
    question: str  # "abort 3 queued on e7"
    python: str
    work: Callable[[Client], Any]
    outcome: Callable[[Any], str]
    facts: tuple[str, ...] = ()  # of the dialog: what, how many, whose
    examples: tuple[str, ...] = ()
    extra: str = ""  # something that may be ticked
    extra_work: Callable[[Client], Any] | None = None  # what is done instead when it is


class Nothing(Exception):
    """There is nothing to do, and why."""


def deed_for(action: Action, here: Here, desk: Desk, tasks: Sequence[int] = (), number: int = 1) -> Deed:
    """The deed of an acting key here; `tasks` are those of a failure's row. Raises Nothing when there is none."""
    match action.id:
        case "abort":
            deed = _abort(action, here, desk)
        case "interrupt":
            deed = _interrupt(action, here, desk)
        case "again":
            deed = _again(action, here, desk, tasks)
        case "clear" | "restart" | "stop":
            deed = _engines(action, [id for id in here.ids if isinstance(id, int)], desk)
        case "clear.all" | "restart.all":
            deed = _everywhere(action, desk)
        case _:
            deed = _cluster(action, desk, number)
    if desk.options.danger == "high" and deed.level >= 1:
        deed = _raised(deed, 3 if deed.level >= 2 else 2)
    if here.hidden and here.ids:
        deed = _with_fact(deed, f"{here.hidden:,} of the marked rows are hidden by the filter")
    return deed


def _raised(deed: Deed, level: int) -> Deed:
    return Deed(deed.action, level, deed.question, deed.python, deed.work, deed.outcome, deed.facts, deed.examples,
                deed.extra, deed.extra_work)  # fmt: skip


def _with_fact(deed: Deed, fact: str) -> Deed:
    return Deed(deed.action, max(deed.level, 2), deed.question, deed.python, deed.work, deed.outcome,
                (*deed.facts, fact), deed.examples, deed.extra, deed.extra_work)  # fmt: skip


# Which tasks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tasks a deed is about: rows where they are known, else all of some engines."""

    ids: tuple[str, ...]
    mine: bool
    on: str  # "on e7"
    examples: tuple[str, ...]
    count: int
    engines: tuple[int, ...] = ()  # not empty: everything waiting on these engines, rows unknown
    running: tuple[TaskView, ...] = ()


WAITING = (Phase.QUEUED, Phase.WAITING, Phase.HELD)


def _find(query: str, desk: Desk) -> list[TaskView]:
    found = desk.store.task_list(parse(query, TASK_FIELDS))
    found.refresh()
    return found.rows(0, len(found))


def _session(desk: Desk) -> str:
    return desk.client.session if desk.client is not None else ""


def _rows_of(here: Here, desk: Desk) -> list[TaskView]:
    """The open tasks of what is chosen."""
    numbers = [id for id in here.ids if isinstance(id, int)]
    match here.kind:
        case "task":
            return [row for row in desk.store.task_rows(numbers) if row.open]
        case "engine":
            return _find(f"engine:{','.join(map(str, numbers))} state:open", desk)
        case "batch":
            return _find(f"batch:{','.join(map(str, numbers))} state:open", desk)
        case "function":
            names = ",".join('"' + str(name).replace('"', "") + '"' for name in here.ids)
            return _find(f"fn:{names} state:open", desk)
        case _:
            return []


def _on(here: Here) -> str:
    if here.kind == "engine":
        return f"on e{figures.ranges([id for id in here.ids if isinstance(id, int)])}"
    if here.kind == "function":
        return f"of {', '.join(map(str, here.ids[:3]))}"
    return ""


def choose(here: Here, desk: Desk) -> Chosen:
    """What an abort here would be about."""
    rows = _rows_of(here, desk)
    waiting = [row for row in rows if row.phase in WAITING]
    running = tuple(row for row in rows if row.phase is Phase.RUNNING)
    session = _session(desk)
    mine = all(row.client == session for row in rows)
    examples = tuple(f"{row.msg_id} {row.name}" for row in waiting[:NAMED])
    on = _on(here)
    if here.kind == "engine":
        engines = desk.store.engine_rows([id for id in here.ids if isinstance(id, int)], desk.clock.time())
        there = sum(row.row.queue + max(0, row.row.held - (row.row.task is not None)) for row in engines)
        if there > len(waiting):
            # The hub has more than it sends rows of: then the deed is about the engines, and says so.
            return Chosen((), False, on, examples, there, tuple(row.id for row in engines), running)
    if here.kind == "batch":
        found = [batch for id in here.ids if isinstance(id, int)
                 and (batch := desk.store.batch(id, desk.clock.time())) is not None]  # fmt: skip
        there = sum(max(0, batch.total - batch.ended - batch.running) for batch in found)
        if there > len(waiting):
            ids = tuple(f"{b.client}-{counter_of(b.id) + i}" for b in found for i in range(b.total))
            mine = all(batch.client == session for batch in found)
            return Chosen(ids, mine, f"of {', '.join(batch.name for batch in found)}", examples, there, (), running)
    return Chosen(tuple(row.msg_id for row in waiting), mine, on, examples, len(waiting), (), running)


def _spelled(ids: Sequence[str]) -> str:
    if len(ids) <= SPELLED:
        return repr(list(ids))
    return f"[{ids[0]!r}, … {len(ids):,} ids]"


def _level(count: int, mine: bool) -> int:
    return 1 if count <= FEW and mine else 2


def _whose(mine: bool) -> str:
    return "all of this client" if mine else "some of other clients"


# The verbs --------------------------------------------------------------------------------------------------------


def _abort(action: Action, here: Here, desk: Desk) -> Deed:
    chosen = choose(here, desk)
    if not chosen.count:
        if chosen.running:
            raise Nothing(f"nothing is queued here; {figures.plural(len(chosen.running), 'task')} runs: I interrupts")
        raise Nothing("nothing is queued here")
    ids, engines = chosen.ids, chosen.engines
    question = f"abort {chosen.count:,} queued {chosen.on}".strip()
    if engines:
        python = f"rc.abort(targets={list(engines)})"
        work, extra_work = _aborting(None, list(engines)), _aborting(None, list(engines), running=True)
    else:
        python = f"rc.abort({_spelled(ids)})"
        both = [*ids, *(row.msg_id for row in chosen.running)]
        work, extra_work = _aborting(list(ids), None), _aborting(both, None, running=True)
    running = len(chosen.running)
    return Deed(
        action, _level(chosen.count, chosen.mine), question, python, work, aborted,
        (f"{figures.plural(chosen.count, 'task')} that did not start, {_whose(chosen.mine)}",
         f"running ones go on: {running:,}"),
        chosen.examples, f"interrupt {running:,} running too" if running else "", extra_work if running else None,
    )  # fmt: skip


def _aborting(ids: list[str] | None, engines: list[int] | None, running: bool = False) -> Callable[[Client], Any]:
    return lambda client: client.abort(ids, targets=engines, block=True, running=running)


def aborted(reply: Any) -> str:
    """What became of an abort, in words."""
    if not isinstance(reply, Mapping):
        return "aborted"
    counts = {key: len(value) for key, value in reply.items() if isinstance(value, Sequence)}
    parts = [f"aborted {counts.get('aborted', 0):,}"]
    if started := counts.get("running", 0):
        parts.append(f"{started:,} had started")
    if done := counts.get("done", 0):
        parts.append(f"{done:,} had ended")
    if unknown := counts.get("unknown", 0):
        parts.append(f"{unknown:,} unknown")
    return ", ".join(parts)


def _interrupt(action: Action, here: Here, desk: Desk) -> Deed:
    running = [row for row in _rows_of(here, desk) if row.phase is Phase.RUNNING and row.engine is not None]
    if here.kind == "engine" and not running:
        views = desk.store.engine_rows([id for id in here.ids if isinstance(id, int)], desk.clock.time())
        ids = [row.row.task for row in views if row.row.task is not None]
        running = desk.store.task_rows(ids)
        engines = sorted(row.id for row in views if row.row.task is not None)
    else:
        engines = sorted({row.engine for row in running if row.engine is not None})
    if not engines:
        raise Nothing("nothing runs here; A aborts what is queued")
    mine = bool(running) and all(row.client == _session(desk) for row in running)
    names = ", ".join(dict.fromkeys(row.name for row in running)) or "the running task"
    question = f"interrupt {figures.clip(names, 40)} on e{figures.ranges(engines)}"
    return Deed(
        action, _level(len(engines), mine), question, f"rc.send_signal('SIGINT', targets={engines})",
        lambda client: client.send_signal("SIGINT", engines, block=True),
        lambda reply: f"sent KeyboardInterrupt to e{figures.ranges(engines)}",
        (f"{figures.plural(len(engines), 'running task')}, {_whose(mine)}", "the queue behind it goes on"),
        tuple(f"{row.msg_id} {row.name} on e{row.engine}" for row in running[:NAMED]),
    )  # fmt: skip


def _again(action: Action, here: Here, desk: Desk, tasks: Sequence[int]) -> Deed:
    numbers = list(tasks) or [id for id in here.ids if isinstance(id, int)]
    if here.kind == "batch":
        rows = _find(f"batch:{','.join(map(str, numbers))} state:failed,aborted", desk)
    else:
        rows = [row for row in desk.store.task_rows(numbers) if not row.open]
    ids = [row.msg_id for row in rows] or [desk.store.msg_id(task) for task in tasks]
    if not ids:
        raise Nothing("none of these has ended yet")
    mine = bool(rows) and all(row.client == _session(desk) for row in rows)
    return Deed(
        action, _level(len(ids), mine), f"submit {figures.plural(len(ids), 'task')} once more",
        f"rc.resubmit({_spelled(ids)})", lambda client: client.resubmit(ids),
        lambda reply: f"submitted {figures.plural(len(ids), 'task')} again",
        (f"{figures.plural(len(ids), 'new task')} with new ids, {_whose(mine)}",),
        tuple(f"{row.msg_id} {row.name}" for row in rows[:NAMED]),
    )  # fmt: skip


_ON_ENGINES: dict[str, Callable[[Client, list[int]], Any]] = {
    "clear": lambda client, ids: client.clear(ids, block=True),
    "restart": lambda client, ids: client.restart_engines(ids, block=True),
    "stop": lambda client, ids: client.shutdown(ids, block=True),
}


def _engines(action: Action, ids: list[int], desk: Desk) -> Deed:
    views = desk.store.engine_rows(ids, desk.clock.time())
    if not views:
        raise Nothing("no engine is selected")
    ids = [row.id for row in views]
    total = len(desk.store.engine_ids(desk.clock.time(), _up()))
    whole = len(ids) > 1 and len(ids) >= total
    verb = action.id
    where = f"e{figures.ranges(ids)}"
    running = sum(1 for row in views if row.row.task is not None)
    queued = sum(row.queue for row in views) - running
    examples = tuple(f"e{row.id} on {row.row.host}, {row.now or 'idle'}" for row in views[:NAMED])
    facts: tuple[str, ...]
    match verb:
        case "clear":
            question, python = f"empty the namespace of {where}", f"rc.clear(targets={ids})"
            facts = (f"the names of {figures.plural(len(ids), 'engine')}; queues and running tasks stay",)
            done = f"cleared {where}"
        case "restart":
            question, python = f"restart {where}", f"rc.restart_engines({ids})"
            facts = (f"ends and starts {figures.plural(len(ids), 'process', 'processes')}: names are lost",
                     f"{figures.plural(running, 'running task')} lost, {max(0, queued):,} queued")  # fmt: skip
            done = f"restarted {where}"
        case _:
            question, python = f"stop {where} for good", f"rc.shutdown({ids})"
            facts = (f"ends {figures.plural(len(ids), 'process', 'processes')}",
                     f"{figures.plural(running, 'running task')} lost, {max(0, queued):,} queued")  # fmt: skip
            done = f"stopped {where}"
    return Deed(
        action,
        3 if whole else 2,
        question,
        python,
        lambda client: _ON_ENGINES[verb](client, ids),
        lambda reply: _renamed(done, reply),
        facts,
        examples,
    )


def _renamed(done: str, reply: Any) -> str:
    if isinstance(reply, Mapping) and reply and all(isinstance(key, int) for key in reply):
        pairs = ", ".join(f"{old} → {new}" for old, new in list(reply.items())[:8])
        return f"{done}: {pairs}"
    return done


def _up() -> Query:
    """The query of engines that are there."""
    return parse("state:up", ENGINE_FIELDS)


def _everywhere(action: Action, desk: Desk) -> Deed:
    header = desk.store.header(desk.clock.time())
    every = f"all {figures.plural(header.up, 'engine')}"
    if action.id == "clear.all":
        return Deed(action, 3, f"empty the namespaces of {every}", "rc.clear()",
                    lambda client: client.clear(block=True), lambda reply: f"cleared {every}",
                    (f"the names of {every}; queues and running tasks stay",))  # fmt: skip
    return Deed(action, 3, f"restart {every}", "rc.restart_engines()",
                lambda client: client.restart_engines(block=True), lambda reply: _renamed(f"restarted {every}", reply),
                (f"{figures.plural(header.busy, 'running task')} lost", "all names are lost"))  # fmt: skip


def _cluster(action: Action, desk: Desk, number: int) -> Deed:
    header = desk.store.header(desk.clock.time())
    counters = header.counters
    match action.id:
        case "start":
            total = header.up + number
            return Deed(action, 1, f"start {figures.plural(number, 'more engine')}", f"rc.scale(len(rc) + {number})",
                        lambda client: client.scale(total, block=True),
                        lambda reply: f"started {figures.plural(number, 'engine')}")  # fmt: skip
        case "scale":
            if number == header.up:
                raise Nothing(f"there are {number} engines already; `:scale {number + 1}` makes more")
            fewer = header.up - number
            facts = (f"{header.up:,} engines now, {number:,} afterwards",
                     "idle ones end first, others as they finish" if fewer > 0 else "new engines join as they start")  # fmt: skip
            return Deed(action, 2 if fewer > 0 else 1, f"scale to {figures.plural(number, 'engine')}",
                        f"rc.scale({number})", lambda client: client.scale(number, block=True),
                        lambda reply: f"scaled to {number}", facts)  # fmt: skip
        case "purge":
            return Deed(action, 2, "forget all results the hub keeps", "rc.purge_results('all')",
                        lambda client: client.purge_results("all"), lambda reply: "the hub's results are forgotten",
                        (f"{figures.plural(header.ended, 'ended task')}: their values can no longer be fetched",))  # fmt: skip
        case "shutdown":
            open_tasks = counters.queued + counters.assigned
            return Deed(action, 3, f"shut down {header.cluster}", "rc.shutdown(hub=True)",
                        lambda client: client.shutdown(hub=True, block=True), lambda reply: f"{header.cluster} is down",
                        (f"hub, supervisors and {figures.plural(header.up, 'engine')} end",
                         f"{figures.plural(open_tasks, 'open task')} lost", "the history stays on disk"))  # fmt: skip
        case _:
            raise Nothing(f"{action.title} has nothing to do")
