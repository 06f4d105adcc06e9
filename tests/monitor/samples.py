"""Rows of the wire with everything filled in that a test does not care about. Times count from T."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import (
    BatchRow,
    ClientRow,
    Counters,
    Delta,
    EngineRow,
    FailureRow,
    Snapshot,
    TaskRow,
)
from tuiparallel.wire.states import EngineState, State

T = 1_700_000_000.0
HEX = "3f9c0a12"


def engine(id: int, state: EngineState = EngineState.IDLE, **fields: Any) -> EngineRow:
    """An engine on host tesla that was heard at T."""
    facts: dict[str, Any] = {"uuid": f"u{id}", "host": "tesla", "pid": 800 + id, "since": T - 100, "heard": T}
    facts |= {"queue": 0, "held": 0, "done": 0, "errors": 0}
    return EngineRow(id=id, state=int(state), **(facts | fields))


def task(counter: int, state: State = State.DONE, session: int = 1, **fields: Any) -> TaskRow:
    """A task of fit, submitted at T + counter; when it is done it ran for 0.5 s on engine 0."""
    at = T + counter
    facts: dict[str, Any] = {"engine": 0, "name": "fit", "label": None, "batch": task_id(session, 0), "submitted": at}
    if state in (State.DONE, State.ERROR):
        facts |= {"started": at + 0.1, "completed": at + 0.6, "received": at + 0.7}
    return TaskRow(id=task_id(session, counter), state=int(state), **(facts | fields))


def failure(counter: int, evalue: str = "bad seed 7", **fields: Any) -> FailureRow:
    """A ValueError of fit on engine 0 at T + counter."""
    traceback = f'Traceback\n  File "/home/me/fit.py", line 12, in fit\n    raise\nValueError: {evalue}\n'
    facts: dict[str, Any] = {"engine": 0, "name": "fit", "ename": "ValueError", "evalue": evalue}
    facts |= {"traceback": traceback, "at": T + counter, "state": int(State.ERROR)}
    return FailureRow(task=task_id(1, counter), **(facts | fields))


def batch(total: int, done: int, last: float, failed: int = 0, first: int = 0, **fields: Any) -> BatchRow:
    """A submission of fit at T."""
    facts: dict[str, Any] = {"name": "fit", "label": None, "session": 1, "running": 0, "submitted": T}
    return BatchRow(id=task_id(1, first), total=total, done=done, failed=failed, last=last, **(facts | fields))


def client(session: int = 1, hex: str = HEX, **fields: Any) -> ClientRow:
    """A connected client."""
    facts: dict[str, Any] = {"host": "tesla", "pid": 900, "name": "notebook", "since": T, "connected": True}
    facts |= {"outstanding": 0}
    return ClientRow(session=session, hex=hex, **(facts | fields))


def snapshot(
    number: int = 1,
    at: float = T,
    counters: Counters | None = None,
    engines: Sequence[EngineRow] = (),
    tasks: Sequence[TaskRow] = (),
    clients: Sequence[ClientRow] | None = None,
    **fields: Any,
) -> Snapshot:
    """A snapshot of cluster lab, boot b1."""
    facts: dict[str, Any] = {"boot": "b1", "cluster": "lab", "started": T - 1000, "batches": [], "functions": []}
    facts |= {"failures": [], "limits": [], "vitals": []}
    return Snapshot(
        number=number,
        at=at,
        counters=counters or Counters(),
        engines=list(engines),
        tasks=list(tasks),
        clients=[client()] if clients is None else list(clients),
        **(facts | fields),
    )


def delta(number: int, at: float = T, counters: Counters | None = None, **fields: Any) -> Delta:
    """A delta; the counters leave room for many open tasks."""
    return Delta(number=number, at=at, counters=counters or Counters(queued=10_000), **fields)
