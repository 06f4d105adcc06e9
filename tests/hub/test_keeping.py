"""The bounds of what is kept: rows, bytes, age, blobs; and what is never forgotten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from tests.hub.stage import ClientPeer, EnginePeer, Stage, balanced
from tuiparallel.hub import delivery, keeping
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import BlobUse, ClientBye, Ran, Results
from tuiparallel.wire.states import State

Make = Callable[..., Stage]


def run(stage: Stage, client: ClientPeer, batches: int, count: int = 5, body: bytes = b"x") -> None:
    engine = next(peer for peer in stage.peers if isinstance(peer, EnginePeer))
    for _ in range(batches):
        first = client.submit(balanced(), count)
        stage.until(lambda: len(engine.queue) == count)
        engine.finish(body=body)
        client.outcome(first + count - 1)


def rows(stage: Stage) -> list[int]:
    return [row[0] for row in stage.history.query("SELECT id FROM tasks ORDER BY id")]


def test_p6_rows_are_bounded_oldest_first_and_no_further(make_stage: Make) -> None:
    stage = make_stage(history_rows=20)
    client = stage.client()
    stage.engine()
    run(stage, client, 8)
    stage.advance(6)
    assert rows(stage) == [task_id(1, counter) for counter in range(20, 40)]
    assert stage.book.rows == 20 and len(stage.history.query("SELECT * FROM bundles")) == 4
    assert client.ask("get_result", tasks=[("aa", 0, 21)])["expired"] == [["aa", 0, 20]]


def test_p6_bytes_are_bounded_and_the_file_shrinks(make_stage: Make) -> None:
    stage = make_stage(history_bytes=2 << 20)
    client = stage.client()
    stage.engine()
    run(stage, client, 10, count=10, body=os.urandom(50_000))
    stage.advance(8)
    assert stage.history.bytes() <= 2 << 20
    assert 0 < len(rows(stage)) < 100 and rows(stage)[-1] == task_id(1, 99)


def test_p6_age_is_bounded(make_stage: Make) -> None:
    stage = make_stage(history_age=1000.0)
    client = stage.client()
    stage.engine()
    run(stage, client, 2)
    stage.advance(600, step=10)
    run(stage, client, 1)
    assert len(rows(stage)) == 15
    stage.advance(600, step=10)
    assert rows(stage) == [task_id(1, counter) for counter in range(10, 15)]


def test_p6_blobs_are_bounded_and_unlinked_with_their_last_task(make_stage: Make) -> None:
    stage = make_stage(blob_bytes=250_000)
    client, engine = stage.client(), stage.engine()
    store = stage.book.holdings.store
    shared = store.write(b"s" * 50_000)
    for number in range(5):
        blob = store.write(os.urandom(50_000))
        uses = [BlobUse(0, shared.name, shared.size)] if number in (0, 4) else []
        client.submit(balanced(), 1, blobs=uses)
        stage.until(lambda: engine.queue)
        lease = engine.queue.pop()
        now = stage.clock.time()
        result = Ran(lease.task, lease.lease, True, now, now, b"ref", None, [(blob.name, blob.size)])
        engine.post(lambda number, result=result: Results(number, [result]))  # type: ignore[misc]
        client.outcome(number)
    assert stage.book.holdings.bytes == 300_000
    stage.advance(5)
    assert rows(stage) == [task_id(1, counter) for counter in range(1, 5)]
    assert stage.book.holdings.bytes == 250_000 == sum(file.stat().st_size for file in store.folder.iterdir())
    assert bytes(store.open(shared.name)[:1]) == b"s"
    client.ask("purge", tasks=[], targets=[], all=True)
    stage.rounds(5)
    assert not list(store.folder.iterdir()) and stage.book.holdings.bytes == 0


def test_nothing_open_is_forgotten(make_stage: Make) -> None:
    stage = make_stage(history_rows=0, history_age=0.0)
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 5)
    stage.until(lambda: len(engine.queue) == 5)
    engine.finish(*engine.queue[:4])
    stage.until(lambda: len(client.outcomes) == 4)
    stage.advance(10)
    assert len(rows(stage)) == 4, "of a submission that is not over"
    engine.finish()
    client.outcome(4)
    stage.advance(10)
    assert rows(stage) == []


def test_what_a_connected_client_has_not_got_is_not_forgotten(
    make_stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "UNDER_WAY", 50_000)
    stage = make_stage(history_rows=1)
    client, engine = stage.client(), stage.engine()
    client.sends_got = False
    client.submit(balanced(), 10)
    stage.until(lambda: len(engine.queue) == 10)
    engine.finish(body=b"x" * 20_000)
    stage.until(lambda: not engine.unkept)
    other = stage.client("bb")
    run_other = other.submit(balanced())
    stage.until(lambda: engine.queue)
    engine.finish(body=b"y")
    other.outcome(run_other)
    stage.advance(10)
    assert rows(stage) == [task_id(1, counter) for counter in range(10)], "the other's went, these did not"
    client.sends_got = True
    client.link.greet_again()
    stage.until(lambda: len(client.outcomes) == 10)
    assert {outcome.state for found in client.outcomes.values() for outcome in found} == {State.DONE}


def test_away_clients_are_no_reason_to_keep(make_stage: Make) -> None:
    stage = make_stage(history_rows=1)
    client = stage.client()
    stage.engine()
    run(stage, client, 3)
    client.link.send(ClientBye())
    stage.advance(6)
    assert rows(stage) == []


def test_orphaned_blobs_of_dead_writers_are_swept_and_those_of_living_ones_stay(make_stage: Make) -> None:
    stage = make_stage()
    folder = stage.book.holdings.store.folder
    client, engine = stage.client(), stage.engine(auto=True)
    mine = stage.book.holdings.store.write(b"not named yet")
    dead = folder / f"{0x7FFFFFF0:x}-0-0123456789abcdef"
    half = folder / f"{0x7FFFFFF0:x}-1-0123456789abcdef.part"
    named = folder / f"{0x7FFFFFF0:x}-2-0123456789abcdef"
    stranger = folder / "notes.txt"
    for file in (dead, half, named, stranger):
        file.write_bytes(b"x")
    client.submit(balanced(), 1, blobs=[BlobUse(0, named.name, 1)])
    client.outcome(0)
    assert engine.starts
    stage.restart()
    assert not dead.exists() and not half.exists()
    assert named.exists() and stranger.exists() and (folder / mine.name).exists()
    dead.write_bytes(b"x")
    stage.advance(keeping.SLOW_INTERVAL + 3)
    assert not dead.exists() and named.exists()


def test_clients_and_engines_that_left_long_ago_leave_nothing(
    make_stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_DEAD", 1)
    monkeypatch.setattr(keeping, "SESSION_KEPT", 100.0)
    stage = make_stage(history_age=50.0)
    kept = stage.client("kept")
    for number in range(3):
        engine = stage.engine(f"u{number}")
        supervisor = stage.supervisor(engine)
        engine.link.close()
        supervisor.exited(engine)
        stage.until(lambda number=number: not stage.book.registry.engines[number].alive)  # type: ignore[misc]
        supervisor.link.close()
        stage.peers.remove(supervisor)
        guest = stage.client(f"guest{number}")
        guest.link.send(ClientBye())
        stage.rounds(3)
    stage.advance(250, step=2)
    assert list(stage.book.registry.session_of_hex) == ["kept"]
    assert list(stage.book.registry.engines) == [2] and list(stage.book.registry.engine_of_uuid) == ["u2"]
    assert [record.hex for record in stage.history.sessions()] == ["kept"] and stage.history.next_engine_id() == 3
    assert kept.ask("status")["clients"] == 1


def test_a_long_life_leaves_memory_flat(make_stage: Make) -> None:
    stage = make_stage(history_rows=50)
    client = stage.client()
    stage.engine()
    run(stage, client, 40, count=10)
    stage.advance(6)
    book = stage.book
    assert not book.scheduler.tasks and not book.scheduler._groups and not book.scheduler._timers
    assert not book.tally._of_batch and not book.tally.submissions
    assert not stage.loop.delivery.subscribers and not stage.loop.delivery.busy
    assert stage.history.query("SELECT count(*) FROM leases")[0][0] <= 1
    assert stage.history.query("SELECT count(*) FROM batches")[0][0] == 5
    assert book.open_bytes == 0 and book.registry.session_of_hex["aa"].open == 0


def test_a_hub_whose_directory_was_removed_ends_its_cluster(make_stage: Make) -> None:
    stage = make_stage()
    client = stage.client()
    shutil.rmtree(stage.folder)
    stage.advance(3)
    stage.until(lambda: stage.book.stopping)
    assert "has been removed" in stage.book.stop_reason
    assert client.notices("ended")
