"""An engine's share of work, and how long tasks are believed to take."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiparallel.hub.seats import LEAST_LOAD, OVERHEAD, SCHEMES, Pace, Scheme, Seat
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.config import CHOICES
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Work
from tuiparallel.wire.states import State


def task(id: int) -> Task:
    return Task(TaskId(id), Batch(TaskId(id), 1, Work(0, "f", True, 0.0), b"", None, [b""]))


def test_load_is_the_sum_and_exactly_zero_when_nothing_is_held() -> None:
    seat, held = Seat(0), [task(id) for id in range(50)]
    for one in held:
        seat.hold(one, 0.1)
    assert seat.load == pytest.approx(5.0) and list(seat.held) == list(range(50))
    for one in held:
        seat.release(one)
        seat.release(one)
    assert seat.load == 0.0 and not seat.held


def test_release_ends_what_was_asked_and_what_ran() -> None:
    seat, one = Seat(0), task(1)
    seat.hold(one, 1.0)
    one.revoking, seat.revoking, seat.running = True, 1, one
    seat.release(one)
    assert seat.revoking == 0 and not one.revoking and seat.running is None


def test_the_next_direct_task_is_one_that_still_waits() -> None:
    seat, ids = Seat(0), [task(id) for id in range(3)]
    seat.direct.extend(ids)
    ids[0].state = State.ABORTED
    assert seat.next_direct() is ids[1]
    ids[1].state = ids[2].state = State.ABORTED
    assert seat.next_direct() is None and not seat.direct


def test_pace_follows_what_is_seen_newest_first() -> None:
    pace = Pace()
    assert pace.mean is None
    pace.learn(10.0, 10)
    assert pace.mean == pytest.approx(1.0 + OVERHEAD)
    for _ in range(60):
        pace.learn(0.001, 1)
    assert (pace.mean or 1.0) < 0.01
    pace.learn(50.0, 50)
    assert (pace.mean or 0.0) > 0.9


# Schemes -----------------------------------------------------------------------------------------------------------


def chosen(
    scheme: str, loads: list[int], tasks: int, rounds: int = 1, room: int = 1000, seed: int = 1
) -> Counter[int]:
    """How many tasks each engine is given over some rounds in which its load stays what it is."""
    pick = SCHEMES[scheme]
    assert pick is not None
    rules, seats = Scheme(pick, Random(seed)), [Seat(id) for id in range(len(loads))]
    for seat, load in zip(seats, loads, strict=True):
        for id in range(load):
            seat.hold(task(1000 * seat.id + id), 0.001)
    total: Counter[int] = Counter()
    for _ in range(rounds):
        shares = rules.shares([(seat, room) for seat in seats], tasks)
        assert sum(count for _, count in shares) == min(tasks, room * len(seats))
        assert all(0 < count <= room for _, count in shares)
        total.update({seat.id: count for seat, count in shares})
    return total


def test_the_names_are_those_that_people_may_say() -> None:
    assert tuple(SCHEMES) == CHOICES["scheme"] and LEAST_LOAD in SCHEMES


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != LEAST_LOAD])
@pytest.mark.parametrize(("engines", "tasks", "room"), [(1, 7, 3), (3, 1, 1), (4, 40, 5), (2, 5000, 1000), (5, 0, 1)])
def test_every_scheme_gives_out_what_there_is_room_for(scheme: str, engines: int, tasks: int, room: int) -> None:
    chosen(scheme, [0] * engines, tasks, room=room)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([name for name in SCHEMES if name != LEAST_LOAD]),
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 30)), min_size=1, max_size=8),
    st.integers(0, 400),
    st.integers(0, 99),
)
def test_no_scheme_gives_more_than_there_is_or_fits(
    scheme: str, engines: list[tuple[int, int]], tasks: int, seed: int
) -> None:
    pick = SCHEMES[scheme]
    assert pick is not None
    rooms = []
    for id, (load, room) in enumerate(engines):
        seat = Seat(id)
        for one in range(load):
            seat.hold(task(1000 * id + one), 0.001)
        rooms.append((seat, room))
    shares = Scheme(pick, Random(seed)).shares(rooms, tasks)
    room_of = {seat.id: room for seat, room in rooms}
    assert all(0 < count <= room_of[seat.id] for seat, count in shares)
    assert sum(count for _, count in shares) == min(tasks, sum(room_of.values()))


def test_lru_goes_round_whatever_the_loads() -> None:
    assert chosen("lru", [9, 0, 3], 1, rounds=300) == {0: 100, 1: 100, 2: 100}
    assert chosen("lru", [9, 0, 3], 7, rounds=3) == {0: 7, 1: 7, 2: 7}


def test_plainrandom_is_even_whatever_the_loads() -> None:
    counts = chosen("plainrandom", [9, 0, 3, 0], 1, rounds=4000)
    assert all(abs(counts[id] - 1000) < 130 for id in range(4)), counts  # five standard deviations
    assert max(counts.values()) != min(counts.values())
    assert counts != chosen("plainrandom", [9, 0, 3, 0], 1, rounds=4000, seed=2), "lots, not turns"


def test_weighted_prefers_the_less_loaded() -> None:
    counts = chosen("weighted", [1, 2, 4, 8], 1, rounds=4000)
    weights = [1 / load for load in (1, 2, 4, 8)]
    odds = [weight / sum(weights) for weight in weights]
    for id in range(4):  # chosen when both draws are it, or one is it and the other has more
        expected = 4000 * (odds[id] ** 2 + 2 * odds[id] * sum(odds[id + 1 :]))
        assert abs(counts[id] - expected) < 5 * max(expected, 10) ** 0.5, (id, counts, expected)
    assert chosen("weighted", [0, 5, 5], 1, rounds=500)[0] == 500, "an idle one weighs a million times as much"


def test_twobin_prefers_the_less_recently_chosen_and_looks_at_no_load() -> None:
    seats = [Seat(id) for id in range(4)]
    for _ in range(50):
        seats[0].hold(task(len(seats[0].held)), 1.0)
    pick = SCHEMES["twobin"]
    assert pick is not None
    rules, places = Scheme(pick, Random(3)), Counter[int]()
    for _ in range(4000):
        line = sorted(seats, key=lambda seat: seat.used)
        ((seat, _),) = rules.shares([(seat, 9) for seat in seats], 1)
        places[line.index(seat)] += 1
    for place, odds in enumerate((7 / 16, 5 / 16, 3 / 16, 1 / 16)):  # of the smaller of two lots among four
        assert abs(places[place] - 4000 * odds) < 5 * (4000 * odds) ** 0.5, places
