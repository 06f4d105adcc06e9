"""What the hub says of tasks that were asked for: their Work, and which of them will never come."""

from __future__ import annotations

from typing import Any

import msgspec

from tuiparallel.client.call import Call, ended_here
from tuiparallel.client.jobs import Job
from tuiparallel.client.requests import Request
from tuiparallel.client.session import error_of
from tuiparallel.wire.ids import IdRange
from tuiparallel.wire.messages import ErrorText, Kind, Work
from tuiparallel.wire.states import State


def tell_works(calls: list[Call], request: Request) -> list[tuple[Call, ErrorText]]:
    """Take the Reply to get_result: what the tasks are; returns those that will never come, with the reason."""
    if request.error is not None:
        error = error_of(request.error)
        return [(call, ErrorText(type(error).__name__, str(error), "")) for call in calls]
    body = request.raw
    lost: list[tuple[Call, ErrorText]] = []
    unknown, expired = _set(body["unknown"]), _set(body["expired"])
    whys = {(hex, counter): why for (hex, first, n), why in body["whys"] for counter in range(first, first + n)}
    works = [
        (work["session"], work["first"], work["count"], work_of(work["work"]), work["sizes"])
        for work in body["works"]
    ]
    by_session: dict[str, list[tuple[int, int, Work, dict[int, int]]]] = {}
    for hex, first, count, work, sizes in works:
        by_session.setdefault(hex, []).append((first, count, work, sizes))
    for call in calls:
        job = (call.session, call.first)
        name = f"{call.session}-{call.first}"
        if job in unknown:
            lost.append((call, ErrorText("KeyError", f"no task has the msg_id {name!r}", "")))
        elif job in expired:
            why = whys.get(job, "is forgotten: it was purged, or a limit of the history was reached")
            lost.append((call, ErrorText("ResultExpired", f"the result of {name} {why}", "")))
        for first, count, work, sizes in by_session.get(call.session, ()):
            if first <= call.first < first + count:
                call.work = work
                call.size = sizes.get(call.first)
                if not work.balanced and work.targets:
                    call.targets = [work.targets[call.first - first]]
                break
    return lost


def work_of(raw: Any) -> Work:
    return raw if isinstance(raw, Work) else msgspec.convert(raw, Work)


def _set(found: list[IdRange]) -> set[Job]:
    return {(hex, counter) for hex, first, count in found for counter in range(first, first + count)}


def nobodys(text: str) -> Call:
    """A task that does not exist."""
    call = Call(text, 0, 1, Work(Kind.APPLY, "get_result", True, 0.0), None, None)
    call.settle(0, ended_here(0, State.ERROR, ErrorText("KeyError", f"no task has the msg_id {text!r}", "")), None)
    return call
