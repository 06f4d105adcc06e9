"""The names of tasks: a msg_id for people, an integer inside the hub, ranges on the wire.

A msg_id is "<session>-<counter>": the client session's random hex and a number that counts its tasks from 0. The hub
numbers the sessions it has met; a TaskId is that number above 40 bits of counter, so ids of one session are contiguous
and sort by submission.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NewType

TaskId = NewType("TaskId", int)
EngineId = NewType("EngineId", int)
SessionId = NewType("SessionId", int)

COUNTER_BITS = 40
COUNTER_MASK = (1 << COUNTER_BITS) - 1

Span = tuple[int, int]  # first counter (or TaskId), how many
IdRange = tuple[str, int, int]  # session hex, first counter, how many


def task_id(session: int, counter: int) -> TaskId:
    """The TaskId of a session's task: session in the bits above COUNTER_BITS."""
    return TaskId(session << COUNTER_BITS | counter)


def counter_of(task: int) -> int:
    """The counter of a TaskId within its session."""
    return task & COUNTER_MASK


def session_of(task: int) -> SessionId:
    """The session number of a TaskId."""
    return SessionId(task >> COUNTER_BITS)


def msg_id(session: str, counter: int) -> str:
    """The name people see."""
    return f"{session}-{counter}"


def parse_msg_id(text: str) -> tuple[str, int]:
    """Session hex and counter of a msg_id. Raises ValueError when it is none."""
    session, dash, counter = text.rpartition("-")
    if not dash or not session or not counter.isdecimal() or not counter.isascii():
        raise ValueError(
            f"{text!r} is not a msg_id: it should be a session, a dash and a number, as in '3f9c0a12-118'"
        )
    number = int(counter)
    if number > COUNTER_MASK:
        raise ValueError(f"{text!r} is not a msg_id: its number is above {COUNTER_MASK}")
    return session, number


def spans(numbers: Iterable[int]) -> list[Span]:
    """Contiguous runs of ascending integers as (first, count), in the order in which they come."""
    if isinstance(numbers, range) and numbers.step == 1:
        return [(numbers.start, len(numbers))] if numbers else []
    found: list[Span] = []
    first = count = 0
    for number in numbers:
        if count and number == first + count:
            count += 1
            continue
        if count:
            found.append((first, count))
        first, count = number, 1
    if count:
        found.append((first, count))
    return found


def unspan(runs: Iterable[Span]) -> Iterator[int]:
    """The integers of runs, in order: the inverse of spans."""
    for first, count in runs:
        yield from range(first, first + count)
