"""The answer to db_query: the tasks that match, open ones too, by submission.

SQL does the choosing. Open tasks stand in a temporary table that is filled from the rules' state for each query; facts
that are in no column come from functions that SQL calls, only for rows that the columns leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tuiparallel.hub.book import Book
from tuiparallel.hub.conditions import Condition, stored
from tuiparallel.hub.records import ALIASES, BODIES, COLUMNS, FROM, KEYS, Records, expression
from tuiparallel.hub.schema import TaskRecord
from tuiparallel.wire.ids import TaskId, parse_msg_id, task_id

_OPEN = (
    "CREATE TEMP TABLE IF NOT EXISTS open_tasks(id INTEGER PRIMARY KEY, batch, state, engine, attempt, started,"
    " completed, received, bundle)"
)


def db_query(book: Book, query: Mapping[str, Any], keys: Sequence[str] | None) -> list[dict[str, Any]]:
    """Dicts with msg_id and these keys (None: all but the buffers). Times are seconds since the epoch.

    Raises ValueError naming the nearest key or operator, TypeError when the query is no dict.
    """
    wanted = _wanted(keys)
    cheap, costly = _split(query)
    first = Condition(cheap, expression)
    second = Condition(costly, expression, after=first)
    history = book.history
    records = Records(history)
    history.define("holds", 2, lambda number, value: second.functions[number](value))
    history.define("fact", 4, lambda key, id, batch, bundle: stored(records.fact(key, id, batch, bundle)))
    where = f"CASE WHEN {first.sql} THEN {second.sql} ELSE 0 END"
    named = _named(book, query)
    if named is not None:
        where = f"t.id IN ({', '.join(map(str, named))}) AND {where}"
    history.query(_OPEN)
    history.query("DELETE FROM temp.open_tasks")
    history.fill("INSERT INTO temp.open_tasks VALUES(?,?,?,?,?,?,?,?,?)", _open_rows(book, named))
    try:
        rows = history.query(
            f"SELECT t.id, t.batch, t.bundle, {', '.join(COLUMNS.values())} {FROM} WHERE {where}"
            " ORDER BY b.received, t.id",
            second.parameters,
        )
    finally:
        history.query("DELETE FROM temp.open_tasks")
    found: list[dict[str, Any]] = []
    for id, batch, bundle, *values in rows:
        facts = dict(zip(COLUMNS, values, strict=True))
        found.append(
            {
                key: facts[ALIASES.get(key, key)]
                if ALIASES.get(key, key) in COLUMNS
                else records.fact(ALIASES.get(key, key), id, batch, bundle, facts)
                for key in wanted
            }
        )
    return found


def _wanted(keys: Sequence[str] | None) -> list[str]:
    if keys is None:
        return [key for key in KEYS if key not in BODIES]
    for key in keys:
        expression(key)
    return list(dict.fromkeys(["msg_id", *keys]))


def _split(query: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What columns can answer, and the rest, which is asked only of rows that the columns leave."""
    if not isinstance(query, Mapping):
        raise TypeError(f"a query is a dict, not {query!r:.200}")
    cheap = {key: value for key, value in query.items() if key in COLUMNS}
    return cheap, {key: value for key, value in query.items() if key not in COLUMNS}


def _named(book: Book, query: Mapping[str, Any]) -> list[int] | None:
    """The tasks that a query can only be about, when it names them: so that it looks at no others."""
    value = query.get("msg_id")
    if isinstance(value, Mapping):
        value = value.get("$eq", value.get("$in"))
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return None
    found: list[int] = []
    for name in names:
        try:
            hex, counter = parse_msg_id(name)
        except ValueError:
            continue
        session = book.registry.session_of_hex.get(hex)
        if session is not None and name == f"{hex}-{counter}":
            found.append(task_id(session.number, counter))
    return found


def _open_rows(book: Book, named: list[int] | None) -> Iterable[TaskRecord]:
    scheduler = book.scheduler
    if named is None:
        tasks = scheduler.open_tasks()
    else:
        tasks = iter([scheduler.tasks[id] for id in dict.fromkeys(named) if id in scheduler.tasks])
    for task in tasks:
        engine = task.engine if task.engine is not None else task.batch.target(TaskId(task.id))
        yield (  # type: ignore[misc]  # a record of an open task has no end and no bundle
            task.id, task.batch.first, int(task.state), engine, task.attempt, task.started, None, None, None,
        )  # fmt: skip
