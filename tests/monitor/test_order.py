"""The order of submission, against a sorted list."""

from __future__ import annotations

from bisect import insort

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiparallel.monitor import order
from tuiparallel.monitor.order import Order

steps = st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=300)


@settings(max_examples=200)
@given(steps, st.integers(-2, 50), st.integers(0, 50))
def test_any_changes(changes: list[tuple[bool, int]], start: int, count: int) -> None:
    stamps = {slot: float(slot * 7919 % 50) for slot in range(401)}  # many share a stamp
    found = Order(lambda slot: (stamps[slot], slot))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "CHUNK", 4)
        true: list[tuple[float, int]] = []
        for add, slot in changes:
            key = (stamps[slot], slot)
            if add and key not in true:
                insort(true, key)
                found.add(slot)
            elif not add and key in true:
                true.remove(key)
                found.remove(slot)
            elif not add:
                with pytest.raises(KeyError):
                    found.remove(slot)
        slots = [slot for _, slot in true]
        assert len(found) == len(slots)
        assert list(found) == slots == list(found.whole())
        assert [found.position(slot) for slot in slots] == list(range(len(slots)))
        assert found.slice(start, count) == slots[max(start, 0) :][:count]
