"""Which tasks are outstanding, and which Calls hear of their outcomes."""

from __future__ import annotations

import gc
import random

from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.client.call import Call
from tuiparallel.client.ledger import Ledger
from tuiparallel.wire.messages import Outcome
from tuiparallel.wire.objects import pack
from tuiparallel.wire.states import State


def outcome(counter: int) -> Outcome:
    return Outcome(counter, State.DONE, 0, 1.0, 2.0, 1, pack(counter).body)


def calls_of(ledger: Ledger, sizes: list[int]) -> list[Call]:
    calls = []
    first = 0
    for size in sizes:
        calls.append(Call("ab", first, size, None, None, None))
        ledger.add(calls[-1])
        first += size
    return calls


@given(st.lists(st.integers(1, 20), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_outcomes_in_any_order_and_twice_reach_their_calls_once(sizes: list[int], chance: random.Random) -> None:
    ledger = Ledger("ab")
    calls = calls_of(ledger, sizes)
    counters = list(range(sum(sizes)))
    chance.shuffle(counters)
    for number, counter in enumerate(counters):
        ledger.settle([outcome(counter), outcome(counter)], 3.0, lambda call: None)
        assert ledger.outstanding == len(counters) - number - 1
        assert not ledger.is_outstanding(counter)
        assert ledger.open_counters() == sorted(counters[number + 1 :])
    assert [call.left for call in calls] == [0] * len(calls)
    assert [call.value(index) for call in calls for index in range(call.count)] == sorted(counters)


def test_a_dropped_call_is_forgotten_and_its_tasks_stay_outstanding() -> None:
    ledger = Ledger("ab")
    calls = calls_of(ledger, [1, 3])
    assert ledger.find(2) == (calls[1], 1)
    del calls
    gc.collect()
    assert ledger.find(0) is None and ledger.find(2) is None and not list(ledger.living())
    assert ledger.outstanding == 4 and ledger.awaited() == [(0, 4)]
    ledger.settle([outcome(c) for c in range(4)], 1.0, lambda call: None)
    assert ledger.outstanding == 0 and ledger.awaited() == []


def test_a_call_that_asks_again_is_awaited_but_not_outstanding() -> None:
    ledger = Ledger("cd")
    call = Call("cd", 7, 1, None, None, None)
    ledger.add(call, awaited=False)
    assert ledger.outstanding == 0 and ledger.awaited() == [(7, 1)]
    ledger.settle([outcome(7)], 1.0, lambda call: None)
    assert call.value(0) == 7


def test_watchers_are_told_once_per_batch() -> None:
    ledger = Ledger("ab")
    [call] = calls_of(ledger, [5])
    call.watchers = [lambda: None]
    told: list[Call] = []
    ledger.settle([outcome(c) for c in range(5)], 1.0, told.append)
    assert told == [call]


def test_many_dropped_calls_leave_nothing() -> None:
    ledger = Ledger("ab")
    for first in range(0, 4000, 4):
        ledger.add(Call("ab", first, 4, None, None, None))
        ledger.settle([outcome(first + i) for i in range(4)], 1.0, lambda call: None)
    ledger.find(0)
    assert not ledger._living and not ledger._stretches and len(ledger._wide) <= 65


def test_a_large_result_is_not_kept_twice() -> None:
    call = Call("ab", 0, 1, None, None, None)
    body = pack("x" * 10_000).body
    call.settle(0, Outcome(0, State.DONE, 0, 1.0, 2.0, 1, body), 3.0)
    assert call.result_size(0) == len(body)
    assert call.value(0) == "x" * 10_000 and call.outcomes[0] is not None and call.outcomes[0].body == b""
    assert call.result_size(0) == len(body) and call.value(0) == "x" * 10_000
