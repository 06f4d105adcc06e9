"""The bounds of what is kept: rows, bytes, age, blobs; and what is never forgotten."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

import msgspec
import pytest

from tests.hub.stage import ClientPeer, EnginePeer, Stage, balanced
from tuiparallel.hub import delivery, keeping
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import BlobUse, ClientBye, Extras, Ran, Results
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
        result = Ran(lease.task, lease.lease, True, now, now, b"ref", None, ((blob.name, blob.size),))
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


def test_p6_delivered_ones_go_first_then_those_of_sessions_away_longest(make_stage: Make) -> None:
    stage = make_stage(history_rows=100)
    first, second, there = stage.client("first"), stage.client("second"), stage.client("there")
    engine = stage.engine()
    for client in (first, second):
        client.submit(balanced(), 5)
    stage.until(lambda: len(engine.queue) == 10)
    for client in (second, first):  # the second one leaves first
        client.link.send(ClientBye())
        stage.until(lambda hex=client.hex: stage.book.registry.session_of_hex[hex].peer is None)  # type: ignore[misc]
        stage.advance(5)
    engine.finish()
    stage.until(lambda: not engine.unkept)
    run(stage, there, 4)
    stage.advance(5)
    assert len(rows(stage)) == 30

    def left() -> dict[str, int]:
        numbers = {session.number: hex for hex, session in stage.book.registry.session_of_hex.items()}
        found = dict.fromkeys(numbers.values(), 0)
        for id in rows(stage):
            found[numbers[id >> 40]] += 1  # type: ignore[index]
        return found

    def shrink(limit: int) -> dict[str, int]:
        stage.book.config = msgspec.structs.replace(stage.book.config, history_rows=limit)
        stage.advance(5)
        return left()

    assert shrink(20) == {"first": 5, "second": 5, "there": 10}, "what is delivered, though it is newer"
    assert shrink(10) == {"first": 5, "second": 5, "there": 0}
    assert shrink(5) == {"first": 5, "second": 0, "there": 0}
    assert shrink(0) == {"first": 0, "second": 0, "there": 0}


def test_what_a_client_came_back_for_is_delivered_after_all(
    make_stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "UNDER_WAY", 50_000)
    stage = make_stage()
    client, engine = stage.client(), stage.engine()
    client.sends_got = False
    client.submit(balanced(), 10)
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 12)
    engine.finish(*engine.queue[10:], body=b"small")
    client.outcome(11)
    engine.finish(body=b"x" * 20_000)
    stage.until(lambda: not engine.unkept)

    def undelivered() -> list[int]:
        return [row[0] for row in stage.history.query("SELECT first FROM batches WHERE delivered=0")]

    stage.advance(5)
    assert undelivered() == [], "a connected client is sent the rest"
    client.waits = [(0, 10)]
    client.link.greet_again()  # what it had not confirmed is sent again
    stage.rounds(5)
    client.link.send(ClientBye())
    stage.until(lambda: stage.book.registry.session_of_hex["aa"].peer is None)
    stage.advance(5)
    assert undelivered() == [task_id(1, 0)], "the small ones are not counted as under way"
    stage.restart()
    assert undelivered() == [task_id(1, 0)]
    again = ClientPeer(stage, "aa")
    again.waits = [(0, 10)]
    stage.until(lambda: len(again.outcomes) == 10)
    stage.advance(5)
    assert undelivered() == []


def test_what_the_hub_submits_again_is_delivered_to_whoever_asked(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.submit(balanced())
    client.outcome(0)

    def undelivered() -> list[int]:
        return [row[0] & 0xFF for row in stage.history.query("SELECT first FROM batches WHERE delivered=0")]

    client.ask("resubmit", tasks=[("aa", 0, 1)])
    client.ask("get_result", tasks=[("aar", 0, 1)])
    client.outcome(0, "aar")
    stage.advance(5)
    assert undelivered() == []
    engine.auto = False
    client.ask("resubmit", tasks=[("aa", 0, 1)])
    stage.until(lambda: engine.queue)
    client.link.send(ClientBye())
    stage.until(lambda: stage.book.registry.session_of_hex["aa"].peer is None)
    engine.finish()
    stage.until(lambda: not engine.unkept)
    stage.advance(5)
    assert undelivered() == [1]


def test_p6_output_is_bounded_oldest_first_and_results_stay(make_stage: Make) -> None:
    stage = make_stage(output_bytes=5000)
    client, engine = stage.client(), stage.engine()
    for number in range(8):
        client.submit(balanced())
        stage.until(lambda: engine.queue)
        engine.finish(body=b"value", extras=Extras(stdout="é" * 900, stderr="e" * 100, peak_rss=number))
        client.outcome(number)
    stage.advance(8)
    other = stage.client("bb")
    found = other.ask("db_query", query={}, keys=["stdout", "stderr", "peak_rss", "result_size", "state"])
    assert [row["state"] for row in found] == ["done"] * 8 and {row["result_size"] for row in found} == {5}
    assert [row["peak_rss"] for row in found] == list(range(8))
    cut = [row["stdout"] == "… 1,800 bytes left out\n" and row["stderr"] == "… 100 bytes left out\n" for row in found]
    assert cut == [True] * 6 + [False] * 2
    limits = {row[0]: (row[1], row[2]) for row in map(tuple, other.ask("status")["limits"])}
    assert limits["history: output"] == (3800, 5000)
    stage.restart()
    assert stage.history.output == 3800
    stage.until(lambda: client.link.boot == stage.book.boot)
    client.ask("purge", tasks=[], targets=[], all=True)
    stage.rounds(5)
    assert stage.history.output == 0


def test_output_that_somebody_is_still_to_be_sent_is_kept(make_stage: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "UNDER_WAY", 10_000)
    stage = make_stage(output_bytes=100)
    client, engine = stage.client(), stage.engine()
    client.sends_got = False
    client.submit(balanced(), 3)
    stage.until(lambda: len(engine.queue) == 3)
    engine.finish(body=b"x" * 20_000, extras=Extras(stdout="a" * 1000))
    stage.until(lambda: not engine.unkept)
    stage.advance(6)
    assert stage.history.output == 3000
    client.sends_got = True
    client.link.greet_again()
    stage.until(lambda: len(client.outcomes) == 3)
    assert {outcome.extras.stdout for found in client.outcomes.values() for outcome in found if outcome.extras} == {
        "a" * 1000
    }
    stage.advance(6)
    assert stage.history.output <= 100


def test_without_keep_calls_arguments_go_when_all_their_tasks_have_ended(make_stage: Make) -> None:
    stage = make_stage(keep_calls=False)
    client, engine = stage.client(), stage.engine()
    store = stage.book.holdings.store
    sent, made = store.write(b"s" * 50_000), store.write(b"m" * 50_000)
    client.submit(balanced(), 2, [b"one", b"two"], blobs=[BlobUse(0, sent.name, sent.size)])
    stage.until(lambda: len(engine.queue) == 2)
    now = stage.clock.time()
    lease = engine.queue.pop(0)
    result = Ran(lease.task, lease.lease, True, now, now, b"ref", None, ((made.name, made.size),))
    engine.post(lambda number: Results(number, [result]))
    client.outcome(0)
    stage.advance(6)

    def kept() -> list[tuple[object, ...]]:
        return stage.history.query("SELECT calls IS NOT NULL FROM batches")

    assert kept() == [(1,)] and (store.folder / sent.name).exists(), "one of them is still open"
    engine.finish()
    client.outcome(1)
    stage.advance(6)
    assert kept() == [(0,)]
    assert not (store.folder / sent.name).exists() and (store.folder / made.name).exists()
    other = stage.client("bb")
    (row,) = other.ask("db_query", query={"msg_id": "aa-1"}, keys=["size", "buffers", "result_buffers", "name"])
    assert (row["size"], row["buffers"], row["name"]) == (None, None, "f") and row["result_buffers"]
    other.ask("get_result", tasks=[("aa", 0, 2)])
    assert other.outcome(0, "aa").body == b"ref"
    error = other.ask("resubmit", tasks=[("aa", 1, 1)])
    assert error.ename == "ResultExpired" and "aa-1" in error.evalue and "keep_calls" in error.evalue


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


def test_what_a_dead_writer_left_goes_soon_after_it(stage: Stage) -> None:
    dead = stage.book.holdings.store.folder / f"{0x7FFFFFF0:x}-0-0123456789abcdef.part"
    for leaves in ("engine", "client"):
        client, engine = stage.client(leaves), stage.engine(f"of {leaves}")
        supervisor = stage.supervisor(engine)
        stage.advance(3)
        dead.write_bytes(b"x")
        stage.advance(5)
        assert dead.exists(), "nobody has left"
        if leaves == "engine":
            engine.link.close()
            supervisor.exited(engine)
        else:
            client.link.send(ClientBye())
        stage.advance(5)
        assert not dead.exists()
        supervisor.link.close()
        stage.peers.remove(supervisor)


def test_f44_a_writer_whose_process_ends_after_its_connection_leaves_nothing(stage: Stage) -> None:
    engine = stage.engine()
    with subprocess.Popen(["sleep", "600"]) as writer:
        left = stage.book.holdings.store.folder / f"{writer.pid:x}-0-0123456789abcdef.part"
        left.write_bytes(b"x")
        engine.link.close()
        stage.until(lambda: stage.book.registry.departures)
        stage.advance(keeping.INTERVAL)
        writer.kill()
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
        stage.advance(keeping.INTERVAL)
        assert left.exists()
    stage.advance(keeping.INTERVAL)
    assert not left.exists()


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
    stage.until(lambda: client.notices("ended"), "the notice")
