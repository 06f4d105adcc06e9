"""Reports: the golden keys of schema 1, tables that fit, plain text."""

from __future__ import annotations

import json

import pytest

from tests.monitor.samples import HEX, T, batch, delta, engine, failure, snapshot, task
from tuiparallel.monitor import report
from tuiparallel.monitor.query import parse
from tuiparallel.monitor.rows import Eta, LinkState, LinkView
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import Counters, FunctionRow, LimitRow, Vital
from tuiparallel.wire.states import EngineState, State

BEGIN = ["schema", "kind", "cluster"]
GOLDEN = {  # keys are added, never renamed or removed
    "status": ["at", "hub", "engines", "clients", "tasks_per_s", "durability", "tasks"],
    "engine": "id uuid host pid state since last_seen queue tasks completed errors cpu rss msg_id was".split(),
    "task": "msg_id name label state status engine client attempts submitted started completed wait_s run_s size "
    "result_size".split(),
    "failure": "ename evalue count first last engines msg_ids traceback".split(),
    "function": "name count errors mean_s p95_s total_s".split(),
    "client": "session host pid since outstanding".split(),
    "submission": "name label client total done failed submitted tasks_per_s eta_s eta_spread_s".split(),
}


@pytest.fixture
def store() -> ClusterStore:
    store = ClusterStore()
    running = engine(1, EngineState.BUSY, held=1, task=task_id(1, 9), name="fit", started=T)
    store.set_link(LinkView(LinkState.LIVE, T))
    store.apply(
        snapshot(
            counters=Counters(queued=18_786, running=1, assigned=2, done=48_113, error=12),
            engines=[engine(0), running],
            batches=[batch(100, 40, T), batch(5, 5, T, first=500, name="over")],
            functions=[FunctionRow("fit", 4, 1, 10.0, 1.0, 0.1, 3.0, {330: 5})],
            failures=[failure(7), failure(8)],
            vitals=[Vital("u1", 801, 0.97, 71_000_000, 0)],
            limits=[LimitRow("rows", 90, 100)],
            expected=3,
            pid=811,
        ),
        T,
    )
    store.apply(delta(2, T + 1, tasks=[task(1), task(2, State.ERROR), task(9, State.ASSIGNED)]), T + 1)
    store.tick(T + 1)
    return store


def rows(store: ClusterStore) -> list[report.Row]:
    found = list(report.once_rows(store, T + 1, hub_rss=41_000_000))
    for noun in report.NOUNS:
        found += report.listing(store, noun, T + 1)
    return found


def test_golden_keys(store: ClusterStore) -> None:
    found = rows(store)
    assert {row["kind"] for row in found} == set(GOLDEN)
    for row in found:
        assert list(row)[:3] == BEGIN
        assert (row["schema"], row["cluster"]) == (1, "lab")
        golden = GOLDEN[row["kind"]]
        assert [key for key in row if key in golden] == golden
        json.dumps(row, allow_nan=False)


def test_values(store: ClusterStore) -> None:
    status = report.status_row(store.header(T + 1), 41_000_000)
    assert status["hub"] == {"pid": 811, "since": "2023-11-14T21:56:40.000000Z", "rss": 41_000_000, "boots": 1}
    assert status["engines"] == {"total": 2, "busy": 1, "idle": 1, "expected": 3}
    _, busy = report.listing(store, "engines", T + 1)
    assert (busy["state"], busy["tasks"], busy["cpu"], busy["rss"], busy["msg_id"]) == (
        "busy",
        1,
        0.97,
        71_000_000,
        f"{HEX}-9",
    )
    open_, failed, done = report.listing(store, "tasks", T + 1)
    assert (done["state"], done["status"], done["run_s"], done["wait_s"]) == ("done", "ok", 0.5, 0.1)
    assert (failed["state"], failed["status"]) == ("error", "error")
    assert (open_["state"], open_["status"], open_["started"], open_["run_s"]) == ("assigned", None, None, None)
    (kind,) = report.listing(store, "errors", T + 1)
    assert (kind["count"], kind["engines"], kind["msg_ids"]) == (2, [0], [f"{HEX}-7", f"{HEX}-8"])
    assert kind["evalue"] == "bad seed 7" and "fit.py" in kind["traceback"]


def test_times_are_utc() -> None:
    assert report.iso(T + 0.25) == "2023-11-14T22:13:20.250000Z"
    assert report.iso(None) is None


def test_lists_take_queries(store: ClusterStore) -> None:
    assert [row["name"] for row in report.listing(store, "tasks", T, parse("state:error"))] == ["fit"]
    with pytest.raises(ValueError, match="no list of 'dogs': there are engines, tasks"):
        list(report.listing(store, "dogs", T))


@pytest.mark.parametrize("width", [40, 80, 120, None])
def test_once_fits_its_width_and_is_plain(store: ClusterStore, width: int | None) -> None:
    lines = report.once(store, T + 1, width)
    text = "\n".join(lines)
    assert "\x1b" not in text
    if width is not None:
        assert max(map(len, lines)) <= width
    assert lines[0].startswith("lab  live")
    for title in ("Now", "Engines  2 of 3", "Errors  "):
        assert any(line.startswith(title) for line in lines)
    if width is None:
        assert "40/100  40%" in text
        assert "over" not in text, "finished submissions are history"
        assert "the hub's rows is 90% full" in text


def test_an_empty_cluster_says_so() -> None:
    store = ClusterStore()
    store.apply(snapshot(), T)
    text = "\n".join(report.once(store, T, 80))
    for sentence in ("Nothing runs", "No engines", "No failures"):
        assert sentence in text


def test_tables_align_wide_characters() -> None:
    lines = report.columns([["name", "n"], ["漢字", "1"], ["abc", "22"]], [False, True])
    assert lines == ["name   n", "漢字   1", "abc   22"]
    assert report.clipped("漢字漢字", 5) == "漢字…"
    assert report.clipped("abc", 3) == "abc"


def test_words_for_sizes_and_times() -> None:
    assert [report.size(value) for value in (5, 999, 1500, 71_000_000, 2.5e9)] == [
        "5 B",
        "999 B",
        "1.5 kB",
        "71 MB",
        "2.5 GB",
    ]
    assert report.eta(None) == "unknown"
    assert report.eta(Eta(95, 4)) == "1m35s ±4s"
