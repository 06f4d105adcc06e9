"""The engines' door: how engines and supervisors come, go silent, die and are replaced."""

from __future__ import annotations

from collections.abc import Callable

from tests.hub.stage import Stage, balanced, direct
from tuiparallel.hub.events import Death
from tuiparallel.link.link import LinkState
from tuiparallel.wire.messages import (
    Beat,
    Began,
    EngineBye,
    EngineWelcome,
    ExitKept,
    Fenced,
    GaveUp,
    Interrupt,
    Lease,
    Leave,
    Observe,
    Returned,
    Revoke,
    Scale,
    Shutdown,
    SignalEngine,
    Spawn,
    Started,
    Vital,
    Vitals,
)
from tuiparallel.wire.states import EngineState, State


def test_ids_are_small_ascending_and_never_given_again(stage: Stage) -> None:
    first, second = stage.engine(), stage.engine()
    assert [first.id, second.id] == [0, 1]
    supervisor = stage.supervisor(first, second)
    supervisor.exited(second)
    second.link.close()
    stage.until(lambda: not stage.book.registry.engines[1].alive)
    assert stage.engine().id == 2
    stage.restart()
    stage.until(lambda: first.link.boot == stage.book.boot)
    assert stage.engine().id == 3
    assert stage.book.registry.ids() == [0, 2, 3]


def test_p1_f1_an_exit_that_a_supervisor_saw_ends_the_running_task_at_once(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced("slow"))
    stage.until(lambda: engine.queue)
    lease = engine.start()
    engine.link.close()
    supervisor.exited(engine, mark=lease, signum=11, peak_rss=77)
    error = client.error(0)
    assert client.state(0) is State.LOST
    assert (error.ename, error.facts["signal"], error.facts["may_have_started"]) == ("EngineError", 11, True)
    assert error.facts | {"pid": 100, "host": "here", "peak_rss": 77, "stderr_tail": "the end"} == error.facts
    assert "SIGSEGV" in error.evalue
    stage.until(lambda: supervisor.of(ExitKept))


def test_p4_with_an_exact_mark_only_what_had_started_is_lost(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced(), 5)
    stage.until(lambda: len(engine.queue) == 5)
    engine.finish(engine.queue[0])
    stage.until(lambda: not engine.unkept)
    mark = engine.start()
    engine.link.close()
    supervisor.exited(engine, mark=mark)
    other = stage.engine()
    stage.until(lambda: len(other.queue) == 3)
    other.finish()
    assert [client.state(counter) for counter in range(5)] == [State.DONE, State.LOST, *[State.DONE] * 3]


def test_p4_without_a_mark_all_that_was_leased_may_have_started(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced(), 3)
    client.submit(balanced(retries=1), 1)
    stage.until(lambda: len(engine.queue) == 4)
    engine.link.close()
    supervisor.exited(engine, marked=False)
    assert [client.state(counter) for counter in range(3)] == [State.LOST] * 3
    other = stage.engine(auto=True)
    outcome = client.outcome(3)
    assert (outcome.attempt, outcome.engine) == (2, other.id)
    assert [(attempt.engine, attempt.outcome) for attempt in outcome.attempts] == [(engine.id, "death")]


def test_direct_tasks_of_a_dead_engine_fail_and_those_of_others_do_not(stage: Stage) -> None:
    client, one, two = stage.client(), stage.engine(), stage.engine(auto=True)
    supervisor = stage.supervisor(one, two)
    client.submit(direct([one.id, two.id, one.id]), 3)
    stage.until(lambda: len(one.queue) == 2)
    supervisor.exited(one, mark=None)
    one.link.close()
    assert [client.state(counter) for counter in range(3)] == [State.LOST, State.DONE, State.LOST]
    assert client.error(0).facts["may_have_started"] is False


def test_results_that_a_dying_engine_sent_are_read_before_it_is_judged(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 2)
    engine.finish(engine.queue[0])
    engine.start()
    supervisor.exited(engine, mark=None, marked=False)
    assert client.state(0) is State.DONE
    engine.link.close()
    assert client.state(1) is State.LOST


