"""What observers are told: snapshots, numbered deltas, merged rows, output, and what is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.hub.stage import Stage, balanced
from tuiparallel.hub.feed import ROWS_A_SECOND
from tuiparallel.wire.messages import Abort, Began, Chunk, MergedRow, Observe, Output, Revoke
from tuiparallel.wire.states import EngineState, State


def test_a_snapshot_then_deltas_without_a_gap(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced("f", label="l"), 2)
    stage.until(lambda: len(engine.queue) == 2)
    watcher = stage.client("ob", observer=True)
    snapshot = watcher.watch()
    assert snapshot.boot == stage.book.boot and snapshot.durability == "process"
    assert [row.name for row in snapshot.tasks] == ["f", "f"]
    assert snapshot.counters.assigned == 2 and snapshot.engines[0].held == 2
    assert snapshot.batches[0].total == 2 and snapshot.batches[0].label == "l"
    engine.finish()
    for _ in range(5):
        client.submit(balanced("g"))
        stage.until(lambda: engine.queue)
        engine.finish()
        stage.advance(0.2)
    stage.until(lambda: watcher.deltas() and watcher.deltas()[-1].counters.done == 7)
    numbers = [delta.number for delta in watcher.deltas()]
    assert numbers == list(range(snapshot.number + 1, snapshot.number + 1 + len(numbers)))
    ended = [row for delta in watcher.deltas() for row in delta.tasks if row.state == State.DONE]
    assert {row.id for row in ended} == {task for task in engine.starts}
    assert all(row.received is not None and row.result_size for row in ended)


def test_submissions_say_how_many_of_their_tasks_run_and_how_they_ended(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(hwm=2)
    watcher = stage.client("ob", observer=True)
    watcher.watch()
    client, one, two = stage.client(), stage.engine(), stage.engine()
    client.submit(balanced("f"), 5)

    def last() -> tuple[int, ...]:
        rows = [row for delta in watcher.deltas() for row in delta.batches if row.name == "f"]
        return (rows[-1].running, rows[-1].done, rows[-1].failed, rows[-1].aborted) if rows else ()

    stage.until(lambda: last() == (2, 0, 0, 0))
    assert stage.client("late", observer=True).watch().batches[0].running == 2
    assert len(one.queue) == len(two.queue) == 2, "those behind the first do not run"
    one.finish(one.queue[0])
    stage.until(lambda: last() == (2, 1, 0, 0))
    client.request(lambda number: Abort(number, [("aa", 0, 5)]))
    stage.until(lambda: one.of(Revoke) and two.of(Revoke))
    for engine in (one, two):
        engine.start()
        engine.give_back(engine.of(Revoke)[-1])
    stage.until(lambda: last() == (2, 1, 2, 2) or last() == (2, 1, 1, 1))
    for engine in (one, two):
        engine.finish(error="OSError")
    stage.until(lambda: last()[0] == 0 and last()[1] + last()[2] == 5)
    assert last()[2] - last()[3] == 2, "failed by themselves"


def test_the_rate_is_limited(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(observer_rate=5.0)
    client, engine = stage.client(), stage.engine(auto=True)
    client.watch()
    before = stage.clock.monotonic()
    for counter in range(30):
        client.submit(balanced())
        client.outcome(counter)
    passed = stage.clock.monotonic() - before
    assert len(client.deltas()) <= passed * 5 + 2
    assert engine.starts


def test_a_clients_numbers_are_told_as_they_change_and_once_a_delta(stage: Stage) -> None:
    watcher = stage.client("ob", observer=True)
    watcher.watch()
    client, engine = stage.client(), stage.engine()
    number = stage.book.registry.session_of_hex["aa"].number

    def told() -> list[int]:
        rows = [[row for row in delta.clients if row.session == number] for delta in watcher.deltas()]
        assert all(len(of_one) <= 1 for of_one in rows)
        return [row.outstanding for of_one in rows for row in of_one]

    client.submit(balanced(), 500)
    stage.until(lambda: told()[-1:] == [500])
    stage.until(lambda: len(engine.queue) == 500)
    for rest in (300, 100, 0):
        engine.finish(*engine.queue[:200])
        stage.until(lambda rest=rest: told()[-1:] == [rest])  # type: ignore[misc]
    assert len(told()) <= 12, "by numbers, not by tasks"


def test_above_the_rate_rows_are_merged_and_nothing_is_missing(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.watch()
    count = ROWS_A_SECOND // 2
    client.submit(balanced("many"), 1000)
    stage.until(lambda: len(engine.queue) == 1000)
    assert count == 1000
    engine.finish()
    client.outcome(999)
    stage.advance(0.5)

    def rows() -> list[MergedRow]:
        return [row for delta in client.deltas() for row in delta.merged]

    stage.until(lambda: sum(row.count for row in rows()) >= 1000)
    merged = rows()
    assert sum(row.count for row in merged) == 1000
    assert {(row.name, row.state, row.engine) for row in merged} == {("many", State.DONE, engine.id)}
    assert sum(row.busy for row in merged) == pytest.approx(1.0, rel=0.01)
    assert client.deltas()[-1].counters.done == 1000
    assert not [row for delta in client.deltas() for row in delta.tasks if row.state == State.DONE]


def test_while_much_is_merged_deltas_come_half_as_often(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.watch()
    before = stage.clock.monotonic()
    for part in range(12):
        client.submit(balanced(), 200)
        client.outcome(200 * part + 199)
        stage.advance(0.02)
    passed = stage.clock.monotonic() - before
    assert passed < 12 * 200 / ROWS_A_SECOND, "or nothing would be merged"
    assert 2 <= len(client.deltas()) <= passed * 10 + 3
    stage.until(lambda: client.deltas()[-1].counters.done == len(engine.starts) == 2400)


def test_output_events_and_running_tasks(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.watch()
    client.submit(balanced("slow"))
    stage.until(lambda: engine.queue)
    lease = engine.start()
    engine.link.send(Began(lease.task, lease.lease, 123.0, 0))
    engine.link.send(Output([Chunk(engine.id, lease.task, "stdout", "hello", 1.0, 0)]))
    stage.until(lambda: any(delta.output for delta in client.deltas()))
    stage.until(lambda: any(row.running for delta in client.deltas() for row in delta.tasks))
    rows = [row for delta in client.deltas() for row in delta.engines]
    assert rows[-1].task == lease.task and rows[-1].state == EngineState.BUSY and rows[-1].started == 123.0
    stage.engine()
    stage.until(lambda: any(event.kind == "joined" for delta in client.deltas() for event in delta.events))


def test_without_observers_nothing_piles_up_and_failures_stay_fresh(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    for number in range(40):
        client.submit(balanced(f"f{number}"), 20)
    stage.until(lambda: len(engine.queue) == 800)
    engine.finish(error="ValueError")
    client.outcome(799)
    stage.advance(3)
    tally = stage.book.tally
    assert not tally.dirty_submissions and not tally.fresh_failures and not tally.dirty_functions
    assert not tally.submissions and len(tally.over) <= 200
    snapshot = client.watch()
    assert snapshot.failures[-1].task == engine.starts[-1], "the newest failures are the ones that are shown"
    client.link.send(Observe(False))
    stage.until(lambda: not stage.book.feed.observers)
