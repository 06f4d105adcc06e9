"""Cells on their way to the engines: sent, looked at, stopped. Runs on the threads that may wait; returns plain data.

Results are read as text: exceptions that came pickled stay so, and of values only the ones this package wraps itself
are opened. So nothing a user wrote runs in the console's process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuiparallel.console.repl import runner
from tuiparallel.console.repl.magics import Send
from tuiparallel.console.repl.modes import Mode
from tuiparallel.console.repl.outcomes import Part
from tuiparallel.console.repl.printed import styled_lines
from tuiparallel.monitor.rows import Run
from tuiparallel.monitor.sanitize import clean_block, clean_line
from tuiparallel.wire.messages import Extras, Outcome
from tuiparallel.wire.states import State

if TYPE_CHECKING:
    from tuiparallel.client import Client
    from tuiparallel.client.asyncresult import AsyncResult

MAX_TEXT = 256 << 10  # characters of one part's value or output
MAX_SOURCE = 1 << 20  # characters of a cell


@dataclass(frozen=True, slots=True)
class Sent:
    """A cell that was submitted: its AsyncResult, the msg_id of each part, and the engines named (None: any)."""

    result: AsyncResult
    ids: tuple[str, ...]
    engines: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Look:
    """How far a cell is. parts: those that have ended, None when they were not asked for."""

    done: int
    total: int
    ended: bool
    parts: tuple[Part, ...] | None = None
    aborted: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """What ctrl+c did: how many waiting parts were aborted, and the msg_ids that got SIGINT."""

    aborted: int
    signalled: tuple[str, ...]


def send(client: Client, plan: Send, engines: tuple[int, ...] | None, number: int) -> Sent:
    """Submits a px or lb cell. engines None: all there are. Raises what the client raises, and OSError for `%run`."""
    source, name = plan.source, f"<cell {number}>"
    if plan.filename:
        path = Path(plan.filename).expanduser()
        source, name = path.read_text(encoding="utf-8"), str(path)
    if len(source) > MAX_SOURCE:
        raise ValueError(f"a cell has at most {MAX_SOURCE:,} characters, this one {len(source):,}; use %run FILE")
    label = f"cell {number}"
    targets: Any = "all" if engines is None else list(engines)
    result: AsyncResult
    if plan.where.mode is Mode.PX:
        view = client.direct_view(targets)
        result = view.execute(source, silent=False, block=False, label=label)
        known = tuple(client.ids) if engines is None else engines
        if len(known) != len(result):
            known = ()
    else:
        balanced = client.load_balanced_view(None if engines is None else targets)
        with balanced.temp_flags(label=label):
            result = balanced.apply_async(runner.run_cell, source, name)
        known = ()
    return Sent(result, tuple(result.msg_ids), known or None)


def look(sent: Sent, *, parts: bool) -> Look:
    """How far it is now; blocks for nothing."""
    outcomes = list(_outcomes(sent.result))
    ended = [outcome for _, _, outcome in outcomes if outcome is not None]
    whole = len(ended) == len(outcomes)
    found: tuple[Part, ...] | None = None
    if parts or whole:
        found = tuple(_part(call, index, outcome) for call, index, outcome in outcomes if outcome is not None)
    return Look(
        len(ended),
        len(outcomes),
        whole,
        found,
        sum(outcome.state == State.ABORTED for outcome in ended),
        sum(outcome.state == State.LOST for outcome in ended),
    )


def _outcomes(result: AsyncResult) -> Iterable[tuple[Any, int, Outcome | None]]:
    # Its metadata would load the pickled exceptions: a user's code.
    return ((call, index, call.outcomes[index]) for call, index in result._tasks())


def _part(call: Any, index: int, outcome: Outcome) -> Part:
    extras = outcome.extras or Extras()
    seconds = None
    if outcome.started is not None and outcome.completed is not None:
        seconds = max(0.0, outcome.completed - outcome.started)
    place = outcome.engine if outcome.engine is not None else (call.targets[index] if call.targets else None)
    value = ename = evalue = traceback = ""
    ok = outcome.state == State.DONE
    if ok:
        value = clean_block(_value_text(call, outcome, extras, index))
    elif extras.error is None:
        ename = State(outcome.state).name.lower()
    else:
        ename = clean_line(extras.error.ename)
        evalue = clean_line(extras.error.evalue[:2000])
        traceback = clean_block(extras.error.traceback[:MAX_TEXT])
    return Part(
        place, ok, value, clean_output(extras.stdout), clean_output(extras.stderr), ename, evalue, traceback,
        outcome.completed or 0.0, seconds, 1, styles_of(extras.stdout, extras.stderr),
    )  # fmt: skip


def _value_text(call: Any, outcome: Outcome, extras: Extras, index: int) -> str:
    shown = [_plain(bundle) for bundle in extras.outputs]
    if extras.execute_result is not None:
        shown.append(_plain(extras.execute_result))
    elif outcome.body and call.work is not None and call.work.balanced:
        value = call.value(index)
        if isinstance(value, runner.CellValue):
            shown.append(value.text)
    return "\n".join(text for text in shown if text)[:MAX_TEXT]


def _plain(bundle: Any) -> str:
    data = bundle.get("data", {}) if isinstance(bundle, dict) else {}
    text = data.get("text/plain", "") if isinstance(data, dict) else ""
    if not text and data:
        return f"<{', '.join(sorted(map(str, data)))}>"
    return text if isinstance(text, str) else str(text)


def styles_of(stdout: str, stderr: str) -> tuple[tuple[tuple[Run, ...], ...], ...]:
    """What Part.runs says of these two texts."""
    found = (styled_lines(_shortened(stdout)), styled_lines(_shortened(stderr)))
    return found if any(found) else ()


def clean_output(text: str) -> str:
    """What was printed, safe: a line that was written over with carriage returns is its last state."""
    text = _shortened(text)
    if "\r" in text:
        lines = text.replace("\r\n", "\n").split("\n")
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return clean_block(text)


def _shortened(text: str) -> str:
    if len(text) > MAX_TEXT:
        return f"… {len(text) - MAX_TEXT:,} characters not shown\n" + text[-MAX_TEXT:]
    return text


def stop(client: Client, sent: Sent) -> Stopped:
    """Aborts what waits of a cell; what runs gets SIGINT, by msg_id: an engine that has gone on gets nothing."""
    return stop_ids(
        client, [msg_id for msg_id, ended in zip(sent.ids, _ended(sent.result), strict=True) if not ended]
    )


def stop_ids(client: Client, ids: Sequence[str]) -> Stopped:
    """The same for msg_ids."""
    if not ids:
        return Stopped(0, ())
    answer = client.abort(list(ids), block=True)
    running = tuple(answer.get("running", ()))
    for msg_id in running:
        client.interrupt(msg_id)
    return Stopped(len(answer.get("aborted", ())), running)


def abort(client: Client, sent: Sent) -> int:
    """Aborts what waits of a cell and leaves what runs; how many."""
    return len(client.abort(list(sent.ids), block=True).get("aborted", ()))


def _ended(result: AsyncResult) -> list[bool]:
    return [outcome is not None for _, _, outcome in _outcomes(result)]


def still_open(sent: Sent) -> tuple[str, ...]:
    """The msg_ids of a cell that have not ended."""
    return tuple(msg_id for msg_id, ended in zip(sent.ids, _ended(sent.result), strict=True) if not ended)
