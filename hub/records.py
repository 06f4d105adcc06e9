"""Everything that is known of one task, by the keys that people use: from its rows, and lazily from its bodies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from tuiparallel.hub.conditions import nearest
from tuiparallel.hub.history import History
from tuiparallel.wire.ids import COUNTER_BITS, COUNTER_MASK
from tuiparallel.wire.messages import Kind, Need, Ran, Work
from tuiparallel.wire.states import State

V = TypeVar("V")

_STATES = "CASE t.state " + " ".join(f"WHEN {int(s)} THEN '{s.name.lower()}'" for s in State) + " END"
_STATUS = f"CASE WHEN t.state = {int(State.DONE)} THEN 'ok' WHEN t.state > {int(State.DONE)} THEN 'error' END"
_MSG_ID = f"(s.hex || '-' || (t.id & {COUNTER_MASK}))"

# The plus takes a column's affinity away: '5' and 5 are different things.
COLUMNS = {
    "msg_id": _MSG_ID, "session": "+s.hex", "client_uuid": "+s.hex", "name": "+b.name", "label": "+b.label",
    "engine_id": "+t.engine", "engine_uuid": "+e.uuid", "host": "+e.host", "submitted": "+b.submitted",
    "started": "+t.started", "completed": "+t.completed", "received": "+t.received", "state": f"({_STATES})",
    "status": f"({_STATUS})",
    "resubmitted": f"(SELECT n.hex || '-' || (r.new & {COUNTER_MASK}) FROM resubmits r JOIN sessions n"
    f" ON n.id = r.new >> {COUNTER_BITS} WHERE r.old = t.id)",
}  # fmt: skip

OF_WORK = (
    "after",
    "follow",
    "timeout",
    "targets",
    "priority",
    "retries",
    "time_limit",
    "queue",
    "metadata",
    "content",
)
OF_RESULT = (
    "error", "execute_result", "stdout", "stderr", "outputs", "data", "result_size", "peak_rss", "result_content",
    "result_buffers",
)  # fmt: skip
OTHERS = ("execute_input", "attempts", "size", "buffers", "header", "result_header", "result_metadata")
ALIASES = {"pyerr": "error", "pyout": "execute_result", "pyin": "execute_input"}
KEYS = (*COLUMNS, *OF_WORK, *OF_RESULT, *OTHERS)
BODIES = ("buffers", "result_buffers")  # not given unless they are asked for

_RESULTS = {Kind.EXECUTE: "execute"}
_CACHED = 64  # submissions and bundles kept decoded while a query runs


def expression(key: Any) -> str:
    """The SQL of a key. Raises ValueError naming the nearest one."""
    key = ALIASES.get(key, key)
    if key in COLUMNS:
        return COLUMNS[key]
    if key in KEYS:
        return f"fact('{key}', t.id, t.batch, t.bundle)"
    raise ValueError(f"no key {key!r}: {nearest(key, KEYS)}")


class Records:
    """Facts of tasks that no column has. For the length of one query: what it read stays read."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._works: OrderedDict[int, Work] = OrderedDict()
        self._calls: OrderedDict[int, list[bytes]] = OrderedDict()
        self._bundles: OrderedDict[int, dict[int, Ran]] = OrderedDict()

    def fact(self, key: str, id: int, batch: int, bundle: int | None, row: dict[str, Any] | None = None) -> Any:
        """One fact; None when there is none (any more). row: what the columns say, for the keys that combine."""
        if key in OF_WORK:
            return self._of_work(key, id, batch)
        if key in OF_RESULT:
            ran = self._ran(bundle, id)
            return None if ran is None else _of_result(key, ran)
        match key:
            case "attempts":
                return [
                    {"engine_id": engine, "started": began, "ended": ended, "outcome": outcome}
                    for _, engine, began, ended, outcome in self._history.attempts_of(id)
                ]
            case "size":
                call = self._call(id, batch)
                return None if call is None else len(call) + sum(n for _, _, n in self._history.blobs_of_calls(id, 1))
            case "buffers":
                return None if (call := self._call(id, batch)) is None else [call]
            case "header" | "result_header" | "result_metadata":
                return self._combined(key, id, batch, row or self._row(id))
        return None

    def _row(self, id: int) -> dict[str, Any]:
        columns = {key: sql for key, sql in COLUMNS.items() if key != "resubmitted"}
        found = self._history.query(f"SELECT {', '.join(columns.values())} {FROM} WHERE t.id = ?", (id,))
        return dict(zip(columns, found[0], strict=True)) if found else dict.fromkeys(columns)

    def _combined(self, key: str, id: int, batch: int, row: dict[str, Any]) -> dict[str, Any] | None:
        kind = _RESULTS.get(Kind(self._work(batch).kind), "apply")
        if key == "header":
            return {
                "msg_id": row["msg_id"], "session": row["session"], "date": row["submitted"],
                "msg_type": f"{kind}_request", "username": "",
            }  # fmt: skip
        if row["status"] is None:
            return None
        if key == "result_header":
            return {
                "msg_id": row["msg_id"], "session": row["session"], "date": row["completed"],
                "msg_type": f"{kind}_reply", "status": row["status"],
            }  # fmt: skip
        wanted = ("engine_id", "engine_uuid", "started", "completed", "status", "state")
        return {name: row[name] for name in wanted}

    # Submissions ---------------------------------------------------------------------------------------------------

    def _work(self, batch: int) -> Work:
        return _cached(self._works, batch, self._history.work_of)

    def _call(self, id: int, batch: int) -> bytes | None:
        """The packed arguments of a task; None when they are forgotten, or were never kept."""
        calls = _cached(self._calls, batch, lambda first: (self._history.calls_of(first) or ([], None))[0])
        return (calls[0] if len(calls) == 1 else calls[id - batch]) if calls else None

    def _of_work(self, key: str, id: int, batch: int) -> Any:
        work = self._work(batch)
        match key:
            case "after":
                return _ids(work.after)
            case "follow":
                return _ids(work.follow)
            case "targets":
                return work.targets if work.balanced or work.targets is None else [work.targets[id - batch]]
            case "queue":
                return "task" if work.balanced else "mux"
            case "content":
                return {}
            case "metadata":
                facts = {name: self._of_work(name, id, batch) for name in OF_WORK[:7]}
                return facts | {"label": work.label, "name": work.name}
            case _:
                return getattr(work, key)  # timeout, priority, retries, time_limit

    # Results -------------------------------------------------------------------------------------------------------

    def _ran(self, bundle: int | None, id: int) -> Ran | None:
        if bundle is None:
            return None
        read = self._history.bundle
        return _cached(self._bundles, bundle, lambda number: {ran.task: ran for ran in read(number)}).get(id)


