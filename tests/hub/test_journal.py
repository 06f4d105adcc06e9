"""When what is in the logbook goes into the history."""

from __future__ import annotations

from math import inf

import pytest

from tests.hub.stage import ClientPeer, EnginePeer, Stage, balanced
from tuiparallel.hub.journal import LONGEST_PENDING, MOST_PENDING, QUIET, SETTLING, WORTH_SETTLING, Journal, Rows
from tuiparallel.wire.states import State


def journal(tasks: int, size: int = 1) -> Journal:
    found = Journal()
    found.pending = Rows(tasks=[(id, int(State.DONE), 0, 1, 0, 0.0, 0.0, 1.0, 1) for id in range(tasks)])
    found.pending_since = found.logged_at = 100.0
    found.pending_bytes = size
    return found


def test_very_many_tasks_and_many_bytes_do_not_wait() -> None:
    assert not journal(MOST_PENDING).ripe(100.0)
    assert journal(MOST_PENDING + 1).ripe(100.0)
    assert journal(1, 5 << 20).ripe(100.0)


def test_few_tasks_wait_until_no_more_come_but_not_for_ever() -> None:
    few = journal(1)
    assert not few.ripe(100.0 + 0.9 * QUIET)
    assert few.ripe(100.0 + 1.1 * QUIET)
    assert few.next_deadline() == pytest.approx(100.0 + QUIET)
    few.logged_at = 100.0 + 0.99 * LONGEST_PENDING  # another turn has been logged
    assert not few.ripe(few.logged_at)
    assert few.next_deadline() == pytest.approx(100.0 + LONGEST_PENDING)
    assert few.ripe(100.0 + 1.1 * LONGEST_PENDING)


def test_nothing_is_never_ripe() -> None:
    assert not Journal().ripe(1e9)
    assert Journal().next_deadline() is None


def test_it_says_how_long_it_takes_once_it_is_worth_it() -> None:
    assert journal(WORTH_SETTLING).seconds == inf
    assert journal(WORTH_SETTLING + 1).seconds == pytest.approx(SETTLING * (WORTH_SETTLING + 1))


def full(stage: Stage, client: ClientPeer, tasks: int) -> list[EnginePeer]:
    """Two engines that hold 1,000 of these tasks each; the rest waits."""
    engines = [stage.engine("e1"), stage.engine("e2")]
    for _ in range(tasks // 1000):
        client.submit(balanced(), 1000)
    stage.until(lambda: all(len(engine.queue) == 1000 for engine in engines))
    stage.until(lambda: len(stage.book.scheduler.lanes) == tasks - 2000)
    return engines


def test_the_last_results_of_a_map_do_not_wait_for_the_history(stage: Stage) -> None:
    client = stage.client()
    for engine in full(stage, client, 2000):
        engine.finish()
    assert client.outcome(0) and client.outcome(1999)
    assert len(stage.book.journal.pending.tasks) == 2000, "on record, and not moved: somebody may submit more"
    stage.rounds(20)  # longer than QUIET
    assert not stage.book.journal.pending.tasks
    assert stage.book._history.size()[0] == 2000


def test_results_are_moved_while_there_is_more_to_be_given_out(stage: Stage) -> None:
    client = stage.client()
    for engine in full(stage, client, 5000):
        engine.finish(*engine.queue[:950])
    assert client.outcome(0) and client.outcome(1000)
    stage.until(lambda: stage.book._history.size()[0] == 1900)
    assert stage.book.now - stage.book.journal.logged_at < QUIET


def test_results_are_moved_while_every_engine_is_busy(stage: Stage) -> None:
    client = stage.client()
    engines = full(stage, client, 2000)
    for engine in engines:
        engine.finish(seconds=0.01)
    assert client.outcome(0) and client.outcome(1999)
    assert len(stage.book.journal.pending.tasks) == 2000
    client.submit(balanced(), 2)
    stage.until(lambda: all(engine.queue for engine in engines))
    stage.until(lambda: not stage.book.journal.pending.tasks, "it is moved at once")
    assert stage.book.now - stage.book.journal.logged_at < QUIET
