"""The scheduler's rules: generated histories, and the single decisions that people rely on."""

from __future__ import annotations

import pytest

from tests.hub.world import run_history


def test_p1_p4_p5_hold_in_generated_histories() -> None:
    for seed in range(3000):
        run_history(seed)


@pytest.mark.long
def test_p1_p4_p5_hold_in_a_hundred_thousand_histories() -> None:
    count, first = 100_000, 1_000_000
    for seed in range(first, first + count):
        run_history(seed)
    print(f"\n{count:,} histories, seeds {first} to {first + count - 1}: P1 to P5 kept")
