"""Kinds of failures: what belongs together, exact counts, which instances are kept."""

from __future__ import annotations

import pytest

from tests.monitor.samples import T, failure
from tuiparallel.monitor.failures import NEWEST, OLDEST, Failures, last_frame, normalised
from tuiparallel.wire.states import State


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("bad seed 7", "bad seed 12.5e3", True),
        ("<Obj at 0x7f00aa>", "<Obj at 0x7f00bb>", True),
        ("no file '/tmp/a/b.npy'", "no file '/home/me/c.npy'", True),
        ("job 3f9c0a12-aaaa-bbbb-cccc-123456789012", "job 00000a12-aaaa-bbbb-cccc-1234567890ff", True),
        ("shapes (4,) (3,)", "shapes (5,) (9,)", True),
        ("bad seed", "bad weed", False),
        ("utf8", "utf16", False),
        ("first line\nsecond 1", "first line\nother", True),
    ],
)
def test_normalised(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same


def test_the_last_frame() -> None:
    text = 'Traceback\n  File "/a/b/run.py", line 3, in main\n    f()\n  File "C:\\x\\fit.py", line 12, in fit\n    1/0\n'
    assert last_frame(text) == "fit.py:12 in fit"
    assert last_frame('  File "<cell 12>", line 1, in <module>') == "<cell n>:1 in <module>"
    assert last_frame("no frames") == ""


def test_ten_thousand_equal_failures_are_one_row_with_an_exact_count() -> None:
    found = Failures()
    for counter in range(10_000):
        assert found.put(failure(counter, f"bad seed {counter}", engine=counter % 7))
    (kind,) = found.kinds(T + 10_000, str)
    assert (kind.count, kind.ename, kind.message, kind.frame) == (
        10_000,
        "ValueError",
        "bad seed <n>",
        "fit.py:12 in fit",
    )
    assert kind.engines == tuple(range(7)) and kind.names == ("fit",)
    assert (kind.first, kind.last) == (T, T + 9_999)
    assert sum(kind.history) == 59 and len(kind.history) == 60
    kept = [instance.at - T for instance in kind.instances]
    assert kept == [*range(OLDEST), *range(10_000 - NEWEST, 10_000)]
    assert kind.left_out == 10_000 - OLDEST - NEWEST


def test_a_failure_told_twice_counts_once() -> None:
    found = Failures()
    assert found.put(failure(1))
    assert not found.put(failure(1))
    assert found.total == 1


def test_instances_are_in_order_however_they_come() -> None:
    found = Failures()
    for counter in (*range(50, 200), *range(50)):
        found.put(failure(counter))
    (kind,) = found.kinds(T, str)
    kept = [instance.at - T for instance in kind.instances]
    assert kept == sorted(kept)
    assert kept[:OLDEST] == list(range(OLDEST))
    assert kept[-1] == 199


def test_aborted_tasks_are_hidden_at_first() -> None:
    found = Failures()
    found.put(failure(1, ename="TaskAborted", state=int(State.ABORTED)))
    found.put(failure(2))
    assert [kind.ename for kind in found.kinds(T, str)] == ["ValueError"]
    assert {kind.ename for kind in found.kinds(T, str, hidden=True)} == {"ValueError", "TaskAborted"}
    assert found.total_shown == 1


def test_the_number_of_kinds_is_bounded_the_longest_silent_goes() -> None:
    found = Failures(limit=5)
    for counter in range(8):
        found.put(failure(counter, ename=f"E{counter}"))
    assert {kind.ename for kind in found.kinds(T, str)} == {f"E{counter}" for counter in range(3, 8)}
    assert found.forgotten_kinds == 3


def test_kinds_are_found_by_key_and_by_task() -> None:
    found = Failures()
    found.put(failure(1))
    found.put(failure(2, ename="KeyError"))
    row = failure(2, ename="KeyError")
    key = found.key_of(row.task)
    assert key is not None
    kind = found.kind(key, T, str)
    assert kind is not None and kind.ename == "KeyError"
    assert found.key_of(12345) is None and found.kind(99, T, str) is None
    assert found.counts() == {"ValueError": 1, "KeyError": 1}


def test_foreign_text_is_made_safe() -> None:
    found = Failures()
    found.put(failure(1, "x\x1b]0;t\x07y", ename="E\x1b[31m", name="f\n", traceback="a\x1b[2Jb\r\nc\x00"))
    (kind,) = found.kinds(T, str)
    (instance,) = kind.instances
    assert (kind.ename, kind.message, kind.names) == ("E", "xy", ("f ",))
    assert (instance.evalue, instance.traceback) == ("xy", "ab\nc\ufffd")
