"""Acknowledgements: a lone one waits a moment for company, several leave at once, none is lost or said twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.hub.acks import Acks


def test_a_lone_number_travels_with_the_next_message() -> None:
    acks = Acks(patience=0.002)
    acks.add(1, 10, now=5.0, lone=True)
    assert acks.ripe(5.001) == []
    assert acks.take(1) == [10]
    assert acks.take(1) == [] and acks.ripe(6.0) == [] and acks.next_deadline() is None


def test_a_lone_number_leaves_alone_when_nobody_comes() -> None:
    acks = Acks(patience=0.002)
    acks.add(1, 10, now=5.0, lone=True)
    assert acks.next_deadline() == 5.002
    assert acks.ripe(5.002) == [(1, [10])]
    assert acks.next_deadline() is None


def test_a_number_that_is_not_lone_takes_the_waiting_ones_along() -> None:
    acks = Acks(patience=0.002)
    acks.add(1, 10, now=5.0, lone=True)
    acks.add(1, 11, now=5.0, lone=False)
    acks.add(1, 12, now=5.0, lone=True)
    acks.add(2, 7, now=5.0, lone=True)
    assert acks.ripe(5.0) == [(1, [10, 11, 12])]
    assert acks.take(2) == [7]


def test_a_receiver_that_left_is_told_nothing() -> None:
    acks = Acks(patience=0.002)
    acks.add(1, 10, now=5.0, lone=True)
    acks.drop(1)
    assert acks.ripe(9.0) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from(["add", "take", "ripe"])), max_size=60))
def test_every_number_is_said_once(steps: list[tuple[int, bool, str]]) -> None:
    acks = Acks(patience=1.0)
    added: list[int] = []
    said: list[int] = []
    for now, (receiver, lone, what) in enumerate(steps):
        if what == "add":
            added.append(now)
            acks.add(receiver, now, float(now), lone)
        elif what == "take":
            said += acks.take(receiver)
        else:
            said += [number for _, numbers in acks.ripe(float(now)) for number in numbers]
    said += [number for _, numbers in acks.ripe(1e9) for number in numbers]
    assert sorted(said) == added
