"""The rules alone, without sockets: generated histories of everything that can happen keep P1 to P5."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from tests.hub.histories import Tally, run_many
from tests.hub.world import KINDS

COMMIT = 3000
LONG = 100_000
RARE = 0.2  # of each kind there must be so many per history at the least


def _judge(total: Tally, count: int, first: int, seconds: float) -> str:
    assert not total.failures, "\n\n".join(total.failures)
    assert total.histories == count
    for kind in KINDS:
        assert total.counts[kind] >= RARE * count, f"only {total.counts[kind]} of {kind!r} in {count} histories"
    figures = ", ".join(f"{kind} {total.counts[kind]:,}" for kind in KINDS)
    return f"{count:,} histories, seeds {first} to {first + count - 1}, {seconds:.0f} s: P1 to P5 kept. Events: {figures}"


def test_p1_p2_p3_p4_p5_hold_in_generated_histories(record_property: Callable[[str, object], None]) -> None:
    began = perf_counter()
    record_property("histories", _judge(run_many(0, COMMIT), COMMIT, 0, perf_counter() - began))
