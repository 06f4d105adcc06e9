"""What is known of one task, as a dict with attribute access and fixed keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tuiparallel.client.call import Call
from tuiparallel.errors import RemoteError
from tuiparallel.wire.ids import IdRange, msg_id
from tuiparallel.wire.messages import Extras, Need
from tuiparallel.wire.states import State

KEYS = (
    "msg_id", "label", "name", "session", "engine_id", "engine_uuid", "host", "submitted", "started", "completed",
    "received", "status", "state", "error", "execute_result", "execute_input", "stdout", "stderr", "outputs", "data",
    "after", "follow", "timeout", "targets", "priority", "retries", "time_limit", "attempts", "size", "result_size",
    "peak_rss",
)  # fmt: skip

ALIASES = {"pyerr": "error", "pyout": "execute_result", "pyin": "execute_input"}


class Metadata(dict[str, Any]):
    """What is known of one task: a dict with fixed keys, which are attributes as well.

        >>> ar = rc[2].apply_async(abs, -1)
        >>> ar.wait(10)
        >>> ar.metadata.engine_id, ar.metadata["status"], ar.metadata.submitted <= ar.metadata.received
        (2, 'ok', True)

    msg_id, name (of the function), label, session (of the client that submitted it): str. engine_id (int),
    engine_uuid, host (str): of the last attempt. submitted, started, completed, received: timezone-aware datetimes,
    UTC; started and completed by the engine's clock. status: None, 'ok' or 'error'. state: 'queued', 'assigned',
    'done', 'error', 'lost', 'aborted' or 'expired'. error: a RemoteError, or None. execute_result: what was displayed
    last, or None. execute_input. stdout, stderr: str. outputs: a list of mime bundles. data: the dict that the task
    published. after, follow: lists of msg_ids; timeout, time_limit: seconds; targets, priority, retries: as
    submitted. attempts: a list of dicts with engine_id, started, ended and outcome. size, result_size, peak_rss:
    bytes.

    What is not known yet is None. pyerr, pyout and pyin are older names of error, execute_result and execute_input,
    which keys() omits. Another attribute is an AttributeError, another key a KeyError.
    """

    def __getattr__(self, name: str) -> Any:
        if name in ALIASES or name in self:
            return self[name]
        raise AttributeError(f"{type(self).__name__} has no key {name!r}; it has {', '.join(KEYS)}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self:
            raise AttributeError(f"{type(self).__name__} has no key {name!r}")
        self[name] = value

    def __missing__(self, key: str) -> Any:
        if key in ALIASES:
            return self[ALIASES[key]]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in ALIASES

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, older names included.

        key: a str. default: what else to return.
        Returns the value.
        Raises nothing.
        """
        return super().get(ALIASES.get(key, key), default)

    def __dir__(self) -> Iterator[str]:
        return iter([*super().__dir__(), *self, *ALIASES])


def metadata_of(call: Call, index: int) -> Metadata:
    """The facts of task number `index` of a call, as they are now."""
    found = Metadata(dict.fromkeys(KEYS))
    counter = call.first + index
    found["msg_id"] = msg_id(call.session, counter)
    found["session"] = call.session
    found["engine_uuid"] = found["host"] = ""
    found["stdout"] = found["stderr"] = ""
    found["outputs"], found["data"], found["attempts"] = [], {}, []
    found["after"], found["follow"] = [], []
    found["state"] = "queued"
    work = call.work
    if work is not None:
        found["name"], found["label"] = work.name, work.label
        found["submitted"] = moment(call.submitted if call.submitted is not None else work.submitted)
        found["after"], found["follow"] = _ids(work.after), _ids(work.follow)
        for key in ("timeout", "priority", "retries", "time_limit"):
            found[key] = getattr(work, key)
        found["targets"] = [call.targets[index]] if call.targets else work.targets if work.balanced else None
    found["size"] = call.size_of(index)
    if call.targets:
        found["engine_id"] = call.targets[index]
    outcome = call.outcomes[index]
    if outcome is None:
        return found
    found["state"] = State(outcome.state).name.lower()
    found["status"] = "ok" if outcome.state == State.DONE else "error"
    if outcome.engine is not None:
        found["engine_id"] = outcome.engine
    place = call.place_of(index)
    if place is not None:
        found["engine_uuid"], found["host"] = place
    found["started"], found["completed"] = moment(outcome.started), moment(outcome.completed)
    found["received"] = moment(call.received[index])
    found["result_size"] = call.result_size(index)
    found["attempts"] = [
        {
            "engine_id": attempt.engine,
            "started": moment(attempt.started),
            "ended": moment(attempt.ended),
            "outcome": attempt.outcome,
        }
        for attempt in outcome.attempts
    ]
    if outcome.state != State.DONE:
        error = call.error(index)
        found["error"] = error
        if isinstance(error, RemoteError) and place is None:
            found["engine_uuid"] = error.engine_info["engine_uuid"]
    if outcome.extras is not None:
        _add_extras(found, call, outcome.extras)
    return found


def _add_extras(found: Metadata, call: Call, extras: Extras) -> None:
    found["stdout"], found["stderr"] = extras.stdout, extras.stderr
    found["outputs"] = list(extras.outputs)
    found["execute_result"] = extras.execute_result
    found["peak_rss"] = extras.peak_rss
    if extras.data is not None:
        found["data"] = call.unpacked(extras.data)


def moment(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as an aware datetime."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _ids(need: Need | None) -> list[str]:
    return [] if need is None else expand(need.tasks)


def expand(ranges: list[IdRange]) -> list[str]:
    """The msg_ids of ranges, in order; texts that are none stand for themselves."""
    return [
        session if counter < 0 else f"{session}-{counter}"
        for session, first, count in ranges
        for counter in range(first, first + count)
    ]
