"""Requests that wait for engines: each is answered once, and those whose client has gone are forgotten."""

from __future__ import annotations

from tests.hub.stage import Stage
from tuiparallel.hub.events import AbortSettled
from tuiparallel.wire.ids import TaskId
from tuiparallel.wire.messages import Answer, Reply


def test_a_request_that_waits_for_nobody_is_answered_at_once(stage: Stage) -> None:
    client = stage.client()
    session = stage.book.registry.session_of_hex["aa"]
    stage.loop.requests.open(session, 7, "clear", set())
    assert client.reply(7).body == {"cleared": []}


def test_answers_of_others_and_second_answers_change_nothing(stage: Stage) -> None:
    client = stage.client()
    requests = stage.loop.requests
    number = requests.open(stage.book.registry.session_of_hex["aa"], 7, "clear", {1, 2})
    requests.answered(3, Answer(number))
    requests.answered(1, Answer(number))
    requests.answered(1, Answer(number))
    requests.answered(1, Answer(999))
    stage.rounds()
    assert not client.of(Reply)
    requests.answered(2, Answer(number))
    assert client.reply(7).body == {"cleared": [1, 2]}
    assert not requests._pending


def test_a_client_that_goes_leaves_no_request(stage: Stage) -> None:
    stage.client()
    session = stage.book.registry.session_of_hex["aa"]
    requests = stage.loop.requests
    requests.open(session, 7, "stop", {1})
    requests.open_abort(session, 8, [])
    requests.client_gone(session)
    assert not requests._pending and not requests._aborts


def test_an_abort_nobody_waits_for(stage: Stage) -> None:
    ticket = stage.loop.requests.nobody()
    stage.loop.requests.abort_settled(AbortSettled(ticket, [TaskId(1)], [], []))
    assert not stage.book.out.messages
