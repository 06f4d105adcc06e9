"""The eight warnings: each provoked, each silenced, none in a healthy cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.monitor.samples import T, batch, engine
from tuiparallel.monitor.engines import Engines
from tuiparallel.monitor.functions import Functions, bucket_of
from tuiparallel.monitor.lints import HELP, Facts, Thresholds, duration, judge
from tuiparallel.monitor.progress import Progress
from tuiparallel.wire.messages import Counters, EngineRow, FunctionRow, LimitRow, Vital
from tuiparallel.wire.states import EngineState


def totals(name: str, seconds: float, count: int, wait: float = 0.0) -> FunctionRow:
    return FunctionRow(name, count, 0, seconds * count, wait * count, 0.0, seconds, {bucket_of(seconds): count})


def facts(rows: Sequence[EngineRow] = (), **changes: object) -> Facts:
    """A cluster at T + 100 that works: one busy engine, nothing waits."""
    engines = Engines()
    engines.put(engine(0, EngineState.BUSY, task=1, name="fit", started=T + 99, heard=T + 99), T)
    for row in rows:
        engines.put(row, T)
    functions = Functions()
    functions.put(totals("fit", 2.0, 100))
    found = Facts(
        at=T + 100,
        engines=engines,
        functions=functions,
        counters=Counters(),
        open=[],
        outcomes=[False] * 200,
        limits=[LimitRow("history rows", 10, 100)],
        skipped=0,
        skipped_at=None,
        lag=0.01,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def with_functions(*rows: FunctionRow) -> Functions:
    found = Functions()
    for row in rows:
        found.put(row)
    return found


def near_limit() -> Facts:
    found = facts()
    found.engines.measure(Vital("u0", 800, 1.0, 93, 100), T)
    return found


def open_batch(**fields: object) -> Progress:
    progress = Progress()
    progress.put(batch(100, 10, T + 90, **fields), T)  # type: ignore[arg-type]
    return progress


PROVOKED: dict[str, tuple[Callable[[], Facts], str]] = {
    "silent": (lambda: facts([engine(10, EngineState.UNRESPONSIVE, heard=T + 86)]), "e10 silent for 14s (limit 10s)"),
    "straggler": (
        lambda: facts([engine(7, EngineState.BUSY, task=3, name="fit", started=T - 142)]),
        "e7 fit runs 4m02s; its p95 is 2s",
    ),
    "idle": (
        lambda: facts([engine(8, since=T + 58)], counters=Counters(queued=5), open=open_batch(name="mc_step").open()),
        "e8 idle 42s: mc_step does not target it",
    ),
    "errors": (lambda: facts(outcomes=[False] * 180 + [True] * 20), "20 of the last 200 tasks failed"),
    "memory": (near_limit, "e0 memory at 93% of its limit"),
    "tiny": (
        lambda: facts(functions=with_functions(totals("fit", 0.0002, 5000, wait=0.001)), open=open_batch().open()),
        "fit runs 197µs, 83% of the time is outside it: use chunksize",
    ),
    "storage": (lambda: facts(limits=[LimitRow("history rows", 90, 100)]), "the hub's history rows is 90% full"),
    "observer": (lambda: facts(skipped=1204, skipped_at=T + 90), "1,204 events skipped for this console"),
}


@pytest.mark.parametrize("id", PROVOKED)
def test_each_is_provoked_and_silenced(id: str) -> None:
    make, sentence = PROVOKED[id]
    (lint,) = judge(make(), Thresholds())
    assert (lint.id, lint.sentence) == (id, sentence)
    assert lint.threshold
    assert judge(make(), Thresholds(silenced=frozenset({id}))) == []
    assert id in HELP


def test_a_healthy_cluster_has_none() -> None:
    assert judge(facts(), Thresholds()) == []
    assert len(HELP) == 8 == len(PROVOKED)


@pytest.mark.parametrize(
    "healthy",
    [
        facts([engine(1, heard=T - 500)]),  # an idle engine whose row has not changed for long
        facts([engine(1, EngineState.DEAD, heard=T - 500)]),
        facts(
            [engine(1, since=T)], counters=Counters(queued=5, waiting=5)
        ),  # all that is queued waits for other tasks
        facts([engine(1, since=T + 97)], counters=Counters(queued=5)),  # idle for a moment
        facts([engine(1, EngineState.BUSY, task=3, name="new", started=T)]),  # a function nobody knows yet
        facts(outcomes=[True] * 5),  # too few to tell
        facts(outcomes=[False] * 195 + [True] * 5),
        facts(skipped=5, skipped_at=T - 500),  # long ago
        facts(
            [engine(1, EngineState.BUSY, task=3, name="quick", started=T + 99.5)],
            functions=with_functions(totals("quick", 0.01, 100)),
        ),  # long for its function, short for a person
        facts(functions=with_functions(totals("fit", 0.0002, 5000, wait=0.001))),  # tiny, but nothing of it is open
    ],
)
def test_what_is_no_trouble(healthy: Facts) -> None:
    assert judge(healthy, Thresholds()) == []


def test_idle_beside_work_for_others_says_whose() -> None:
    rows = [engine(1, since=T), engine(7, EngineState.BUSY, queue=5), engine(9, EngineState.BUSY, queue=2)]
    found = facts(rows, counters=Counters(queued=7), open=open_batch(balanced=False).open())
    (lint,) = judge(found, Thresholds())
    assert lint.sentence == "e1 idle 1m40s: fit waits for e7, e9 by address"
    assert lint.engine == 1


def test_late_messages() -> None:
    (lint,) = judge(facts(lag=0.18), Thresholds())
    assert (lint.id, lint.sentence) == ("observer", "this console is 180ms late")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000123, "12µs"),
        (0.0123, "12ms"),
        (0.99999, "1s"),
        (4.23, "4.2s"),
        (5.0, "5s"),
        (42.4, "42s"),
        (242, "4m02s"),
        (11_100, "3h05m"),
        (190_000, "2d04h"),
        (-2, "-2s"),
        (0, "0µs"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_aborted_tasks_say_nothing_about_how_long_a_function_runs() -> None:
    aborted_ones = FunctionRow("fit", 0, 300, 0.0, 0.0, 0.0, 0.0)
    running = engine(7, EngineState.BUSY, task=3, name="fit", started=T + 60)
    assert judge(facts([running], functions=with_functions(aborted_ones)), Thresholds()) == []
