"""Progress of what a cell submitted is told to its end, also of a cell that waited for it itself."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from tuiparallel.console.repl.tracking import Tracker


class AsyncResult:
    """What a cell has submitted."""

    msg_ids: list[str] = []

    def __init__(self, ids: list[str]) -> None:
        self.msg_ids = ids
        self.progress = 0

    def __len__(self) -> int:
        return len(self.msg_ids)


class Client:
    """A client's books."""

    def __init__(self) -> None:
        self.history: list[str] = []
        self.outstanding: set[str] = set()

    def submit(self, count: int) -> AsyncResult:
        """Submits so many tasks."""
        ids = [f"s-{len(self.history) + number}" for number in range(count)]
        self.history += ids
        self.outstanding |= set(ids)
        return AsyncResult(ids)


@pytest.fixture(autouse=True)
def _looks_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that looks now and then is for a process of its own: it would never end."""
    monkeypatch.setattr(Tracker, "_look", lambda tracker: None)


def tracked() -> tuple[Tracker, Client, dict[str, Any], queue.Queue[tuple[int, int, int]]]:
    """A tracker, and what it tells."""
    names: dict[str, Any] = {}
    told: queue.Queue[tuple[int, int, int]] = queue.Queue()
    tracker = Tracker(names, lambda *what: told.put(what), lambda watched, done, total: None)
    tracker.client = client = Client()
    return tracker, client, names, told


def test_c37_a_cell_that_waits_for_its_tasks_is_told_complete() -> None:
    tracker, client, names, told = tracked()
    tracker.begin(1)
    names["ar"] = answer = client.submit(500)
    client.outstanding.clear()
    answer.progress = 500
    assert tracker.finish(1, None) == 0
    assert told.get_nowait() == (1, 500, 500)
    assert told.empty()


def test_a_cell_that_submits_nothing_tells_nothing() -> None:
    tracker, _, _, told = tracked()
    tracker.begin(1)
    assert tracker.finish(1, 5) == 0
    assert told.empty()


def test_a_cell_that_leaves_tasks_open_says_how_many() -> None:
    tracker, client, names, told = tracked()
    tracker.begin(1)
    names["ar"] = answer = client.submit(10)
    answer.progress = 4
    assert tracker.finish(1, None) == 6
    assert told.get_nowait() == (1, 4, 10)
    assert tracker.open_ids(1) == sorted(client.outstanding)
