"""History: a list of msg_ids kept as ranges."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.client.history import History


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=15), st.integers(-80, 80))
def test_it_is_the_list_of_its_ids(steps: list[tuple[int, int]], index: int) -> None:
    history, plain, counter = History("ab"), [], 0
    for gap, count in steps:
        counter += gap
        history.add(counter, count)
        plain += [f"ab-{c}" for c in range(counter, counter + count)]
        counter += count
    assert history == plain and list(history) == plain and len(history) == len(plain)
    assert history[2:7] == plain[2:7] and history[::-2] == plain[::-2]
    assert all(name in history for name in plain)
    assert "ab-9999" not in history and "cd-0" not in history and "x" not in history
    assert [c for run in history.counters() for c in run] == [int(name[3:]) for name in plain]
    if -len(plain) <= index < len(plain):
        assert history[index] == plain[index]
    else:
        with pytest.raises(IndexError, match=f"the history has {len(plain)}"):
            history[index]


def test_adjacent_ranges_are_one() -> None:
    history = History("ab")
    for first in range(100_000):
        history.add(first, 1)
    assert len(history._firsts) == 1 and len(history) == 100_000
    assert pickle.loads(pickle.dumps(history))[:2] == ["ab-0", "ab-1"]
