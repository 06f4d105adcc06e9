"""Anything that stands for tasks."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest

from tuiparallel.client.history import History
from tuiparallel.client.jobs import ranges, resolve
from tuiparallel.errors import NoSuchTask


@pytest.fixture
def history() -> History:
    found = History("ab")
    found.add(0, 5)
    return found


def test_ids_indices_and_collections(history: History) -> None:
    assert resolve("cd-7", history) == [("cd", 7)]
    assert resolve([0, -1, ["ab-2", ("cd-1",)], {"ef-0"}], history) == [
        ("ab", 0), ("ab", 4), ("ab", 2), ("cd", 1), ("ef", 0)
    ]  # fmt: skip
    assert resolve((f"ab-{i}" for i in range(2)), history) == [("ab", 0), ("ab", 1)]


def test_futures_only_where_they_are_wanted(history: History) -> None:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    futures: list[concurrent.futures.Future[Any]] = []
    assert resolve([future, 0], history, futures) == [("ab", 0)] and futures == [future]
    with pytest.raises(TypeError, match="stands for no task"):
        resolve(future, history)


@pytest.mark.parametrize("thing", [1.5, None, True, b"ab-1", object()])
def test_what_stands_for_none(history: History, thing: Any) -> None:
    with pytest.raises(TypeError, match="stands for no task"):
        resolve(thing, history)


def test_ids_that_are_none_and_indices_outside(history: History) -> None:
    with pytest.raises(NoSuchTask, match="'nope'"):
        resolve("nope", history)
    with pytest.raises(IndexError, match="the history has 5"):
        resolve(5, history)


def test_neighbours_are_one_range() -> None:
    jobs = [("ab", 1), ("ab", 2), ("cd", 3), ("ab", 3), ("ab", 3)]
    assert ranges(jobs) == [("ab", 1, 2), ("cd", 3, 1), ("ab", 3, 1), ("ab", 3, 1)]
