"""The rules alone, without sockets: generated histories of everything that can happen keep P1 to P5."""

from __future__ import annotations

import pytest

from tests.hub.histories import fails, play, run_many, shrunk
from tests.hub.oracle import BrokenError
from tests.hub.world import KINDS, plan
from tuiparallel.link.clock import SystemClock

COMMIT = (0, 3000)  # first seed, how many
LONG = (1_000_000, 100_000)
RARE = 0.2  # so many of each kind there must be per history at the least


def _judge(first: int, count: int) -> str:
    """Run them; the figures, when all is well."""
    clock = SystemClock()
    began = clock.monotonic()
    total = run_many(first, count)
    assert not total.failures, "\n\n".join(total.failures)
    assert total.histories == count
    for kind in KINDS:
        assert total.counts[kind] >= RARE * count, f"only {total.counts[kind]} of {kind!r} in {count} histories"
    seconds = clock.monotonic() - began
    figures = ", ".join(f"{kind} {total.counts[kind]:,}" for kind in sorted(total.counts))
    return f"{count:,} histories, seeds {first} to {first + count - 1}, {seconds:.0f} s: P1 to P5 kept; {figures}"


def test_p1_p2_p3_p4_p5_hold_in_generated_histories(capsys: pytest.CaptureFixture[str]) -> None:
    figures = _judge(*COMMIT)
    with capsys.disabled():
        print(f"\n{figures}")


@pytest.mark.long
def test_p1_p2_p3_p4_p5_hold_in_a_hundred_thousand_histories(capsys: pytest.CaptureFixture[str]) -> None:
    figures = _judge(*LONG)
    with capsys.disabled():
        print(f"\n{figures}")


def test_a_history_is_the_same_each_time() -> None:
    one, two = play(7, plan(7)), play(7, plan(7))
    assert one.counts == two.counts and one.oracle.outcomes == two.oracle.outcomes
    assert one.oracle.holders == two.oracle.holders


def test_a_failing_history_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.hub.world import World

    def broken(world: World) -> None:
        raise BrokenError(f"P0: restarted at {world.moment.now}")

    monkeypatch.setattr(World, "restart", broken)
    seed = next(seed for seed in range(100) if any(name == "restart" for name, _ in plan(seed)))
    few = shrunk(seed, plan(seed))
    assert [name for name, _ in few] == ["restart"]
    assert fails(seed, few).startswith("BrokenError: P0: restarted")
