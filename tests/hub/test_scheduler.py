"""The scheduler's rules: generated histories, and the single decisions that people rely on."""

from __future__ import annotations

import pytest

from tests.hub.world import run_history
from tuiparallel.hub.events import AbortAsked, EngineJoined, ReplaceEngine, RevokeTasks, TasksSubmitted
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import Work


def test_p1_p4_p5_hold_in_generated_histories() -> None:
    for seed in range(3000):
        run_history(seed)


@pytest.mark.long
def test_p1_p4_p5_hold_in_a_hundred_thousand_histories() -> None:
    count, first = 100_000, 1_000_000
    for seed in range(first, first + count):
        run_history(seed)
    print(f"\n{count:,} histories, seeds {first} to {first + count - 1}: P1 to P5 kept")


def test_a_task_that_holds_its_engine_before_it_could_say_so_is_ended_after_the_grace() -> None:
    scheduler = Scheduler()
    now = 100.0
    scheduler.handle(EngineJoined(0), now, now)
    batch = Batch(task_id(1, 0), 2, Work(0, "f", True, now), b"f", b"code", [b"x"])
    scheduler.handle(TasksSubmitted(batch), now, now)
    scheduler.settle(now, now)
    asked = scheduler.handle(AbortAsked(1, [task_id(1, 0)], running=True, grace=2.0), now, now)
    assert any(isinstance(effect, RevokeTasks) for effect in asked), "the engine is asked, and never answers"
    assert not any(isinstance(effect, ReplaceEngine) for effect in scheduler.settle(now + 1.9, now))
    assert any(isinstance(effect, ReplaceEngine) for effect in scheduler.settle(now + 2.1, now))
