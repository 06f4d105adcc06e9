"""What is written is read again; what is damaged is answered as forgotten; what is forgotten leaves nothing."""

from __future__ import annotations

import random
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.stage import balanced
from tuiparallel.hub.history import History
from tuiparallel.hub.keeping import _stretches
from tuiparallel.hub.schema import TaskRecord
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import ErrorText, Extras, Ran, Work
from tuiparallel.wire.states import State

FIRST = task_id(1, 0)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.db")
    yield history
    history.close()


def batch_of(first: int = FIRST, count: int = 2, work: Work | None = None, **more: object) -> Batch:
    return Batch(first, count, work or balanced("f"), b"hash", b"code", [b"one", b"two"][:count], **more)  # type: ignore[arg-type]


def record(id: int, state: State, bundle: int, first: int = FIRST, engine: int | None = 0) -> TaskRecord:
    return (id, first, int(state), engine, 1, 1.0, 2.0, 3.0, bundle)


def ran(id: int, body: bytes = b"value", extras: Extras | None = None) -> Ran:
    return Ran(id, 1, True, 1.0, 2.0, body, extras)


def fill(history: History, ended: bool = True) -> None:
    """Session 1 with one submission of two tasks, both ended in bundle 1."""
    history.begin()
    history.put_session(1, "aa", "here", 7, "who", 100.0)
    history.put_function(b"hash", b"code")
    history.put_batch(batch_of(blobs=[(0, "1-1-0123456789abcdef", 50)]), 100.0)
    if ended:
        history.put_bundle(1, [ran(FIRST), ran(FIRST + 1, extras=Extras(error=ErrorText("E", "v", "")))], 101.0)
        history.put_tasks([record(FIRST, State.DONE, 1), record(FIRST + 1, State.ERROR, 1)])
        history.end_batches([FIRST])
    history.commit()


def reopened(history: History) -> History:
    history.close()
    return History(history.path)


