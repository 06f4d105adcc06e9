"""Engines of different runs of one cluster have the same ids: what is on record of a run stays that run's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.hub.stage import ClientPeer, Stage, balanced, direct
from tuiparallel.hub.history import History
from tuiparallel.wire.messages import Extras
from tuiparallel.wire.states import State


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.db")
    yield history
    history.close()


def next_run(stage: Stage, cluster: str) -> None:
    """The cluster is ended, or killed, and started anew."""
    for peer in stage.peers:
        peer.link.close()
    stage.peers.clear()
    stage.kill()
    stage.config = msgspec.structs.replace(stage.config, cluster=cluster)
    stage.clock.advance(10.0)
    stage.open()
    stage.rounds(3)


def worked(stage: Stage, hex: str, uuid: str) -> ClientPeer:
    """A client whose three tasks have run on engine 0 of this run."""
    client, engine = stage.client(hex), stage.engine(uuid)
    assert engine.id == 0
    client.submit(direct([0]))
    client.submit(balanced(), 2)
    stage.until(lambda: len(engine.queue) == 3)
    engine.finish(extras=Extras(stdout=f"by {uuid}"))
    stage.until(lambda: len(client.outcomes) == 3)
    return client


def test_tasks_of_an_earlier_run_keep_their_engines(stage: Stage) -> None:
    worked(stage, "aa", "old")
    next_run(stage, "c2")
    client = worked(stage, "bb", "new")
    rows = client.ask("db_query", query={}, keys=["engine_id", "engine_uuid", "host", "state"])
    assert [(row["msg_id"], row["engine_id"], row["engine_uuid"], row["host"]) for row in rows] == [
        *((f"aa-{n}", 0, "old", "here") for n in range(3)),
        *((f"bb-{n}", 0, "new", "here") for n in range(3)),
    ]
    found = client.ask("db_query", query={"engine_uuid": "old"}, keys=["msg_id"])
    assert [row["msg_id"] for row in found] == ["aa-0", "aa-1", "aa-2"]
    client.ask("get_result", tasks=[("aa", 1, 1)])
    assert (client.uuid(1, "aa"), client.uuid(1)) == ("old", "new")


def test_what_is_asked_by_engine_id_is_about_this_run(stage: Stage) -> None:
    worked(stage, "aa", "old")
    next_run(stage, "c2")
    client = worked(stage, "bb", "new")
    verbose = client.ask("queue_status", targets=[0], verbose=True)
    assert list(verbose["engines"].values()) == [[[], [["bb", 0, 3]], []]]
    rows = client.ask("page")["tasks"]
    engines = {(row[0] >> 40, row[2]) for row in map(tuple, rows)}
    assert {engine for session, engine in engines if session == 1} == {None}, (
        "of the earlier run: no engine of this one"
    )
    assert {engine for session, engine in engines if session != 1} == {0}
    chunks = client.ask("output")
    assert {(chunk[3], chunk[0]) for chunk in map(tuple, chunks)} == {("by old", -1), ("by new", 0)}
    assert client.ask("purge", tasks=[], targets=[0], all=False) == {"purged": 3}
    left = client.ask("db_query", query={}, keys=["msg_id"])
    assert [row["msg_id"] for row in left] == ["aa-0", "aa-1", "aa-2"], "the earlier run's engine 0 is another one"


def test_open_tasks_of_a_killed_run_are_lost_by_its_engines(stage: Stage) -> None:
    client, engine = stage.client("aa"), stage.engine("old")
    client.submit(direct([0]))
    stage.until(lambda: engine.queue)
    next_run(stage, "c2")
    stage.engine("new")
    other = stage.client("bb")
    (row,) = other.ask("db_query", query={"msg_id": "aa-0"}, keys=["state", "engine_uuid"])
    assert (row["state"], row["engine_uuid"]) == (State.LOST.name.lower(), "old")


def test_a_restarted_hub_goes_on_in_its_run(stage: Stage) -> None:
    worked(stage, "aa", "one")
    run = stage.history.run
    stage.restart()
    stage.until(lambda: stage.book.registry.ids() == [0])
    assert stage.history.run == run
    client = stage.client("bb")
    client.ask("get_result", tasks=[("aa", 0, 1)])
    assert client.uuid(0, "aa") == "one"
    assert stage.engine("two").id == 1
    gone = stage.book.registry.engines[0]
    stage.book.registry.forget_engine(gone)  # one of more than are remembered
    client.ask("get_result", tasks=[("aa", 1, 1)])
    assert client.uuid(1, "aa") == "one"


def test_engines_nobody_saw_leaving_left_with_their_run(history: History) -> None:
    history.begin()
    history.put_engine(0, "u0", "here", 5, 100.0, None)
    history.put_engine(1, "u1", "here", 6, 300.0, None)
    history.begin_run()
    history.note_run(200.0)
    history.put_engine(0, "u2", "here", 7, 400.0, None)
    history.commit()
    assert [engine.uuid for engine in history.living_engines()] == ["u2"] and history.next_engine_id() == 1
    gone = history.query("SELECT uuid, gone, why FROM engines WHERE gone IS NOT NULL ORDER BY uuid")
    assert gone == [("u0", 200.0, "its cluster ended"), ("u1", 300.0, "its cluster ended")]
    assert history.engine_of(0, 1) == ("u1", "here") and history.engine_of(1, 0) == ("u2", "here")
    history.begin()
    history.forget_engines(250.0)
    history.commit()
    assert history.engine_of(0, 0) is None and history.engine_of(0, 1) is not None


def test_the_number_of_the_run_is_on_record(history: History) -> None:
    history.begin()
    history.begin_run()
    history.note_run(1.0)
    history.commit()
    history.close()
    reopened = History(history.path)
    assert reopened.run == 1
    reopened.close()
