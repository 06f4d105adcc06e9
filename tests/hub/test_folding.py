"""The write-ahead log is folded in the background, and nothing waits for that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.stage import Stage, balanced
from tuiparallel.hub.folding import WORTH_FOLDING
from tuiparallel.hub.history import History
from tuiparallel.wire.messages import Run
from tuiparallel.wire.states import State


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.db")
    yield history
    history.close()


def written(history: History, tasks: int) -> None:
    history.begin()
    history.put_tasks([(id, int(State.DONE), 0, 1, 0, 0.0, 0.0, 1.0, 1) for id in range(tasks)])
    history.commit()


def test_what_was_committed_is_copied_into_the_file(history: History) -> None:
    written(history, 5000)
    before = history.path.stat().st_size
    history.fold()
    assert not history.folding.busy, "there is too little of it"
    history.folding.written = WORTH_FOLDING
    history.fold()
    history.folding.wait()
    assert history.path.stat().st_size > before
    assert history.folding.written == 0
    assert history.size()[0] == 5000


def test_while_a_transaction_is_open_it_is_left_for_later(history: History) -> None:
    written(history, 5000)
    before = history.path.stat().st_size
    history.begin()
    history.put_tasks([(5000, int(State.DONE), 0, 1, 0, 0.0, 0.0, 1.0, 1)])
    history.folding.written = WORTH_FOLDING
    history.fold()
    history.folding.wait()
    assert history.path.stat().st_size == before
    history.commit()
    assert history.size()[0] == 5001


def test_closing_waits_for_it(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    written(history, 5000)
    history.folding.written = WORTH_FOLDING
    history.fold()
    history.close()
    assert not history.folding.busy
    assert not Path(f"{history.path}-wal").exists()


def test_results_come_while_the_history_waits_for_the_disk(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    stage.until(lambda: not stage.book.journal)
    disk = threading.Event()
    folding = stage.book.history.folding
    folding._thread = threading.Thread(target=disk.wait)
    folding._thread.start()
    try:
        first = client.submit(balanced(), 600)
        stage.until(lambda: len(engine.queue) == 600)
        assert engine.of(Run)
        engine.finish()
        assert client.outcome(first + 599).body == b"value of call"
        stage.until(lambda: not client.unaccepted() and not engine.unkept)
        assert len(stage.book.journal.pending.tasks) == 600, "nothing of it had to wait for the history"
    finally:
        disk.set()
    stage.until(lambda: not stage.book.journal.pending)
    assert stage.book.history.size()[0] == 600
