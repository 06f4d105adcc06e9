"""logs: the log of one of a cluster's processes, or what tasks have printed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import ExitCode, refused, usage
from tuiparallel.cli.listing import query
from tuiparallel.cli.observing import Watch, watch
from tuiparallel.client.session import Session
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.monitor.fields import TASK_FIELDS
from tuiparallel.monitor.query import Query
from tuiparallel.monitor.report import iso
from tuiparallel.monitor.sanitize import clean_line
from tuiparallel.wire.messages import Chunk
from tuiparallel.wire.messages import Query as Question

_PROCESSES = ("hub", "supervisor", "template")
_LOOK = 0.25  # seconds between two looks at a file that is followed
_BLOCK = 65536


def logs(call: Call, which: str | None, where: str | None, follow: bool, lines: int) -> int:
    """Print the newest lines, and with follow those that come, until Ctrl-C."""
    if lines < 0:
        raise usage(f"-n {lines}: the number of lines must be 0 or more")
    if which is None:
        return _output(call, where, follow, lines)
    if where is not None:
        raise usage("--where goes with the output of tasks: name no process")
    if which not in _PROCESSES and not which.isdecimal():
        near = difflib.get_close_matches(which, _PROCESSES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_PROCESSES)} and the ids of engines"
        raise usage(f"logs {which!r}: {hint}")
    directory = Path(call.connection().directory)
    call.out.cluster = directory.name
    file = directory / "log" / (f"{which}.log" if which in _PROCESSES else f"engine-{_uuid(call, int(which))}.log")
    for line in _tail(file, lines):
        _print(call, which, line)
    if follow:
        for line in _grow(file):
            _print(call, which, line)
    return ExitCode.DONE


def _uuid(call: Call, engine: int) -> str:
    with watch(call) as watched:
        row = watched.store.engine(engine, watched.now())
        if row is None:
            known = ", ".join(map(str, watched.store.engine_ids(watched.now())))
            raise refused(f"there is no engine {engine}: there are {known or 'none'}")
        return row.row.uuid


def _print(call: Call, process: str, line: str) -> None:
    call.out.row("log", {"process": process, "text": line}, clean_line(line))


def _tail(file: Path, count: int) -> list[str]:
    """The last lines of a file, read from its end; none when there is no file."""
    try:
        handle = open(file, "rb")
    except FileNotFoundError:
        return []
    with handle:
        at = handle.seek(0, os.SEEK_END)
        content = b""
        while at > 0 and content.count(b"\n") <= count:
            step = min(_BLOCK, at)
            at = handle.seek(at - step)
            content = handle.read(step) + content
    found = content.decode(errors="replace").splitlines()
    return found[-count:] if count else []


def _grow(file: Path) -> Iterator[str]:
    """Whole lines that are added to a file from now on, for ever."""
    import threading

    pause = threading.Event()
    at = file.stat().st_size if file.exists() else 0
    rest = b""
    while True:
        if file.exists():
            with open(file, "rb") as handle:
                handle.seek(at)
                fresh = handle.read()
                at += len(fresh)
            *whole, rest = (rest + fresh).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
        pause.wait(_LOOK)


def _output(call: Call, where: str | None, follow: bool, lines: int) -> int:
    wanted = query(where, TASK_FIELDS)
    with watch(call) as watched:
        watched.load_history()
        chunks = _kept(call, lines) if lines else []
        past = [
            (chunk, line)
            for chunk in chunks
            for line in chunk.text.splitlines()
            if _meant(watched, chunk.task, wanted)
        ]
        for chunk, line in past[-lines:]:
            _show(call, watched, chunk.at, chunk.engine, chunk.task, chunk.stream, clean_line(line))
        if not follow:
            return ExitCode.DONE
        shown = -1
        forever = Deadline(SystemClock(), None)
        fresh = watched.store.output_list()
        while watched.next(forever):
            fresh.refresh()
            for row in fresh.rows(fresh.index(shown + 1), len(fresh)):
                if row.open:
                    break
                shown = row.number
                if _meant(watched, row.task, wanted):
                    _show(call, watched, row.at, row.engine, row.task, row.stream, row.text)
    return ExitCode.DONE


def _meant(watched: Watch, task: int | None, wanted: Query | None) -> bool:
    if wanted is None:
        return True
    row = None if task is None else watched.store.task(task)
    return row is not None and wanted.matches(row)


def _kept(call: Call, limit: int) -> list[Chunk]:
    """What the newest tasks that printed anything have left with the hub, oldest first."""
    session = Session(call.connection(), name="tuipar")
    try:
        session.connect(10.0)
        request = session.ask("output", lambda number: Question(number, "output", {"limit": limit}))
        return msgspec.convert(session.answer(request), list[Chunk])
    finally:
        session.close(0.0)


def _show(call: Call, watched: Watch, at: float, engine: int, task: int | None, stream: str, text: str) -> None:
    row = {
        "at": iso(at),
        "engine": engine,
        "msg_id": None if task is None else watched.store.msg_id(task),
        "stream": stream,
        "text": text,
    }
    call.out.row("output", row, f"[{engine}] {text}")