def damage(path: Path, sql: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(sql)
    db.close()


def test_everything_is_read_as_it_was_written(history: History) -> None:
    fill(history)
    history.begin()
    history.put_attempt(FIRST, 1, 0, 1.0, 2.0, "error")
    history.put_engine(0, "u0", "here", 5, 100.0, None)
    history.put_engine(1, "u1", "here", 6, 100.0, 0)
    history.engine_gone(0, 200.0, "died")
    history.put_lease(9, 1, [(FIRST, 2)])
    history.put_fact("colour", "blue")
    history.put_resubmit(FIRST, FIRST + 1)
    history.commit()
    again = reopened(history)
    try:
        assert again.tasks([FIRST, FIRST + 1, 5]) == {
            FIRST: record(FIRST, State.DONE, 1),
            FIRST + 1: record(FIRST + 1, State.ERROR, 1),
        }
        assert [one.body for one in again.bundle(1)] == [b"value", b"value"]
        assert again.calls_of(FIRST) == ([b"one", b"two"], b"code")
        row = again.batch_row(FIRST + 1)
        assert row is not None and row[:2] == (FIRST, 2) and row[3].name == "f"
        assert again.batch_row(FIRST + 2) is None
        assert again.attempts_of(FIRST) == [(1, 0, 1.0, 2.0, "error")] and again.attempts_by_task() == {FIRST: 1}
        assert [engine.uuid for engine in again.living_engines()] == ["u1"] and again.next_engine_id() == 2
        assert list(again.leases()) == [(9, 1, [(FIRST, 2)])] and again.next_lease() == 10
        assert again.next_bundle() == 2 and again.fact("colour") == "blue" and again.fact("nothing") is None
        assert again.counts() == {State.DONE: 1, State.ERROR: 1} and again.size()[0] == 2
        assert [(one.hex, one.next) for one in again.sessions()] == [("aa", 2)]
        assert again.blobs() == {"1-1-0123456789abcdef": 50} and again.resubmitted_as(FIRST) == FIRST + 1
        assert list(again.open_batches()) == []
    finally:
        again.close()


def test_open_submissions_come_with_their_open_tasks(history: History) -> None:
    fill(history, ended=False)
    history.begin()
    history.put_bundle(1, [ran(FIRST)], 101.0)
    history.put_tasks([record(FIRST, State.DONE, 1)])
    history.commit()
    [(batch, left)] = history.open_batches()
    assert left == [FIRST + 1] and batch.code == b"code" and batch.calls == [b"one", b"two"]


def test_p5_a_second_outcome_changes_nothing(history: History) -> None:
    fill(history)
    history.begin()
    history.put_tasks([record(FIRST, State.LOST, 2)])
    history.commit()
    assert history.tasks([FIRST])[FIRST] == record(FIRST, State.DONE, 1)


def test_an_unmet_dependency_is_no_attempt(history: History) -> None:
    fill(history)
    history.begin()
    history.put_attempt(FIRST, 1, 0, 1.0, 2.0, "unmet")
    history.commit()
    assert history.attempts_by_task() == {} and len(history.attempts_of(FIRST)) == 1


@pytest.mark.parametrize("column", ["calls", "work"])
def test_damaged_arguments_are_forgotten(history: History, column: str) -> None:
    fill(history, ended=False)
    history.close()
    damage(history.path, f"UPDATE batches SET {column} = zeroblob(length({column}))")
    again = History(history.path)
    try:
        assert list(again.open_batches()) == [] and again.damaged == [(FIRST, 2)]
        assert again.calls_of(FIRST) is None
        assert again.batch_row(FIRST) is not None and again.work_of(FIRST).name in ("f", "damaged")
    finally:
        again.close()


def test_damaged_results_are_forgotten(history: History) -> None:
    fill(history)
    history.close()
    damage(history.path, "UPDATE bundles SET body = zeroblob(length(body))")
    again = History(history.path)
    try:
        assert again.bundle(1) == [] and again.bundle(99) == []
    finally:
        again.close()


def test_damaged_leases_make_the_history_useless(history: History) -> None:
    history.begin()
    history.put_lease(3, 0, [(FIRST, 2)])
    history.commit()
    history.close()
    damage(history.path, "UPDATE leases SET tasks = zeroblob(length(tasks))")
    again = History(history.path)
    try:
        with pytest.raises(sqlite3.DatabaseError):
            list(again.leases())
        again.begin_anew("its leases are damaged")
        assert list(again.leases()) == [] and again.moved_aside is not None and again.moved_aside.exists()
    finally:
        again.close()


@pytest.mark.parametrize("where", [0, 20, 4096])
def test_f23_a_damaged_file_is_moved_aside_and_an_empty_one_begins(history: History, where: int) -> None:
    fill(history)
    history.close()
    content = bytearray(history.path.read_bytes())
    content[where : where + 200] = b"\xff" * 200
    history.path.write_bytes(content)
    again = History(history.path)
    try:
        assert again.moved_aside == history.path.with_name("history.corrupt-0.db")
        assert again.counts() == {} and again.moved_aside.stat().st_size == len(content)
    finally:
        again.close()


def test_f23_flips_never_crash_and_never_give_wrong_bodies(tmp_path: Path) -> None:
    original = History(tmp_path / "history.db")
    fill(original)
    original.close()
    content = original.path.read_bytes()
    dice = random.Random(23)
    aside = 0
    for number in range(60):
        folder = tmp_path / str(number)
        folder.mkdir()
        damaged = bytearray(content)
        for _ in range(3):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        (folder / "history.db").write_bytes(damaged)
        history = History(folder / "history.db")
        try:
            aside += history.moved_aside is not None
            assert [one.body for one in history.bundle(1)] in ([], [b"value", b"value"])
            assert history.calls_of(FIRST) in (None, ([b"one", b"two"], b"code"), ([b"one", b"two"], None))
            list(history.open_batches())
        finally:
            history.close()
    assert aside < 60


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 8192])
def test_f23_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.db").write_bytes(content)
    history = History(tmp_path / "history.db")
    fill(history)
    assert history.size()[0] == 2
    history.close()


def test_nobody_else_can_read_it_and_no_second_connection_opens_it(history: History) -> None:
    fill(history)
    for file in history.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        History(history.path)


def test_a_rolled_back_turn_leaves_nothing(history: History) -> None:
    history.begin()
    history.put_session(1, "aa", "h", 1, "w", 0.0)
    history.rollback()
    history.rollback()
    assert history.sessions() == []


