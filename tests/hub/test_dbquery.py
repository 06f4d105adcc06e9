"""db_query: SQL must choose what plain Python would; and what the records say."""

from __future__ import annotations

import fnmatch
import math
import random
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.hub.stage import Stage, balanced, direct
from tuiparallel.hub.dbquery import db_query
from tuiparallel.hub.records import KEYS
from tuiparallel.wire.messages import ErrorText, Extras, Need, Work

Row = dict[str, Any]
QUERIES = 10_000


# The evaluator in plain Python -------------------------------------------------------------------------------------


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, (str, bytes)) or isinstance(other, (str, bytes)) or one is None or other is None:
        return type(one) is type(other) and one == other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def ordered(one: Any, other: Any) -> bool:
    numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
    return numbers or (isinstance(one, str) and isinstance(other, str))


def globbed(text: str, pattern: str) -> bool:
    return re.fullmatch(fnmatch.translate(pattern.replace("[^", "[!")), text, re.DOTALL) is not None


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": alike,
    "$ne": lambda value, operand: not alike(value, operand),
    "$lt": lambda value, operand: ordered(value, operand) and value < operand,
    "$lte": lambda value, operand: ordered(value, operand) and value <= operand,
    "$gt": lambda value, operand: ordered(value, operand) and value > operand,
    "$gte": lambda value, operand: ordered(value, operand) and value >= operand,
    "$in": lambda value, operand: any(alike(value, one) for one in operand),
    "$nin": lambda value, operand: not any(alike(value, one) for one in operand),
    "$exists": lambda value, operand: (value is not None) == bool(operand),
    "$glob": lambda value, operand: isinstance(value, str) and globbed(value, operand),
    "$mod": lambda value, operand: isinstance(value, (int, float)) and value % operand[0] == operand[1],
    "$all": lambda value, operand: (
        value is not None
        and all(any(alike(one, each) for each in (value if isinstance(value, list) else [value])) for one in operand)
    ),
    "$and": lambda value, operand: all(fits(value, one) for one in operand),
    "$or": lambda value, operand: any(fits(value, one) for one in operand),
    "$not": lambda value, operand: not fits(value, operand),
}


def fits(value: Any, test: Any) -> bool:
    if isinstance(test, dict) and any(key.startswith("$") for key in test):
        return all(TESTS[operator](value, operand) for operator, operand in test.items())
    return alike(value, test)


def matches(row: Row, query: dict[str, Any]) -> bool:
    for key, value in query.items():
        if key == "$and":
            found = all(matches(row, one) for one in value)
        elif key == "$or":
            found = any(matches(row, one) for one in value)
        elif key == "$not":
            found = not matches(row, value)
        else:
            found = fits(row[key], value)
        if not found:
            return False
    return True


# Tasks of all kinds ------------------------------------------------------------------------------------------------


def populated(stage: Stage) -> None:
    one, two = stage.client("aa"), stage.client("bb")
    first, second = stage.engine("u1"), stage.engine("u2")
    one.submit(balanced("f", label="blue"), 6)
    stage.until(lambda: len(first.queue) + len(second.queue) == 6)  # so that aa-0 is always given out first
    two.submit(direct([first.id, second.id, second.id], "g", label="5"), 3)
    two.submit(Work(1, "cell", True, 1500.5, priority=3, retries=2, targets=[first.id], timeout=2.5), 2)
    stage.until(lambda: len(first.queue) + len(second.queue) == 11)
    first.finish(first.queue[0], extras=Extras("printed", "warned", [{"data": {"text/plain": "3"}}], peak_rss=2048))
    second.finish(second.queue[0], error="ZeroDivisionError")
    second.finish(second.queue[0], body=b"x" * 3000, seconds=2.0)
    first.finish(first.queue[0], body=b"")
    stage.until(lambda: len(one.outcomes) + len(two.outcomes) == 4)
    one.submit(balanced("h", after=Need([("aa", 0, 1), ("bb", 0, 1)]), label="green"), 2)
    one.submit(balanced("h", after=Need([("zz", 0, 1)])))
    two.submit(direct([77], "f*[x]", time_limit=7.0))
    stage.until(lambda: len(one.outcomes) + len(two.outcomes) == 6)
    stage.rounds(5)


