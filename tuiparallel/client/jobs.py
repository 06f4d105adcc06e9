"""Anything that stands for tasks, as (session, counter) pairs: msg_ids, indices into a history, AsyncResults, and
collections of these.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable, Sequence
from typing import Any

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.errors import NoSuchTask
from tuiparallel.wire.ids import IdRange, parse_msg_id

Job = tuple[str, int]  # session, counter


def resolve(
    jobs: Any, history: Sequence[str], futures: list[concurrent.futures.Future[Any]] | None = None
) -> list[Job]:
    """The tasks that `jobs` stands for, in order.

    Raises TypeError for what stands for none, IndexError for an index outside of the history, NoSuchTask for a text
    that is no msg_id. With `futures` concurrent Futures are accepted too and put there.
    """
    found: list[Job] = []
    _add(jobs, history, futures, found)
    return found


def _add(
    jobs: Any, history: Sequence[str], futures: list[concurrent.futures.Future[Any]] | None, found: list[Job]
) -> None:
    if isinstance(jobs, AsyncResult):
        found += jobs._jobs()
    elif isinstance(jobs, str):
        try:
            found.append(parse_msg_id(jobs))
        except ValueError as error:
            raise NoSuchTask(str(error)) from None
    elif isinstance(jobs, bool):
        raise _no_job(jobs)
    elif isinstance(jobs, int):
        try:
            found.append(parse_msg_id(history[jobs]))
        except IndexError:
            raise IndexError(f"there is no task number {jobs}: the history has {len(history)}") from None
    elif futures is not None and isinstance(jobs, concurrent.futures.Future):
        futures.append(jobs)
    elif isinstance(jobs, Iterable) and not isinstance(jobs, (bytes, bytearray)):
        for job in jobs:
            _add(job, history, futures, found)
    else:
        raise _no_job(jobs)


def _no_job(thing: Any) -> TypeError:
    return TypeError(
        f"{thing!r} stands for no task: give a msg_id, an index into history, an AsyncResult, or a collection of these"
    )


def ranges(jobs: Iterable[Job]) -> list[IdRange]:
    """Tasks as ranges of the wire, in the order in which they come."""
    found: list[IdRange] = []
    hex, first, end = "", 0, -1  # the range that may go on: there may be a hundred thousand tasks
    for session, counter in jobs:
        if counter == end and session == hex:
            end += 1
            continue
        if end >= 0:
            found.append((hex, first, end - first))
        hex, first, end = session, counter, counter + 1
    if end >= 0:
        found.append((hex, first, end - first))
    return found
