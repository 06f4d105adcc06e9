"""Whoever asks for what is gone is told when it went, and by which limit or that it was purged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.stage import ClientPeer, Stage, balanced
from tuiparallel.hub import forgotten
from tuiparallel.hub.history import History
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import TaskId, task_id
from tuiparallel.wire.messages import Extras, Ran

Make = Callable[..., Stage]


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.db")
    history.begin()
    yield history
    history.commit()
    history.close()


def ranges(history: History) -> list[tuple[int, int, str]]:
    return history.query("SELECT first, count, why FROM forgotten ORDER BY first")


def test_neighbours_that_went_for_one_reason_are_one_row(history: History) -> None:
    history.note_forgotten(range(0, 100), 1.0, "history_rows")
    history.note_forgotten(range(100, 200), 2.0, "history_rows")
    history.note_forgotten([200, 201, 205], 3.0, forgotten.PURGED)
    history.note_forgotten([task_id(1, 0)], 4.0, forgotten.PURGED)
    history.note_forgotten([task_id(2, 0)], 4.0, forgotten.PURGED)
    assert ranges(history) == [
        (0, 200, "history_rows"), (200, 2, "purge"), (205, 1, "purge"), (task_id(1, 0), 1, "purge"),
        (task_id(2, 0), 1, "purge"),
    ]  # fmt: skip
    assert history.forgotten(150) == (2.0, "history_rows") and history.forgotten(201) == (3.0, "purge")
    assert history.forgotten(203) is None and history.forgotten(206) is None


def test_only_the_newest_reasons_are_kept(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "MOST_FORGOTTEN", 3)
    for number in range(10):
        history.note_forgotten([10 * number], float(number), forgotten.PURGED)
    history.trim_forgotten()
    assert [row[0] for row in ranges(history)] == [70, 80, 90]
    assert "or a limit of the history" in history.why_gone(10, None)


def done(stage: Stage, client: ClientPeer, count: int) -> None:
    first = client.submit(balanced(), count)
    client.outcome(first + count - 1)


def test_b38_the_limit_and_the_time_are_named(make_stage: Make) -> None:
    stage = make_stage(history_rows=10)
    client = stage.client()
    stage.engine(auto=True)
    for _ in range(4):
        done(stage, client, 5)
    stage.advance(5)
    answer = client.ask("get_result", tasks=[("aa", 0, 20)])
    assert answer["expired"] == [["aa", 0, 10]]
    ((part, why),) = answer["whys"]
    assert part == ["aa", 0, 10] and "history_rows=10 (ended tasks)" in why and "UTC" in why and "raise it" in why
    error = client.ask("resubmit", tasks=[("aa", 3, 1)])
    assert (
        error.ename == "ResultExpired" and "aa-3 was forgotten" in error.evalue and "history_rows=10" in error.evalue
    )
    error = client.ask("task", task=("aa", 3, 1))
    assert error.ename == "ResultExpired" and "aa-3 was forgotten" in error.evalue
    again = ClientPeer(stage, "aa")
    again.waits = [(4, 1)]
    assert "aa-4 was forgotten" in again.error(4).evalue


def test_b38_each_limit_is_named_as_itself(make_stage: Make) -> None:
    for changes, name in (
        ({"history_age": 100.0}, "history_age=100 (seconds)"),
        ({"history_bytes": 100_000}, "history_bytes=100,000 (bytes of history)"),
    ):
        stage = make_stage(**changes)
        client, engine = stage.client(), stage.engine()
        for number in range(10):
            client.submit(balanced(), 1)
            stage.until(lambda engine=engine: engine.queue)  # type: ignore[misc]
            engine.finish(body=b"x" * 20_000)
            client.outcome(number)
        stage.advance(150, step=5)
        ((_, why),) = client.ask("get_result", tasks=[("aa", 0, 1)])["whys"]
        assert name in why, changes


def test_what_was_purged_is_said_to_be(stage: Stage) -> None:
    client = stage.client()
    stage.engine(auto=True)
    done(stage, client, 5)
    assert client.ask("purge", tasks=[("aa", 1, 2)], targets=[], all=False) == {"purged": 2}
    answer = client.ask("get_result", tasks=[("aa", 0, 5)])
    assert answer["expired"] == [["aa", 1, 2]] and "was purged on" in answer["whys"][0][1]
    error = client.ask("resubmit", tasks=[("aa", 2, 1)])
    assert (
        error.ename == "ResultExpired" and "aa-2 was purged on" in error.evalue and "submit it anew" in error.evalue
    )
    assert client.ask("purge", tasks=[("aa", 1, 2)], targets=[], all=False) == {"purged": 0}
    error = client.ask("purge", tasks=[("aa", 77, 1)], targets=[], all=False)
    assert error.ename == "KeyError" and "aa-77" in error.evalue
    stage.restart()
    stage.until(lambda: client.link.boot == stage.book.boot)
    assert "was purged on" in client.ask("get_result", tasks=[("aa", 1, 1)])["whys"][0][1]


@pytest.mark.parametrize("everything", [False, True])
def test_p4_what_was_purged_while_others_of_its_submission_were_open_does_not_run_again(
    stage: Stage, everything: bool
) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 4)
    stage.until(lambda: len(engine.queue) == 4)
    engine.finish(*engine.queue[:2])
    stage.until(lambda: len(client.outcomes) == 2)
    client.submit(balanced(), 3)
    stage.until(lambda: len(engine.queue) == 5)
    engine.finish(*engine.queue[2:])
    stage.until(lambda: len(client.outcomes) == 5)
    tasks = [] if everything else [("aa", 0, 2), ("aa", 4, 3)]
    assert client.ask("purge", tasks=tasks, targets=[], all=everything) == {"purged": 5}
    stage.restart()
    stage.until(lambda: client.link.boot == stage.book.boot)
    assert [task.id for task in stage.book.scheduler.open_tasks()] == [task_id(1, 2), task_id(1, 3)]
    engine.finish()
    stage.until(lambda: not stage.book.scheduler.tasks)
    assert len(engine.starts) == len(set(engine.starts)) == 7
    assert client.ask("db_query", query={}, keys=["state"]) == [
        {"msg_id": "aa-2", "state": "done"}, {"msg_id": "aa-3", "state": "done"}
    ]  # fmt: skip
    assert client.submit(balanced()) == 7
    stage.until(lambda: not client.unaccepted())
    assert client.ask("purge", tasks=[("aa", 2, 2)], targets=[], all=False) == {"purged": 2}
    stage.advance(5)
    assert stage.history.query("SELECT first FROM batches") == [(task_id(1, 7),)]
    for table in ("tasks", "bundles", "uses", "purged", "blobs"):
        assert stage.history.query(f"SELECT count(*) FROM {table}") == [(0,)], table


def test_everything_is_purged_at_once_however_much_it_is(history: History) -> None:
    first = task_id(1, 0)
    history.put_session(1, "aa", "h", 1, "w", 0.0)
    for number in range(300):
        blobs = [(0, f"1-{number:x}-0123456789abcdef", 5)]
        batch = Batch(TaskId(first + 10 * number), 10, balanced(), b"", None, [b"x"], blobs)
        history.put_batch(batch, 1.0)
        ran = [Ran(batch.first + place, 1, True, 1.0, 2.0, b"v", Extras(stdout="text")) for place in range(10)]
        history.put_bundle(number + 1, ran, 2.0)
        history.put_tasks([(one.task, batch.first, 3, 0, 1, 1.0, 2.0, 3.0, number + 1) for one in ran])
        history.put_attempt(batch.first, 1, 0, 1.0, 2.0, "error")
        history.end_batches([batch.first])
    history.put_resubmit(first, first + 10)
    names, number = history.forget_all()
    assert number == 3000 and len(names) == 300 and history.output == 0
    for table in ("tasks", "bundles", "uses", "blobs", "attempts", "batches", "resubmits", "purged"):
        assert history.query(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert [record.next for record in history.sessions()] == [3000], "no id is given out twice"