@pytest.fixture
def tasks(stage: Stage) -> Stage:
    populated(stage)
    return stage


def arbitrary(dice: random.Random, rows: list[Row], key: str) -> Any:
    """A value that may well stand in this column, or may not."""
    choice = dice.random()
    if choice < 0.6:
        return dice.choice(rows)[key]
    if choice < 0.7:
        return None
    values: list[Any] = [
        0,
        1,
        2.5,
        1000,
        1000.0,
        True,
        "f",
        "5",
        5,
        "",
        "done",
        [],
        [0],
        ["aa-0"],
        "aa-1",
        1 << 70,
        -1,
    ]
    return dice.choice(values)


def random_test(dice: random.Random, rows: list[Row], key: str, depth: int = 0) -> Any:
    if dice.random() < 0.15:
        value = arbitrary(dice, rows, key)
        return value
    found: dict[str, Any] = {}
    for _ in range(dice.choice([1, 1, 2])):
        operator = dice.choice(list(TESTS))
        match operator:
            case "$and" | "$or":
                if depth > 1:
                    continue
                found[operator] = [random_test(dice, rows, key, depth + 1) for _ in range(dice.randint(0, 2))]
            case "$not":
                if depth > 1:
                    continue
                found[operator] = random_test(dice, rows, key, depth + 1)
            case "$in" | "$nin":
                count = 600 if dice.random() < 0.02 else dice.randint(0, 4)
                found[operator] = [arbitrary(dice, rows, key) for _ in range(count)]
            case "$all":
                value = dice.choice(rows)[key]
                some = value if isinstance(value, list) else [value]
                found[operator] = [dice.choice(some) for _ in range(dice.randint(0, 2)) if some]
            case "$mod":
                found[operator] = [dice.choice([2, 3, -3, 0.5]), dice.choice([0, 1, -1])]
            case "$glob":
                found[operator] = dice.choice(["*", "?", "a*", "*-[0-2]", "[^a]*", "*e*", "f[*][[]x]", "", "queued"])
            case "$exists":
                found[operator] = dice.choice([True, False, 1, 0])
            case _:
                found[operator] = arbitrary(dice, rows, key)
    return found or None


def query_of(dice: random.Random, rows: list[Row], depth: int = 0) -> dict[str, Any]:
    query: dict[str, Any] = {}
    for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
        key = dice.choice(KEYS)
        query[key] = random_test(dice, rows, key)
    if depth < 2 and dice.random() < 0.2:
        operator = dice.choice(["$and", "$or"])
        query[operator] = [query_of(dice, rows, depth + 1) for _ in range(dice.randint(0, 3))]
    if depth < 2 and dice.random() < 0.1:
        query["$not"] = query_of(dice, rows, depth + 1)
    return query


def test_sql_chooses_what_plain_python_does(tasks: Stage) -> None:
    rows = db_query(tasks.book, {}, list(KEYS))
    assert len(rows) == 15
    assert [row["msg_id"] for row in rows if row["session"] == "aa"] == [f"aa-{n}" for n in range(9)]
    dice = random.Random(7)
    hits = 0
    for number in range(QUERIES):
        query = query_of(dice, rows)
        expected = [row["msg_id"] for row in rows if matches(row, query)]
        found = [row["msg_id"] for row in db_query(tasks.book, query, ["msg_id"])]
        assert found == expected, (number, query)
        hits += 0 < len(found) < len(rows)
    assert hits > QUERIES / 8, "most queries must choose something, and not everything"


# What people get ---------------------------------------------------------------------------------------------------


