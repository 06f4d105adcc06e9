"""SIGINT hits user code and nothing else."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from tuiparallel.engine.interrupts import Interrupts, in_user_code, user_code
from tuiparallel.link.clock import Deadline, SystemClock


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = signal.getsignal(signal.SIGINT)
    interrupts = Interrupts()
    interrupts.install()
    yield interrupts
    signal.signal(signal.SIGINT, before)


def test_bookkeeping_is_never_hit(interrupts: Interrupts) -> None:
    interrupts.running = 1
    for _ in range(100):
        signal.raise_signal(signal.SIGINT)


def test_user_code_is(interrupts: Interrupts) -> None:
    interrupts.running = 1
    with pytest.raises(KeyboardInterrupt):
        user_code(signal.raise_signal, signal.SIGINT)
    assert not in_user_code(None)


def test_only_the_task_that_was_meant(interrupts: Interrupts) -> None:
    def later() -> str:
        # The task that was to be interrupted has ended between the order and the signal.
        interrupts.running = 2
        signal.raise_signal(signal.SIGINT)
        return "not hit"

    interrupts.running = 1
    interrupts._wanted = 1
    assert user_code(later) == "not hit"
    interrupts.send(signal.SIGINT, 1)  # does not run any more
    interrupts.running = 2
    with pytest.raises(KeyboardInterrupt):
        user_code(interrupts.send, signal.SIGINT, 2)


def test_a_storm_of_interrupts_stays_within_user_code(interrupts: Interrupts) -> None:
    over = threading.Event()

    def blow() -> None:
        while not over.is_set():
            interrupts.send(signal.SIGINT, 1)

    storm = threading.Thread(target=blow)

    def work() -> int:
        return sum(range(50))

    interrupts.running = 1
    hits = 0
    deadline = Deadline(SystemClock(), 50.0)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    storm.start()
    try:
        while hits < 500 and not deadline.passed():
            try:
                user_code(work)
            except KeyboardInterrupt:
                hits += 1
    finally:
        over.set()
        storm.join()
        sys.setswitchinterval(switch)
    assert hits == 500
