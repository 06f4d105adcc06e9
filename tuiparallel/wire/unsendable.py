"""Which part of a value cannot be sent, in words: `argument 1['cfg'].lock: cannot pickle '_thread.lock' object`."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pickle import PicklingError
from typing import Any

from tuiparallel.wire import names, pickling

DEPTH = 50
TRIES = 2000  # parts that are looked at before the search gives up


def whats_wrong(value: Any, what: str, failure: BaseException) -> str:
    """The message of a SerializationError. what: "call" for (args, kwargs), else how people call the value."""
    if what == "call":
        args, kwargs = value
        parts = [(f"argument {number}", part) for number, part in enumerate(args, 1)]
        parts += [(f"argument {name}", part) for name, part in kwargs.items()]
    else:
        parts = [(what, value)]
    search = _Search()
    for path, part in parts:
        if (reason := search.failure(part)) is not None:
            place, culprit, reason = search.deepest(path, part, reason)
            return f"{place}: {_reason(culprit, reason)}"
    return f"{what}: {_reason(value, failure)}"


def refuses(value: Any) -> bool:
    """Whether a class of the user's, or of ours, says itself why its instances cannot be sent."""
    method = getattr(type(value), "__reduce__", None)
    if not isinstance(method, types.FunctionType):
        return False
    try:
        method(value)
    except Exception:
        return True
    return False


def _reason(culprit: Any, failure: BaseException) -> str:
    if isinstance(failure, (TypeError, PicklingError)) and refuses(culprit):
        return str(failure)
    if isinstance(culprit, types.GeneratorType):
        return "cannot pickle a generator: return a list"
    if isinstance(failure, RecursionError) or "recursion" in str(failure):
        return "it is nested too deeply to be pickled"
    text = str(failure)
    if type(culprit).__name__ not in text:
        text = f"{text} (in an object of type {type(culprit).__module__}.{type(culprit).__qualname__})"
    return text if "pickle" in text else f"cannot pickle it: {type(failure).__name__}: {text}"


class _Search:
    def __init__(self) -> None:
        self.tries = 0

    def failure(self, value: Any) -> BaseException | None:
        """Why this cannot be pickled, None when it can."""
        self.tries += 1
        try:
            pickling.dumps(value)
        except Exception as reason:
            return reason
        return None

    def deepest(self, path: str, value: Any, reason: BaseException) -> tuple[str, Any, BaseException]:
        """The innermost part that fails: its path, itself, and why."""
        seen = {id(value)}
        for _ in range(DEPTH):
            if refuses(value):
                break  # its own words say more than what is wrong with its parts
            for name, part in parts_of(value):
                if self.tries > TRIES:
                    return path, value, reason
                if id(part) not in seen and (why := self.failure(part)) is not None:
                    seen.add(id(part))
                    path, value, reason = path + name, part, why
                    break
            else:
                break
        return path, value, reason


def parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, each with how one gets there."""
    if isinstance(value, dict):
        for key, part in list(value.items()):
            yield f"[{key!r}]", part
            yield f" key {key!r}", key
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield f"[{number}]", part
    elif isinstance(value, set | frozenset):
        for part in value:
            yield f" element {part!r:.40}", part
    elif isinstance(value, types.FunctionType):
        yield from _parts_of_function(names.inner(value))
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
        yield ".__func__", value.__func__
    elif isinstance(value, type):
        for name, part in list(vars(value).items()):
            if not name.startswith("__"):
                yield f".{name}", part
    if not isinstance(value, type | types.FunctionType):
        for name, part in list(getattr(value, "__dict__", {}).items()):
            yield f".{name}", part
        for cls in type(value).__mro__:
            slots = cls.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    yield f".{name}", getattr(value, name)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    title = function.__qualname__
    for name, part in names.travelling(function).items():
        yield f", global name {name!r} used by {title}", part
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f", variable {name!r} used by {title}", cell.cell_contents
        except ValueError:
            pass
    for number, part in enumerate(function.__defaults__ or ()):
        yield f", default {number + 1} of {title}", part
    for name, part in (function.__kwdefaults__ or {}).items():
        yield f", default of {name!r} of {title}", part
