"""The hub's turn, over real sockets: what is submitted runs once, is on record before anybody hears of it, and ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.hub.stage import Stage, balanced, direct
from tuiparallel.link import failpoints
from tuiparallel.link.link import LinkState
from tuiparallel.wire.messages import Kept, Query, Rejected, Reply, Run, Submit
from tuiparallel.wire.states import State


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """fail("hub.commit=ENOSPC@1+"): from now on; fail(""): no more."""

    def arm(text: str) -> None:
        monkeypatch.setattr(failpoints, "_plans", failpoints._parse(text))

    return arm


def test_submit_run_result(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    first = client.submit(balanced(), 3, [b"a", b"b", b"c"])
    stage.until(lambda: len(engine.queue) == 3)
    assert engine.of(Run)[0].functions == {b"hash": b"code"}
    engine.finish()
    assert [client.outcome(first + i).body for i in range(3)] == [b"value of a", b"value of b", b"value of c"]
    stage.until(lambda: not client.unaccepted() and not engine.unkept)
    assert stage.book.scheduler.tasks == {}


def test_a_copy_of_a_submit_is_acknowledged_and_not_run_again(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine(auto=True)
    client.submit(balanced(), 2)
    client.outcome(1)
    stage.until(lambda: not client.unaccepted())
    client.submit(balanced(), 2, first=0)
    stage.until(lambda: not client.unaccepted())
    stage.rounds()
    assert len(engine.starts) == 2
    assert stage.book.scheduler.late == 0


def test_p5_a_copy_of_results_is_dropped_counted_and_acknowledged(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    lease = engine.queue[0]
    engine.finish()
    assert client.outcome(0).body == b"value of call"
    engine.finish(lease, body=b"another value")
    stage.until(lambda: not engine.unkept)
    assert stage.book.scheduler.late == 1
    assert len(client.outcomes["aa", 0]) == 1
    client.ask("get_result", tasks=[("aa", 0, 1)])
    stage.until(lambda: len(client.outcomes["aa", 0]) == 2)
    assert client.outcomes["aa", 0][1].body == b"value of call"


def test_submissions_are_refused_and_results_come_back_while_the_disk_is_full(
    stage: Stage, fail: Callable[[str], None]
) -> None:
    client = stage.client()
    engine = stage.engine()
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 2 and not client.unaccepted())
    fail("hub.commit=ENOSPC@1+")
    engine.finish(engine.queue[0])
    stage.until(lambda: client.notices("storage"))
    refused = client.submit(balanced())
    stage.until(lambda: client.of(Rejected))
    assert client.of(Rejected)[0].first == refused
    assert client.of(Rejected)[0].error.ename == "StorageFull"
    engine.finish(engine.queue[0])
    stage.rounds(50)
    assert engine.unkept and not client.outcomes, "nothing may be acknowledged that is not on record"
    assert client.ask("status")["storage_error"]
    fail("")
    stage.advance(1.5)
    stage.until(lambda: not engine.unkept)
    assert client.state(0) is State.DONE and client.state(1) is State.DONE
    assert len(engine.starts) == 2
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    assert "again" in client.notices("storage")[-1]


def test_results_that_came_while_the_disk_was_full_are_asked_for_as_soon_as_it_is_not(
    stage: Stage, fail: Callable[[str], None]
) -> None:
    client = stage.client()
    engine = stage.engine(resend_interval=1e9)
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 2 and not client.unaccepted())
    fail("hub.commit=ENOSPC@1+")
    engine.finish(engine.queue[0])
    stage.until(lambda: client.notices("storage"))
    engine.finish(engine.queue[0])
    stage.until(lambda: stage.book.unheard)
    fail("")
    stage.advance(1.5)
    assert client.state(0) is State.DONE and client.state(1) is State.DONE
    stage.until(lambda: not engine.unkept)
    assert len(engine.starts) == 2


def test_the_cluster_can_be_ended_while_the_disk_is_full(stage: Stage, fail: Callable[[str], None]) -> None:
    from tuiparallel.wire.messages import Leave, Shutdown

    client = stage.client()
    engine = stage.engine()
    fail("hub.commit=ENOSPC@1+")
    client.submit(balanced())
    stage.until(lambda: client.notices("storage"))
    number = client.request(lambda request: Shutdown(request, None, hub=True))
    assert client.reply(number).error is None
    stage.until(lambda: engine.of(Leave))
    assert stage.book.stopping


def test_p2_p3_p4_a_killed_hub_takes_up_what_it_left(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    client.submit(balanced(), 4)
    stage.until(lambda: len(engine.queue) == 4)
    running = engine.start()
    engine.finish(engine.queue[0])
    stage.until(lambda: not engine.unkept and len(client.outcomes) == 1)
    stage.restart()
    stage.until(lambda: engine.link.boot == stage.book.boot and client.link.boot == stage.book.boot)
    assert stage.book.taken_over == 3
    engine.finish(running)
    stage.until(lambda: len(client.outcomes) == 2)
    engine.finish()
    stage.until(lambda: len(client.outcomes) == 4)
    assert len(engine.starts) == 4
    assert {outcome.state for found in client.outcomes.values() for outcome in found} == {State.DONE}


def test_p2_what_was_not_acknowledged_is_submitted_again_and_never_called_lost(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue and not client.unaccepted())
    stage.kill()
    client.submit(balanced(), 3)
    stage.open()
    stage.until(lambda: len(engine.queue) == 4)
    stage.rounds()
    assert not client.outcomes
    engine.finish()
    assert [client.state(counter) for counter in range(4)] == [State.DONE] * 4


def test_tasks_that_were_acknowledged_and_are_in_no_history_are_lost(stage: Stage) -> None:
    client = stage.client()
    client.submit(balanced(), 3)
    stage.until(lambda: not client.unaccepted())
    stage.kill()
    for file in stage.folder.glob("history.db*"):
        file.unlink()
    stage.open()
    stage.until(lambda: client.link.boot == stage.book.boot)
    client.submit(balanced())
    stage.advance(20)
    assert [client.error(counter).ename for counter in range(3)] == ["TaskLost"] * 3
    engine = stage.engine(auto=True)
    assert client.state(3) is State.DONE and engine.starts


def test_a_run_that_never_arrived_is_sent_again_under_the_same_lease(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    lease = engine.queue.pop()
    engine.seen.clear()  # as if it had never come
    stage.restart()
    stage.until(lambda: engine.queue)
    assert engine.queue == [lease]
    engine.finish()
    assert client.state(0) is State.DONE


def test_results_that_an_engine_holds_survive_the_hub(stage: Stage, fail: Callable[[str], None]) -> None:
    client = stage.client()
    engine = stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    stage.kill()
    engine.finish()
    stage.open()
    assert client.state(0) is State.DONE
    stage.until(lambda: not engine.unkept)
    assert len(engine.starts) == 1


@pytest.mark.parametrize(
    "point", ["hub.drained", "hub.handled", "hub.commit", "hub.committed", "hub.sending", "hub.sent"]
)
@pytest.mark.parametrize("visit", range(1, 9))
def test_p2_p4_a_hub_that_dies_at_any_point_loses_and_repeats_nothing(stage: Stage, point: str, visit: int) -> None:
    class Died(Exception):
        pass

    client = stage.client()
    engines = [stage.engine(auto=True), stage.engine(auto=True)]
    visits = 0

    def die(name: str) -> None:
        nonlocal visits
        if name == point:
            visits += 1
            if visits == visit:
                raise Died

    patch = pytest.MonkeyPatch()
    patch.setattr("tuiparallel.hub.loop.failpoint", die)
    try:
        client.submit(balanced(), 5)
        client.submit(direct([engines[0].id] * 2), 2)
        client.submit(balanced(), 5)
        for _ in range(200):
            try:
                stage.pump()
            except Died:
                stage.restart()
            if len(client.outcomes) == 12:
                break
        stage.until(lambda: len(client.outcomes) == 12)
    finally:
        patch.undo()
    assert all(
        outcome.state is State.DONE or outcome.state == State.DONE for [outcome, *_] in client.outcomes.values()
    )
    starts = [task for engine in engines for task in engine.starts]
    assert sorted(starts) == sorted(set(starts)) and len(starts) == 12


def test_questions_see_what_the_same_turn_recorded(stage: Stage) -> None:
    client = stage.client()
    client.link.post(0, Submit(0, 2, balanced(), b"", None, [b"x"]))
    number = client.request(lambda request: Query(request, "result_status", {"tasks": [("aa", 0, 3)]}))
    assert client.reply(number).body == {
        "pending": [["aa", 0, 2]],
        "completed": [],
        "unknown": [["aa", 2, 1]],
    }


def test_a_rejected_submission_is_rejected_again_when_its_answer_was_lost(stage: Stage) -> None:
    client = stage.client()
    client.submit(direct([0]), 1, calls=[b"x", b"y"])
    stage.until(lambda: client.of(Rejected))
    client.submit(balanced())
    stage.until(lambda: not client.unaccepted())
    client.heard.clear()
    client.submit(direct([0]), 1, calls=[b"x", b"y"], first=0)
    client.link.greet_again()
    stage.until(lambda: client.of(Rejected))
    assert not client.of(Rejected)[0].error.ename == "ResultExpired"
    stage.rounds()
    assert not client.outcomes


def test_a_hub_that_was_stopped_declares_nobody_dead(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    stage.clock.advance(10)
    record = stage.book.registry.engines[engine.id]
    stage.book.registry.disconnect_engine(record)
    record.unreachable_at = stage.clock.monotonic()
    stage.rounds(3)
    stage.clock.advance(300)  # the hub itself was stopped
    stage.rounds(20)
    assert record.alive and not client.outcomes


def test_nothing_waits_for_a_turn_that_does_not_come(stage: Stage) -> None:
    """What a question put into the journal is on record without anybody else's doing."""
    client = stage.client()
    stage.engine(auto=True)
    client.submit(balanced(), 2)
    client.outcome(1)
    client.ask("purge", tasks=[("aa", 0, 1)], targets=[], all=False)
    stage.until(lambda: len(stage.history.query("SELECT 1 FROM tasks")) == 1)
    assert not stage.book.journal or stage.loop._timeout() == 0


def test_kept_and_reply_follow_the_commit(stage: Stage) -> None:
    client = stage.client()
    engine = stage.engine()
    seen: list[str] = []
    send = stage.doors.send

    def spy(role, peer, message):  # type: ignore[no-untyped-def]
        if isinstance(message, Kept):
            rows = stage.history.query("SELECT count(*) FROM tasks")[0][0]
            seen.append(f"kept with {rows} rows")
        return send(role, peer, message)

    stage.doors.send = spy  # type: ignore[method-assign]
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    engine.finish()
    stage.until(lambda: seen)
    assert seen == ["kept with 1 rows"]
    assert not [reply for reply in client.of(Reply) if reply.error]
    assert client.link.state is LinkState.LIVE