def test_p1_an_engine_that_stays_away_is_given_up_after_engine_timeout(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    engine.link.close()
    stage.advance(20)
    record = stage.book.registry.engines[engine.id]
    assert record.state is EngineState.UNRESPONSIVE and not client.outcomes
    stage.advance(stage.config.engine_timeout)
    assert client.error(0).ename == "EngineError" and "silent" in client.error(0).evalue


def test_p5_an_engine_given_up_comes_back_under_its_id_and_its_late_results_are_dropped(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 2)
    engine.start()
    record = stage.book.registry.engines[engine.id]
    stage.loop.engines.lose(record, Death("silent"))
    assert client.state(0) is State.LOST
    engine.link.greet_again()
    stage.until(lambda: record.alive and len(engine.of(EngineWelcome)) == 2)
    welcome = engine.of(EngineWelcome)[-1]
    assert welcome.engine == engine.id and len(welcome.drop) == 2
    assert engine.queue == []
    engine.finish()
    stage.until(lambda: not engine.unkept)
    assert stage.book.scheduler.late == 1 and len(client.outcomes["aa", 0]) == 1
    client.submit(balanced())
    stage.until(lambda: engine.queue)


def test_an_engine_that_still_runs_what_was_given_up_gets_nothing_behind_it(stage: Stage) -> None:
    client, engine, other = stage.client(), stage.engine(), stage.engine(auto=True)
    client.submit(direct([engine.id]))
    stage.until(lambda: engine.queue)
    old = engine.start()
    record = stage.book.registry.engines[engine.id]
    stage.loop.engines.lose(record, Death("silent"))
    engine.link.greet_again()
    stage.until(lambda: record.alive and old in engine.of(EngineWelcome)[-1].drop)
    for counter in range(1, 4):
        client.submit(balanced())
        assert client.outcome(counter).engine == other.id
    engine.running.clear()  # as engines do with what was dropped: they say nothing of it
    stage.restart()
    stage.until(lambda: engine.link.boot == stage.book.boot)
    engine.link.send(Beat(old.task, 1.0, 0))
    seat = stage.book.scheduler.seats[engine.id]
    stage.until(lambda: seat.guest == old.task)
    engine.link.send(Beat(None, None, 0))
    stage.until(lambda: seat.guest is None)


def test_f40_a_newer_process_with_an_engines_name_wins_and_nothing_runs_twice(stage: Stage) -> None:
    client, old = stage.client(), stage.engine("same", pid=1)
    client.submit(balanced(), 2)
    stage.until(lambda: len(old.queue) == 2)
    old.start()
    new = stage.engine("same", pid=2, auto=True)
    stage.until(lambda: old.of(Fenced))
    assert new.id == old.id
    assert [client.state(0), client.state(1)] == [State.LOST, State.LOST]
    client.submit(balanced())
    assert client.state(2) is State.DONE
    assert len(new.starts) == 1


def test_f41_another_protocol_is_refused_naming_both(stage: Stage) -> None:
    from tests.hub.stage import EnginePeer

    engine = EnginePeer(stage, "e", protocol=99)
    stage.until(lambda: engine.link.state is LinkState.REFUSED)
    assert engine.link.refusal is not None and engine.link.refusal.kind == "ProtocolMismatch"
    assert "99" in engine.link.refusal.text and "1" in engine.link.refusal.text


def test_an_engine_of_another_run_is_refused(stage: Stage) -> None:
    from tests.hub.stage import EnginePeer

    engine = EnginePeer(stage, "e")
    object.__setattr__(stage, "config", stage.config)
    engine.stage = _Elsewhere(stage)  # type: ignore[assignment]
    stage.until(lambda: engine.link.state is LinkState.REFUSED)


class _Elsewhere:
    """A stage whose peers believe in another cluster."""

    def __init__(self, stage: Stage) -> None:
        import msgspec

        self.config = msgspec.structs.replace(stage.config, cluster="other")
        self.folder, self.clock = stage.folder, stage.clock


def test_an_idle_engine_gets_what_stands_behind_a_long_task(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(hwm=0)
    client, one = stage.client(), stage.engine()
    client.submit(balanced())
    stage.until(lambda: one.queue)
    one.finish()  # the function is known to be short now
    client.outcome(0)
    client.submit(balanced(), 20)
    stage.until(lambda: len(one.queue) >= 2)
    one.start()
    two = stage.engine(auto=True)
    stage.until(lambda: one.of(Revoke))
    before = len(two.starts)
    one.give_back(one.of(Revoke)[0])
    stage.until(lambda: len(two.starts) > before)
    one.finish()
    one.auto = True
    stage.until(lambda: len(client.outcomes) == 21)
    starts = one.starts + two.starts
    assert len(starts) == len(set(starts)) == 21


def test_returned_leases_are_kept_and_a_copy_of_returned_changes_nothing(stage: Stage) -> None:
    client, one = stage.client(), stage.engine()
    client.submit(balanced(), 2)
    stage.until(lambda: len(one.queue) == 2)
    lease = one.queue.pop()
    stage.book.scheduler.tasks[lease.task].revoking = True
    stage.book.scheduler.seats[one.id].revoking += 1
    one.post(lambda number: Returned(number, [lease]))
    stage.until(lambda: len(one.queue) == 2)
    again = one.queue[-1]
    assert again.task == lease.task and again.lease > lease.lease
    one.post(lambda number: Returned(number, [lease]))
    stage.until(lambda: not one.unkept)
    assert stage.book.scheduler.tasks[lease.task].lease == again.lease


def test_time_limit_runs_from_began_and_after_a_restart_from_the_beat(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(time_limit=8.0))
    stage.until(lambda: engine.queue)
    lease = engine.start()
    engine.link.send(Began(lease.task, lease.lease, stage.clock.time(), 0))
    stage.rounds()
    stage.restart()
    stage.until(lambda: engine.link.boot == stage.book.boot)
    engine.link.send(Beat(lease.task, stage.clock.time(), 0))
    stage.advance(7)
    assert not engine.of(Interrupt)
    stage.advance(2)
    stage.until(lambda: engine.of(Interrupt))
    engine.finish(lease, error="KeyboardInterrupt")
    assert client.state(0) is State.EXPIRED and client.error(0).ename == "TaskTimeout"


def test_a_task_that_ignores_its_time_limit_costs_its_engine_which_is_replaced(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced(time_limit=1.0))
    stage.until(lambda: engine.queue)
    lease = engine.start()
    engine.link.send(Began(lease.task, lease.lease, stage.clock.time(), 0))
    stage.rounds()
    stage.advance(7)
    stage.until(lambda: supervisor.of(SignalEngine))
    assert supervisor.of(SignalEngine)[0] == SignalEngine(engine.uuid, 9)
    engine.link.close()
    supervisor.exited(engine, mark=lease)
    assert client.state(0) is State.EXPIRED
    stage.until(lambda: supervisor.of(Spawn))
    assert supervisor.of(Spawn)[0] == Spawn(1, [engine.id])


def test_restart_answers_with_old_and_new_ids(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    number = client.request(lambda request: Shutdown(request, [engine.id], restart=True))
    stage.until(lambda: engine.of(Leave))
    engine.link.close()
    supervisor.exited(engine, exitcode=0, signum=None)
    stage.until(lambda: supervisor.of(Spawn))
    fresh = stage.engine(was=engine.id)
    assert client.reply(number).body == {"restarted": {engine.id: fresh.id}}
    record = stage.book.registry.engines[engine.id]
    assert record.successor == fresh.id


def test_a_restart_that_was_given_up_is_answered_too(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    number = client.request(lambda request: Shutdown(request, [engine.id], restart=True))
    stage.until(lambda: engine.of(Leave))
    engine.link.close()
    supervisor.exited(engine)
    stage.until(lambda: supervisor.of(Spawn))
    supervisor.link.send(GaveUp(engine.uuid, "restarted 5 times within a minute"))
    assert client.reply(number).body == {"restarted": {engine.id: None}}
    assert client.notices("gave_up") == ["restarted 5 times within a minute"]


def test_stop_answers_when_the_engines_have_gone_and_kills_what_does_not_leave(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 2)
    lease = engine.start()
    number = client.request(lambda request: Shutdown(request, [engine.id]))
    stage.until(lambda: engine.of(Leave))
    stage.advance(3)
    stage.until(lambda: supervisor.of(SignalEngine))
    engine.link.close()
    supervisor.exited(engine, mark=lease)
    assert client.reply(number).body == {"stopped": [engine.id]}
    assert client.state(0) is State.LOST
    stage.rounds()
    assert ("aa", 1) not in client.outcomes, "it waits for another engine"


def test_scale_up_down_and_without_a_supervisor(stage: Stage) -> None:
    client = stage.client()
    answer = client.reply(client.request(lambda request: Scale(request, total=2)))
    assert answer.error is None
    supervisor = stage.supervisor()
    stage.until(lambda: supervisor.of(Spawn))
    assert [spawn.count for spawn in supervisor.of(Spawn)] == [2], "the first supervisor to come starts them"
    supervisor.heard.clear()
    one, _two = stage.engine(), stage.engine()
    stage.until(lambda: len(stage.book.registry.ids()) == 2)
    client.reply(client.request(lambda request: Scale(request, total=4)))
    client.reply(client.request(lambda request: Scale(request, total=4)))
    assert [spawn.count for spawn in supervisor.of(Spawn)] == [2], "those asked for are on their way"
    stage.engine(), stage.engine()
    stage.until(lambda: len(stage.book.registry.ids()) == 4)
    client.submit(direct([one.id]))
    stage.until(lambda: one.queue)
    client.reply(client.request(lambda request: Scale(request, total=2)))
    stage.rounds()
    assert not one.of(Leave), "idle ones go first"
    assert len(stage.book.registry.staying()) == 2 and stage.book.registry.expected == 2
    client.reply(client.request(lambda request: Scale(request, total=3)))
    stage.until(lambda: len(supervisor.of(Spawn)) == 2)
    assert supervisor.of(Spawn)[1].count == 1, "those that leave do not count"


def test_an_engine_that_dies_before_it_joins_is_told_to_people(stage: Stage) -> None:
    from tests.hub.stage import EnginePeer

    client = stage.client()
    supervisor = stage.supervisor()
    ghost = EnginePeer.__new__(EnginePeer)
    ghost.uuid, ghost.pid = "ghost", 55
    supervisor.link.send(Started([("ghost", 55, None)]))
    supervisor.exited(ghost, exitcode=1, signum=None, stderr_tail="ImportError: no numpy")
    stage.until(lambda: client.notices("failed_start"))
    assert "ImportError" in client.notices("failed_start")[0]


def test_an_engine_that_leaves_by_itself_says_why(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(direct([engine.id]))
    stage.until(lambda: engine.queue)
    engine.link.send(EngineBye("no hub for an hour"))
    stage.rounds()
    engine.link.close()
    supervisor.exited(engine, exitcode=0, signum=None, mark=Lease(0, 0))
    assert "no hub for an hour" in client.error(0).facts["reason"]


def test_vitals_reach_observers_and_tell_out_of_memory(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.watch()
    supervisor.link.send(Vitals([Vital(engine.uuid, 100, 0.5, 900, 1000, "R")]))
    stage.until(lambda: any(delta.vitals for delta in client.deltas()))
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    lease = engine.start()
    engine.link.close()
    supervisor.exited(engine, mark=lease, signum=9, peak_rss=950)
    stage.until(lambda: not stage.book.registry.engines[engine.id].alive)
    assert "out of memory?" in stage.book.registry.engines[engine.id].reason


def test_a_new_supervisor_of_the_host_takes_over(stage: Stage) -> None:
    engine = stage.engine()
    old = stage.supervisor(engine)
    old.link.close()
    from tests.hub.stage import SupervisorPeer

    new = SupervisorPeer(stage, "s2")
    new.engines = [(engine.uuid, engine.pid)]
    stage.until(lambda: new.link.state is LinkState.LIVE)
    client = stage.client()
    from tuiparallel.wire.messages import Signal

    client.reply(client.request(lambda request: Signal(request, [engine.id], 15)))
    stage.until(lambda: new.of(SignalEngine))
    client.link.send(Observe(False))
