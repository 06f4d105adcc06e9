"""What is taken in, and what is submitted again."""

from __future__ import annotations

from collections.abc import Callable

from tests.hub.stage import ClientPeer, Stage, balanced, direct
from tuiparallel.wire.messages import BlobUse, ErrorText, Need, Query, Reply, Scale, Spawn, Work
from tuiparallel.wire.states import State


def again(client: ClientPeer, *ranges: tuple[str, int, int]) -> list[list[object]]:
    body = client.ask("resubmit", tasks=list(ranges))
    assert isinstance(body, list), body
    client.ask("get_result", tasks=body)
    return body


def test_ended_tasks_run_again_under_new_ids_with_all_their_flags(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.submit(balanced("f", label="l", retries=2, priority=3, timeout=9.0, time_limit=5.0), 3, [b"a", b"b", b"c"])
    client.outcome(2)
    ids = again(client, ("aa", 2, 1), ("aa", 0, 1))
    assert ids == [["aar", 0, 2]]
    assert client.outcome(0, "aar").body == b"value of c" and client.outcome(1, "aar").body == b"value of a"
    batch = engine.batches[-1]
    assert (batch.name, batch.label, batch.time_limit) == ("f", "l", 5.0)
    row = client.ask("db_query", query={"session": "aar"}, keys=["retries", "priority", "timeout", "name", "label"])[
        0
    ]
    assert row == {"msg_id": "aar-0", "retries": 2, "priority": 3, "timeout": 9.0, "name": "f", "label": "l"}
    assert client.ask("task", task=("aar", 0, 1))["work"][-1] == ["aa-2", "aa-0"]


def test_d11_a_direct_task_stays_direct(stage: Stage) -> None:
    client, one, two = stage.client(), stage.engine(auto=True), stage.engine(auto=True)
    client.submit(direct([one.id, two.id, two.id]), 3, [b"a", b"b", b"c"])
    client.outcome(2)
    client.outcome(0)
    again(client, ("aa", 1, 2))
    assert [client.outcome(counter, "aar").engine for counter in (0, 1)] == [two.id, two.id]
    assert client.ask("db_query", query={"msg_id": "aar-0"}, keys=["queue", "targets"])[0]["targets"] == [two.id]


def test_pending_and_aborted_tasks_too(stage: Stage) -> None:
    client = stage.client()
    client.submit(balanced(), 2)
    stage.until(lambda: not client.unaccepted())
    from tuiparallel.wire.messages import Abort

    client.reply(client.request(lambda request: Abort(request, [("aa", 0, 1)])))
    ids = again(client, ("aa", 0, 2))
    assert ids == [["aar", 0, 2]]
    stage.engine(auto=True)
    assert [client.outcome(counter, "aar").state for counter in (0, 1)] == [State.DONE] * 2
    assert client.state(0) is State.ABORTED and client.state(1) is State.DONE


def test_a_chain_follows_to_the_newest(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.submit(balanced())
    client.outcome(0)
    assert engine.starts
    again(client, ("aa", 0, 1))
    client.outcome(0, "aar")
    again(client, ("aa", 0, 1))
    client.outcome(1, "aar")
    rows = client.ask("db_query", query={}, keys=["resubmitted"])
    assert {row["msg_id"]: row["resubmitted"] for row in rows} == {"aa-0": "aar-1", "aar-0": "aar-1", "aar-1": None}
    assert client.ask("task", task=("aar", 1, 1))["work"][-1] == ["aar-0"]


def test_unknown_and_forgotten_tasks_are_refused_and_nothing_is_submitted(stage: Stage) -> None:
    client = stage.client()
    stage.engine(auto=True)
    client.submit(balanced(), 2)
    client.outcome(1)
    client.ask("purge", tasks=[("aa", 0, 1)], targets=[], all=False)
    forgotten = client.ask("resubmit", tasks=[("aa", 1, 1), ("aa", 0, 1)])
    assert isinstance(forgotten, ErrorText) and forgotten.ename == "ResultExpired" and "aa-0" in forgotten.evalue
    nobody = client.ask("resubmit", tasks=[("zz", 4, 1)])
    assert isinstance(nobody, ErrorText) and nobody.ename == "KeyError" and "zz-4" in nobody.evalue
    assert not stage.book.scheduler.tasks and "aar" not in stage.book.registry.session_of_hex


def test_p2_what_was_submitted_again_survives_the_hub(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.submit(balanced())
    client.outcome(0)
    engine.auto = False
    client.ask("resubmit", tasks=[("aa", 0, 1)])
    stage.restart()
    stage.until(lambda: client.link.boot == stage.book.boot)
    client.ask("get_result", tasks=[("aar", 0, 1)])
    engine.auto = True
    assert client.outcome(0, "aar").state == State.DONE
    again(client, ("aa", 0, 1))
    assert client.outcome(1, "aar").state == State.DONE


def test_blobs_belong_to_the_new_task_too(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    blob = stage.book.holdings.store.write(b"x" * 100)
    client.submit(balanced(), 2, [b"a", b"b"], blobs=[BlobUse(1, blob.name, blob.size)])
    client.outcome(1)
    assert engine.starts
    again(client, ("aa", 1, 1))
    client.outcome(0, "aar")
    client.ask("purge", tasks=[("aa", 0, 2)], targets=[], all=False)
    stage.rounds(5)
    assert stage.book.holdings.store.open(blob.name) == b"x" * 100
    client.ask("purge", tasks=[("aar", 0, 1)], targets=[], all=False)
    stage.rounds(5)
    assert not list(stage.book.holdings.store.folder.iterdir()) and stage.book.holdings.bytes == 0


def test_p4_a_copy_of_a_command_is_answered_and_not_carried_out_again(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    supervisor = stage.supervisor(engine)
    client.submit(balanced())
    client.outcome(0)
    number = client.request(lambda request: Query(request, "resubmit", {"tasks": [("aa", 0, 1)]}))
    client.reply(number)
    client.link.send(Query(number, "resubmit", {"tasks": [("aa", 0, 1)]}))
    grow = client.request(lambda request: Scale(request, add=1))
    client.reply(grow)
    client.link.send(Scale(grow, add=1))
    stage.until(lambda: len([reply for reply in client.of(Reply) if reply.request in (number, grow)]) == 4)
    assert len(engine.starts) == 2 and len(supervisor.of(Spawn)) == 1


def test_dependencies_are_kept(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    client, engine = stage.client(), stage.engine()
    client.submit(balanced())
    client.submit(Work(0, "g", True, 0.0, after=Need([("aa", 0, 1)])))
    stage.until(lambda: engine.queue and not client.unaccepted())
    again(client, ("aa", 1, 1))
    stage.rounds(5)
    assert len(engine.queue) == 1
    engine.auto = True
    assert client.outcome(0, "aar").state == State.DONE
