"""Edges and counters: groups that wait, and what an ended task decides."""

from __future__ import annotations

from tuiparallel.hub.dependencies import Dependencies, Fact, Verdict
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Need, Work

ONE, TWO, THREE = TaskId(1), TaskId(2), TaskId(3)
DONE, FAILED = Fact(True, 5), Fact(False, 6)


def waiting(id: int = 9) -> list[Task]:
    return [Task(TaskId(id), Batch(TaskId(id), 1, Work(0, "f", True, 0.0), b"", None, [b""]))]


def test_a_group_is_decided_once_by_the_last_it_waits_for() -> None:
    rules = Dependencies()
    group = rules.waits_for(waiting(), [(Need([]), False, [ONE, TWO, ONE])], {})
    assert group.verdict() is Verdict.WAITING and rules.open_dependencies(group.tasks[0]) == [ONE, TWO]
    assert rules.ended(ONE, DONE) == []
    assert rules.ended(TWO, DONE) == [group] and group.verdict() is Verdict.READY
    assert rules.ended(TWO, DONE) == [] and len(rules) == 0


def test_what_has_ended_before_counts_at_once() -> None:
    rules = Dependencies()
    assert rules.waits_for(waiting(), [(Need([]), False, [ONE])], {ONE: DONE}).over
    failed = rules.waits_for(waiting(), [(Need([]), False, [ONE, TWO])], {ONE: FAILED})
    assert failed.over and failed.verdict() is Verdict.IMPOSSIBLE and len(rules) == 0


def test_nothing_to_wait_for_is_met() -> None:
    rules = Dependencies()
    for need in (Need([]), Need([], all=False), Need([], success=False, failure=True)):
        assert rules.waits_for(waiting(), [(need, False, [])], {}).verdict() is Verdict.READY


def test_any_of_several() -> None:
    rules = Dependencies()
    group = rules.waits_for(waiting(), [(Need([], all=False), False, [ONE, TWO, THREE])], {})
    assert rules.ended(ONE, FAILED) == []
    assert rules.ended(TWO, DONE) == [group]
    assert rules.ended(THREE, DONE) == []


def test_after_and_follow_together() -> None:
    rules = Dependencies()
    needs = [(Need([]), False, [ONE]), (Need([]), True, [TWO])]
    group = rules.waits_for(waiting(), needs, {})
    rules.ended(TWO, DONE)
    assert rules.ended(ONE, Fact(True, 1)) == [group] and group.allowed() == frozenset({5})


def test_where_a_follower_may_run() -> None:
    rules = Dependencies()
    facts = {ONE: Fact(True, 1), TWO: Fact(True, 2)}
    assert rules.waits_for(waiting(), [(Need([]), True, [ONE, TWO])], facts).allowed() == frozenset()
    assert rules.waits_for(waiting(), [(Need([], all=False), True, [ONE, TWO])], facts).allowed() == frozenset({1, 2})
    assert rules.waits_for(waiting(), [(Need([]), False, [ONE])], facts).allowed() is None
