"""When what is in the logbook goes into the history."""

from __future__ import annotations

import pytest

from tuiparallel.hub.journal import MOST_PENDING, WORTH_SETTLING, Journal, Rows
from tuiparallel.wire.states import State


def journal(tasks: int, size: int = 1) -> Journal:
    found = Journal()
    found.pending = Rows(tasks=[(id, int(State.DONE), 0, 1, 0, 0.0, 0.0, 1.0, 1) for id in range(tasks)])
    found.pending_since, found.pending_bytes = 100.0, size
    return found


@pytest.mark.parametrize(
    ("tasks", "quiet", "ripe"),
    [
        (1, True, False),
        (WORTH_SETTLING, True, False),
        (WORTH_SETTLING + 1, True, True),
        (WORTH_SETTLING + 1, False, False),
        (MOST_PENDING, False, False),
        (MOST_PENDING + 1, False, True),
    ],
)
def test_many_tasks_wait_for_a_quiet_moment_and_very_many_do_not(tasks: int, quiet: bool, ripe: bool) -> None:
    assert journal(tasks).ripe(100.0, False, quiet) is ripe


def test_few_tasks_wait_until_nothing_arrives_but_not_for_ever() -> None:
    few = journal(1)
    assert not few.ripe(100.01, True, True)
    assert few.ripe(100.021, True, True)
    assert not few.ripe(100.39, False, False)
    assert few.ripe(100.41, False, False)
    assert few.next_deadline() == pytest.approx(100.02)


def test_many_bytes_do_not_wait() -> None:
    assert journal(1, 5 << 20).ripe(100.0, False, False)


def test_nothing_is_never_ripe() -> None:
    assert not Journal().ripe(1e9, True, True)
    assert Journal().next_deadline() is None
