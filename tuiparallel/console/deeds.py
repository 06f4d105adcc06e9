"""What each acting key does, as calls on the Client's public methods; no widget in this file.

A Deed is frozen when its question opens: it holds the ids it is about, the level it asks on, and its Python line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tuiparallel.console import figures
from tuiparallel.console.actions import Action, Here
from tuiparallel.console.choosing import (
    NAMED,
    choose,
    find,
    numbers,
    open_batches,
    open_rows,
    ours,
    running_now,
    still_waiting,
    whose,
)
from tuiparallel.console.desk import Desk
from tuiparallel.monitor.query import ENGINE_FIELDS, Query, parse
from tuiparallel.wire.ids import IdRange, parse_msg_id
from tuiparallel.wire.ids import spans as spans_of

if TYPE_CHECKING:
    from tuiparallel.client import Client

FEW = 20  # tasks up to which a question of one's own is a line in the footer
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
    extra_python: str = ""  # the Python line of that
    live: Callable[[], str] | None = None  # what of it has moved on since, or nothing


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
            deed = _engines(action, numbers(here), desk)
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
    return replace(deed, level=level)


def _with_fact(deed: Deed, fact: str) -> Deed:
    return replace(deed, level=max(deed.level, 2), facts=(*deed.facts, fact))


def _spelled(ids: Sequence[str]) -> str:
    """msg_ids as Python that makes them: a list, or ranges of counters where that is shorter."""
    if len(ids) <= SPELLED:
        return repr(list(ids))
    by_session: dict[str, list[int]] = {}
    for id in ids:
        hex, counter = parse_msg_id(id)
        by_session.setdefault(hex, []).append(counter)
    found = [
        (hex, first, count) for hex, counters in by_session.items() for first, count in spans_of(sorted(counters))
    ]
    return _spelled_spans(found) if len(found) <= SPELLED * len(by_session) else repr(list(ids))


def _spelled_spans(spans: Sequence[IdRange]) -> str:
    return " + ".join(f"[f'{hex}-{{i}}' for i in range({first}, {first + count})]" for hex, first, count in spans)


def _level(count: int, mine: bool) -> int:
    return 1 if count <= FEW and mine else 2


def _mine(owners: Sequence[str], desk: Desk) -> bool:
    return bool(owners) and set(owners) <= ours(desk)


def _owners(clients: Iterable[str]) -> tuple[str, ...]:
    """Their sessions, or none when one of them is not known."""
    found = tuple(dict.fromkeys(clients))
    return () if "" in found else found


# The verbs --------------------------------------------------------------------------------------------------------


def _abort(action: Action, here: Here, desk: Desk) -> Deed:
    chosen = choose(here, desk)
    running = len(chosen.running)
    if not chosen.count:
        if running:
            one = "it" if running == 1 else "them"
            raise Nothing(f"nothing is queued here; {figures.plural(running, 'task')} running: I interrupts {one}")
        raise Nothing("nothing is queued here")
    question = f"abort {chosen.count:,} queued {chosen.on}".strip()
    ids, spans, engines = chosen.ids, chosen.spans, list(chosen.engines)
    started = tuple(one.msg_id for one in chosen.running)
    if engines:
        python = f"rc.abort(targets={engines})"
    elif spans:
        python = f"rc.abort({_spelled_spans(spans)})"
    else:
        python = f"rc.abort({_spelled(ids)})"

    python_too = f"{python[:-1]}, running=True)"
    if ids and started:
        python_too = f"rc.abort({_spelled([*ids, *started])}, running=True)"

    def named(too: bool) -> list[str] | None:
        """The msg_ids, made where they are sent: a submission may have a million."""
        if engines:
            return None
        known = [f"{hex}-{first + place}" for hex, first, count in spans for place in range(count)]
        if spans and not too:
            return known
        return [*ids, *known, *(started if too and not spans else ())]

    def aborting(too: bool) -> Callable[[Client], Any]:
        return lambda client: client.abort(named(too), targets=engines or None, block=True, running=too)

    def left() -> str:
        now = still_waiting(chosen, desk)
        return f"{now:,} of them still wait" if now is not None and now != chosen.count else ""

    return Deed(
        action, _level(chosen.count, _mine(chosen.owners, desk)), question, python, aborting(False),
        lambda reply: aborted(reply, chosen.ended, started),
        (f"{figures.plural(chosen.count, 'task')} that did not start, {whose(chosen.owners, desk)}",
         f"running ones go on: {running:,}"),
        chosen.examples, f"interrupt {running:,} running too" if running else "", aborting(True) if running else None,
        python_too, left,
    )  # fmt: skip


def aborted(reply: Any, ended: int = 0, started: Sequence[str] = ()) -> str:
    """What became of an abort, in words; `ended` of its tasks had ended before it was asked for.

    started: running tasks of the same kind; those that the abort was not about go on.
    """
    if not isinstance(reply, Mapping):
        return "aborted"
    told = {id for value in reply.values() if isinstance(value, Sequence) for id in value}
    counts = {key: len(value) for key, value in reply.items() if isinstance(value, Sequence)}
    parts = [f"aborted {counts.get('aborted', 0):,}"]
    if running := counts.get("running", 0) + sum(id not in told for id in started):
        parts.append(f"{running:,} running {'goes' if running == 1 else 'go'} on")
    if (done := counts.get("done", 0) - ended) > 0:
        parts.append(f"{done:,} had ended")
    if unknown := counts.get("unknown", 0):
        parts.append(f"{unknown:,} unknown")
    return ", ".join(parts)


def _interrupt(action: Action, here: Here, desk: Desk) -> Deed:
    running = running_now(here, desk, open_rows(here, desk), open_batches(here, desk))
    if not running:
        raise Nothing("nothing runs here; A aborts what is queued")
    ids = [one.msg_id for one in running]
    owners = _owners(one.client for one in running)
    names = ", ".join(dict.fromkeys(one.name for one in running))
    engines = sorted({one.engine for one in running})
    question = f"interrupt {figures.clip(names, 40)} on e{figures.ranges(engines)}"
    python = f"rc.interrupt({ids[0]!r})" if len(ids) == 1 else f"[rc.interrupt(id) for id in {_spelled(ids)}]"
    return Deed(
        action, _level(len(ids), _mine(owners, desk)), question, python,
        lambda client: [client.interrupt(id) for id in ids], interrupted,
        (f"{figures.plural(len(ids), 'running task')}, {whose(owners, desk)}", "the queue behind it goes on"),
        tuple(f"{one.msg_id} {one.name} on e{one.engine}" for one in running[:NAMED]),
    )  # fmt: skip


def interrupted(told: Sequence[Sequence[int]]) -> str:
    """Which engines got the signal; one that has gone on to another task got nothing."""
    engines = sorted({engine for one in told for engine in one})
    missed = sum(1 for one in told if not one)
    sent = f"sent KeyboardInterrupt to e{figures.ranges(engines)}" if engines else "no KeyboardInterrupt sent"
    return f"{sent}; {missed:,} had ended" if missed else sent


def _again(action: Action, here: Here, desk: Desk, tasks: Sequence[int]) -> Deed:
    wanted = list(tasks) or numbers(here)
    if here.kind == "batch":
        rows = find(f"batch:{','.join(map(str, wanted))} state:failed,aborted", desk)
    else:
        rows = [row for row in desk.store.task_rows(wanted) if not row.open]
    ids = [row.msg_id for row in rows] or [desk.store.msg_id(task) for task in tasks]
    if not ids:
        raise Nothing("none of these has ended yet")
    owners = _owners(row.client for row in rows)
    return Deed(
        action, _level(len(ids), _mine(owners, desk)), f"submit {figures.plural(len(ids), 'task')} once more",
        f"rc.resubmit({_spelled(ids)})", lambda client: client.resubmit(ids),
        lambda reply: f"submitted {figures.plural(len(ids), 'task')} again",
        (f"{figures.plural(len(ids), 'new task')} with new ids, {whose(owners, desk)}",),
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
