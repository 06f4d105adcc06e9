"""The flags of views: what they may be, and looking them up per thread."""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from tuiparallel.client.dependency import Dependency, as_need

LABEL_LIMIT = 256  # characters
PRIORITIES = (-1000, 1000)
RETRY_ON = ("error", "death", "any")


def _bool(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
        return bool(value)
    raise TypeError(f"{name} is True or False, not {value!r}")


def _label(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str or None, not {value!r}")
    if len(value) > LABEL_LIMIT:
        raise ValueError(f"{name} has {len(value)} characters: at most {LABEL_LIMIT} are allowed")
    return value


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds or None, not {value!r}")
    return float(value)


def _time_limit(name: str, value: Any) -> float | None:
    found = _number(name, value)
    if found is not None and not found > 0:
        raise ValueError(f"{name}={value!r}: it must be > 0 seconds, or None")
    return None if found == math.inf else found


def _timeout(name: str, value: Any) -> float | None:
    found = _number(name, value)
    if found is not None and not found >= 0:
        raise ValueError(f"{name}={value!r}: it must be >= 0 seconds, or None for no limit")
    return None if found in (0, math.inf) else found


def _int(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is an int, not {value!r}")
    return int(value.__index__())


def _retries(name: str, value: Any) -> int:
    found = _int(name, value)
    if not 0 <= found < 2**31:
        raise ValueError(f"{name}={found}: it must be >= 0, the attempts after the first one")
    return found


def _priority(name: str, value: Any) -> int:
    found = _int(name, value)
    low, high = PRIORITIES
    if not low <= found <= high:
        raise ValueError(f"{name}={found}: it must be from {low} to {high}")
    return found


def _retry_on(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {value!r}")
    if value not in RETRY_ON:
        raise ValueError(f"{name}={value!r}: it must be one of {', '.join(map(repr, RETRY_ON))}")
    return value


def _after(name: str, value: Any) -> Any:
    as_need(name, value)  # raises for what stands for no tasks
    # A dict is a Dependency that has been through JSON or a file.
    return Dependency.from_dict(value) if isinstance(value, dict) else value


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "block": _bool,
    "track": _bool,
    "label": _label,
    "time_limit": _time_limit,
    "after": _after,
    "follow": _after,
    "timeout": _timeout,
    "retries": _retries,
    "retry_on": _retry_on,
    "priority": _priority,
}

DEFAULTS: dict[str, Any] = {
    "block": False, "track": False, "targets": None, "label": None, "time_limit": None, "after": None, "follow": None,
    "timeout": None, "retries": 0, "retry_on": "any", "priority": 0,
}  # fmt: skip


def meant(name: str, known: Iterable[str]) -> str:
    """The hint of an error about an unknown name."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


def given(name: str, value: Any, otherwise: Any) -> Any:
    """A checked argument of a call, or what holds when it is None."""
    return otherwise if value is None else CHECKS[name](name, value)


class Flag:
    """An attribute of a Flagged object that is one of its flags."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, flagged: Flagged | None, owner: type) -> Any:
        return self if flagged is None else flagged._flag(self.name)

    def __set__(self, flagged: Flagged, value: Any) -> None:
        flagged._set_flag(self.name, value)


class Flagged:
    """Something with flags: attributes that set_flags changes, and temp_flags for a block and thread alone."""

    FLAGS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **flags: Any) -> None:
        self._flags = {name: DEFAULTS[name] for name in self.FLAGS}
        self._layers = threading.local()
        self._layered = 0  # temp_flags blocks that are open, in all threads
        self._layered_lock = threading.Lock()
        for name, value in flags.items():
            self._flags[name] = self._checked(name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_" and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}: {meant(name, self.FLAGS)}")
        object.__setattr__(self, name, value)

    def _checked(self, name: str, value: Any) -> Any:
        if name not in self.FLAGS:
            raise KeyError(f"{type(self).__name__} has no flag {name!r}: {meant(name, self.FLAGS)}")
        check = CHECKS.get(name)
        return self._checked_targets(value) if check is None else check(name, value)

    def _checked_targets(self, value: Any) -> Any:
        return value

    def _flag(self, name: str) -> Any:
        if self._layered:
            for layer in reversed(getattr(self._layers, "stack", ())):
                if name in layer:
                    return layer[name]
        return self._flags[name]

    def _set_flag(self, name: str, value: Any) -> None:
        checked = self._checked(name, value)
        if self._layered:
            for layer in reversed(getattr(self._layers, "stack", ())):
                if name in layer:
                    layer[name] = checked
                    return
        self._flags = {**self._flags, name: checked}

    def _flags_now(self) -> dict[str, Any]:
        """All flags as this thread sees them; the same object as long as nothing changes."""
        if self._layered and (stack := getattr(self._layers, "stack", None)):
            found = dict(self._flags)
            for layer in stack:
                found |= layer
            return found
        return self._flags

    def set_flags(self, **flags: Any) -> Self:
        """Set flags of this view, for all its later calls in all threads; the same as assigning to attributes of
        these names.

            >>> rc[0].set_flags(block=True, label="mine").apply(abs, -1)
            1

        flags of every view: block (bool: methods wait and return results instead of AsyncResults), track (bool:
        `sent` and wait_on_send of results tell when an array that was sent may be changed again), targets (as
        Client's methods that make views take them), label (str of at most 256 characters, or None; shown with the
        tasks), time_limit (seconds per attempt, > 0, or None; then the task is ended with TaskTimeout).

        A LoadBalancedView also has after and follow (a msg_id, AsyncResult, Dependency or its as_dict(), or a
        collection of msg_ids and AsyncResults: what tasks wait for, and where they run), timeout (seconds for these
        to be met, None and 0: no limit; then DependencyTimeout), retries (int >= 0: attempts after the first one),
        retry_on ('error', 'death' of the engine, or 'any'), priority (int, -1000 to 1000; higher ones first).

        Returns the view itself.
        Raises KeyError for an unknown flag (it names the nearest one), TypeError and ValueError for a value that it
        cannot have; then no flag was set.
        """
        checked = {name: self._checked(name, value) for name, value in flags.items()}
        for name, value in checked.items():
            self._set_flag(name, value)
        return self

    @contextmanager
    def temp_flags(self, **flags: Any) -> Iterator[Self]:
        """A context manager: flags for the calls of its block, in this thread; other threads do not see them.

            >>> first = lview.apply_async(time.sleep, 0.1)
            >>> with lview.temp_flags(after=first, label="second"):
            ...     second = lview.apply_async(abs, -1)
            >>> second.get(timeout=10), second.metadata.label, second.started >= first.completed
            (1, 'second', True)

        flags: as for set_flags.
        Returns a context manager that gives the view.
        Raises KeyError, TypeError and ValueError as set_flags does.
        """
        layer = {name: self._checked(name, value) for name, value in flags.items()}
        stack = getattr(self._layers, "stack", None)
        if stack is None:
            stack = self._layers.stack = []
        stack.append(layer)
        with self._layered_lock:
            self._layered += 1
        try:
            yield self
        finally:
            with self._layered_lock:
                self._layered -= 1
            stack.remove(layer)
