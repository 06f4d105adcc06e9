"""Waits inside tasks, as seen from the client: who is a host, and how tasks become ranges."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tuiparallel.client.nesting import Nesting, ranges_of
from tuiparallel.wire import current
from tuiparallel.wire.current import CurrentTask

TASK = CurrentTask("aa-3", 0, 1, None, "aa")


@pytest.fixture
def inside() -> Iterator[None]:
    current.announce(lambda: TASK)
    current.live_in("/run/lab")
    yield
    current.announce(None)
    current.live_in(None)


def test_outside_of_tasks_nobody_is_a_host() -> None:
    assert Nesting(None, None, "/run/lab").host() is None  # type: ignore[arg-type]


def test_a_task_is_the_host_of_waits_in_its_own_cluster_and_thread(inside: None) -> None:
    nesting = Nesting(None, None, "/run/lab")  # type: ignore[arg-type]
    assert nesting.host() == TASK
    assert Nesting(None, None, "/run/other").host() is None  # type: ignore[arg-type]
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(nesting.host()))
    thread.start()
    thread.join()
    assert found == [None], "the task itself does not wait"


def test_ranges_are_by_session_and_contiguous() -> None:
    assert ranges_of([("a", 3), ("b", 1), ("a", 1), ("a", 2)]) == [("a", 1, 3), ("b", 1, 1)]
    assert ranges_of([]) == []
