"""The line of leased tasks: every history ends each lease once, and starts it at most once."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tuiparallel.engine.queue import TaskQueue
from tuiparallel.wire.messages import PROTOCOL, EngineWelcome, Kind, Lease, RunBatch


def batch(tasks: list[int], leases: list[int]) -> RunBatch:
    return RunBatch(Kind.APPLY, "f", "ab", b"h", tasks, leases, [b"x"])


def welcome(drop: list[Lease] | None = None, kept: list[Lease] | None = None) -> EngineWelcome:
    return EngineWelcome(PROTOCOL, "b", "c", 0, drop or [], kept or [])


@pytest.fixture
def queue() -> TaskQueue:
    return TaskQueue(1000, remembered=5)


def started(queue: TaskQueue) -> int | None:
    assignment = queue.start()
    return None if assignment is None else assignment[0]


def test_tasks_start_in_the_order_they_came(queue: TaskQueue) -> None:
    queue.run([batch([3, 1], [1, 1]), batch([2], [2])])
    order = []
    while (task := started(queue)) is not None:
        order.append(task)
        assert queue.finish(1)
    assert order == [3, 1, 2]


def test_a_copy_is_dropped_whatever_became_of_the_first(queue: TaskQueue) -> None:
    first = batch([1, 2], [1, 1])
    assert queue.run([first]) == 2
    assert queue.run([first]) == 0
    assert started(queue) == 1
    assert queue.run([first]) == 0  # one runs, one waits
    queue.finish(1)
    number = queue.send([Lease(1, 1)], 1)
    assert queue.run([first]) == 0
    queue.kept([number])
    assert queue.run([first]) == 0
    assert started(queue) == 2
    assert queue.run([batch([1], [2])]) == 1  # another attempt has a newer lease


def test_what_has_not_started_goes_back_and_what_has_is_refused(queue: TaskQueue) -> None:
    queue.run([batch([1, 2, 3], [1, 1, 1])])
    assert started(queue) == 1
    back, refused = queue.revoke([Lease(1, 1), Lease(2, 1), Lease(9, 4)])
    assert back == [Lease(2, 1), Lease(9, 4)]
    assert refused == [Lease(1, 1)]
    queue.finish(1)
    assert queue.run([batch([9], [4]), batch([2], [1])]) == 0  # late copies of what went back
    assert started(queue) == 3
    queue.finish(1)
    assert queue.run([batch([2], [5])]) == 1
    assert started(queue) == 2


def test_nothing_starts_above_the_budget_until_the_hub_has_kept_some(queue: TaskQueue) -> None:
    queue.run([batch([1, 2, 3], [1, 1, 1])])
    assert started(queue) == 1
    queue.finish(1000)
    assert started(queue) is None and not queue.startable
    number = queue.send([Lease(1, 1)], 1000)
    assert started(queue) is None
    queue.kept([number])
    assert started(queue) == 2


def test_a_greeting_lists_everything_that_is_open(queue: TaskQueue) -> None:
    queue.run([batch([1, 2, 3, 4], [1, 1, 1, 1])])
    queue.start()
    queue.finish(1)
    queue.send([Lease(1, 1)], 1)
    queue.start()
    queue.revoke([Lease(4, 1)])
    assert queue.hello() == ([Lease(2, 1)], [Lease(3, 1)], [Lease(1, 1)], [Lease(4, 1)])


def test_the_hubs_answer_is_obeyed(queue: TaskQueue) -> None:
    queue.run([batch([1, 2, 3, 4], [1, 1, 1, 1])])
    queue.start()
    queue.finish(1)
    number = queue.send([Lease(1, 1)], 1)
    queue.start()
    assert queue.welcomed(welcome(drop=[Lease(2, 1), Lease(3, 1)], kept=[Lease(1, 1)])) == [number]
    assert queue.hello() == ([], [Lease(4, 1)], [], [])
    assert not queue.finish(1)  # nobody wants it
    assert started(queue) == 4
    assert queue.finish(1)


def test_what_is_over_is_forgotten_in_the_end(queue: TaskQueue) -> None:
    for task in range(1000):
        queue.run([batch([task], [task])])
        queue.start()
        queue.finish(1)
        queue.kept([queue.send([Lease(task, task)], 1)])
    queue.check()
    assert len(queue._newest) == 5


class Histories(RuleBasedStateMachine):
    """A hub that repeats itself, forgets, revokes and comes back, against one queue."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = TaskQueue(500, remembered=10_000)
        self.lease = 0
        self.given: list[RunBatch] = []
        self.starts: Counter[tuple[int, int]] = Counter()
        self.results: Counter[tuple[int, int]] = Counter()
        self.returns: Counter[tuple[int, int]] = Counter()
        self.dropped: set[tuple[int, int]] = set()
        self.unsent: list[Lease] = []
        self.sent: dict[int, list[Lease]] = {}

    @rule(count=st.integers(1, 4))
    def lease_new(self, count: int) -> None:
        self.lease += 1
        new = batch([self.lease * 10 + i for i in range(count)], [self.lease] * count)
        self.given.append(new)
        self.queue.run([new])

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.queue.run([data.draw(st.sampled_from(self.given))])

    @precondition(lambda self: self.queue.running is None)
    @rule()
    def start(self) -> None:
        assignment = self.queue.start()
        if assignment is not None:
            self.starts[assignment[0], assignment[1]] += 1

    @precondition(lambda self: self.queue.running is not None)
    @rule()
    def finish(self) -> None:
        running = self.queue.running
        assert running is not None
        lease = (running[0], running[1])
        if self.queue.finish(100):
            self.results[lease] += 1
            self.unsent.append(Lease(*lease))
        else:
            assert lease in self.dropped

    @precondition(lambda self: self.unsent)
    @rule()
    def send(self) -> None:
        self.sent[self.queue.send(self.unsent, 100 * len(self.unsent))] = self.unsent
        self.unsent = []

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.sent)))
        del self.sent[number]
        self.queue.kept([number, number])

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.given))
        leases = [Lease(task, lease) for task, lease in zip(chosen.tasks, chosen.leases, strict=True)]
        back, refused = self.queue.revoke(leases)
        assert sorted(map(repr, back + refused)) == sorted(map(repr, leases))
        for lease in back:
            self.returns[lease.task, lease.lease] = 1
        for lease in refused:
            key = (lease.task, lease.lease)
            assert self.starts[key] or self.returns[key] or key in self.dropped
        self.sent[self.queue.send(back, 0)] = back

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        running, queued, holding, returned = self.queue.hello()
        drop = [lease for lease in [*running, *queued] if data.draw(st.booleans())]
        kept = [lease for lease in holding if data.draw(st.booleans())]
        self.dropped.update((lease.task, lease.lease) for lease in drop)
        for number in self.queue.welcomed(welcome(drop, kept)):
            self.sent.pop(number, None)

    @invariant()
    def no_lease_starts_twice(self) -> None:
        assert all(count == 1 for count in self.starts.values())
        assert all(count == 1 for count in self.results.values())
        unsent = len(self.unsent)
        assert self.queue.unkept >= 100 * unsent
        if not self.sent and not unsent:
            assert self.queue.unkept == 0
        self.queue.check()

    @invariant()
    def each_lease_is_in_one_place_or_over(self) -> None:
        running, queued, holding, returned = self.queue.hello()
        listed = [(lease.task, lease.lease) for lease in [*running, *queued, *holding, *returned]]
        assert len(listed) == len(set(listed))
        for key in self.starts:
            assert not self.returns[key]
        for given in self.given:
            for key in zip(given.tasks, given.leases, strict=True):
                ended = self.results[key] or self.returns[key] or key in self.dropped
                assert ended or key in listed


Histories.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestHistories = Histories.TestCase
