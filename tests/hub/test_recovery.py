"""A hub takes up what a killed one left."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

import pytest

from tests.hub.stage import ClientPeer, Stage, balanced, direct
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import EngineWelcome, Need, Notice, Run, Welcome
from tuiparallel.wire.states import State


def test_direct_tasks_that_waited_in_the_hub_wait_for_their_engine(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(hwm=1)
    client, engine = stage.client(), stage.engine()
    client.submit(direct([engine.id] * 3), 3)
    stage.until(lambda: engine.queue and not client.unaccepted())
    stage.restart()
    assert not stage.book.effects
    engine.auto = True
    assert [client.state(counter) for counter in range(3)] == [State.DONE] * 3
    assert engine.starts == [task_id(1, counter) for counter in range(3)], "in the order of submission"


def test_tasks_bound_to_engines_wait_for_them_too(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(hwm=1)
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(targets=[engine.id]), 2)
    stage.until(lambda: engine.queue and not client.unaccepted())
    stage.restart()
    engine.auto = True
    assert [client.state(counter) for counter in range(2)] == [State.DONE] * 2


def test_where_a_task_that_was_given_out_may_run_is_still_known(stage: Stage) -> None:
    client, one, two = stage.client(), stage.engine(), stage.engine()
    client.submit(balanced(targets=[one.id]), 1)
    stage.until(lambda: one.queue)
    one.finish()
    client.submit(balanced(targets=[one.id]), 2)
    client.submit(balanced(follow=Need([("aa", 0, 1)])), 2)
    client.submit(balanced(targets=[one.id, two.id], after=Need([("aa", 0, 1)])), 1)
    stage.until(lambda: len(one.queue) + len(two.queue) == 5 and not client.unaccepted())
    before = {task.id: task.places for task in stage.book.scheduler.open_tasks()}
    stage.restart()
    assert {task.id: task.places for task in stage.book.scheduler.open_tasks()} == before
    assert set(before.values()) == {frozenset({one.id}), frozenset({one.id, two.id})}
    supervisor = stage.supervisor(one, two)
    stage.until(lambda: one.link.boot == two.link.boot == stage.book.boot)
    one.link.close()
    stage.peers.remove(one)
    supervisor.exited(one)
    for counter in range(1, 5):
        assert client.error(counter).ename == "ImpossibleDependency", "not run on an engine it was not meant for"


def test_retries_are_counted_on(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(retries=2))
    for _ in range(2):
        stage.until(lambda: engine.queue)
        engine.finish(error="OSError")
        stage.until(lambda: not engine.unkept)
        stage.restart()
        stage.until(lambda: engine.link.boot == stage.book.boot)
    stage.until(lambda: engine.queue)
    engine.finish(error="OSError")
    outcome = client.outcome(0)
    assert (outcome.state, outcome.attempt, len(outcome.attempts)) == (State.ERROR, 3, 2)
    assert len(engine.starts) == 3


def test_dependencies_wait_on(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 2)
    client.submit(balanced(after=Need([("aa", 0, 2)])))
    client.submit(balanced(after=Need([("aa", 1, 1)], success=False, failure=True)))
    stage.until(lambda: len(engine.queue) == 2 and not client.unaccepted())
    engine.finish(engine.queue[0])
    stage.until(lambda: not engine.unkept)
    stage.restart()
    stage.until(lambda: engine.link.boot == stage.book.boot)
    assert stage.book.scheduler.waiting == 2
    engine.finish()
    stage.until(lambda: engine.queue)
    engine.finish()
    assert client.state(2) is State.DONE
    assert client.error(3).ename == "ImpossibleDependency"


def test_dependencies_between_sessions_that_submitted_in_one_turn(stage: Stage) -> None:
    late, early = stage.client("aa"), stage.client("bb")  # aa has the lower number
    early.submit(balanced())
    stage.until(lambda: not early.unaccepted())
    late.submit(balanced(after=Need([("bb", 0, 1)])))
    stage.until(lambda: not late.unaccepted())
    stage.history.begin()
    stage._history._db.execute("UPDATE batches SET received = 5.0")
    stage.history.commit()
    stage.restart()
    stage.engine(auto=True)
    assert late.state(0) is State.DONE


def test_p4_the_order_within_an_engine_is_that_of_its_leases(stage: Stage) -> None:
    """A start mark says what started last: what was given out before it may have started too, whatever its id."""
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(retries=1), 1)
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 3)
    engine.finish(engine.queue[0], error="OSError")
    stage.until(lambda: len(engine.queue) == 3)
    assert engine.queue[-1].task == task_id(1, 0), "tried again, behind the others"
    stage.restart()
    held = list(stage.book.scheduler.seats[engine.id].held)
    assert held == [lease.task for lease in engine.queue]


def test_leases_are_kept_as_long_as_an_open_task_needs_them(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(retries=1), 1)
    client.submit(balanced(), 1)
    stage.until(lambda: len(engine.queue) == 2)
    engine.finish(engine.queue[0], error="OSError")
    stage.until(lambda: len(engine.queue) == 2)
    stage.restart()
    stage.until(lambda: engine.link.boot == stage.book.boot)
    stage.advance(5)
    stage.restart()
    stage.until(lambda: engine.link.boot == stage.book.boot)
    stage.rounds()
    assert stage.book.scheduler.seats[engine.id].held.keys() == {lease.task for lease in engine.queue}
    assert len(engine.of(Run)) <= 3, "nothing was given out twice"


def test_everyone_hears_how_long_the_hub_was_away(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 2)
    stage.until(lambda: engine.queue)
    stage.advance(100)
    stage.restart(seconds=7.0)
    stage.until(lambda: client.link.boot == stage.book.boot)
    welcome = client.of(Welcome)[-1]
    assert 6.9 < welcome.away < 10 and welcome.taken_over == 2
    assert stage.book.boots == 2


def test_a_new_run_ends_what_the_old_one_left(make_stage: Callable[..., Stage]) -> None:
    import msgspec

    stage = make_stage()
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 2)
    client.submit(direct([engine.id]))
    client.submit(balanced(after=Need([("aa", 0, 1)])))
    stage.until(lambda: len(engine.queue) == 3 and not client.unaccepted())
    stage.kill()
    stage.config = msgspec.structs.replace(stage.config, cluster="c2")
    client.link.close()
    engine.link.close()
    stage.open()
    stage.rounds(3)
    assert not stage.book.scheduler.tasks
    again = ClientPeer(stage, "aa")
    again.waits = [(0, 4)]
    assert {again.state(counter) for counter in range(4)} <= {State.LOST, State.ERROR}
    assert stage.engine().id == 0, "each run counts anew"


def test_damaged_arguments_end_their_tasks_loudly(stage: Stage) -> None:
    client = stage.client()
    client.submit(balanced(), 2)
    client.submit(balanced(after=Need([("aa", 0, 1)])))
    stage.until(lambda: not client.unaccepted())
    stage.book.history.close()
    stage.doors.close()
    with sqlite3.connect(stage.folder / "history.db") as db:
        db.execute("UPDATE batches SET calls = zeroblob(length(calls)) WHERE count = 2")
    db.close()
    stage.open()
    assert client.error(0).ename == client.error(1).ename == "ResultExpired"
    assert client.error(2).ename == "InvalidDependency"
    assert any("damaged" in event.text for event in stage.book.feed.events)


def test_f23_a_history_that_cannot_be_taken_up_is_moved_aside(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue and not client.unaccepted())
    before = engine.queue[0]
    stage.book.history.close()
    stage.doors.close()
    with sqlite3.connect(stage.folder / "history.db") as db:
        db.execute("UPDATE leases SET tasks = zeroblob(9)")
    db.close()
    stage.open()
    assert (stage.folder / "history.corrupt-0.db").exists()
    stage.until(lambda: client.link.boot == engine.link.boot == stage.book.boot)
    assert before in engine.of(EngineWelcome)[-1].drop
    stage.advance(8)
    assert client.error(0).ename == "TaskLost"
    fresh = stage.client("bb")
    fresh.submit(balanced())
    stage.until(lambda: engine.queue)
    assert engine.queue[0].lease > before.lease, "or the engine would refuse it as seen"
    engine.finish()
    assert fresh.state(0) is State.DONE


@pytest.mark.parametrize("count", [1, 1000])
def test_a_thousand_tasks_are_taken_over(stage: Stage, count: int) -> None:
    client = stage.client()
    for _ in range(3):
        client.submit(balanced(), count)
    stage.until(lambda: not client.unaccepted())
    stage.restart()
    assert stage.book.taken_over == 3 * count == len(stage.book.scheduler.lanes)
    stage.book.scheduler.check()


def test_engines_that_are_still_to_come_back_count_as_there(stage: Stage) -> None:
    """Whoever asks for all engines just after a restart of the hub gets all of them, and none has died."""
    engines = [stage.engine(), stage.engine()]
    for engine in engines:
        stage.peers.remove(engine)
    stage.restart()
    client = stage.client()
    stage.until(lambda: client.of(Notice))
    assert client.of(Notice)[-1].engines == [engine.id for engine in engines]
    client.submit(direct([engines[1].id]))
    stage.peers += engines
    stage.until(lambda: engines[1].queue)
    engines[1].finish()
    assert client.state(0) is State.DONE
    assert all(notice.engines == [0, 1] for notice in client.of(Notice))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tasks SET state=77",
        "ALTER TABLE batches RENAME COLUMN calls TO cells",
        "ALTER TABLE facts RENAME COLUMN value TO valve",
        "UPDATE facts SET value='seven' WHERE name='run'",
    ],
)
def test_a_history_that_can_be_opened_and_not_understood_is_moved_aside(stage: Stage, damage: str) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.submit(balanced())
    client.outcome(0)
    stage.advance(3)
    stage.kill()
    with contextlib.closing(sqlite3.connect(stage.folder / "history.db")) as db:
        db.execute(damage)
        db.commit()
    stage.open()
    assert stage.history.moved_aside is not None and stage.history.counts() == {}
    assert engine.starts
