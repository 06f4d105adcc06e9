"""The clients' door: sessions, submissions, control requests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.hub.stage import ClientPeer, Stage, balanced, direct
from tuiparallel.link.link import LinkState
from tuiparallel.wire.messages import (
    Abort,
    Answer,
    Ask,
    BlobUse,
    Clear,
    ClearNamespace,
    ClientBye,
    EndCluster,
    ErrorText,
    Inquiry,
    Interrupt,
    Leave,
    Need,
    Query,
    Rejected,
    Revoke,
    Scale,
    Shutdown,
    Signal,
    SignalEngine,
    Submit,
    Work,
)
from tuiparallel.wire.states import State


def test_f41_another_protocol_is_refused_naming_both(stage: Stage) -> None:
    client = ClientPeer(stage, "aa", protocol=7)
    stage.until(lambda: client.link.state is LinkState.REFUSED)
    assert client.link.refusal is not None and client.link.refusal.kind == "ProtocolMismatch"
    assert "7" in client.link.refusal.text and "the hub is older" in client.link.refusal.text


def test_a_session_keeps_its_number_through_reconnections_and_restarts(stage: Stage) -> None:
    one, two = stage.client("aa"), stage.client("bb")
    numbers = {session.hex: session.number for session in stage.book.registry.sessions.values()}
    one.submit(balanced())
    stage.until(lambda: not one.unaccepted())
    one.link.greet_again()
    stage.restart()
    stage.until(lambda: one.link.boot == two.link.boot == stage.book.boot)
    assert {session.hex: session.number for session in stage.book.registry.sessions.values()} == numbers
    assert stage.book.registry.session_of_hex["aa"].next == 1


@pytest.mark.parametrize(
    ("submit", "ename"),
    [
        (Submit(0, 2, balanced(), b"", None, [b"a", b"b", b"c"]), "ValueError"),
        (Submit(0, 0, balanced(), b"", None, [b"a"]), "ValueError"),
        (Submit(0, 100_000, balanced(), b"", None, [b"a"]), "ValueError"),
        (Submit(1 << 41, 1, balanced(), b"", None, [b"a"]), "ValueError"),
        (Submit(0, 2, direct([0]), b"", None, [b"a"]), "ValueError"),
        (Submit(0, 1, Work(0, "f", False, 0.0), b"", None, [b"a"]), "ValueError"),
        (Submit(0, 1, balanced(timeout=float("nan")), b"", None, [b"a"]), "ValueError"),
        (Submit(0, 1, balanced(time_limit=-1.0), b"", None, [b"a"]), "ValueError"),
        (Submit(0, 1, balanced(), b"never sent", None, [b"a"]), "SerializationError"),
        (Submit(0, 1, balanced(), b"", None, [b"a"], [BlobUse(0, "../../etc/passwd", 3)]), "ValueError"),
        (Submit(0, 1, balanced(), b"", None, [b"a"], [BlobUse(5, "1-1-0123456789abcdef", 3)]), "ValueError"),
    ],
)
def test_a_submission_that_cannot_be_is_rejected(stage: Stage, submit: Submit, ename: str) -> None:
    client = stage.client()
    client.link.post(submit.first, submit)
    stage.until(lambda: client.of(Rejected))
    assert client.of(Rejected)[0].error.ename == ename
    assert not stage.book.scheduler.tasks


def test_p6_open_tasks_have_a_bound(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(open_bytes=1000)
    client = stage.client()
    client.submit(balanced(), 1, [b"x" * 1001])
    client.submit(balanced(), 1, [b"x"])
    stage.until(lambda: client.of(Rejected))
    error = client.of(Rejected)[0].error
    assert error.ename == "StorageFull" and "open_bytes" in error.evalue
    engine = stage.engine(auto=True)
    client.outcome(0)
    client.submit(balanced(), 1, [b"x"])
    assert client.state(2) is State.DONE and engine.starts


def test_b42_p6_submissions_stop_while_the_disk_has_too_little_room(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(free_disk=1 << 60)
    client = stage.client()
    client.submit(balanced())
    stage.until(lambda: client.of(Rejected))
    error = client.of(Rejected)[0].error
    assert error.ename == "StorageFull" and str(stage.folder) in error.evalue and "free_disk" in error.evalue


def test_dependencies_are_resolved_among_open_ended_and_unknown_tasks(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 2)
    engine.finish(engine.queue[0])
    client.outcome(0)
    client.submit(balanced(after=Need([("aa", 0, 2)])))
    client.submit(balanced(after=Need([("zz", 0, 1)])))
    client.submit(balanced(after=Need([("aa", 99, 1)])))
    client.submit(balanced(after=Need([("aa", 5, 1)])))
    assert [client.error(counter).ename for counter in (3, 4, 5)] == ["InvalidDependency"] * 3
    assert "zz-0" in client.error(3).evalue
    assert len(engine.queue) == 1
    engine.finish(engine.queue[0])
    stage.until(lambda: engine.queue)
    engine.finish()
    assert client.state(2) is State.DONE


def test_a_dependency_on_a_task_that_ends_in_the_same_turn(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    engine.finish()
    client.submit(balanced(after=Need([("aa", 0, 1)])))
    stage.until(lambda: engine.queue)
    engine.finish()
    assert client.state(1) is State.DONE


def test_abort_of_queued_held_running_done_and_unknown_tasks(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 4)
    stage.until(lambda: len(engine.queue) == 4)
    engine.finish(engine.queue[0])
    client.outcome(0)
    running = engine.start()
    waiting = client.submit(balanced(after=Need([("aa", 1, 1)])))
    number = client.request(lambda request: Abort(request, [("aa", 0, 5), ("aa", 50, 2), ("zz", 0, 1)]))
    assert client.state(waiting) is State.ABORTED, "what the hub holds ends at once"
    stage.until(lambda: engine.of(Revoke))
    engine.give_back(engine.of(Revoke)[-1])
    body = client.reply(number).body
    assert sorted(body["aborted"]) == [["aa", 2, 2], ["aa", 4, 1]]
    assert (body["running"], body["done"]) == ([["aa", 1, 1]], [["aa", 0, 1]])
    assert sorted(body["unknown"]) == [["aa", 50, 2], ["zz", 0, 1]]
    engine.finish(running)
    assert client.state(1) is State.DONE
    assert client.error(2).ename == "AbortedTask"


def test_abort_of_a_running_task_interrupts_it_and_then_costs_its_engine(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced(retries=5), 1)
    stage.until(lambda: engine.queue)
    lease = engine.start()
    number = client.request(lambda request: Abort(request, [("aa", 0, 1)], None, True, 1.0))
    stage.until(lambda: engine.of(Revoke))
    engine.give_back(engine.of(Revoke)[0])
    stage.until(lambda: engine.of(Interrupt))
    assert engine.of(Interrupt)[0] == Interrupt(2, lease.task)
    stage.advance(1.5)
    stage.until(lambda: supervisor.of(SignalEngine))
    engine.link.close()
    supervisor.exited(engine, mark=lease)
    assert client.reply(number).body["aborted"] == [["aa", 0, 1]]
    assert client.state(0) is State.ABORTED


def test_abort_of_everything_of_this_session_and_of_an_engine(stage: Stage) -> None:
    mine, other, engine = stage.client("aa"), stage.client("bb"), stage.engine()
    mine.submit(direct([engine.id]), 1)
    other.submit(balanced(targets=[engine.id]), 1)
    stage.until(lambda: len(engine.queue) == 2)
    mine.request(lambda request: Abort(request, None))
    stage.until(lambda: engine.of(Revoke))
    engine.give_back(engine.of(Revoke)[0])
    assert mine.state(0) is State.ABORTED
    stage.rounds()
    assert not other.outcomes
    mine.request(lambda request: Abort(request, None, [engine.id]))
    stage.until(lambda: len(engine.of(Revoke)) == 2)
    engine.give_back(engine.of(Revoke)[1])
    assert other.state(0) is State.ABORTED


def test_clear_waits_for_every_engine(stage: Stage) -> None:
    client, one, two = stage.client(), stage.engine(), stage.engine()
    number = client.request(lambda request: Clear(request, None))
    stage.until(lambda: one.of(ClearNamespace) and two.of(ClearNamespace))
    one.answer(one.of(ClearNamespace)[0].request)
    stage.rounds()
    supervisor = stage.supervisor(two)
    two.link.close()
    supervisor.exited(two)
    assert client.reply(number).body == {"cleared": [one.id]}


def test_ask_passes_the_answer_on(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    number = client.request(lambda request: Ask(request, engine.id, "complete", "pri", 3))
    stage.until(lambda: engine.of(Inquiry))
    inquiry = engine.of(Inquiry)[0]
    assert (inquiry.what, inquiry.text, inquiry.cursor) == ("complete", "pri", 3)
    engine.answer(inquiry.request, ["print"])
    assert client.reply(number).body == ["print"]
    failed = client.request(lambda request: Ask(request, engine.id, "inspect", "nope"))
    stage.until(lambda: len(engine.of(Inquiry)) == 2)
    engine.link.send(Answer(engine.of(Inquiry)[1].request, None, ErrorText("NameError", "nope", "")))
    answer = client.reply(failed)
    assert answer.error is not None and answer.error.ename == "NameError"


def test_ask_of_nobody_and_of_one_that_dies(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    answer = client.reply(client.request(lambda request: Ask(request, 44, "stack")))
    assert answer.error is not None and answer.error.ename == "NoSuchEngine"
    number = client.request(lambda request: Ask(request, engine.id, "stack"))
    stage.until(lambda: engine.of(Inquiry))
    engine.link.close()
    supervisor.exited(engine)
    answer = client.reply(number)
    assert answer.error is not None and answer.error.ename == "EngineError"


def test_signals_go_to_the_supervisor_and_interrupts_to_the_engine(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    body = client.reply(client.request(lambda request: Signal(request, None, 15))).body
    assert body == {"signalled": [engine.id]}
    stage.until(lambda: supervisor.of(SignalEngine))
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    client.reply(client.request(lambda request: Signal(request, None, 2, ("aa", 0, 1))))
    stage.until(lambda: engine.of(Interrupt))
    assert engine.of(Interrupt)[0].task == engine.queue[0].task
    assert client.reply(client.request(lambda request: Signal(request, None, 2, ("aa", 9, 1)))).body == {
        "signalled": []
    }


def test_p1_the_end_of_the_cluster_ends_every_task_and_tells_everybody(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    supervisor = stage.supervisor(engine)
    client.submit(balanced(), 2)
    client.submit(balanced(after=Need([("aa", 0, 1)])))
    stage.until(lambda: len(engine.queue) == 2)
    number = client.request(lambda request: Shutdown(request, None, hub=True))
    assert client.reply(number).error is None
    assert stage.book.stopping
    stage.until(lambda: engine.of(Leave) and supervisor.of(EndCluster) and client.notices("ended"))
    assert {client.state(0), client.state(1)} <= {State.LOST, State.ABORTED}
    assert client.state(2) in (State.ABORTED, State.ERROR)
    assert stage.history.counts() and not stage.book.scheduler.tasks


def test_a_client_that_has_gone_leaves_its_tasks_running(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced())
    stage.until(lambda: engine.queue)
    client.link.send(ClientBye())
    stage.until(lambda: not stage.book.registry.session_of_peer)
    engine.finish()
    stage.until(lambda: not stage.book.scheduler.tasks)
    back = ClientPeer(stage, "aa")
    back.waits = [(0, 1)]
    assert back.state(0) is State.DONE


def test_what_a_handler_cannot_digest_is_answered_and_harms_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = stage.client()

    def broken(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(stage.loop.clients, "_scale", broken)
    monkeypatch.setattr(stage.loop.clients, "_unacceptable", broken)
    answer = client.reply(client.request(lambda request: Scale(request, 1)))
    assert answer.error is not None and "log" in answer.error.evalue
    client.submit(balanced())
    stage.until(lambda: client.of(Rejected))
    assert client.reply(client.request(lambda request: Query(request, "status"))).error is None


def test_huge_ranges_cost_nothing(stage: Stage) -> None:
    client = stage.client()
    client.submit(balanced(), 2)
    stage.until(lambda: not client.unaccepted())
    huge = [("aa", 0, 1 << 60), ("aa", -5, 3)]
    body = client.ask("result_status", tasks=huge)
    assert body["pending"] == [["aa", 0, 2]] and len(body["unknown"]) == 2
    client.waits = [(0, 1 << 60), (-4, 1 << 50)]
    client.link.greet_again()
    stage.rounds(20)
    assert client.link.state is LinkState.LIVE


def test_an_engine_that_connects_anew_is_asked_again(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    cleared = client.request(lambda request: Clear(request, None))
    asked = client.request(lambda request: Ask(request, engine.id, "complete", "pri", 3))
    stage.until(lambda: engine.of(ClearNamespace) and engine.of(Inquiry))
    engine.link.greet_again()  # and what it had been asked was lost with its connection
    stage.until(lambda: len(engine.of(ClearNamespace)) == 2 and len(engine.of(Inquiry)) == 2)
    assert engine.of(ClearNamespace)[0] == engine.of(ClearNamespace)[1]
    engine.answer(engine.of(ClearNamespace)[1].request)
    engine.answer(engine.of(Inquiry)[1].request, ["print"])
    assert client.reply(cleared).body == {"cleared": [engine.id]}
    assert client.reply(asked).body == ["print"]
    engine.link.greet_again()
    stage.rounds()
    assert len(engine.of(ClearNamespace)) == 2, "what was answered is not asked again"
