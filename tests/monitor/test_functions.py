"""Sketches of run times: close quantiles, exact merging; totals by function, with a bound on their number."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.monitor.functions import Functions, Sketch, bucket_of, middle
from tuiparallel.wire.messages import FunctionRow

durations = st.lists(st.floats(1e-6, 1e5), min_size=1, max_size=200)
DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "uniform": lambda source: source.uniform(0.5, 1.5),
    "exponential": lambda source: source.expovariate(10.0),
    "lognormal": lambda source: source.lognormvariate(-3.0, 1.5),
    "bimodal": lambda source: source.gauss(0.01, 0.001) if source.random() < 0.7 else source.gauss(2.0, 0.1),
    "pareto": lambda source: 0.001 * source.paretovariate(1.5),
}


def row(name: str, done: int = 1, **fields: object) -> FunctionRow:
    return FunctionRow(name, done, 0, 1.0 * done, 0.5, 0.1, 1.0, {300: done})


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_are_close(name: str) -> None:
    source = random.Random(7)
    values = sorted(abs(DISTRIBUTIONS[name](source)) for _ in range(20_000))
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    for fraction in (0.1, 0.5, 0.9, 0.95, 0.99):
        true = values[int(fraction * len(values)) - 1]
        assert sketch.quantile(fraction) == pytest.approx(true, rel=0.0225), fraction


@given(durations, durations)
def test_merging_equals_the_union(one: list[float], other: list[float]) -> None:
    first, second, union = Sketch(), Sketch(), Sketch()
    for value in one:
        first.add(value)
        union.add(value)
    for value in other:
        second.add(value)
        union.add(value)
    first.merge(second)
    assert first.buckets == union.buckets
    assert first.count == len(one) + len(other)


@given(st.floats(1e-6, 1e7))
def test_a_buckets_middle_is_near_all_it_holds(seconds: float) -> None:
    assert middle(bucket_of(seconds)) == pytest.approx(seconds, rel=0.022)


def test_an_empty_sketch_and_a_histogram() -> None:
    assert Sketch().quantile(0.5) == 0.0
    assert Sketch().histogram() == ()
    sketch = Sketch()
    sketch.add(0.001, 5)
    sketch.add(1.0, 3)
    assert sum(sketch.histogram()) == 8 and len(sketch.histogram()) == 16
    assert sketch.histogram()[0] == 5 and sketch.histogram()[-1] == 3


def test_equal_totals_change_nothing() -> None:
    found = Functions()
    assert found.put(row("fit"))
    assert not found.put(row("fit"))
    assert not found.replace([row("fit")])
    assert found.put(row("fit", 2))
    assert found.mean("fit") == 1.0 and found.mean("fit", least=5) is None
    assert found.spread("fit")[0] == pytest.approx(middle(300))
    assert found.spread("unknown") == (0.0, 0.0)


def test_the_rarest_share_a_row() -> None:
    found = Functions(limit=10)
    for number in range(30):
        found.put(row(f"f{number}", number + 1))
    assert len(found.rows) == 10
    others = found.others()
    assert others is not None and others.name == "others (20)"
    assert others.done + sum(item.done for item in found.rows.values()) == sum(range(1, 31))
    assert not found.put(row("f0", 1)), "told before"


def test_a_foreign_name_is_made_safe() -> None:
    found = Functions()
    found.put(row("evil\x1b[2J\n"))
    assert list(found.rows) == ["evil "]


def test_bytes_are_added_up() -> None:
    found = Functions()
    found.bytes_moved("fit", 10, 20)
    found.bytes_moved("fit", 1, 2)
    assert found.sizes["fit"] == (11, 22)