def test_forgetting_a_submission_takes_everything_along(history: History) -> None:
    fill(history)
    history.begin()
    history.put_attempt(FIRST, 1, 0, 1.0, 2.0, "error")
    history.put_resubmit(FIRST, 77)
    names, number = history.forget_batch(FIRST, 2)
    history.sweep()
    history.commit()
    assert (names, number) == (["1-1-0123456789abcdef"], 2)
    for table in ("tasks", "batches", "bundles", "uses", "attempts", "blobs", "functions", "resubmits"):
        assert history.query(f"SELECT * FROM {table}") == [], table
    assert history.sessions()[0].next == 2, "what is forgotten is never taken for new"


def test_submissions_that_follow_each_other_are_forgotten_as_one(history: History) -> None:
    fill(history)
    second = task_id(1, 2)
    history.begin()
    history.put_batch(batch_of(second), 101.0)
    history.put_bundle(2, [ran(second), ran(second + 1)], 102.0)
    history.put_tasks([record(id, State.DONE, 2, second) for id in (second, second + 1)])
    history.end_batches([second])
    assert _stretches({(FIRST, 2): "history_rows", (second, 2): "history_rows", (second + 9, 1): "history_rows"}) == [
        (FIRST, 4, "history_rows"),
        (second + 9, 1, "history_rows"),
    ]
    assert history.forget_batch(FIRST, 4)[1] == 4
    history.commit()
    for table in ("tasks", "batches", "bundles", "uses"):
        assert history.query(f"SELECT * FROM {table}") == [], table
    assert history.sessions()[0].next == 4


def test_free_pages_are_given_back_but_for_those_that_are_filled_again_soon(history: History) -> None:
    history.begin()
    for number in range(500):
        history.put_fact(f"{number}", "x" * 4000)
    history.commit()
    pages = history.query("PRAGMA page_count")[0][0]
    history.begin()
    history.query("DELETE FROM facts")
    history.commit()
    for _ in range(4):
        history.vacuum()
    left = history.query("PRAGMA page_count")[0][0]
    assert left < pages // 4
    assert 0 < history.query("PRAGMA freelist_count")[0][0] <= left // 8


def test_a_bundle_stays_as_long_as_one_of_its_tasks(history: History) -> None:
    fill(history)
    second = task_id(1, 2)
    history.begin()
    history.put_batch(
        Batch(second, 1, balanced("g"), b"hash", None, [b"x"], [(0, "1-1-0123456789abcdef", 50)]), 101.0
    )
    history.put_bundle(2, [ran(second)], 102.0)
    history.put_tasks([record(second, State.DONE, 2, second)])
    history.end_batches([second])
    names, number = history.forget_tasks([FIRST, 12345])
    history.commit()
    assert (names, number) == ([], 1) and len(history.bundle(1)) == 2
    history.begin()
    assert history.forget_tasks([FIRST + 1]) == ([], 1)
    history.commit()
    assert history.bundle(1) == [] and history.batch_row(FIRST) is None
    assert history.has_batches(1) and not history.has_batches(2)
    history.begin()
    assert history.forget_batch(second, 1) == (["1-1-0123456789abcdef"], 1)
    history.commit()
    assert not history.has_batches(1)


def test_the_oldest_first_by_an_index(history: History) -> None:
    history.begin()
    for number, at in ((1, 30.0), (2, 10.0), (3, 20.0), (1, 5.0)):
        first = task_id(number, int(at))
        history.put_batch(Batch(first, 1, balanced(), b"", None, [b"x"]), at)
        history.end_batches([first])
    open_one = task_id(4, 0)
    history.put_batch(Batch(open_one, 1, balanced(), b"", None, [b"x"]), 1.0)
    history.commit()
    assert [row[2] for row in history.oldest_ended(3)] == [5.0, 10.0, 20.0]
    assert [row[2] for row in history.oldest_ended(9, {1})] == [10.0, 20.0]
    assert history.oldest_ended(9, with_blobs=True) == []
    plan = history.query("EXPLAIN QUERY PLAN SELECT first FROM batches WHERE ended=1 ORDER BY received LIMIT 1")
    assert "ended_batches" in str(plan)


def test_engines_and_sessions_are_forgotten_but_no_id_is_given_twice(history: History) -> None:
    history.begin()
    for id in range(3):
        history.put_engine(id, f"u{id}", "h", id, 0.0, None)
        history.engine_gone(id, 10.0, "died")
    history.put_session(1, "aa", "h", 1, "w", 0.0)
    history.forget_engines(50.0)
    history.forget_session(1)
    history.commit()
    assert history.next_engine_id() == 3 and history.sessions() == []
    history.vacuum()
    assert history.bytes() > 0
