"""The scheduler's rules: the single decisions that people rely on, and generated histories."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.events import (
    AbortAsked,
    AbortSettled,
    AttemptEnded,
    Death,
    Effect,
    EngineBack,
    EngineClosing,
    EngineJoined,
    EngineLost,
    EngineRuns,
    Event,
    InterruptTask,
    LeasesGivenBack,
    LeasesReturned,
    ReplaceEngine,
    RevokeTasks,
    RunTasks,
    TaskBegan,
    TaskEnded,
    TasksRan,
    TasksSubmitted,
)
from tuiparallel.hub.scheduler import TIME_LIMIT_GRACE, Scheduler
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import TaskId, task_id
from tuiparallel.wire.messages import ErrorText, Extras, Lease, Need, Ran, Work
from tuiparallel.wire.states import State


class Desk:
    """The rules with a memory of what they wanted. Tasks are named by their counters; all are of session 1."""

    def __init__(self, engines: int = 1, hwm: int = 1, horizon: float = 0.01) -> None:
        self.rules = Scheduler(horizon, hwm)
        self.now = 100.0
        self.next = {1: 0, 2: 0, 3: 0}
        self.ended: dict[int, TaskEnded] = {}
        self.effects: list[Effect] = []
        for engine in range(engines):
            self.tell(EngineJoined(engine))

    def tell(self, *events: Event) -> list[Effect]:
        """One turn."""
        found: list[Effect] = []
        for event in events:
            found += self.rules.handle(event, self.now, self.now)
        found += self.rules.settle(self.now, self.now)
        self.rules.check()
        for effect in found:
            if isinstance(effect, TaskEnded):
                assert effect.task.id not in self.ended
                self.ended[effect.task.id] = effect
        self.effects += found
        return found

    def submit(self, count: int = 1, session: int = 1, balanced: bool = True, **facts: object) -> list[int]:
        """New tasks; returns their ids."""
        first = task_id(session, self.next[session])
        self.next[session] += count
        work = Work(0, "f", balanced, 0.0, **facts)  # type: ignore[arg-type]
        needs: list[tuple[Need, bool, list[TaskId]]] = []
        facts_of: dict[TaskId, Fact] = {}
        for need, follow in ((work.after, False), (work.follow, True)):
            if need is not None:
                ids = [TaskId(first) for _, first, _ in need.tasks]
                needs.append((need, follow, ids))
                for id in ids:
                    if id in self.ended:
                        ended = self.ended[id]
                        facts_of[id] = Fact(ended.state is State.DONE, ended.task.engine)
        self.tell(TasksSubmitted(Batch(first, count, work, b"f", b"c", [b"x"]), needs, facts_of))
        return list(range(first, first + count))

    def held(self, engine: int) -> list[int]:
        return list(self.rules.seats[engine].held)

    def finish(self, id: int, error: str = "") -> list[Effect]:
        task = self.rules.tasks[id]
        assert task.engine is not None
        extras = Extras(error=ErrorText(error, "", "")) if error else None
        ran = Ran(id, task.lease, not error, self.now, self.now + 0.001, b"", extras)
        return self.tell(TasksRan(task.engine, [ran]))

    def lease(self, id: int) -> Lease:
        return Lease(id, self.rules.tasks[id].lease)

    def begin(self, id: int) -> None:
        task = self.rules.tasks[id]
        assert task.engine is not None
        self.tell(TaskBegan(task.engine, id, task.lease, self.now))

    def lose(self, engine: int, mark: Lease | None = None, exact: bool = True) -> None:
        self.tell(EngineLost(engine, Death("killed"), mark, exact))

    def state(self, id: int) -> State:
        return self.ended[id].state if id in self.ended else self.rules.tasks[id].state

    def error(self, id: int) -> str:
        extras = self.ended[id].ran.extras
        assert extras is not None and extras.error is not None
        return extras.error.ename

    def order(self, engine: int = 0) -> list[int]:
        """Run what one engine is given, one after the other; the order."""
        order: list[int] = []
        while held := self.held(engine):
            order.append(held[0])
            self.finish(held[0])
        return order

    def of(self, kind: type[Effect]) -> Sequence[Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


def need(*ids: int, **facts: bool) -> Need:
    return Need([("s", id, 1) for id in ids], **facts)


# Order ------------------------------------------------------------------------------------------------------------


def test_higher_priority_first_then_arrival() -> None:
    desk = Desk()
    first = desk.submit()
    low, usual, high, later = (desk.submit(2, priority=p) for p in (-5, 0, 7, 0))
    assert desk.order() == [*first, *high, *usual, *later, *low]


def test_sessions_take_turns() -> None:
    desk = Desk()
    many = desk.submit(50)
    few = desk.submit(3, session=2)
    order = desk.order()
    assert max(order.index(id) for id in few) < 10, "fifty tasks of another keep nobody waiting"
    assert [id for id in order if id in many] == many


def test_d5_tasks_that_waited_for_an_engine_start_in_order() -> None:
    desk = Desk(engines=0)
    ids = desk.submit(3) + desk.submit(2)
    assert not desk.ended
    desk.tell(EngineJoined(0))
    assert desk.order() == ids


def test_direct_tasks_keep_their_order_also_when_given_back() -> None:
    desk = Desk(hwm=3)
    ids = desk.submit(5, balanced=False, targets=[0] * 5)
    assert desk.held(0) == ids[:3]
    desk.tell(LeasesReturned(0, [desk.lease(ids[1]), desk.lease(ids[2])]))
    assert desk.order() == ids


def test_a_task_that_fits_nowhere_stands_in_nobodys_way() -> None:
    desk = Desk(engines=2)
    desk.submit(1, targets=[1])
    stuck = desk.submit(3, targets=[1])
    free = desk.submit(3)
    assert desk.order(0) == free
    assert desk.order(1) and all(id in desk.ended for id in stuck)


# Retries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("retries", "engines", "starts"), [(0, 2, 1), (1, 2, 2), (3, 1, 4), (5, 2, 6)])
def test_p4_d21_retries_of_a_task_that_raises(retries: int, engines: int, starts: int) -> None:
    desk = Desk(engines)
    [id] = desk.submit(retries=retries)
    places = []
    while id not in desk.ended:
        places.append(desk.rules.tasks[id].engine)
        desk.finish(id, "ValueError")
    assert len(places) == starts and desk.error(id) == "ValueError"
    if engines > 1:
        assert all(one != other for one, other in zip(places, places[1:], strict=False)), "another engine first"
    assert len(desk.of(AttemptEnded)) == starts - 1


@pytest.mark.parametrize(
    ("retry_on", "raised", "died"),
    [
        ("any", State.ASSIGNED, State.ASSIGNED),
        ("error", State.ASSIGNED, State.LOST),
        ("death", State.ERROR, State.ASSIGNED),
    ],
)
def test_retry_on(retry_on: str, raised: State, died: State) -> None:
    desk = Desk(engines=3)
    one, two = desk.submit(2, retries=1, retry_on=retry_on)
    desk.finish(one, "ValueError")
    assert desk.state(one) is raised
    engine = desk.rules.tasks[two].engine
    assert engine is not None
    desk.lose(engine, desk.lease(two))
    assert desk.state(two) is died


def test_another_attempt_does_not_wait_for_an_engine_that_works_on_what_was_given_up() -> None:
    desk = Desk(engines=2)
    desk.tell(EngineRuns(0, 77))
    [id] = desk.submit(retries=1)
    assert desk.rules.tasks[id].engine == 1
    desk.finish(id, "ValueError")
    assert desk.rules.tasks[id].engine == 1, "the other one may be busy for ever"
    desk.tell(EngineRuns(0, None))
    desk.finish(id)
    desk.submit(2, retries=1)
    [late] = desk.held(1)
    desk.finish(late, "ValueError")
    assert desk.state(late) is State.QUEUED, "it waits for the other one"
    desk.tell(EngineRuns(0, 77))
    assert desk.held(1) == [late]


def test_direct_tasks_are_not_retried() -> None:
    desk = Desk(engines=2)
    [id] = desk.submit(1, balanced=False, targets=[0], retries=5)
    desk.finish(id, "ValueError")
    assert desk.state(id) is State.ERROR


def test_unstarted_tasks_of_a_dead_engine_cost_no_attempt_and_go_first() -> None:
    desk = Desk(engines=1, hwm=3)
    ids = desk.submit(4)
    desk.lose(0, desk.lease(ids[0]))
    assert desk.state(ids[0]) is State.LOST
    desk.tell(EngineJoined(1))
    assert desk.order(1) == ids[1:]
    assert all(desk.ended[id].task.attempt == 1 for id in ids)


# Function dependencies -----------------------------------------------------------------------------------------------


def test_an_unmet_task_tries_every_engine_once_and_then_is_impossible() -> None:
    desk = Desk(engines=3)
    [id] = desk.submit(retries=2)
    tried = set()
    while id not in desk.ended:
        tried.add(desk.rules.tasks[id].engine)
        desk.finish(id, "UnmetDependency")
    assert tried == {0, 1, 2}
    assert desk.error(id) == "ImpossibleDependency" and desk.ended[id].task.attempt == 1


def test_an_unmet_task_is_done_where_it_is_met() -> None:
    desk = Desk(engines=2)
    [id] = desk.submit()
    desk.finish(id, "UnmetDependency")
    assert desk.state(id) is State.ASSIGNED
    desk.finish(id)
    assert desk.state(id) is State.DONE


def test_unmet_within_its_targets_only() -> None:
    desk = Desk(engines=3)
    [id] = desk.submit(targets=[1])
    assert desk.rules.tasks[id].engine == 1
    desk.finish(id, "UnmetDependency")
    assert desk.error(id) == "ImpossibleDependency"


# after, follow, timeout --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "flags", "expected"),
    [
        (["", ""], {}, State.DONE),
        (["", "E"], {}, State.ERROR),
        (["E", "E"], {"success": False, "failure": True}, State.DONE),
        (["", "E"], {"success": False, "failure": True}, State.ERROR),
        (["E", ""], {"all": False}, State.DONE),
        (["E", "E"], {"all": False}, State.ERROR),
        (["E", ""], {"failure": True}, State.DONE),
    ],
)
def test_after(outcomes: list[str], flags: dict[str, bool], expected: State) -> None:
    for already in (False, True):
        desk = Desk(engines=2)
        ids = desk.submit(2)
        if already:
            for id, error in zip(ids, outcomes, strict=True):
                desk.finish(id, error)
        [waiting] = desk.submit(after=need(*ids, **flags))
        if not already:
            assert desk.state(waiting) is State.QUEUED
            for id, error in zip(ids, outcomes, strict=True):
                desk.finish(id, error)
        if waiting in desk.rules.tasks:
            desk.finish(waiting)
        assert desk.state(waiting) is expected
        if expected is State.ERROR:
            assert desk.error(waiting) == "ImpossibleDependency"


def test_a_chain_of_impossible_tasks_ends_at_once_however_long() -> None:
    desk = Desk()
    [last] = first = desk.submit()
    chain = []
    for _ in range(3000):
        [last] = desk.submit(after=need(last))
        chain.append(last)
    desk.finish(first[0], "E")
    assert all(desk.error(id) == "ImpossibleDependency" for id in chain)
    assert len(desk.rules.dependencies) == 0


def test_follow_goes_where_the_other_ran() -> None:
    desk = Desk(engines=3)
    one, two, three = desk.submit(3)
    places = {id: desk.rules.tasks[id].engine for id in (one, two, three)}
    for id in (one, two, three):
        desk.finish(id)
    [after_two] = desk.submit(follow=need(two))
    assert desk.rules.tasks[after_two].engine == places[two]
    [any_of] = desk.submit(follow=need(one, three, all=False))
    assert desk.rules.tasks[any_of].engine in (places[one], places[three])
    [nowhere] = desk.submit(follow=need(one, two))
    assert desk.error(nowhere) == "ImpossibleDependency", "no engine has run both"


def test_follow_of_an_engine_that_has_gone_is_impossible() -> None:
    desk = Desk(engines=2)
    [one] = desk.submit(targets=[1])
    desk.finish(one)
    desk.lose(1)
    [id] = desk.submit(follow=need(one))
    assert desk.error(id) == "ImpossibleDependency"


def test_timeout_is_the_time_to_wait_for_dependencies_and_0_is_none() -> None:
    desk = Desk()
    [one] = desk.submit()
    [short] = desk.submit(after=need(one), timeout=5.0)
    [endless] = desk.submit(after=need(one), timeout=0)
    [busy] = desk.submit(timeout=1.0)
    assert desk.rules.next_deadline() == desk.now + 5.0
    desk.now += 5.1
    desk.tell()
    assert desk.state(short) is State.EXPIRED and desk.error(short) == "TaskTimeout"
    assert desk.state(endless) is State.QUEUED and desk.state(busy) is State.QUEUED
    desk.finish(one)
    assert desk.rules.next_deadline() is None


def test_a_met_dependency_ends_the_timeout() -> None:
    desk = Desk()
    [one] = desk.submit()
    [waiting] = desk.submit(after=need(one), timeout=5.0)
    desk.finish(one)
    desk.now += 60
    desk.tell()
    assert desk.state(waiting) is State.ASSIGNED


# Time limits, aborts -----------------------------------------------------------------------------------------------


def test_time_limit_interrupts_then_replaces_and_is_not_retried() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=3.0, retries=5)
    desk.now += 10
    desk.tell()
    assert not desk.of(InterruptTask), "it counts from the start"
    desk.begin(id)
    desk.now += 3.1
    desk.tell()
    assert desk.of(InterruptTask) == [InterruptTask(0, TaskId(id))]
    desk.now += TIME_LIMIT_GRACE + 0.1
    desk.tell()
    assert [effect.engine for effect in desk.of(ReplaceEngine) if isinstance(effect, ReplaceEngine)] == [0]
    desk.lose(0, desk.lease(id))
    assert desk.state(id) is State.EXPIRED and desk.error(id) == "TaskTimeout"


def test_a_task_that_ends_within_its_limit_is_left_alone() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=3.0)
    desk.begin(id)
    desk.finish(id)
    desk.now += 30
    desk.tell()
    assert desk.state(id) is State.DONE and not desk.of(InterruptTask) and desk.rules.next_deadline() is None


def test_d22_abort_of_queued_tasks_is_immediate_and_never_retried() -> None:
    desk = Desk()
    held, *queued = desk.submit(4, retries=3)
    desk.tell(AbortAsked(1, [TaskId(id) for id in queued]))
    assert {desk.state(id) for id in queued} == {State.ABORTED}
    assert desk.of(AbortSettled) == [AbortSettled(1, [TaskId(id) for id in queued], [], [])]
    assert desk.order() == [held]


def test_d23_abort_of_a_running_task_says_so_and_leaves_it() -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.begin(id)
    desk.tell(AbortAsked(1, [TaskId(id), TaskId(99)]))
    assert desk.of(AbortSettled) == [AbortSettled(1, [], [TaskId(id)], [TaskId(99)])]
    desk.finish(id)
    assert desk.state(id) is State.DONE


def test_abort_of_running_tasks_interrupts_then_replaces_when_asked() -> None:
    desk = Desk(engines=2)
    stopping, stubborn = desk.submit(2, retries=3)
    for id in (stopping, stubborn):
        desk.begin(id)
    engines = {id: desk.rules.tasks[id].engine for id in (stopping, stubborn)}
    desk.tell(AbortAsked(1, [TaskId(stopping), TaskId(stubborn)], running=True, grace=2.0))
    assert desk.of(InterruptTask) == [InterruptTask(engines[id] or 0, TaskId(id)) for id in (stopping, stubborn)]
    desk.finish(stopping, "KeyboardInterrupt")
    assert desk.state(stopping) is State.ABORTED and desk.error(stopping) == "AbortedTask"
    assert not desk.of(AbortSettled), "one is still running"
    desk.now += 1.9
    desk.tell()
    assert not desk.of(ReplaceEngine)
    desk.now += 0.2
    desk.tell()
    assert [effect.engine for effect in desk.of(ReplaceEngine)] == [engines[stubborn]]  # type: ignore[union-attr]
    desk.lose(engines[stubborn] or 0, desk.lease(stubborn))
    assert desk.state(stubborn) is State.ABORTED, "neither lost nor tried again"
    assert desk.of(AbortSettled) == [AbortSettled(1, [TaskId(stopping), TaskId(stubborn)], [], [])]


def test_the_shortest_grace_of_several_who_ask_counts_and_each_gets_its_own_answer() -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.begin(id)
    desk.tell(AbortAsked(1, [TaskId(id)], running=True, grace=60.0))
    desk.tell(AbortAsked(2, [TaskId(id)], running=True, grace=1.0), AbortAsked(3, [TaskId(id)]))
    assert desk.of(AbortSettled) == [AbortSettled(3, [], [TaskId(id)], [])], "who does not mean it is told at once"
    desk.now += 1.1
    desk.tell()
    assert len(desk.of(ReplaceEngine)) == 1
    desk.lose(0, desk.lease(id))
    assert {effect.ticket for effect in desk.of(AbortSettled)} == {1, 2, 3}  # type: ignore[union-attr]


def test_a_time_limit_goes_on_when_somebody_aborts_what_has_not_started() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=1.0)
    desk.begin(id)
    desk.now += 1.1
    desk.tell()
    desk.tell(AbortAsked(1, [TaskId(id)]))
    assert desk.of(AbortSettled) == [AbortSettled(1, [], [TaskId(id)], [])]
    desk.now += TIME_LIMIT_GRACE + 0.1
    desk.tell()
    assert desk.of(ReplaceEngine), "it has been interrupted and did not stop"
    desk.lose(0, desk.lease(id))
    assert desk.state(id) is State.EXPIRED


@pytest.mark.parametrize("running", [False, True])
def test_a_task_that_had_begun_when_it_was_asked_back_is_left_alone_or_interrupted(running: bool) -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.tell(AbortAsked(1, [TaskId(id)], running, 2.0))
    assert len(desk.of(RevokeTasks)) == 1 and not desk.of(InterruptTask), "nobody has said that it has begun"
    desk.tell(LeasesReturned(0, [], [desk.lease(id)]))
    assert len(desk.of(InterruptTask)) == int(running)
    if running:
        desk.finish(id, "KeyboardInterrupt")
        assert desk.state(id) is State.ABORTED
    else:
        assert desk.of(AbortSettled) == [AbortSettled(1, [], [TaskId(id)], [])]
        desk.finish(id)
        assert desk.state(id) is State.DONE


def test_an_aborted_tasks_dependents_are_impossible() -> None:
    desk = Desk()
    desk.submit()
    [id] = desk.submit()
    [waiting] = desk.submit(after=need(id))
    desk.tell(AbortAsked(1, [TaskId(id)]))
    assert desk.state(id) is State.ABORTED and desk.error(waiting) == "ImpossibleDependency"


def test_an_engine_is_ordered_killed_until_it_is_gone() -> None:
    desk = Desk()
    [id] = desk.submit(time_limit=1.0)
    desk.begin(id)
    for seconds in (1.1, TIME_LIMIT_GRACE + 0.1, TIME_LIMIT_GRACE + 0.1):
        desk.now += seconds
        desk.tell()
    assert len(desk.of(ReplaceEngine)) == 2, "the first order may have been lost on its way"
    desk.lose(0, desk.lease(id))
    assert desk.state(id) is State.EXPIRED and desk.rules.next_deadline() is None


def test_what_never_arrived_is_asked_back_when_it_is_to_be_aborted() -> None:
    desk = Desk()
    [id] = desk.submit()
    desk.tell(AbortAsked(1, [TaskId(id)]))
    lease = desk.lease(id)
    effects = desk.tell(EngineBack(0, []))  # neither Run nor Revoke has reached it
    assert [type(effect) for effect in effects] == [RevokeTasks], "not given out only to be aborted"
    desk.tell(LeasesReturned(0, [lease]))
    assert desk.state(id) is State.ABORTED
    assert desk.of(AbortSettled) == [AbortSettled(1, [TaskId(id)], [], [])]


# Engines -------------------------------------------------------------------------------------------------------------


def test_given_back_is_recorded_before_what_is_given_out_in_the_same_turn() -> None:
    """A restarted hub believes the highest number: it must be the last thing that happened to a task."""
    desk = Desk()
    [id] = desk.submit(retries=1)
    effects = desk.finish(id, "ValueError")
    [back] = [effect for effect in effects if isinstance(effect, LeasesGivenBack)]
    [run] = [effect for effect in effects if isinstance(effect, RunTasks)]
    assert back.tasks == run.tasks and back.lease < run.tasks[0].lease


def test_a_closing_engine_gets_nothing_new() -> None:
    desk = Desk(engines=2)
    desk.tell(EngineClosing(0))
    ids = desk.submit(3)
    assert desk.held(0) == [] and desk.order(1) == ids
    [direct] = desk.submit(1, balanced=False, targets=[0])
    assert desk.state(direct) is State.LOST
    [bound] = desk.submit(targets=[0])
    assert desk.error(bound) == "ImpossibleDependency"


def test_leases_the_hub_does_not_know_are_dropped_and_unheard_ones_sent_again() -> None:
    desk = Desk(hwm=3)
    ids = desk.submit(3)
    known = desk.lease(ids[0])
    effects = desk.tell(EngineBack(0, [known, Lease(77, 1), Lease(ids[1], 999)]))
    kinds = {type(effect).__name__: effect for effect in effects}
    assert kinds["DropLeases"].leases == [Lease(77, 1), Lease(ids[1], 999)]  # type: ignore[union-attr]
    run = kinds["RunTasks"]
    assert isinstance(run, RunTasks) and run.again and [task.id for task in run.tasks] == ids[1:]


def test_windows_fill_with_short_tasks_and_never_put_one_behind_a_long_one() -> None:
    desk = Desk(engines=1, hwm=0, horizon=0.01)
    ids = desk.submit(100)
    assert len(desk.held(0)) == 1, "a function never seen may be a long one"
    desk.finish(ids[0])  # one millisecond
    assert 5 <= len(desk.held(0)) <= 12
    late = desk.rules.tasks[desk.held(0)[0]]
    desk.tell(TasksRan(0, [Ran(late.id, late.lease, True, desk.now, desk.now + 10.0, b"")]))
    while len(desk.held(0)) > 1:
        desk.finish(desk.held(0)[0])


def test_idle_engines_get_what_stands_behind_others() -> None:
    desk = Desk(engines=1, hwm=0)
    ids = desk.submit(40)
    desk.finish(ids[0])
    before = set(desk.held(0))
    assert len(before) > 1
    desk.begin(desk.held(0)[0])
    desk.tell(EngineJoined(1))
    for id in list(desk.held(1)):
        desk.finish(id)
    while desk.rules.lanes:
        for id in list(desk.held(1)):
            desk.finish(id)
    for _ in range(20):
        for id in list(desk.held(1)):
            desk.finish(id)
        desk.now += 0.02
        desk.tell()
        if desk.of(RevokeTasks):
            break
    revoke = desk.of(RevokeTasks)[0]
    assert isinstance(revoke, RevokeTasks) and revoke.engine == 0
    asked = [desk.lease(task.id) for task in revoke.tasks]
    assert {lease.task for lease in asked} < before
    desk.tell(LeasesReturned(0, asked))
    assert set(desk.held(1)) <= {lease.task for lease in asked} and desk.held(1)


def test_why() -> None:
    desk = Desk(engines=0)
    [id] = desk.submit()
    assert "engine" in desk.rules.why(TaskId(id))
    [waiting] = desk.submit(after=need(id))
    assert "1 task it depends on" in desk.rules.why(TaskId(waiting))
    desk.tell(EngineJoined(0))
    [queued] = desk.submit()
    assert "windows are full" in desk.rules.why(TaskId(queued))
    [direct] = desk.submit(1, balanced=False, targets=[0])
    assert "queue of engine 0" in desk.rules.why(TaskId(direct))
    assert desk.rules.why(TaskId(id)) == ""


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
