"""The values that completion offers."""

from __future__ import annotations

from tests.monitor.samples import HEX, T, client, delta, engine, failure, snapshot, task
from tuiparallel.monitor.intake import Intake
from tuiparallel.monitor.observed import MOST, observed
from tuiparallel.monitor.query import CLIENT_FIELDS, ENGINE_FIELDS, FAILURE_FIELDS, TASK_FIELDS
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.states import EngineState, State


def begun() -> ClusterStore:
    store = ClusterStore()
    store.apply(snapshot(engines=[engine(0), engine(1)]), T)
    return store


def test_completion_offers_what_was_observed() -> None:
    store = begun()
    store.apply(
        delta(2, tasks=[task(1), task(2, State.ERROR, ename="ValueError"), task(3, name="mc", label="night")]), T
    )
    assert store.observed(TASK_FIELDS, "fn") == {"fit": 2, "mc": 1}
    assert store.observed(TASK_FIELDS, "state") == {"done": 2, "error": 1}
    assert store.observed(TASK_FIELDS, "label") == {"night": 1}
    assert store.observed(TASK_FIELDS, "engine") == {"0": 3}
    assert store.observed(TASK_FIELDS, "client") == {HEX: 3}
    assert store.observed(TASK_FIELDS, "error") == {"ValueError": 1}
    assert store.observed(ENGINE_FIELDS, "host") == {"tesla": 2}
    assert store.observed(TASK_FIELDS, "run") == {}
    assert store.observed(ENGINE_FIELDS, "state") == {"idle": 2}
    assert store.observed(ENGINE_FIELDS, "id") == {"0": 1, "1": 1}
    assert store.observed(CLIENT_FIELDS, "client") == {HEX: 1}


def test_what_engines_run_and_what_failed() -> None:
    known = Intake()
    busy = engine(3, EngineState.BUSY, task=5, name="fit", label="night", started=T)
    known.snapshot(snapshot(engines=[busy], failures=[failure(1), failure(2)], clients=[client(name="nb")]), T)
    assert observed(known, ENGINE_FIELDS, "fn") == {"fit": 1}
    assert observed(known, ENGINE_FIELDS, "label") == {"night": 1}
    assert observed(known, FAILURE_FIELDS, "error") == {"ValueError": 2}
    assert observed(known, CLIENT_FIELDS, "name") == {"nb": 1}


def test_the_most_frequent_when_there_are_too_many() -> None:
    known = Intake()
    known.put_tasks([task(counter, name=f"f{counter}") for counter in range(MOST + 50)])
    known.put_tasks([task(9_999, name="f7")])
    found = observed(known, TASK_FIELDS, "fn")
    assert len(found) == MOST and next(iter(found.items())) == ("f7", 2)