FROM = (
    "FROM (SELECT * FROM tasks UNION ALL SELECT * FROM temp.open_tasks) t JOIN batches b ON b.first = t.batch"
    f" JOIN sessions s ON s.id = t.id >> {COUNTER_BITS} LEFT JOIN engines e ON e.run = b.run AND e.id = t.engine"
)


def _of_result(key: str, ran: Ran) -> Any:
    extras = ran.extras
    error = extras.error if extras is not None else None
    match key:
        case "result_size":
            return len(ran.body) + sum(size for _, size in ran.blobs)
        case "result_buffers":
            return [ran.body]
        case "error":
            return None if error is None else {"ename": error.ename, "evalue": error.evalue}
        case "result_content":
            if error is None:
                return {"status": "ok"}
            facts = {"ename": error.ename, "evalue": error.evalue, "traceback": error.traceback}
            return {"status": "error", **facts, "engine_info": {"engine_id": error.engine, "method": error.method}}
        case "stdout" | "stderr":
            return "" if extras is None else (extras.stdout if key == "stdout" else extras.stderr)
        case "outputs":
            return [] if extras is None else extras.outputs
        case "execute_result":
            return None if extras is None else extras.execute_result
        case "data":
            return None if extras is None else extras.data
        case _:
            return None if extras is None else extras.peak_rss


def _ids(need: Need | None) -> list[str]:
    if need is None:
        return []
    return [f"{hex}-{counter}" for hex, first, count in need.tasks for counter in range(first, first + count)]


def _cached(cache: OrderedDict[int, V], key: int, make: Callable[[int], V]) -> V:
    found = cache.get(key)
    if found is None:
        found = cache[key] = make(key)
        if len(cache) > _CACHED:
            cache.popitem(last=False)
    return found
