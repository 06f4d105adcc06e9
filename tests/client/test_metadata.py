"""Metadata: a dict with attribute access and fixed keys."""

from __future__ import annotations

import pytest

from tuiparallel.client.call import Call
from tuiparallel.client.metadata import KEYS, metadata_of
from tuiparallel.client.timing import elapsed, serial_time, wall_time
from tuiparallel.wire.messages import Attempt, ErrorText, Extras, Kind, Need, Outcome, Work
from tuiparallel.wire.objects import pack
from tuiparallel.wire.states import State


def call() -> Call:
    work = Work(Kind.APPLY, "f", False, 100.0, [4, 5], "label", Need([("ab", 1, 2)]), retries=2)
    return Call("ab", 10, 2, work, [4, 5], None)


def test_before_the_outcome_it_says_what_was_submitted() -> None:
    facts = metadata_of(call(), 1)
    assert tuple(facts) == KEYS
    assert (facts.msg_id, facts.name, facts.label, facts.engine_id) == ("ab-11", "f", "label", 5)
    assert facts.after == ["ab-1", "ab-2"] and facts.targets == [5] and facts.status is None
    assert facts.submitted.timestamp() == 100.0 and facts.started is None and facts.state == "queued"


def test_afterwards_it_says_what_became_of_it() -> None:
    one = call()
    extras = Extras("out", "err", data=pack({"a": 1}).body, peak_rss=9)
    one.settle(
        0, Outcome(10, State.DONE, 4, 101.0, 103.0, 2, pack(7).body, extras, (Attempt(3, 1.0, 2.0, "lost"),)), 104.0
    )
    facts = metadata_of(one, 0)
    assert (facts.status, facts.state, facts.stdout, facts.stderr, facts.data) == (
        "ok",
        "done",
        "out",
        "err",
        {"a": 1},
    )
    assert facts.attempts[0]["engine_id"] == 3 and facts.peak_rss == 9 and facts.result_size == len(pack(7).body)
    assert serial_time([facts]) == 2.0 and wall_time([facts]) == 4.0
    assert elapsed([facts], True, 500.0) == 4.0 and elapsed([facts], False, 500.0) == 400.0


def test_errors_have_older_names_that_keys_do_not_show() -> None:
    one = call()
    text = ErrorText("ValueError", "bad", "Traceback", 5, "uuid")
    one.settle(1, Outcome(11, State.ERROR, 5, 1.0, 2.0, 1, b"", Extras(error=text)), 3.0)
    facts = metadata_of(one, 1)
    assert facts.pyerr is facts.error is facts["pyerr"] and facts.error.evalue == "bad"
    assert "pyerr" in facts and "pyerr" not in list(facts) and facts.get("pyin") is None
    assert facts.engine_uuid == "uuid"
    with pytest.raises(AttributeError, match="no key 'nothing'"):
        _ = facts.nothing
    with pytest.raises(KeyError):
        facts["nothing"]
    with pytest.raises(AttributeError):
        facts.new = 1
