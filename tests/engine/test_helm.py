"""The helm: one thread turns the link at a time, and control is heard soon after a task has begun."""

from __future__ import annotations

import threading

from tests.engine.scripted import PATIENCE
from tuiparallel.engine.helm import MOMENT, RECENT, Helm
from tuiparallel.link.clock import FakeClock


def test_the_io_thread_turns_until_the_main_thread_claims_the_link() -> None:
    helm = Helm(FakeClock(), lambda: None)
    assert not helm.stand_by()
    helm.claim()
    assert helm.stand_by()
    with_link: list[bool] = []
    helm.leave()
    with helm.turn() as ours:
        with_link.append(ours)
    assert with_link == [False], "the main thread runs something short: the link stays its own"


def test_the_io_thread_takes_over_when_work_lasts() -> None:
    clock = FakeClock()
    helm = Helm(clock, lambda: None)
    helm.claim()
    helm.leave()
    assert helm.stand_by(), "a moment of work changes nothing"
    clock.advance(2 * MOMENT)
    assert not helm.stand_by()
    with helm.turn() as ours:
        assert ours


def test_claiming_wakes_the_thread_that_turns() -> None:
    woken = threading.Event()
    turning = threading.Event()
    helm = Helm(FakeClock(), woken.set)

    def turn() -> None:
        with helm.turn() as ours:
            assert ours
            turning.set()
            assert woken.wait(PATIENCE)

    thread = threading.Thread(target=turn)
    thread.start()
    assert turning.wait(PATIENCE)
    helm.claim()
    assert woken.is_set()
    helm.leave()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_the_io_thread_sleeps_without_a_timer_until_there_is_work() -> None:
    clock = FakeClock()
    helm = Helm(clock, lambda: None)
    helm.claim()
    clock.advance(2 * RECENT)
    rounds: list[bool] = []
    thread = threading.Thread(target=lambda: rounds.append(helm.stand_by()))
    thread.start()
    helm.leave()
    helm.end()
    thread.join(PATIENCE)
    assert rounds == [True]
