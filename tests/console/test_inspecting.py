"""The inspector's remote parts: why a task waits, what it depends on, what became of earlier attempts."""

from __future__ import annotations

import msgspec

from tests.console.driving import console, small_cluster
from tuiparallel.console.acting import explained


async def test_a_waiting_task_says_why_and_leads_to_what_it_waits_for() -> None:
    cluster = small_cluster()
    first = cluster.runs(0, "load")
    (second,) = cluster.submits("fit")
    cluster._task(msgspec.structs.replace(cluster.tasks[second], waiting=True))
    cluster.tell()
    async with console(cluster) as it:
        name = it.app.store.msg_id(first)
        it.client.facts = {"why": "waits for 1 task it depends on", "after": [name, "77aa41bb-9"], "follow": [name],
                           "attempts": []}  # fmt: skip
        await it.press("3", "g", "enter")
        frame = it.frame()
        assert "why it waits" in frame and "waits for 1 task it depends on" in frame
        assert "depends on" in frame and "77aa41bb-9" in frame
        assert "running" in it.line_of(f"{name}  ")
        place = next(at for at, line in enumerate(it.app.main.inspector.lines) if line.link == ("task", first))
        it.app.main.inspector.move_to(place)
        await it.press("enter")
        assert it.app.main.inspector.subject is not None and it.app.main.inspector.subject.key == first


async def test_a_hub_that_does_not_say_is_said() -> None:
    cluster = small_cluster()
    cluster.submits("fit")
    cluster.tell()
    async with console(cluster) as it:
        it.client.error = TimeoutError("no answer within 2 s")
        await it.press("3", "g", "enter")
        assert "the hub does not say: no answer within 2 s" in it.frame()


async def test_an_ended_task_of_one_attempt_asks_nothing() -> None:
    cluster = small_cluster()
    cluster.ends(cluster.runs(0, "fit"))
    cluster.tell()
    async with console(cluster) as it:
        await it.press("3", "g", "enter")
        assert it.client.calls == []


def test_many_dependencies_are_counted() -> None:
    names = [f"ab-{number}" for number in range(60)]
    attempts = [{"attempt": 1, "engine": 3, "began": 1.0, "ended": 2.0, "outcome": "lost\x1b[2J"}]
    parts = explained({"why": "", "after": names, "follow": [], "attempts": attempts})
    assert len(parts["depends"]) == 51 and parts["depends"][-1] == "and 10 more"
    assert parts["attempts"] == ["1: e3 lost"]
    assert "why" not in parts
