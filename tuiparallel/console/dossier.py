"""What the inspector says about a task, an engine, a kind of failure, a function, a submission, a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuiparallel.console import figures
from tuiparallel.console.actions import Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.glyphs import ENGINE_LETTERS, meter, spark
from tuiparallel.console.paint import Cells
from tuiparallel.console.themes import hue_of
from tuiparallel.monitor.query import TASK_FIELDS, parse
from tuiparallel.monitor.rows import FAILED_PHASES, FailureKind, Phase, TaskView
from tuiparallel.wire.states import EngineState

LABEL = 11
MOST_LINES = 400
RECENT = 8

Parts = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and where it leads."""

    cells: Cells
    link: tuple[str, Key] | None = None


def _fact(label: str, text: str, style: str = "", link: tuple[str, Key] | None = None) -> Line:
    return Line([(f"{label:<{LABEL}}", "dim"), (text, style or ("link" if link else ""))], link)


def _head(text: str) -> Line:
    return Line([(text, "bold title-focus")])


BLANK = Line([])


def dossier(desk: Desk, kind: str, key: Key, parts: Parts, which: int, width: int) -> list[Line]:
    """The lines about one subject; parts are remote answers, which the instance of a failure to show."""
    match kind, key:
        case "task", int(id):
            return _task(desk, id, parts, width)
        case "engine", int(id):
            return _engine(desk, id, parts, width)
        case "failure", int(id):
            found = desk.store.failure_kind(id)
            return _failure(desk, found, which) if found is not None else [_fact("failure", "no longer kept", "dim")]
        case "function", str(name):
            return _function(desk, name)
        case "batch", int(id):
            return _batch(desk, id, width)
        case "client", str(session):
            return _client(desk, session)
        case _:
            return [_fact(kind, str(key))]


# A task -----------------------------------------------------------------------------------------------------------


def _task(desk: Desk, id: int, parts: Parts, width: int) -> list[Line]:
    row = desk.store.task(id)
    if row is None:
        return [_fact("task", desk.store.msg_id(id), "strong"), _fact("", "no longer kept by this console", "dim")]
    state = f"{desk.glyphs.tasks[row.phase]} {row.phase}"
    lines = [
        Line(
            [
                (f"{row.name}{' ' + row.label if row.label else ''}", f"bold fn-{hue_of(row.name)}"),
                ("   ", ""),
                (state, f"task-{row.phase}"),
            ]
        ),  # fmt: skip
        BLANK,
        *_stamps(desk, row, width),
        BLANK,
        _fact("msg_id", row.msg_id),
        _fact("function", row.name, link=("function", row.name)),
    ]
    if row.engine is not None:
        lines.append(_fact("engine", f"e{row.engine}", link=("engine", row.engine)))
    lines.append(_fact("submission", desk.store.msg_id(row.batch), link=("batch", row.batch)))
    lines.append(_fact("client", row.client, link=("client", row.client)))
    if row.attempt > 1:
        lines.append(_fact("attempt", str(row.attempt), "warn"))
    if row.count > 1:
        lines.append(
            _fact("stands for", f"{row.count:,} tasks that ended faster than they can be shown; times are means")
        )
    lines.append(_fact("bytes", f"{figures.size(row.size) or '0B'} in, {figures.size(row.result_size) or '?'} out"))
    for part, title in (("why", "why it waits"), ("depends", "depends on"), ("attempts", "earlier attempts")):
        if part in parts:
            named = _dependency if part == "depends" else _plain
            lines += [BLANK, _head(title), *(named(desk, text) for text in parts[part])]
    if row.phase in FAILED_PHASES:
        lines += [BLANK, _head("error"), Line([(f"{row.ename}: {row.evalue}", "failure")]), *_traceback_of(desk, id)]
    if "stack" in parts:
        lines += [BLANK, _head("where it is"), *(Line([(text, "")]) for text in parts["stack"][:MOST_LINES])]
    elif row.phase is Phase.RUNNING:
        lines += [BLANK, Line([("d", "key"), (" asks where it is now", "dim")])]
    return lines


