"""Exceptions to text and back: an engine writes an ErrorText, a client makes a RemoteError of it.

The pickled exception goes along where that is possible, and is only loaded in a `try`.
"""

from __future__ import annotations

import builtins
import functools
import os
import traceback
from typing import Any

from tuiparallel.errors import HUB_ERRORS, LOCAL_ERRORS, RemoteError
from tuiparallel.wire import names, objects, sources
from tuiparallel.wire.messages import ErrorText

OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
TEXT_LIMIT = 100_000  # characters of a message or a traceback
PICKLE_LIMIT = 256 << 10  # bytes of an exception's pickle; a larger one arrives as text alone

STEERING = ("StopIteration", "StopAsyncIteration", "TimeoutError", "CancelledError")
"""Classes that would steer the caller's own loops and waits: what a task raised is then a plain RemoteError."""


# On the engine ----------------------------------------------------------------------------------------------------


def from_exception(
    failure: BaseException,
    engine: int | None = None,
    uuid: str = "",
    method: str = "apply",
    *,
    task: str = "a task",
    pickled: bool = True,
) -> ErrorText:
    """An exception as text, with the frames of the user's code; pickled=False leaves the exception itself out.

    task: the function's name; a module that is missing on an engine is named with it, with the engine and the cure.
    """
    if isinstance(failure, ModuleNotFoundError) and sources.place():
        sources.explained(failure, task)
    # A task that is a client itself may fail with what its own task failed with: that is then the name people know.
    remote = failure if isinstance(failure, RemoteError) else None
    return ErrorText(
        ename=remote.ename if remote else type(failure).__name__,
        evalue=_cut(remote.evalue if remote else _words(failure)),
        traceback=_cut(traceback_text(failure)),
        engine=engine,
        engine_uuid=uuid,
        method=method,
        pickled=_pickled(failure) if pickled else None,
    )


def traceback_text(failure: BaseException) -> str:
    """The traceback as Python prints it, without the frames of tuiparallel that called the user's code."""
    try:
        story = traceback.TracebackException.from_exception(failure)
        _without_own_frames(story, set())
        return "".join(story.format())
    except Exception as problem:  # a hostile __str__, or a broken source file
        return f"{type(failure).__name__} (its traceback cannot be shown: {type(problem).__name__})"


def _without_own_frames(story: traceback.TracebackException | None, seen: set[int]) -> None:
    while story is not None and id(story) not in seen:
        seen.add(id(story))
        frames = [frame for frame in story.stack if frame.filename != names.__file__]
        while frames and _is_own(frames[0].filename):
            del frames[0]
        story.stack[:] = frames
        for part in getattr(story, "exceptions", None) or ():
            _without_own_frames(part, seen)
        _without_own_frames(story.__cause__, seen)
        story = story.__context__


def _is_own(filename: str) -> bool:
    return filename.startswith(OWN_FOLDER)


def _words(failure: BaseException) -> str:
    try:
        return str(failure)
    except Exception as problem:
        return f"(str() of this {type(failure).__name__} raised {type(problem).__name__})"


def _cut(text: str) -> str:
    if len(text) <= TEXT_LIMIT:
        return text
    half = TEXT_LIMIT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters left out ...\n{text[-half:]}"


def _pickled(failure: BaseException) -> bytes | None:
    if not isinstance(failure, Exception):
        return None
    try:
        body = objects.pack(failure).body
    except Exception:
        return None
    return body if len(body) <= PICKLE_LIMIT else None


# On the client ----------------------------------------------------------------------------------------------------