def test_the_records_say_what_happened(tasks: Stage) -> None:
    client = tasks.client("cc")
    rows = {row["msg_id"]: row for row in client.ask("db_query", query={}, keys=None)}
    done = next(row for row in rows.values() if row["stdout"] == "printed")
    assert (done["state"], done["status"], done["engine_uuid"], done["host"]) == ("done", "ok", "u1", "here")
    assert done["stderr"] == "warned" and done["peak_rss"] == 2048 and done["outputs"]
    assert done["submitted"] == 1000.0 and done["completed"] - done["started"] == pytest.approx(0.001, rel=0.01)
    assert done["size"] == 4 and done["result_size"] == len(b"value of call")
    failed = next(
        row for row in rows.values() if row["result_content"] and row["result_content"]["status"] == "error"
    )
    assert failed["error"] is not None and failed["status"] == "error"
    waiting = rows["aa-6"]
    assert (waiting["state"], waiting["status"], waiting["completed"], waiting["stdout"]) == (
        "queued",
        None,
        None,
        None,
    )
    assert waiting["after"] == ["aa-0", "bb-0"] and waiting["label"] == "green"
    assert rows["bb-0"]["queue"] == "mux" and rows["bb-0"]["targets"] == [0]
    assert rows["bb-3"]["queue"] == "task" and (rows["bb-3"]["retries"], rows["bb-3"]["timeout"]) == (2, 2.5)
    assert rows["bb-3"]["header"]["msg_type"] == "execute_request"
    assert rows["bb-5"]["state"] == "lost" and rows["bb-5"]["time_limit"] == 7.0
    assert rows["aa-8"]["error"]["ename"] == "InvalidDependency"
    assert not any("buffers" in row for row in rows.values())


def test_keys_choose_columns_and_msg_id_is_always_there(tasks: Stage) -> None:
    client = tasks.client("cc")
    rows = client.ask("db_query", query={"state": "done"}, keys=["result_buffers", "buffers", "pyerr"])
    assert all(set(row) == {"msg_id", "result_buffers", "buffers", "pyerr"} for row in rows)
    assert {row["buffers"][0] for row in rows} == {b"call"} and rows[0]["pyerr"] is None


def test_d1_d2_d3(tasks: Stage) -> None:
    assert {row["name"] for row in db_query(tasks.book, {"submitted": {"$gt": 1000.0}}, ["name"])} == {"cell"}
    assert len(db_query(tasks.book, {"name": "f", "label": "blue"}, [])) == 6
    assert db_query(tasks.book, {"name": "f", "label": "5"}, []) == []
    assert not [
        row for row in db_query(tasks.book, {"completed": {"$lt": math.inf}}, ["state"]) if row["state"] == "queued"
    ]


def test_b39_what_does_not_exist_is_named_with_what_is_near(tasks: Stage) -> None:
    client = tasks.client("cc")
    cases = [
        ({"name": {"$le": 1}}, None, "$lte"),
        ({"nme": 1}, None, "'name'"),
        ({"$nand": []}, None, "$and"),
        ({}, ["msgid"], "'msg_id'"),
        ({"name": {"$in": 5}}, None, "list"),
        ({"name": {"$glob": 5}}, None, "pattern"),
        ({"size": {"$mod": [0, 1]}}, None, "divisor"),
    ]
    for query, keys, hint in cases:
        answer = client.ask("db_query", query=query, keys=keys)
        assert isinstance(answer, ErrorText) and answer.ename == "ValueError" and hint in answer.evalue, answer


def test_an_answer_that_fits_no_message_is_an_error_and_costs_no_connection(
    tasks: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuiparallel.hub.queries.MAX_FRAME", 1000)
    client = tasks.client("cc")
    answer = client.ask("db_query", query={}, keys=None)
    assert isinstance(answer, ErrorText) and answer.ename == "MessageTooLarge"
    assert client.ask("db_query", query={"msg_id": "aa-0"}, keys=["state"])[0]["msg_id"] == "aa-0"


def test_text_cannot_leave_its_place(tasks: Stage) -> None:
    nasty = "x'; DROP TABLE tasks; --"
    assert db_query(tasks.book, {"name": nasty, "msg_id": {"$in": [nasty, "aa-0"]}}, []) == []
    with pytest.raises(ValueError, match="no key"):
        db_query(tasks.book, {nasty: 1}, None)
    assert msgspec.msgpack.encode(db_query(tasks.book, {}, None))