def _plain(desk: Desk, text: str) -> Line:
    return Line([(text, "")])


def _dependency(desk: Desk, msg_id: str) -> Line:
    """A task by name, with its state and a link to it where this console knows it."""
    row = desk.store.task_named(msg_id)
    if row is None:
        return Line([(msg_id, "")])
    state: Cells = [(f"{desk.glyphs.tasks[row.phase]} ", f"task-{row.phase}"), (f"{row.msg_id:<22}", "link")]
    return Line([*state, (f"{row.name}  {row.phase}", f"fn-{hue_of(row.name)}")], ("task", row.id))


def _stamps(desk: Desk, row: TaskView, width: int) -> list[Line]:
    """The four stamps as one bar: wait, run, return. Never negative, and they sum to the total."""
    wait, run, back = row.wait or 0.0, row.run, row.back or 0.0
    now = desk.store.hub_time(desk.clock.time())
    if row.run is None and row.started is not None:
        run = max(0.0, now - row.started)
    if row.started is None and row.open:
        wait = max(0.0, now - row.submitted)
    run = run or 0.0
    total = wait + run + back
    room = max(10, min(60, width - 2))
    waits = round(wait / total * room) if total > 0 else 0
    backs = min(room - waits, round(back / total * room)) if total > 0 else 0
    runs = room - waits - backs if total > 0 else 0
    ascii_only = desk.glyphs.name == "ascii"
    waiting, running, returning = (".", "#", "-") if ascii_only else ("░", "█", "▒")
    bar: Cells = [(waiting * waits, "dim"), (running * runs, f"fn-{hue_of(row.name)}"), (returning * backs, "dim")]
    legend: Cells = [
        (waiting, "dim"), (f" wait {figures.duration(wait)}   ", ""), (running, f"fn-{hue_of(row.name)}"),
        (f" run {figures.duration(run)}   ", ""), (returning, "dim"), (f" return {figures.duration(back)}", ""),
        (f"   = {figures.duration(total)}", "strong"),
    ]  # fmt: skip
    lines = [Line(bar), Line(legend)]
    stamps = (("submitted", row.submitted), ("started", row.started), ("completed", row.completed),
              ("received", row.received))  # fmt: skip
    lines += [_fact(name, figures.clock(at, millis=True)) for name, at in stamps if at is not None]
    if row.skew:
        lines.append(Line([("clocks of client, hub and engine differ: a stamp was corrected", "warn")]))
    return lines


def _traceback_of(desk: Desk, task: int) -> list[Line]:
    kind = desk.store.failure_kind_of(task)
    if kind is None:
        return [Line([("its traceback is not kept here", "dim")])]
    text = next((failure.traceback for failure in kind.instances if failure.task == task), "")
    lines = [Line([(f"one of {kind.count:,} of this kind", "link")], ("failure", kind.key)), BLANK]
    return lines + traceback_lines(text)


def traceback_lines(text: str) -> list[Line]:
    """A traceback with its file lines dim and its last line red."""
    found: list[Line] = []
    rows = text.rstrip().splitlines()[-MOST_LINES:]
    for index, row in enumerate(rows):
        style = "failure" if index == len(rows) - 1 else "dim" if row.lstrip().startswith("File ") else ""
        found.append(Line([(row, style)]))
    return found


# An engine --------------------------------------------------------------------------------------------------------


