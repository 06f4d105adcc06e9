"""The store as a whole: versions, snapshots and gaps, merged rows, what each read answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.samples import HEX, T, batch, client, delta, engine, failure, snapshot, task
from tuiparallel.monitor.intake import Bounds
from tuiparallel.monitor.lints import Thresholds
from tuiparallel.monitor.query import ENGINE_FIELDS, FAILURE_FIELDS, parse
from tuiparallel.monitor.reads import Reads
from tuiparallel.monitor.rows import LinkState, LinkView, OutputFilter, Phase, Section
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import (
    Chunk,
    Counters,
    Delta,
    EventRow,
    FunctionRow,
    LimitRow,
    MergedRow,
    TaskRow,
    Vital,
)
from tuiparallel.wire.states import EngineState, State

ROOM = Counters(queued=10_000)


def begun(engines: int = 2, **fields: object) -> ClusterStore:
    """A live store with a snapshot."""
    store = ClusterStore()
    store.set_link(LinkView(LinkState.LIVE, T))
    store.apply(snapshot(counters=ROOM, engines=[engine(number) for number in range(engines)], **fields), T)  # type: ignore[arg-type]
    return store


def moved(store: ClusterStore, message: Delta) -> set[Section]:
    """Sections whose version a message changes."""
    before = {section: store.version(section) for section in Section}
    store.apply(message, message.at)
    return {section for section in Section if store.version(section) != before[section]}


def ids(store: ClusterStore, where: str = "") -> list[int]:
    found = store.task_list(parse(where))
    found.refresh()
    return list(found.ids())


# Versions ---------------------------------------------------------------------------------------------------------

CHANGES: dict[str, tuple[dict[str, Any], set[Section]]] = {
    "engines": ({"engines": [engine(0, EngineState.BUSY, held=1)]}, {Section.ENGINES}),
    "running": (
        {"engines": [engine(0, EngineState.BUSY, task=task_id(1, 5), name="fit", started=T)]},
        {Section.ENGINES, Section.TIMELINE},
    ),
    "open": ({"tasks": [task(1, State.QUEUED)]}, {Section.TASKS}),
    "ended": ({"tasks": [task(1)]}, {Section.TASKS, Section.TIMELINE}),
    "merged": (
        {"merged": [MergedRow(0, "noop", 2, 9, 0.5, T, T + 1, task_id(1, 9))]},
        {Section.TASKS, Section.TIMELINE},
    ),
    "batches": ({"batches": [batch(10, 1, T)]}, {Section.BATCHES}),
    "clients": ({"clients": [client(2, "ff")]}, {Section.CLIENTS, Section.HEADER, Section.TASKS}),
    "functions": ({"functions": [FunctionRow("fit", 1, 0, 1.0, 0.0, 0.0, 1.0)]}, {Section.FUNCTIONS}),
    "failures": ({"failures": [failure(1)]}, {Section.FAILURES}),
    "output": ({"output": [Chunk(0, 1, "stdout", "x\n", T, 0)]}, {Section.OUTPUT}),
    "events": ({"events": [EventRow(T, "joined", "e0 joined", 0)]}, {Section.EVENTS}),
    "vitals": ({"vitals": [Vital("u0", 800, 0.5, 100, 1000)]}, {Section.VITALS, Section.ENGINES}),
    "limits": ({"limits": [LimitRow("rows", 1, 10)]}, {Section.HEADER}),
    "expected": ({"expected": 5}, {Section.HEADER}),
    "counters": ({"counters": Counters(queued=10_001)}, {Section.HEADER}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_version_moves_exactly_when_its_section_does(name: str) -> None:
    change, sections = CHANGES[name]
    store = begun()
    first = {"counters": ROOM} | change
    assert moved(store, Delta(number=2, at=T + 1, **first)) == sections
    # The same rows again tell nothing new; only measurements are another point of their ring.
    again = moved(store, Delta(number=3, at=T + 1, **first))
    assert again == ({Section.VITALS} if name == "vitals" else set())


def test_warnings_move_with_their_content() -> None:
    store = begun(0, limits=[LimitRow("rows", 95, 100)])
    before = store.version(Section.WARNINGS)
    store.tick(T + 1)
    assert store.version(Section.WARNINGS) == before + 1
    store.tick(T + 2)
    assert store.version(Section.WARNINGS) == before + 1
    assert [lint.id for lint in store.warnings()] == ["storage"]
    silenced = ClusterStore(thresholds=Thresholds(silenced=frozenset({"storage"})))
    silenced.set_link(LinkView(LinkState.LIVE, T))
    silenced.apply(snapshot(0, limits=[LimitRow("rows", 95, 100)]), T)
    silenced.tick(T + 3)
    assert silenced.warnings() == []


def test_no_warning_is_judged_while_the_link_is_not_live() -> None:
    store = begun(limits=[LimitRow("rows", 95, 100)])
    store.set_link(LinkView(LinkState.STALE, T))
    store.tick(T + 1)
    assert store.warnings() == []


# Order, gaps, snapshots -------------------------------------------------------------------------------------------


def test_an_old_delta_is_ignored() -> None:
    store = begun()
    store.apply(delta(2, tasks=[task(1, State.QUEUED)]), T)
    assert moved(store, delta(2, T + 1, tasks=[task(2)], counters=Counters(queued=1))) == set()
    assert store.next_number() == 3


def test_no_row_twice_and_true_counts_after_a_gap() -> None:
    store = begun(2, failures=[failure(3)])
    store.apply(
        delta(2, T + 1, tasks=[task(1), task(2, State.ASSIGNED), task(3, State.ERROR)], failures=[failure(3)]), T
    )
    # Messages are missing; what the hub says now is the truth.
    store.apply(
        snapshot(
            90,
            T + 60,
            Counters(queued=1, done=50, error=9),
            [engine(0)],
            [task(4, State.QUEUED)],
            failures=[failure(3), failure(5)],
        ),
        T + 60,
    )
    assert ids(store) == [task_id(1, counter) for counter in (4, 3, 2, 1)]
    assert store.doubtful() == (1, T + 1)
    store.apply_page([task(5), task(4, State.QUEUED), task(3, State.ERROR), task(2), task(1)], last=True)
    assert store.doubtful() == (0, None)
    assert store.task(task_id(1, 2)).phase is Phase.DONE  # type: ignore[union-attr]
    assert ids(store) == [task_id(1, counter) for counter in (5, 4, 3, 2, 1)]
    assert [kind.count for kind in store.failures()] == [2]
    assert store.failures_before() == 7
    assert store.header(T + 60).counters.done == 50
    assert store.busy(0, T, T + 60, T + 60) == pytest.approx(4 * 0.5)
    assert store.history_complete()


def test_tasks_nobody_knows_any_more_are_dropped() -> None:
    store = begun()
    store.apply(delta(2, tasks=[task(1, State.ASSIGNED), task(2)]), T)
    store.apply(snapshot(9, T + 9, boot="b2", counters=Counters()), T + 9)
    assert store.boot == "b2"
    assert store.settle() == 1
    assert ids(store) == [task_id(1, 2)]


def test_a_snapshot_that_does_not_list_all_leaves_it_to_the_counters() -> None:
    store = begun()
    store.apply(delta(2, tasks=[task(counter, State.QUEUED) for counter in range(10)]), T)
    store.apply(snapshot(9, T + 9, counters=Counters(queued=7), tasks=[task(9, State.QUEUED)]), T + 9)
    assert store.doubtful()[0] == 9
    assert store.settle() == 3
    assert ids(store) == [task_id(1, counter) for counter in range(9, 2, -1)]


def test_history_never_takes_back_what_a_live_row_told() -> None:
    store = begun()
    store.apply(delta(2, tasks=[task(1, result_size=77)]), T)
    store.apply_page([task(1)], last=False)
    assert store.task(task_id(1, 1)).result_size == 77  # type: ignore[union-attr]


def test_a_gap_is_unknown_time_unless_history_tells() -> None:
    store = begun(1)
    store.apply(snapshot(1, T + 100, boot="b2", counters=ROOM, engines=[engine(0)]), T + 100)
    cells = store.timeline([0], T - 50, T + 150, 4, T + 150)[0].cells
    assert [cell.unknown for cell in cells] == [False, True, True, False]
    store.apply_page([task(10, started=T + 10, completed=T + 45)], last=False)
    cells = store.timeline([0], T + 10, T + 50, 4, T + 150)[0].cells
    assert [cell.unknown for cell in cells] == [False, False, False, False]


def test_an_engine_that_is_not_listed_any_more_is_dead_and_stays() -> None:
    store = begun(2)
    store.apply(snapshot(5, T + 5, counters=ROOM, engines=[engine(1)]), T + 5)
    gone = store.engine(0, T + 5)
    assert gone is not None and gone.state is EngineState.DEAD and gone.row.reason
    assert store.forget_dead() == [0]
    assert store.engine_ids(T + 5) == [1]


def test_silence_is_unknown_time() -> None:
    store = begun(1)
    store.apply(delta(2, T + 20, engines=[engine(0, EngineState.UNRESPONSIVE, heard=T + 10)]), T + 20)
    assert store.timeline([0], T + 12, T + 18, 1, T + 20)[0].cells[0].unknown
    store.apply(delta(3, T + 30, engines=[engine(0, heard=T + 30)]), T + 30)
    assert [cell.unknown for cell in store.timeline([0], T, T + 40, 4, T + 40)[0].cells] == [False, True, True, False]


def test_open_rows_that_cannot_be_true_are_dropped() -> None:
    store = begun()
    rows = [task(counter, State.QUEUED) for counter in range(10)]
    store.apply(delta(2, tasks=rows, engines=[engine(0, EngineState.BUSY, task=task_id(1, 0), name="fit")]), T)
    done = MergedRow(0, "fit", int(State.DONE), 8, 0.5, T, T + 1, task_id(1, 100))
    store.apply(delta(3, T + 1, Counters(queued=1, assigned=1, done=8), merged=[done]), T + 1)
    # Eight of them have ended under the merged row; the one that an engine runs is not among those.
    assert ids(store, "state:open") == [task_id(1, 9), task_id(1, 0)]
    assert store.task_counts() == (3, 0)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.data())
def test_any_order_with_repeats_and_pages_ends_in_the_same_truth(order: list[int], data: st.DataObject) -> None:
    rows = {counter: task(counter, State.ERROR if counter % 5 == 0 else State.DONE) for counter in set(order)}
    store = ClusterStore()
    store.apply(snapshot(counters=ROOM, engines=[engine(0)]), T)
    number = 1
    for counter in order:
        if data.draw(st.booleans()):
            store.apply_page([rows[counter]], last=False)
        else:
            number += 1
            store.apply(delta(number, tasks=[rows[counter]]), T)
    assert ids(store) == [rows[counter].id for counter in sorted(rows, reverse=True)]
    assert store.busy(0, T - 1, T + 100, T + 100) == pytest.approx(0.5 * len(rows))
    failed = []
    at = T - 1
    while mark := store.next_failure([0], at):
        failed.append(mark.task)
        at = mark.at
    assert failed == [task_id(1, counter) for counter in sorted(rows) if counter % 5 == 0]


def test_what_a_merged_row_stands_for_is_not_counted_again_by_a_page() -> None:
    store = begun(1)
    merged = MergedRow(0, "fit", int(State.DONE), 10, 5.0, T, T + 10, task_id(1, 0))
    store.apply(delta(2, T + 10, merged=[merged]), T + 10)
    store.apply_page([task(counter) for counter in range(1, 9)], last=False)
    assert len(ids(store)) == 1
    assert store.busy(0, T, T + 20, T + 20) == pytest.approx(5.0, rel=0.01)


# Reads ------------------------------------------------------------------------------------------------------------


def test_the_store_answers_the_whole_interface() -> None:
    wanted = {name for name in vars(Reads) if not name.startswith("_")}
    assert wanted and all(vars(ClusterStore).get(name) is not None for name in wanted)
    assert all(getattr(ClusterStore, name).__doc__ or getattr(Reads, name).__doc__ for name in wanted)


def test_header() -> None:
    store = begun(
        2, expected=3, limits=[LimitRow("rows", 99, 100), LimitRow("bytes", 5, 100)], skipped=4, boots=2, pid=811
    )
    for second in range(1, 11):
        counters = Counters(queued=5, done=30 * second, error=1, lost=1, late=3)
        store.apply(delta(second + 1, T + second, counters), T + second)
    header = store.header(T + 10)
    assert (header.cluster, header.up, header.expected, header.busy, header.failed) == ("lab", 2, 3, 0, 2)
    assert (header.late, header.skipped, header.boots, header.pid, header.clients) == (3, 4, 2, 811, 1)
    assert header.rate == pytest.approx(30, rel=0.05)
    assert header.rates[1:] == (30.0,) * 9
    assert header.full == ("rows",)
    assert header.ended == 302
    assert header.link.state is LinkState.LIVE


def test_the_hubs_clock_and_the_lag() -> None:
    store = ClusterStore()
    store.apply(snapshot(at=T), T + 500)  # our clock is 500 s ahead
    assert store.hub_time(T + 510) == T + 10
    store.apply(delta(2, T + 10), T + 510.25)
    assert store.header(T + 511).lag == pytest.approx(0.25)
    store.apply(delta(3, T + 11), T + 510.9)
    assert store.hub_time(T + 510.9) == pytest.approx(T + 11)


def test_engine_rows() -> None:
    store = begun(3, functions=[FunctionRow("fit", 10, 0, 20.0, 0.0, 0.0, 3.0)])
    busy = engine(1, EngineState.BUSY, queue=3, held=1, task=task_id(1, 7), name="fit", label="night", started=T)
    store.apply(delta(2, T + 1, engines=[busy], vitals=[Vital("u1", 801, 0.9, 930, 1000)]), T + 1)
    store.tick(T + 1)
    view = store.engine(1, T + 1.5)
    assert view is not None
    assert (view.queue, view.now, view.msg_id, view.cpu, view.memory) == (4, "fit night", f"{HEX}-7", 0.9, 0.93)
    assert view.age == pytest.approx(1.5)
    assert view.est == pytest.approx(4 * 2.0 - 1.5)
    assert view.warnings == ("memory",)
    assert store.engine(2, T).est == 0.0  # type: ignore[union-attr]
    assert store.engine(9, T) is None
    assert store.engine_ids(T, parse("state:idle", ENGINE_FIELDS)) == [0, 2]
    assert store.engine_ids(T, sort="cpu", reverse=True) == [1, 0, 2]
    assert store.engine_ids(T, reverse=True) == [2, 1, 0]
    assert [row.id for row in store.engine_rows([2, 9, 0], T)] == [2, 0]
    assert store.vitals(1, "memory") == pytest.approx([0.93])
    assert store.vitals(9, "cpu") == []


def test_cursor_by_id_survives_a_thousand_updates() -> None:
    store = begun(50)
    for number in range(2, 1002):
        store.apply(
            delta(number, T + number, engines=[engine(number % 50, EngineState.BUSY, queue=number)]), T + number
        )
    (view,) = store.engine_rows([7], T)
    assert view.id == 7 and view.row.queue == 957
    assert store.engine_ids(T) == list(range(50))


def test_tasks_by_id_and_name() -> None:
    store = begun()
    store.apply(delta(2, tasks=[task(5)]), T)
    found = store.task_named(f"{HEX}-5")
    assert found is not None and found == store.task(task_id(1, 5))
    assert store.task_named("nothing") is None and store.task_named(f"{HEX}-6") is None
    assert store.task_rows([task_id(1, 5), 99]) == [found]
    assert store.msg_id(task_id(1, 6)) == f"{HEX}-6"
    assert store.msg_id(task_id(8, 6)) == "#8-6"


def test_the_task_at_the_cursor_is_the_stores() -> None:
    store = begun()
    store.apply(delta(2, tasks=[task(5), task(6, State.ERROR)]), T)
    at = store.task_at(0, T + 5.3, T + 10)
    assert at is not None and at.id == task_id(1, 5)
    assert store.task_at(0, T + 5.9, T + 10) is None
    assert store.task_at(7, T, T) is None
    mark = store.next_failure([0, 1], T)
    assert mark is not None and (mark.engine, mark.task) == (0, task_id(1, 6))
    assert store.next_failure([1], T) is None
    assert store.next_failure([0], T + 99, back=True) == mark
    assert store.oldest() == pytest.approx(T + 5.1)


def test_functions_count_what_waits_and_runs() -> None:
    store = begun(2, functions=[FunctionRow("fit", 10, 1, 22.0, 5.0, 1.0, 3.0, {330: 11})])
    running = engine(0, EngineState.BUSY, held=1, task=task_id(1, 60), name="fit", started=T)
    store.apply(
        delta(
            2,
            batches=[batch(50, 10, T, failed=1), batch(7, 0, T, first=60, name="new")],
            engines=[running],
            tasks=[task(1, size=10, result_size=20)],
        ),
        T,
    )
    fit, new = store.functions()
    assert (fit.name, fit.count, fit.queued, fit.running, fit.failed) == ("fit", 11, 38, 1, 1)
    assert (fit.total, fit.mean, fit.size, fit.result_size) == (22.0, 2.0, 10, 20)
    assert (new.name, new.count, new.queued, new.running) == ("new", 0, 7, 0)
    assert store.function("fit") == fit and store.function("none") is None
    assert [row.name for row in store.functions(sort="name", reverse=False)] == ["fit", "new"]


def test_batches_and_clients() -> None:
    store = begun(batches=[batch(10, 10, T + 5), batch(100, 3, T + 4, first=20)])
    assert [row.id for row in store.batches(T + 6)] == [task_id(1, 20), task_id(1, 0)]
    assert store.batch(task_id(1, 0), T).finished  # type: ignore[union-attr]
    assert store.batches(T)[0].client == HEX
    store.apply(delta(2, clients=[client(2, "ffff", connected=False), client(3, "aaaa", since=T - 5)]), T)
    assert [row.hex for row in store.clients()] == ["aaaa", HEX, "ffff"]


def test_failures_by_query_and_task() -> None:
    store = begun(failures=[failure(1), failure(2, ename="KeyError", engine=3)])
    kinds = [kind for kind in store.failures() if parse("engine:3", FAILURE_FIELDS).matches(kind)]
    assert [kind.ename for kind in kinds] == ["KeyError"]
    assert store.failure_kind_of(failure(1).task) == store.failure_kind(1)
    assert store.failure_kind_of(5) is None


def test_output_lists() -> None:
    store = begun()
    listed = store.output_list(OutputFilter(engines=frozenset({1})))
    store.apply(delta(2, output=[Chunk(0, 1, "stdout", "a\n", T, 0), Chunk(1, 1, "stdout", "b\nc\n", T, 0)]), T)
    assert listed.refresh() and not listed.refresh()
    assert [line.text for line in listed.rows(0, 9)] == ["b", "c"]
    assert listed.number(1) == 2 and listed.index(2) == 1 and listed.find("C") == [1]
    assert [line.text for line in store.last_output(1, 1)] == ["c"]
    with pytest.raises(IndexError):
        listed.number(5)


def test_events_and_notes() -> None:
    store = begun()
    joined = EventRow(T, "joined", "e0 \x1b[2Jjoined", 0)
    store.apply(delta(2, events=[joined]), T)
    store.note("abort", "aborted 17 tasks", T + 1, python="rc.abort()")
    store.apply(delta(3, events=[joined]), T)
    assert store.event_count() == 2
    first, second = store.events(0, 10)
    assert (first.text, first.source, first.number) == ("e0 joined", "cluster", 0)
    assert (second.source, second.python, second.number) == ("action", "rc.abort()", 1)
    assert store.events(1, 10) == [second]


def test_every_bound_is_told() -> None:
    store = ClusterStore(Bounds(tasks=50, spans=40, lines=10, events=5, clients=3))
    store.apply(snapshot(counters=ROOM, engines=[engine(0)]), T)
    rows: Sequence[TaskRow] = [task(counter) for counter in range(100)]
    store.apply(delta(2, tasks=list(rows)), T)
    store.apply(
        delta(
            3,
            output=[Chunk(0, 1, "stdout", "x\n" * 50, T, 0)],
            clients=[client(number, str(number)) for number in range(9)],
        ),
        T,
    )
    store.apply(delta(4, events=[EventRow(T + number, "joined", "e") for number in range(20)]), T)
    health = store.health(T)
    assert {row.name for row in health.ours} >= {"tasks", "spans", "output lines", "events", "clients"}
    for row in health.ours:
        assert row.used <= row.limit, row
    assert store.task_counts()[0] <= 50
    assert len(fields(Bounds)) == 8


def test_rows_survive_what_happens_later() -> None:
    store = begun()
    store.apply(delta(2, tasks=[task(5)]), T)
    before = store.task(task_id(1, 5))
    store.apply(delta(3, tasks=[msgspec.structs.replace(task(5), result_size=9)]), T)
    assert before is not None and before.result_size is None
