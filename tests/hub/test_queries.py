"""Questions to the hub: queues, statuses, history, pages, single tasks, output, forgetting."""

from __future__ import annotations

from tests.hub.stage import ClientPeer, Stage, balanced, direct, plain
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import ErrorText, Extras, Lease, Need
from tuiparallel.wire.states import State


def four(stage: Stage) -> ClientPeer:
    """done, error, held, waiting."""
    client, engine = stage.client(), stage.engine()
    client.submit(balanced("f", label="blue"), 3)
    stage.until(lambda: len(engine.queue) == 3)
    engine.finish(engine.queue[0], extras=Extras("out", "err"))
    engine.finish(engine.queue[0], error="ValueError")
    client.outcome(1)
    client.submit(balanced("g", after=Need([("aa", 2, 1)])))
    stage.until(lambda: not client.unaccepted())
    return client


def test_queue_status(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    client.submit(direct([engine.id] * 2), 2)
    client.submit(balanced(), 2)
    client.submit(balanced(after=Need([("aa", 0, 1)])))
    stage.until(lambda: len(engine.queue) == 4)
    assert client.ask("queue_status", targets=None, verbose=False) == {
        "engines": {0: [2, 0, 2]},
        "unassigned": 1,
    }
    verbose = client.ask("queue_status", targets=[0], verbose=True)
    assert verbose == {"engines": {0: [[["aa", 0, 2]], [], [["aa", 2, 2]]]}, "unassigned": [["aa", 4, 1]]}
    engine.finish(engine.queue[0])
    client.outcome(0)
    assert client.ask("queue_status", targets=None, verbose=True)["engines"][0][1] == [["aa", 0, 1]]


def test_result_status_why_and_task(stage: Stage) -> None:
    client = four(stage)
    assert client.ask("result_status", tasks=[("aa", 0, 4)]) == {
        "pending": [["aa", 2, 2]],
        "completed": [["aa", 0, 2]],
        "unknown": [],
    }
    assert "depends on" in client.ask("why", task=("aa", 3, 1))
    done = client.ask("task", task=("aa", 0, 1))
    assert done["state"] == State.DONE and done["result_size"] == len(b"value of call")
    open_task = client.ask("task", task=("aa", 3, 1))
    assert open_task["state"] == State.QUEUED and "depends" in open_task["why"]
    nobody = client.ask("task", task=("aa", 77, 1))
    assert isinstance(nobody, ErrorText) and nobody.ename == "KeyError"


def test_history_is_in_the_order_of_submission_and_ends_at_the_limit(stage: Stage) -> None:
    one, two = stage.client("aa"), stage.client("bb")
    for client, count in ((one, 2), (two, 3), (one, 1)):
        client.submit(balanced(), count)
        stage.until(lambda client=client: not client.unaccepted())  # type: ignore[misc]
    assert one.ask("history", limit=None) == [["aa", 0, 2], ["bb", 0, 3], ["aa", 2, 1]]
    assert one.ask("history", limit=3) == [["bb", 1, 2], ["aa", 2, 1]]


def test_status_and_engines(stage: Stage) -> None:
    client = four(stage)
    status = client.ask("status")
    assert status["boots"] == 1 and status["durability"] == "process" and status["clients"] == 1
    assert {row[0] for row in status["limits"]} >= {"history: ended tasks", "history: bytes", "open tasks: bytes"}
    assert [row[0] for row in client.ask("engines")] == [0]


def test_pages_go_back_through_everything_once(stage: Stage) -> None:
    client, engine = stage.client(), stage.engine()
    for _ in range(4):
        client.submit(balanced("f"), 10)
        stage.until(lambda: len(engine.queue) == 10)
        engine.finish(*engine.queue[:7])
        engine.finish(error="OSError")
        stage.until(lambda: not engine.unkept)
    seen: list[int] = []
    cursor = None
    while True:
        page = client.ask("page", before=cursor, limit=6)
        assert len(page["tasks"]) <= 6
        seen += [row[0] for row in page["tasks"]]
        cursor = page["before"]
        if cursor is None:
            break
    assert seen == engine.starts[::-1]
    newest = client.ask("page", before=None, limit=1)["tasks"][0]
    assert newest[1] == State.ERROR and "OSError" in newest
    client.ask("purge", tasks=[("aa", 39, 1)], targets=[], all=False)
    assert client.ask("page", before=None, limit=1)["tasks"][0][0] == engine.starts[-2]


def test_output_of_the_past(stage: Stage) -> None:
    client = four(stage)
    chunks = client.ask("output", limit=10)
    assert [(chunk[2], chunk[3]) for chunk in chunks] in (
        [("stderr", "err"), ("stdout", "out")],
        [("stdout", "out"), ("stderr", "err")],
    )


def test_purge_by_task_by_engine_and_all(stage: Stage) -> None:
    client = four(stage)
    pending = client.ask("purge", tasks=[("aa", 2, 1)], targets=[], all=False)
    assert isinstance(pending, ErrorText) and pending.ename == "IndexError"
    unknown = client.ask("purge", tasks=[("aa", 50, 1)], targets=[], all=False)
    assert isinstance(unknown, ErrorText) and unknown.ename == "KeyError"
    assert client.ask("purge", tasks=[("aa", 0, 1)], targets=[], all=False) == {"purged": 1}
    assert client.ask("get_result", tasks=[("aa", 0, 1)])["expired"] == [["aa", 0, 1]]
    assert client.ask("purge", tasks=[], targets=[0], all=False) == {"purged": 1}
    assert client.ask("purge", tasks=[], targets=[], all=True) == {"purged": 0}
    engine = stage.peers[1]
    engine.finish()  # type: ignore[union-attr]
    client.outcome(2)
    assert client.ask("purge", tasks=[], targets=[], all=True) == {"purged": 1}
    client.ask("status")
    assert stage.history.query("SELECT id FROM tasks") == []


def test_unknown_and_malformed_questions(stage: Stage) -> None:
    client = stage.client()
    for what, arguments in (("nonsense", {}), ("result_status", {}), ("why", {"task": 5}), ("page", {"before": "x"})):
        answer = client.ask(what, **arguments)
        assert isinstance(answer, ErrorText), what
        assert answer.ename in ("ValueError", "KeyError", "TypeError")


def test_plain_is_what_crosses_the_wire() -> None:
    assert plain({"a": Lease(task_id(1, 2), 3)}) == {"a": [task_id(1, 2), 3]}
