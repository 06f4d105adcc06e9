"""Fields: every one can be read from its rows, and the names are those of the query language."""

from __future__ import annotations

import pytest

from tests.monitor.samples import T, delta, engine, failure, snapshot, task
from tuiparallel.monitor.fields import (
    CLIENT_FIELDS,
    ENGINE_FIELDS,
    FAILURE_FIELDS,
    FUNCTION_FIELDS,
    TASK_FIELDS,
    Nouns,
    field_named,
    sorted_by,
)
from tuiparallel.monitor.query import parse
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.messages import FunctionRow

ALL = [TASK_FIELDS, ENGINE_FIELDS, FAILURE_FIELDS, FUNCTION_FIELDS, CLIENT_FIELDS]


def row(nouns: Nouns) -> object:
    store = ClusterStore()
    store.apply(
        snapshot(engines=[engine(0)], failures=[failure(1)], functions=[FunctionRow("f", 1, 0, 1, 1, 1, 1)]), T
    )
    store.apply(delta(2, tasks=[task(1)]), T)
    if nouns.noun == "tasks":
        return store.task(task(1).id)
    if nouns.noun == "engines":
        return store.engine(0, T)
    if nouns.noun == "failures":
        return store.failures()[0]
    return store.functions()[0] if nouns.noun == "functions" else store.clients()[0]


@pytest.mark.parametrize("nouns", ALL, ids=lambda nouns: nouns.noun)
def test_every_field_is_read_and_its_example_is_a_query(nouns: Nouns) -> None:
    found = row(nouns)
    assert found is not None
    for field in nouns.fields:
        field.read(found)
        assert field.help
        parse(f"{field.name}:{field.example}", nouns).matches(found)
    assert len(set(nouns.names)) == len(nouns.names), "no name or alias twice"


def test_unknown_names_say_which_there_are() -> None:
    assert field_named(TASK_FIELDS, "function").name == "fn"
    with pytest.raises(KeyError, match="tasks have no field 'dog'; there are state, fn"):
        field_named(TASK_FIELDS, "dog")


def test_sorting_puts_unknown_last_and_keeps_equal_ones_in_order() -> None:
    values: list[float | None] = [3, None, 1, 2, None, 1]
    assert sorted_by(values, lambda value: value) == [1, 1, 2, 3, None, None]
    assert sorted_by(values, lambda value: value, reverse=True) == [3, 2, 1, 1, None, None]
    pairs = [("b", 1), ("a", 1), ("c", 0)]
    assert sorted_by(pairs, lambda pair: pair[1]) == [("c", 0), ("b", 1), ("a", 1)]