def to_exception(text: ErrorText) -> RemoteError:
    """The exception that a task's ErrorText stands for.

    An error of the hub gets its own class. One of user code gets a class made of RemoteError and the original class
    where that can be loaded; `except RemoteError` catches it in any case. Never raises.
    """
    info = {"engine_id": text.engine, "engine_uuid": text.engine_uuid, "method": text.method}
    parts = (text.ename, text.evalue, text.traceback, info)
    if text.pickled is None:
        if not text.traceback and (hub_class := HUB_ERRORS.get(text.ename)) is not None:
            return hub_class(*parts, facts=dict(text.facts))
        if not text.traceback and (cls := _class_by_name(text.ename)) is not None:
            return _mixed(cls, None, parts) or RemoteError(*parts, facts=dict(text.facts))
        return RemoteError(*parts, facts=dict(text.facts))
    original = _loaded(text.pickled)
    error = None
    if original is not None:
        error = _mixed(type(original), original, parts)
    if error is None:
        error = RemoteError(*parts)
    else:
        error.__dict__["_text"] = text  # how it pickles
    error.facts = {**error.facts, **text.facts}
    error.original = original
    return error


def to_local(text: ErrorText) -> Exception:
    """The exception for the answer to a question that was asked here: of its own class, where that is one of errors.py
    or of Python. Never raises.
    """
    if text.pickled is None and not text.traceback and text.ename not in HUB_ERRORS:
        cls = LOCAL_ERRORS.get(text.ename) or _class_by_name(text.ename)
        if cls is not None and issubclass(cls, Exception):
            try:
                return cls(text.evalue)
            except Exception:  # a class that one message is not enough for, such as UnicodeDecodeError
                pass
    return to_exception(text)


def _class_by_name(name: str) -> type[BaseException] | None:
    found = LOCAL_ERRORS.get(name) or vars(builtins).get(name)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _loaded(pickled: bytes) -> BaseException | None:
    try:
        original = objects.unpack(pickled)
    except Exception:
        return None
    return original if isinstance(original, BaseException) else None


def _mixed(cls: type[BaseException], original: BaseException | None, parts: tuple[Any, ...]) -> RemoteError | None:
    try:
        made = _mixed_class(cls)  # type: ignore[arg-type]
        if made is None:
            return None
        error: RemoteError = _first_builtin(made).__new__(made)
        if original is not None:
            error.__dict__.update(original.__dict__)
            _copy_slots(cls, original, error)
        error.__dict__.pop("__notes__", None)
        RemoteError.__init__(error, *parts)
    except Exception:  # classes may do anything when they are derived from, made or asked
        return None
    return error


@functools.lru_cache(maxsize=256)
def _mixed_class(cls: type) -> Any:
    if not issubclass(cls, Exception) or any(base.__name__ in STEERING for base in cls.__mro__):
        return None
    inner = issubclass(cls, RemoteError)  # of a task that was a client itself
    bases: tuple[type, ...] = (cls,) if inner else (RemoteError, cls)
    body: dict[str, Any] = {
        "__module__": RemoteError.__module__,
        "__doc__": cls.__doc__,
        "_kind": _kind,
        "__reduce__": _reduce,
    }
    body |= {"__str__": RemoteError.__str__, "__repr__": RemoteError.__repr__, "__init__": RemoteError.__init__}
    return type(cls.__name__ if inner else f"Remote{cls.__name__}", bases, body)


def _kind(error: RemoteError) -> str:
    return "RemoteError"


def _reduce(error: RemoteError) -> tuple[Any, ...]:
    text = error.__dict__.get("_text")
    if text is None:
        return RemoteError, (error.ename, error.evalue, error.traceback, error.engine_info)
    return to_exception, (text,)


def _first_builtin(cls: type) -> Any:
    """The class whose __new__ is made for this layout: the nearest one written in C that it extends."""
    while cls.__flags__ & 1 << 9:  # Py_TPFLAGS_HEAPTYPE
        assert cls.__base__ is not None
        cls = cls.__base__
    return cls


def _copy_slots(cls: type[BaseException], original: BaseException, error: RemoteError) -> None:
    """What builtin exceptions keep outside __dict__: errno, filename, name, lineno and the like; and __slots__."""
    for base in cls.__mro__:
        if base in (BaseException, Exception, object):
            continue
        for name, member in vars(base).items():
            if name == "args" or not hasattr(type(member), "__set__") or isinstance(member, property):
                continue
            try:
                setattr(error, name, getattr(original, name))
            except (AttributeError, TypeError):
                continue
