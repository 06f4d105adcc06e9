"""The query language: what it accepts, what it means, where it is wrong, what it completes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.samples import HEX, T, engine
from tuiparallel.monitor.query import (
    ENGINE_FIELDS,
    FAILURE_FIELDS,
    TASK_FIELDS,
    QueryError,
    complete,
    parse,
)
from tuiparallel.monitor.rows import EngineView, FailureKind, Phase, TaskView
from tuiparallel.wire.states import EngineState

TASK = TaskView(
    id=(1 << 40) + 118,
    msg_id=f"{HEX}-118",
    phase=Phase.ERROR,
    name="fit_model",
    label="night run",
    engine=3,
    session=1,
    client=HEX,
    batch=1 << 40,
    submitted=T,
    started=T + 0.02,
    completed=T + 2.52,
    received=T + 2.53,
    wait=0.02,
    run=2.5,
    back=0.01,
    size=4096,
    result_size=None,
    attempt=2,
    ename="ValueError",
    evalue="timeout of 3 s",
)


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("", True),
        ("state:error", True),
        ("state:done", False),
        ("state:done,error", True),
        ("state:failed", True),
        ("state:ended", True),
        ("state:open", False),
        ("state:assigned", False),
        ("state:e*", True),
        ("STATE:ERROR", True),
        ("fn:fit*", True),
        ("fn:fit", False),
        ("fn:FIT_MODEL", True),
        ("function:fit_model", True),
        ("fn:[ef]it_model", True),
        ("label:night*", True),
        ('label:"night run"', True),
        ("label:none", False),
        ("engine:3", True),
        ("engine:0-3,7", True),
        ("engine:4-7", False),
        ("engine:<4", True),
        ("e:>=3", True),
        ("engine:none", False),
        ("run:>2s", True),
        ("run:>2500ms", False),
        ("run:>=2500ms", True),
        ("run:1s..3s", True),
        ("run:2-3", True),
        ("run:<1m", True),
        ("wait:10ms-30ms", True),
        ("wait:20000us", True),
        ("return:<1s", True),
        ("size:4k", False),
        ("size:4096", True),
        ("size:4ki", True),
        ("in:>4k", True),
        ("result:none", True),
        ("out:>0", False),
        ("attempt:>1", True),
        ("client:me", True),
        (f"client:{HEX}", True),
        ("client:3f*", True),
        ("client:other", False),
        (f"id:{HEX}-118", True),
        ("id:*-118", True),
        ("error:ValueError", True),
        ("error:timeout", True),
        ("error:Key*", False),
        ("submitted:>2023-11-14", True),
        ("submitted:<2023-11-14T22:00", False),
        ("started:>2023-11-14T22:13:20", True),
        ('"timeout"', True),
        ("TIMEOUT", True),
        ('"night run"', True),
        ("nothing", False),
        ("-nothing", True),
        ("-label:night*", False),
        ("NOT state:done", True),
        ("state:error fn:fit* engine:0-3,7", True),
        ("state:error AND run:>9s", False),
        ("state:done OR run:>2s", True),
        ("(state:done OR fn:none) OR engine:3", True),
        ("state:done (run:>2s OR engine:3)", False),
        ("-(state:done OR engine:9)", True),
        ("state:done engine:3 OR run:>2s", True),
        ("count:1", True),
        ("completed:none", False),
    ],
)
def test_table(text: str, hit: bool) -> None:
    assert parse(text, TASK_FIELDS, me=HEX).matches(TASK) is hit


@pytest.mark.parametrize(
    ("text", "start", "end", "says"),
    [
        ("stat:x", 0, 4, "did you mean state:"),
        ("state:erorr", 6, 11, "did you mean error"),
        ("run:>2x", 5, 7, "a duration"),
        ("engine:x", 7, 8, "a number"),
        ("engine:3-1", 7, 10, "ends before"),
        ("engine:", 0, 7, "needs a value"),
        ("fn:a,,b", 5, 6, "missing beside the comma"),
        ("(a", 0, 1, "not closed"),
        ("a)", 1, 2, "closes nothing"),
        ("a OR", 4, 5, "missing"),
        ("OR a", 0, 2, "missing"),
        ("a AND", 5, 6, "both sides"),
        ("a -", 2, 3, "excludes"),
        ('say "hi', 4, 7, "not closed"),
        ("submitted:x", 10, 11, "not a time"),
        ("client:me", 7, 9, "has none"),
        ("()", 1, 2, "missing"),
    ],
)
def test_faults_are_placed(text: str, start: int, end: int, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert (caught.value.start, caught.value.end) == (start, end)
    assert says in str(caught.value)


@settings(max_examples=500)
@given(st.text(alphabet='ab:(-)"OR, state engine0123>.*', max_size=40))
def test_any_text_is_a_query_or_a_placed_fault(text: str) -> None:
    try:
        parse(text).matches(TASK)
    except QueryError as error:
        assert 0 <= error.start < error.end <= len(text) + 1


def test_engines_are_queried_by_their_own_fields() -> None:
    row = engine(7, EngineState.BUSY, queue=2, held=1, name="read_io", task=5, started=T)
    view = EngineView(row, None, 242.0, None, 0.0, ("straggler",), "x-5", 5, "read_io")
    for text in (
        "state:busy",
        "id:7",
        "q:>2",
        "age:>4m",
        "fn:read*",
        "host:tesla",
        "warning:straggler",
        "read",
        "cpu:none",
    ):
        assert parse(text, ENGINE_FIELDS).matches(view), text
    assert not parse("state:idle OR host:n0*", ENGINE_FIELDS).matches(view)
    assert parse("mem:<90%", ENGINE_FIELDS).matches(view) is False


def test_several_values_of_a_row_match_if_one_does() -> None:
    kind = FailureKind(1, "ValueError", "bad <n>", "", 3, ("fit", "mc"), (0, 7), T, T, (), False, (), 3)
    assert parse("fn:mc engine:5-9 error:valueerror", FAILURE_FIELDS).matches(kind)
    assert not parse("engine:1-6", FAILURE_FIELDS).matches(kind)


def test_completion_offers_fields_then_observed_values_by_count() -> None:
    seen: Callable[[str], dict[str, int]] = {"fn": {"fit": 3, "first one": 9, "mc": 1}}.get  # type: ignore[assignment]

    def observed(field: str) -> dict[str, int]:
        return seen(field) or {}

    assert [item.text for item in complete("st", 2, TASK_FIELDS, observed)] == ["state:", "started:"]
    found = complete("state:done fn:f", 15, TASK_FIELDS, observed)
    assert [(item.text, item.count) for item in found] == [('"first one"', 9), ("fit", 3)]
    assert {(item.start, item.end) for item in found} == {(14, 15)}
    assert [item.text for item in complete("-fn:fit,m", 9, TASK_FIELDS, observed)] == ["mc"]
    assert [item.text for item in complete("(state:run", 10, TASK_FIELDS, observed)] == ["running"]
    assert complete("nofield:x", 9, TASK_FIELDS, observed) == []
    # What is offered can be used as it is.
    assert parse('fn:"first one"').matches(replace(TASK, name="first one"))
