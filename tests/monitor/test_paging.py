"""Which pages are asked for: a few by themselves, as many as settle a gap, more on demand, one at a time."""

from __future__ import annotations

import pytest

from tests.monitor.samples import T, delta, snapshot, task
from tuiparallel.monitor import paging
from tuiparallel.monitor.paging import AT_ONCE, PATIENCE, Pager
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.messages import Counters, ErrorText, Reply
from tuiparallel.wire.states import State


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)


def filled(open_: int = 0) -> tuple[ClusterStore, Pager]:
    store = ClusterStore()
    store.apply(snapshot(), T)
    if open_:
        store.apply(delta(2, tasks=[task(counter, State.QUEUED) for counter in range(open_)]), T)
    return store, Pager(store)


def page(request: int, counters: list[int], cursor: int | None) -> Reply:
    return Reply(request, {"tasks": [task(counter) for counter in counters], "before": cursor})


def test_a_few_pages_by_themselves_then_on_demand() -> None:
    store, pager = filled()
    assert pager.question(1, 0.0) is None, "nothing before a snapshot"
    pager.begin()
    asked = []
    for request in range(1, 20):
        if (query := pager.question(request, 0.0)) is None:
            break
        asked.append(query.arguments)
        assert pager.question(99, 1.0) is None, "one at a time"
        assert not pager.answer(Reply(98, {}))
        assert pager.answer(page(request, [2 * request, 2 * request + 1], request))
    assert asked == [{"before": cursor, "limit": 2} for cursor in (None, *range(1, AT_ONCE))]
    assert pager.more()
    assert pager.question(50, 0.0) is not None
    pager.answer(page(50, [500], None))
    assert store.history_complete() and not pager.more()
    assert pager.question(51, 0.0) is None


def test_a_question_without_answer_is_asked_again() -> None:
    _, pager = filled()
    pager.begin()
    assert pager.question(1, 0.0) is not None
    assert pager.question(2, PATIENCE - 1) is None
    again = pager.question(3, PATIENCE + 1)
    assert again is not None and again.request == 3
    assert not pager.answer(Reply(1, [])), "the late answer is not counted"


@pytest.mark.parametrize(
    "reply",
    [Reply(1, None, ErrorText("ValueError", "no", "")), Reply(1, {"tasks": [[1]], "before": 5}), Reply(1, [])],
)
def test_what_cannot_be_read_is_not_asked_for_again(reply: Reply) -> None:
    _, pager = filled()
    pager.begin()
    pager.question(1, 0.0)
    assert pager.answer(reply)
    assert pager.question(2, 0.0) is None


def test_pages_are_read_until_the_gap_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "AT_ONCE", 0)
    store, pager = filled(open_=3)
    store.apply(snapshot(9, T + 90, counters=Counters(done=9)), T + 90)
    assert store.doubtful() == (3, T)
    pager.begin()
    pages = 0
    for counter in range(40, -40, -2):  # newest first, beyond the gap's beginning
        if pager.question(counter, 0.0) is None:
            break
        pages += 1
        rows = [task(1000 + counter, received=T + counter), task(2000 + counter, received=T + counter)]
        pager.answer(Reply(counter, {"tasks": rows, "before": counter}))
    assert 20 <= pages <= 23
    assert store.doubtful() == (0, None)
    assert store.task(task(0).id) is None, "neither the snapshot nor history knows it"