def _engine(desk: Desk, id: int, parts: Parts, width: int) -> list[Line]:
    now = desk.clock.time()
    view = desk.store.engine(id, now)
    if view is None:
        return [_fact("engine", f"e{id}", "strong"), _fact("", "not known", "dim")]
    row = view.row
    sign = f"{desk.glyphs.engines[view.state]} {view.state.name.lower()} {ENGINE_LETTERS[view.state]}"
    lines = [
        Line([(f"engine {id}", "bold strong"), ("   ", ""), (sign, f"engine-{view.state.name.lower()}")]),
        BLANK,
    ]
    if row.task is not None:
        lines.append(_fact("runs", f"{view.now} for {figures.duration(view.age)}", link=("task", row.task)))
    elif view.last_task is not None:
        lines.append(_fact("last ran", view.last_name, link=("task", view.last_task)))
    if view.state is EngineState.DEAD or row.reason:
        lines.append(_fact("reason", row.reason or "none known", "failure"))
    if row.successor is not None:
        lines.append(_fact("replaced by", f"e{row.successor}", link=("engine", row.successor)))
    if row.was is not None:
        lines.append(_fact("was", f"e{row.was}", link=("engine", row.was)))
    est = f", about {figures.duration(view.est)} of work" if view.est is not None else ""
    lines.append(_fact("queue", f"{row.queue:,} in the hub, {row.held:,} held{est}; window {row.window}"))
    lines.append(_fact("tasks", f"{row.done:,} done, {row.errors:,} failed"))
    lines.append(_fact("process", f"{row.pid} on {row.host}"))
    lines.append(_fact("since", f"{figures.clock(row.since)}, heard {figures.duration(view.silent)} ago"))
    if view.vital is not None:
        share = f"  {figures.percent(view.memory)} of its limit" if view.memory is not None else ""
        cpu = spark(desk.glyphs, desk.store.vitals(id, "cpu"), max(8, min(40, width - 44)), 1.0).lstrip()
        memory = spark(desk.glyphs, desk.store.vitals(id, "memory"), max(8, min(40, width - 44)), 1.0).lstrip()
        lines.append(Line([(f"{'cpu':<{LABEL}}", "dim"), (f"{figures.percent(view.cpu):>5}  ", ""), (cpu, "trend")]))
        lines.append(Line([(f"{'memory':<{LABEL}}", "dim"), (f"{figures.size(view.vital.rss):>5}  ", ""),
                           (memory, "trend"), (share, "dim")]))  # fmt: skip
    for warning in desk.store.warnings():
        if warning.engine == id:
            lines.append(Line([(f"{desk.glyphs.warning} ", "bold warn"), (warning.sentence, "warn")]))
    for part, title in (("stack", "where it is"), ("names", "its namespace")):
        if part in parts:
            lines += [BLANK, _head(title), *(Line([(text, "")]) for text in parts[part][:MOST_LINES])]
    if "stack" not in parts:
        lines += [BLANK, Line([("d", "key"), (" asks where it is, and what its names are", "dim")])]
    return lines + _recent(desk, f"engine:{id}") + _last_output(desk, id)


def _recent(desk: Desk, query: str) -> list[Line]:
    found = desk.store.task_list(parse(query, TASK_FIELDS))
    found.refresh()
    rows = found.rows(0, RECENT)
    if not rows:
        return []
    lines = [BLANK, _head("recent tasks")]
    for row in rows:
        cells: Cells = [
            (f"{desk.glyphs.tasks[row.phase]} ", f"task-{row.phase}"),
            (f"{row.msg_id:<16}  ", "link"),
            (row.name, f"fn-{hue_of(row.name)}"),
        ]
        if row.run is not None:
            cells.append((f"  {figures.duration(row.run)}", ""))
        if row.ename:
            cells.append((f"  {row.ename}", "failure"))
        lines.append(Line(cells, ("task", row.id)))
    return lines


def _last_output(desk: Desk, id: int) -> list[Line]:
    rows = desk.store.last_output(id, RECENT)
    if not rows:
        return []
    return [
        BLANK,
        _head("last output"),
        *(Line([(figures.clock(row.at) + "  ", "dim"), (row.text, "")]) for row in rows),
    ]


# The others -------------------------------------------------------------------------------------------------------


