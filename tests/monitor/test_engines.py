"""Engine rows, rings of measurements, dead engines."""

from __future__ import annotations

import pytest

from tests.monitor.samples import T, engine
from tuiparallel.monitor.engines import SLOTS, Engines, Ring
from tuiparallel.wire.messages import Vital
from tuiparallel.wire.states import EngineState


def vital(cpu: float = 0.5, rss: int = 100, uuid: str = "u0") -> Vital:
    return Vital(uuid, 800, cpu, rss, 1000)


def test_a_ring_keeps_means_of_the_newest_steps() -> None:
    ring = Ring(10.0)
    for second in range(1000):
        ring.add(T + second, float(second))
    assert len(ring.values) == SLOTS
    assert list(ring.values)[-2:] == pytest.approx([984.5, 994.5])


def test_three_windows_of_vitals() -> None:
    engines = Engines()
    engines.put(engine(0), T)
    for second in range(7200):
        engines.measure(vital(cpu=second / 7200, rss=second), T + second)
    for window in (60, 600, 3600):
        values = engines.history("u0", "cpu", window)
        assert len(values) == 60 and values == sorted(values)
    assert engines.history("u0", "memory", 60)[-1] == pytest.approx(7.199)
    assert engines.history("u0", "rss", 60)[-1] == 7199
    assert engines.history("nobody", "rss", 60) == []
    with pytest.raises(ValueError, match="no vitals 'disk' over 60 s"):
        engines.history("u0", "disk", 60)


def test_equal_rows_change_nothing() -> None:
    engines = Engines()
    assert engines.put(engine(0), T)
    assert not engines.put(engine(0), T)
    assert engines.put(engine(0, done=1), T)
    assert engines.measure(vital(), T)
    assert not engines.measure(vital(), T + 1)


def test_an_engine_that_is_idle_again_is_idle_since_then() -> None:
    engines = Engines()
    engines.put(engine(0, since=T - 50), T)
    engines.put(engine(9, since=T - 50, done=3), T)
    assert (engines.seats[0].idle_since, engines.seats[9].idle_since) == (T - 50, T)
    engines.put(engine(0, EngineState.BUSY, task=5, name="fit", started=T + 1), T + 1)
    assert engines.seats[0].idle_since is None
    engines.put(engine(0, done=1), T + 3)
    assert engines.seats[0].idle_since == T + 3
    engines.put(engine(0, done=1, heard=T + 9), T + 9)
    assert engines.seats[0].idle_since == T + 3, "merely heard of"
    engines.put(engine(0, done=500), T + 12)
    assert engines.seats[0].idle_since == T + 12, "it has worked between two rows"


def test_dead_engines_keep_their_row_until_forgotten() -> None:
    engines = Engines()
    engines.put(engine(0, EngineState.BUSY, task=5, name="fit"), T)
    engines.put(engine(0, EngineState.DEAD, reason="signal 9", heard=T + 1), T + 1)
    engines.put(engine(1), T)
    seat = engines.seats[0]
    assert (seat.row.reason, seat.last_task, seat.last_name) == ("signal 9", 5, "fit")
    assert engines.missing([0], T + 2) == [1]
    assert engines.seats[1].row.state == EngineState.DEAD
    assert engines.forget_dead() == [0, 1] and not engines.seats


def test_the_number_of_engines_is_bounded_the_dead_go_first() -> None:
    engines = Engines(limit=3)
    for number in range(3):
        engines.put(engine(number), T)
    engines.put(engine(1, EngineState.DEAD), T)
    engines.put(engine(3), T)
    assert sorted(engines.seats) == [0, 2, 3]


def test_text_is_made_safe() -> None:
    engines = Engines()
    engines.put(engine(0, host="h\x1b[2J", name="f\n", label="l\x07", reason="r\x1b]0;t\x07"), T)
    row = engines.seats[0].row
    assert (row.host, row.name, row.label, row.reason) == ("h", "f ", "l\ufffd", "r")
