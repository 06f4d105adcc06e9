"""Lists that follow a table, and queries by column: both must agree with filtering all rows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.samples import HEX, T, task
from tests.monitor.test_tasks import rows
from tuiparallel.monitor import tasklist
from tuiparallel.monitor.masks import matching
from tuiparallel.monitor.names import Names
from tuiparallel.monitor.query import Query, parse
from tuiparallel.monitor.tasklist import Tasks
from tuiparallel.monitor.tasks import TaskTable
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import MergedRow, TaskRow
from tuiparallel.wire.states import State

TERMS = [
    "state:done", "state:open", "state:failed,aborted", "state:*ed", "fn:fit", "fn:f*,mc", "label:none", "label:warm*",
    "engine:0-1000", "engine:none", "engine:>5,none", "client:aa", "client:a*", "run:>1s", "run:none", "run:<1h",
    "wait:>100s", "wait:none", "return:<1s", "return:none", "size:>1G", "size:<5k", "result:none", "result:>1M",
    "attempt:>3", "error:Value*", "error:none", "error:bad", "submitted:>2023-11-14T23:00", '"fit"', "night", "bad",
    "id:*-1*", "started:none", "completed:>2023-11-14T23:00", "count:>1", "batch:>0",
]  # fmt: skip


@st.composite
def queries(draw: st.DrawFn, depth: int = 2) -> str:
    if depth == 0:
        return draw(st.sampled_from(TERMS))
    parts = draw(st.lists(queries(depth - 1), min_size=1, max_size=3))
    text = draw(st.sampled_from([" ", " OR "])).join(parts)
    return f"-({text})" if draw(st.booleans()) else f"({text})"


def table(sent: list[TaskRow], limit: int = 1000) -> TaskTable:
    found = TaskTable(Names(), limit)
    found.sessions.update({1: "aa", 2: "bb"})
    found.put_merged(MergedRow(2, "noop", int(State.DONE), 9, 1.0, T + 1, T + 2, task_id(1, 700), 1.0), T)
    for row in sent:
        found.put(row)
    return found


def naive(found: TaskTable, query: Query) -> list[int]:
    return [found.ids[slot] for slot in found.order if query.matches(found.view(slot))]


@settings(max_examples=80)
@given(st.lists(rows(), max_size=20), queries())
def test_columns_agree_with_rows(sent: list[TaskRow], text: str) -> None:
    found = table(sent)
    query = parse(text)
    assert [found.ids[slot] for slot in matching(found, query)] == naive(found, query)


@settings(max_examples=80)
@given(st.lists(st.lists(rows(), max_size=8), max_size=5), queries(), st.booleans(), st.integers(5, 60))
def test_a_list_that_follows_is_one_made_anew(
    turns: list[list[TaskRow]], text: str, reverse: bool, limit: int
) -> None:
    found = table([], limit)
    query = parse(text)
    follower = Tasks(found, query, "submitted", reverse)
    every = Tasks(found, None, "submitted", reverse)
    for turn in turns:
        before = follower.slice(0, len(follower))
        for row in turn:
            found.put(row)
        changed = follower.follow()
        every.follow()
        true = naive(found, query)
        now = follower.slice(0, len(follower))
        assert now == (true[::-1] if reverse else true)
        assert changed or now == before
        assert [follower.index(number) for number in now] == list(range(len(now)))
        assert len(every) == len(found)
        assert not follower.follow(), "nothing came: nothing changed"


@settings(max_examples=40)
@given(
    st.lists(rows(), max_size=40),
    st.sampled_from(["run", "size", "fn", "engine", "wait", "label", "state"]),
    st.booleans(),
)
def test_sorted_by_a_field_unknown_last(sent: list[TaskRow], sort: str, reverse: bool) -> None:
    found = table(sent)
    listed = Tasks(found, None, sort, reverse)
    assert listed.follow()
    views = listed.rows(0, 100)
    assert len(views) == len(found)
    attribute = {"fn": "name", "state": "phase"}.get(sort, sort)
    values = [getattr(row, attribute) for row in views]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    if sort != "state":
        assert known == sorted(known, reverse=reverse)
    for place, row in enumerate(views):
        assert listed.index(row.id) == place


@settings(max_examples=40)
@given(st.lists(rows(), max_size=40), st.sampled_from(["run", "return", "size", "result"]), st.booleans())
def test_a_large_table_is_sorted_alike(sent: list[TaskRow], sort: str, reverse: bool) -> None:
    found = table(sent)
    small, large = Tasks(found, None, sort, reverse), Tasks(found, None, sort, reverse)
    small.follow()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasklist, "ROW_BY_ROW", 0)
        large.follow()
    assert large.slice(0, 100) == small.slice(0, 100)


def test_a_large_table_is_queried_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasklist, "ROW_BY_ROW", 10)
    found = table([task(counter, State.ERROR if counter % 7 == 0 else State.DONE) for counter in range(100)])
    listed = Tasks(found, parse("state:error"), "submitted", True)
    assert listed.follow()
    assert [row.id for row in listed.rows(0, 3)] == [task_id(1, 98), task_id(1, 91), task_id(1, 84)]
    found.put(task(200, State.ERROR))
    assert listed.follow() and listed.rows(0, 1)[0].id == task_id(1, 200)


def test_tasks_of_one_submit_share_a_stamp_and_keep_their_order() -> None:
    found = table([task(counter, submitted=T) for counter in (5, 3, 9, 1)])
    listed = Tasks(found, parse("fn:fit"), "submitted", False)
    listed.follow()
    found.put(task(4, submitted=T))
    listed.follow()
    assert listed.slice(0, 9) == [task_id(1, counter) for counter in (1, 3, 4, 5, 9)]
    assert HEX and listed.index(task_id(1, 4)) == 2


def test_rows_that_went_since_are_left_out() -> None:
    found = table([task(counter) for counter in range(5)])
    listed = Tasks(found, parse("fn:fit"), "submitted", False)
    listed.follow()
    found.forget([task_id(1, 2)])
    assert [row.id for row in listed.rows(0, 5)] == [task_id(1, counter) for counter in (0, 1, 3, 4)]
    assert listed.index(task_id(1, 99)) is None
