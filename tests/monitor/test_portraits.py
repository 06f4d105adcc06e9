"""Rows as people see them, made of the tables."""

from __future__ import annotations

import pytest

from tests.monitor.samples import T, batch, engine, snapshot
from tuiparallel.monitor import portraits
from tuiparallel.monitor.intake import Intake
from tuiparallel.wire.messages import Counters, FunctionRow
from tuiparallel.wire.states import EngineState


def test_a_dead_engine_runs_nothing_and_is_not_up() -> None:
    known = Intake()
    dead = engine(0, EngineState.DEAD, task=5, name="fit", started=T)
    starting = engine(1, EngineState.STARTING)
    known.snapshot(snapshot(engines=[dead, starting, engine(2)], batches=[batch(10, 4, T)]), T)
    header = portraits.header(known, T)
    assert (header.up, header.expected, header.busy) == (1, 1, 0)
    assert portraits.open_by_name(known) == {"fit": (6, 0)}


def test_the_seconds_queued_need_five_samples() -> None:
    known = Intake()
    busy = engine(0, EngineState.BUSY, held=1, queue=2, task=5, name="fit", started=T)
    for ended, est in ((4, None), (5, pytest.approx(3 * 2.0 - 0.5))):
        functions = [FunctionRow("fit", ended, 0, 2.0 * ended, 0.0, 0.0, 2.0)]
        known.snapshot(snapshot(engines=[busy], functions=functions), T)
        assert portraits.engine(known, 0, T + 0.5).est == est


def test_an_estimate_is_marked_where_one_is_unknown() -> None:
    known = Intake()
    known.snapshot(snapshot(batches=[batch(1000, 0, 0.0)]), T)
    for second in range(1, 21):
        known.put_rest([], [batch(1000, 10 * second, T + second)], [], [], [], [], T + second)
    header = portraits.header(known, T + 20)
    assert header.eta is not None and header.eta.seconds == pytest.approx(80, rel=0.05)
    assert not header.eta_partial
    known.put_rest([], [batch(10, 0, 0.0, first=5000)], [], [], [], [], T + 20)
    assert portraits.header(known, T + 20).eta_partial


def test_rates_per_second_keep_a_minute() -> None:
    known = Intake()
    known.snapshot(snapshot(), T)
    for tick in range(1, 1000):
        known.at = T + tick / 4
        known.put_counters(Counters(done=5 * tick), known.at)
    header = portraits.header(known, known.at or T)
    assert len(header.rates) == 60 and set(header.rates[:-1]) == {20.0}
    assert header.rate == pytest.approx(20)
