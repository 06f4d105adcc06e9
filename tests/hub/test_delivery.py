"""Outcomes on their way to clients: windows, backlogs, other clients' tasks, what is forgotten."""

from __future__ import annotations

import pytest

from tests.hub.stage import ClientPeer, Stage, balanced
from tuiparallel.hub import delivery
from tuiparallel.link.doors import Sent
from tuiparallel.wire.messages import Done, Got
from tuiparallel.wire.states import State


def test_p6_a_client_that_does_not_read_gets_a_window_and_the_rest_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "UNDER_WAY", 100_000)
    client, engine = stage.client(), stage.engine()
    client.sends_got = False
    client.submit(balanced(), 20)
    stage.until(lambda: len(engine.queue) == 20)
    for _ in range(20):
        engine.finish(engine.queue[0], body=b"x" * 30_000)
        stage.rounds(2)
    stage.until(lambda: not engine.unkept)
    stage.rounds(20)
    assert 3 <= len(client.outcomes) <= 5
    assert stage.book.registry.session_of_hex["aa"].under_way <= 130_000
    client.sends_got = True
    client.link.send(Got([("aa", counter, 1) for _, counter in client.outcomes]))
    stage.until(lambda: len(client.outcomes) == 20)
    assert all(len(found) == 1 and len(found[0].body) == 30_000 for found in client.outcomes.values())
    assert [counter for _, counter in client.outcomes] == list(range(20)), "in the order in which they ended"


def test_a_full_pipe_is_tried_again_and_the_rest_waits_in_the_history(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    send, full = stage.doors.send, True
    tries = 0

    def maybe(role, peer, message):  # type: ignore[no-untyped-def]
        nonlocal tries
        if full and isinstance(message, Done):
            tries += 1
            return Sent.AGAIN
        return send(role, peer, message)

    monkeypatch.setattr(stage.doors, "send", maybe)
    client.submit(balanced(), 1000)
    stage.until(lambda: len(engine.starts) == 1000 and not engine.unkept)
    stage.rounds(100)
    assert 0 < tries < 200, "not once per turn and outcome"
    assert len(stage.book.registry.session_of_hex["aa"].backlog) == 1000
    full = False
    stage.until(lambda: len(client.outcomes) == 1000 and not client.unaccepted())
    assert all(len(found) == 1 for found in client.outcomes.values())


def test_messages_to_a_client_stay_small_enough_that_a_full_pipe_is_bounded(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(), 1000)
    stage.until(lambda: len(engine.queue) == 1000)
    engine.finish(body=b"x" * 2000)
    stage.until(lambda: len(client.outcomes) == 1000)
    sizes = [sum(len(outcome.body) for outcome in done.outcomes) for done in client.of(Done)]
    assert max(sizes) <= delivery.LIGHT_LIMIT + 2000


def test_another_session_gets_open_and_ended_tasks(stage: Stage) -> None:
    owner, engine = stage.client("aa"), stage.engine()
    owner.submit(balanced("named"), 3)
    stage.until(lambda: len(engine.queue) == 3)
    engine.finish(engine.queue[0])
    owner.outcome(0)
    other = stage.client("bb")
    body = other.ask("get_result", tasks=[("aa", 0, 5), ("zz", 1, 1)])
    assert body["unknown"] == [["aa", 3, 2], ["zz", 1, 1]] and body["expired"] == []
    assert [(work["session"], work["first"], work["count"]) for work in body["works"]] == [("aa", 0, 3)]
    assert other.outcome(0, "aa").body == b"value of call"
    engine.finish(engine.queue[0], error="ValueError")
    assert other.error(1, "aa").ename == "ValueError" == owner.error(1).ename
    engine.finish()
    assert other.outcome(2, "aa").state == State.DONE
    assert not stage.loop.delivery.subscribers


def test_a_subscriber_that_leaves_is_forgotten(stage: Stage) -> None:
    owner, other = stage.client("aa"), stage.client("bb")
    owner.submit(balanced(), 2)
    stage.until(lambda: not owner.unaccepted())
    other.ask("get_result", tasks=[("aa", 0, 2)])
    assert len(stage.loop.delivery.subscribers) == 2
    other.link.close()
    stage.advance(5)
    stage.until(lambda: not stage.loop.delivery.subscribers)


def test_a_forgotten_result_is_said_to_be(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.submit(balanced(), 2)
    client.outcome(1)
    assert engine.starts
    client.ask("purge", tasks=[("aa", 0, 2)], targets=[], all=False)
    other = stage.client("bb")
    assert other.ask("get_result", tasks=[("aa", 0, 2)])["expired"] == [["aa", 0, 2]]
    back = ClientPeer(stage, "aa")
    back.waits = [(0, 2)]
    assert back.error(1).ename == "ResultExpired"


def test_attempts_come_with_the_outcome_live_and_from_the_history(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(balanced(retries=2))
    for _ in range(2):
        stage.until(lambda: engine.queue)
        engine.finish(error="OSError")
        stage.until(lambda: not engine.unkept)
    stage.until(lambda: engine.queue)
    engine.finish()
    outcome = client.outcome(0)
    assert outcome.attempt == 3 and [attempt.outcome for attempt in outcome.attempts] == ["error", "error"]
    other = stage.client("bb")
    other.ask("get_result", tasks=[("aa", 0, 1)])
    assert other.outcome(0, "aa").attempts == outcome.attempts