def _failure(desk: Desk, kind: FailureKind, which: int) -> list[Line]:
    newest = list(reversed(kind.instances))
    lines = [
        Line([(kind.ename, "bold failure"), (f"  {figures.plural(kind.count, 'time')}", "strong")]),
        Line([(kind.message, "")]),
        BLANK,
        _fact("frame", kind.frame or "not known"),
        _fact("functions", ", ".join(kind.names), link=("function", kind.names[0]) if kind.names else None),
        _fact("engines", f"e{figures.ranges(list(kind.engines))}" if kind.engines else "none"),
        _fact("first", figures.clock(kind.first)),
        _fact("last", figures.clock(kind.last)),
        BLANK,
    ]
    if not newest:
        return [*lines, Line([("no instance is kept", "dim")])]
    which = min(which, len(newest) - 1)
    shown = newest[which]
    where = f" on e{shown.engine}" if shown.engine is not None else ""
    lines += [
        _head(f"{'newest' if which == 0 else f'{which + 1} of {len(newest)}'}: {shown.evalue[:200]}"),
        Line([(f"{shown.msg_id}{where} at {figures.clock(shown.at)}", "link")], ("task", shown.task)),
        Line([("h l", "key"), (" walk the others", "dim")]),
        BLANK,
    ]
    return lines + traceback_lines(shown.traceback)


def _function(desk: Desk, name: str) -> list[Line]:
    row = desk.store.function(name)
    if row is None:
        return [_fact("function", name, "strong"), _fact("", "nothing of it has run", "dim")]
    lines = [
        Line([(name, f"bold fn-{hue_of(name)}")]),
        BLANK,
        _fact("tasks", f"{row.done:,} done, {row.failed:,} failed, {row.running:,} running, {row.queued:,} queued"),
        _fact("run times", f"mean {figures.duration(row.mean)}, median {figures.duration(row.p50)}, "
                           f"p95 {figures.duration(row.p95)}, slowest {figures.duration(row.slowest)}"),
        _fact("together", f"wait {figures.duration(row.wait)}, run {figures.duration(row.total)}, "
                          f"return {figures.duration(row.back)}"),
        _fact("bytes", f"{figures.size(row.size) or '0B'} in, {figures.size(row.result_size) or '0B'} out"),
    ]  # fmt: skip
    if any(row.histogram):
        lines.append(_fact("histogram", spark(desk.glyphs, [float(count) for count in row.histogram], 16), "meter"))
    quoted = '"' + name.replace('"', "") + '"'
    return lines + _recent(desk, f"fn:{quoted}")


def _batch(desk: Desk, id: int, width: int) -> list[Line]:
    row = desk.store.batch(id, desk.clock.time())
    if row is None:
        return [_fact("submission", desk.store.msg_id(id)), _fact("", "no longer kept", "dim")]
    eta = "done" if row.finished else "unknown"
    if row.eta is not None:
        eta = f"{figures.duration(row.eta.seconds)} {desk.glyphs.plus_minus}{figures.duration(row.eta.spread)}"
    return [
        Line([(row.name, f"bold fn-{hue_of(row.name)}"), (f" {row.label or ''}", "")]),
        BLANK,
        Line([(meter(desk.glyphs, row.fraction, max(10, min(50, width - 10))), f"fn-{hue_of(row.name)}"),
              (f" {figures.percent(row.fraction)}", "strong")]),
        _fact("tasks", f"{row.total:,}: {row.done:,} done, {row.failed:,} failed, {row.running:,} running"),
        _fact("rate", figures.rate(row.rate) if row.rate is not None else "unknown"),
        _fact("ETA", eta),
        _fact("mode", "load-balanced: the hub chooses" if row.balanced else "direct: each task names its engine"),
        _fact("submitted", figures.clock(row.submitted)),
        _fact("client", row.client, link=("client", row.client)),
        _fact("function", row.name, link=("function", row.name)),
        *_recent(desk, f"batch:{id}"),
    ]  # fmt: skip


def _client(desk: Desk, session: str) -> list[Line]:
    found = next((row for row in desk.store.clients() if row.hex == session), None)
    if found is None:
        return [_fact("client", session), _fact("", "not connected", "dim")]
    return [
        Line([(found.name or session, "bold strong")]),
        BLANK,
        _fact("session", found.hex),
        _fact("process", f"{found.pid} on {found.host}"),
        _fact("since", figures.clock(found.since) + ("" if found.connected else ", gone")),
        _fact("open", figures.plural(found.outstanding, "task")),
        *_recent(desk, f"client:{found.hex}"),
    ]
