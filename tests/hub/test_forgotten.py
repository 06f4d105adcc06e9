"""Whoever asks for what is gone is told when it went, and by which limit or that it was purged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.stage import ClientPeer, Stage, balanced
from tuiparallel.hub import forgotten
from tuiparallel.hub.history import History
from tuiparallel.wire.ids import task_id

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
