"""Task rows in columns, against a dict of the rows themselves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.samples import HEX, T, task
from tuiparallel.monitor.names import Names
from tuiparallel.monitor.rows import FAILED_PHASES, OPEN_PHASES, Phase, TaskView
from tuiparallel.monitor.tasks import PHASES, Journal, Packed, TaskTable
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import MergedRow, TaskRow
from tuiparallel.wire.states import State


def table(limit: int = 1000) -> TaskTable:
    found = TaskTable(Names(), limit)
    found.sessions[1] = HEX
    return found


def view(found: TaskTable, row: TaskRow | int) -> TaskView:
    slot = found.slot(row if isinstance(row, int) else row.id)
    assert slot is not None
    return found.view(slot)


stamps = st.floats(T, T + 10_000)


@st.composite
def rows(draw: st.DrawFn) -> TaskRow:
    state = draw(st.sampled_from(State))
    started = draw(st.none() | stamps)
    completed = draw(stamps) if state not in (State.QUEUED, State.ASSIGNED) else None
    return TaskRow(
        id=task_id(draw(st.integers(1, 3)), draw(st.integers(0, 600))),
        state=int(state),
        engine=draw(st.none() | st.integers(0, 2**31 - 1)),
        name=draw(st.sampled_from(["fit", "mc", "read"])),
        label=draw(st.sampled_from([None, "warmup", "night"])),
        batch=draw(st.integers(0, 2**62)),
        submitted=draw(stamps),
        started=started,
        completed=completed,
        received=completed + 0.25 if completed else None,
        attempt=draw(st.integers(1, 255)),
        size=draw(st.integers(0, 2**40)),
        result_size=draw(st.none() | st.integers(0, 2**40)),
        ename=draw(st.sampled_from(["", "ValueError"])),
        evalue="bad",
        waiting=draw(st.booleans()),
        running=draw(st.booleans()),
    )


def agrees(seen: TaskView, row: TaskRow) -> None:
    assert (seen.id, seen.name, seen.label, seen.engine) == (row.id, row.name, row.label, row.engine)
    assert (seen.batch, seen.size, seen.result_size, seen.attempt) == (
        row.batch,
        row.size,
        row.result_size,
        row.attempt,
    )
    assert seen.state == State(row.state)
    assert seen.submitted == row.submitted
    assert seen.ename == row.ename
    for part in (seen.wait, seen.run, seen.back):
        assert part is None or part >= 0
    if row.started is not None and not seen.skew:
        assert seen.started == pytest.approx(row.started, abs=2e-6)
        if row.completed is not None:
            assert seen.completed == pytest.approx(row.completed, abs=3e-6)
            assert seen.received == pytest.approx(row.received, abs=4e-6)
    # The phases sum up to the total, also where a stamp had to be corrected.
    if seen.wait is not None and seen.run is not None and seen.back is not None and seen.received is not None:
        assert seen.wait + seen.run + seen.back == pytest.approx(seen.received - seen.submitted, abs=1e-5)


@settings(max_examples=80)
@given(st.lists(rows(), max_size=40))
def test_any_rows_in_any_order(sent: list[TaskRow]) -> None:
    found = table()
    true: dict[int, TaskRow] = {}
    for row in sent:
        old = true.get(row.id)
        opens_again = old is not None and State(old.state) not in (State.QUEUED, State.ASSIGNED)
        if opens_again and row.state in (State.QUEUED, State.ASSIGNED):
            assert not found.put(row)
            continue
        found.put(row)
        assert not found.put(row), "the same row twice changes nothing"
        true[row.id] = row
    assert len(found) == len(true) == found.represented
    for row in true.values():
        agrees(view(found, row), row)
    expected = [row.id for row in sorted(true.values(), key=lambda row: (row.submitted, row.id))]
    assert [found.ids[slot] for slot in found.order] == expected
    phases = Counter(view(found, row).phase for row in true.values())
    assert {PHASES[number]: count for number, count in enumerate(found.by_phase) if count} == phases
    assert set(found.open) == {row.id for row in true.values() if view(found, row).open}


@settings(max_examples=50)
@given(st.lists(rows(), max_size=60), st.integers(1, 20))
def test_the_bound_holds_and_open_tasks_stay(sent: list[TaskRow], limit: int) -> None:
    found = table(limit)
    for row in sent:
        found.put(row)
        assert len(found) <= limit
    kept = [found.view(slot) for slot in found.order]
    assert found.represented == len(kept)
    assert sum(found.by_phase) == len(kept)
    assert {found.ids[slot] for slot in found.order} == {seen.id for seen in kept}
    assert set(found.open) == {seen.id for seen in kept if seen.open}


def test_done_goes_first_failures_last_open_never() -> None:
    found = table(limit=4)
    open_, failed = task(0, State.ASSIGNED, running=True), task(1, State.ERROR)
    aborted, done = task(2, State.ABORTED), task(3)
    for row in (open_, failed, aborted, done):
        found.put(row)
    gone = []
    for counter in (10, 11, 12):
        before = {found.ids[slot] for slot in found.order}
        found.put(task(counter, State.ASSIGNED))
        gone += sorted(before - {found.ids[slot] for slot in found.order})
    assert gone == [done.id, aborted.id, failed.id]
    assert not found.put(task(13, State.ASSIGNED)), "full of open tasks: one more has no room"
    assert found.refused == 1
    assert found.slot(open_.id) is not None


def test_an_ended_task_never_opens_again_but_its_outcome_may_be_told_better() -> None:
    found = table()
    found.put(task(1))
    assert not found.put(task(1, State.ASSIGNED, running=True))
    assert view(found, task(1)).phase is Phase.DONE
    assert found.put(msgspec.structs.replace(task(1), result_size=7))
    assert view(found, task(1)).result_size == 7


def test_phases_of_open_tasks() -> None:
    found = table()
    cases: list[tuple[State, dict[str, Any], Phase]] = [
        (State.QUEUED, {}, Phase.QUEUED),
        (State.QUEUED, {"waiting": True}, Phase.WAITING),
        (State.ASSIGNED, {}, Phase.HELD),
        (State.ASSIGNED, {"running": True, "started": T + 99}, Phase.RUNNING),
    ]
    for counter, (state, extra, phase) in enumerate(cases):
        found.put(task(counter, state, **extra))
        assert view(found, task(counter)).phase is phase
        assert phase in OPEN_PHASES and phase not in FAILED_PHASES


def test_skewed_clocks_give_no_negative_times() -> None:
    found = table()
    found.put(task(0, started=T - 5, completed=T - 4.5, received=T + 1))
    seen = view(found, task(0))
    assert seen.skew
    assert [seen.wait, seen.run, seen.back] == pytest.approx([0, 0.5, 5.5])


def test_a_task_that_never_started_has_no_run_time() -> None:
    found = table()
    found.put(task(0, State.ABORTED, completed=T + 3, received=T + 3.5))
    found.put(task(1, State.LOST, completed=0.0, received=T + 9))
    seen = view(found, task(0))
    assert (seen.wait, seen.run, seen.started) == (None, None, None)
    assert seen.completed == pytest.approx(T + 3)
    assert seen.received == pytest.approx(T + 3.5)
    assert view(found, task(1)).completed == pytest.approx(T + 9)


def merged(first: int, count: int = 812, **fields: float) -> MergedRow:
    facts: dict[str, float] = {"busy": 4.06, "start": T + 10, "end": T + 20, "wait": 8.12, "back": 0.812} | fields
    return MergedRow(
        2,
        "noop",
        int(State.DONE),
        count,
        facts["busy"],
        facts["start"],
        facts["end"],
        first,
        facts["wait"],
        facts["back"],
        100,
        200,
    )


def test_a_merged_row_stands_for_many() -> None:
    found = table()
    first = task_id(1, 50)
    assert found.put_merged(merged(first), T)
    assert not found.put_merged(merged(first), T)
    seen = view(found, first)
    assert (seen.count, seen.name, seen.engine, seen.phase) == (812, "noop", 2, Phase.DONE)
    assert (seen.run, seen.wait, seen.back) == pytest.approx((0.005, 0.01, 0.001))
    assert (seen.started, seen.completed) == pytest.approx((T + 10, T + 20))
    assert (seen.size, seen.result_size) == (100, 200)
    assert found.represented == 812
    assert found.put(task(51)) and found.represented == 813


def test_a_merged_row_takes_the_place_of_its_open_task() -> None:
    found = table()
    found.put(task(50, State.ASSIGNED))
    assert found.put_merged(merged(task_id(1, 50)), T)
    assert view(found, task_id(1, 50)).count == 812
    assert not found.open
    found.put(task(51))
    assert not found.put_merged(merged(task_id(1, 51)), T), "it has ended already"


def test_merged_tasks_that_never_ran_stand_where_they_were_told() -> None:
    found = table()
    found.put_merged(merged(task_id(1, 50), start=0.0, end=0.0, busy=0.0, wait=0.0), T + 5)
    assert view(found, task_id(1, 50)).submitted == T + 5


def test_forgotten_rows_leave_nothing() -> None:
    found = table()
    for counter in range(2000):
        found.put(task(counter, State.ERROR, ename="E", evalue=str(counter), size=2**33))
    found.forget([task_id(1, counter) for counter in range(2000)])
    assert len(found) == 0 and not found.errors and not found.open and not found._blocks
    assert not found.size.large and found.represented == 0
    found.put(task(5))
    assert len(found.ids) <= 1001, "slots are used again"


def test_packed_keeps_small_large_and_no_numbers() -> None:
    column = Packed()
    column.values.append(0)
    for value in (0, 5, 2**32 - 2, 2**32 - 1, 2**50, None, 7, 2**33, 2**34, 1):
        column.set(0, value)
        assert column.get(0) == value
    assert not column.large


def test_the_journal_tells_what_changed_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "LIMIT", 10)
    journal = Journal()
    for number in range(10):
        journal.note(number, float(number))
    assert journal.since(8) == {(8, 8.0), (9, 9.0)}
    journal.note(10, 10.0)
    assert journal.end == 11
    assert journal.since(4) is None
    assert journal.since(5) == {(number, float(number)) for number in range(5, 11)}
    assert journal.since(11) == set()
