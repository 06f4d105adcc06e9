"""Functions across the wire: packed once per state they are in, named by the hash of their bytes, loaded when called.

The code of a function is a FunctionBody in MessagePack; its payload is what wire.objects packs. A function whose
behaviour may change by being called (it holds a list, a dict, an object) is loaded anew for every submission, so that
each call sees the values that its own function was sent with.
"""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Callable, Hashable
from hashlib import blake2b
from typing import Any

import msgspec

from tuiparallel.errors import MessageTooLarge, SerializationError
from tuiparallel.wire import names, objects, pickling, sources
from tuiparallel.wire.held import Holding, holding
from tuiparallel.wire.messages import MAX_FRAME
from tuiparallel.wire.sources import send_by_value

__all__ = ["FunctionCode", "FunctionTable", "interactive", "pack_function", "send_by_value"]

CODE_LIMIT = MAX_FRAME - (1 << 20)  # bytes: it crosses in one frame, together with tasks


class FunctionCode(msgspec.Struct, frozen=True, gc=False):
    """A function as bytes. hash: 16 bytes, of the code. name: for people."""

    hash: bytes
    code: bytes
    name: str


class FunctionBody(msgspec.Struct, array_like=True, gc=False):
    """What FunctionCode.code says: stateful ones are loaded anew for each submission."""

    stateful: bool
    name: str
    payload: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FunctionBody).decode

_packed: weakref.WeakKeyDictionary[Any, tuple[Holding | None, FunctionCode]] = weakref.WeakKeyDictionary()
"""What was packed last of each function that is still alive, with what it then held (None: by reference)."""


def interactive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the function travels by value although its module could be imported, so that it sees the engine's
    namespace.

        >>> rc[0]["a"] = 5
        >>> rc[0].apply_sync(tp.interactive(lambda: a))
        5

    function: a Python function.
    Returns the same function.
    Raises TypeError for anything else. After IPython.parallel's interactive.
    """
    if not isinstance(function, types.FunctionType):
        raise TypeError(f"interactive takes a Python function, not {type(function).__name__}: {function!r}")
    pickling.mark_by_value(function)
    _packed.pop(function, None)
    return function


def name_of(function: Any) -> str:
    """What people call a function: its name, also of a partial, a method, or an object that can be called."""
    while (inside := getattr(function, "func", None)) is not None and callable(inside) and inside is not function:
        function = inside  # functools.partial
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if not isinstance(name, str):
        name = type(function).__qualname__
    return name.rpartition("<locals>.")[2]


def pack_function(function: Callable[..., Any]) -> FunctionCode:
    """A function as bytes, with everything it holds as it is now.

    Raises TypeError when it cannot be called, SerializationError naming what cannot be sent, and MessageTooLarge when
    it and what it holds are too large: what is large should be an argument.
    """
    if isinstance(function, types.FunctionType) or _is_plain_builtin(function):
        cached = _packed.get(function)
        # Sources of registered modules may have changed on disk, and they go along: those are looked at each time.
        if cached is not None and not sources.any_registered() and _is_unchanged(function, cached[0]):
            return cached[1]
        code, held = _pack(function)
        if held is None or held.comparable:
            _packed[function] = (held, code)
        return code
    if not callable(function):
        raise TypeError(f"f must be callable, not {type(function).__name__}: {function!r:.200}")
    return _pack(function)[0]


def _is_plain_builtin(function: Any) -> bool:
    """Whether this is like len; a method like [].append is of the same type, and has something to carry."""
    return type(function) is types.BuiltinFunctionType and isinstance(function.__self__, types.ModuleType)


def _is_unchanged(function: Any, held: Holding | None) -> bool:
    if held is not None:
        return held.same_as(holding(function))
    return (
        type(function) is types.BuiltinFunctionType
        or _is_where_it_was(function)
        or pickling.is_by_reference(function)
    )


def _is_where_it_was(function: Any) -> bool:
    """Whether the name by which a function travelled still leads to it: a quick look, which may miss some."""
    if pickling.any_module_by_value():
        return False
    module = sys.modules.get(function.__module__)
    return module is not None and getattr(module, function.__qualname__, None) is function


def _pack(function: Any) -> tuple[FunctionCode, Holding | None]:
    name = name_of(function)
    by_value = type(function) is types.FunctionType and not pickling.is_by_reference(function)
    held = holding(function) if by_value else None
    try:
        payload = objects.pack(function).body
    except SerializationError as failure:
        raise SerializationError(
            f"function {name} cannot be sent: {str(failure).removeprefix('value, ')}"
        ) from failure
    simple = isinstance(function, types.FunctionType | type) or _is_plain_builtin(function)
    stateful = held.stateful if held is not None else not simple
    code = _encode(FunctionBody(stateful, name, payload))
    if len(code) > CODE_LIMIT:
        raise MessageTooLarge(
            f"function {name} and what it holds come to {len(code):,} bytes, and {CODE_LIMIT:,} is the limit: "
            "pass large values as arguments, or push them once"
        )
    return FunctionCode(blake2b(code, digest_size=16).digest(), code, name), held


class _Entry:
    __slots__ = ("code", "body", "ready", "shared", "submission")

    def __init__(self, code: bytes) -> None:
        self.code = code
        self.body: FunctionBody | None = None
        self.ready: Callable[..., Any] | None = None  # when calls cannot change it
        self.shared: Callable[..., Any] | None = None  # else the one that calls of this submission share
        self.submission: Hashable = None


class FunctionTable:
    """The functions that an engine knows, by hash.

    namespace becomes globals() of all functions that arrive in this process by value; its `__builtins__` is set.
    place says in messages where this is, as in "engine 3 on node7"; set it when the engine knows its id.

    Nothing has to be done around a call: the names that travelled with a function are part of it, and stay with it
    when it is pushed.
    """

    def __init__(self, namespace: dict[str, Any], place: str = "this engine") -> None:
        self.namespace = namespace
        self._entries: dict[bytes, _Entry] = {}
        names.adopt(namespace)
        self.place = place

    @property
    def place(self) -> str:
        """Where this is, for messages."""
        return sources.place()

    @place.setter
    def place(self, text: str) -> None:
        sources.set_place(text)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, hash: bytes) -> bool:
        return hash in self._entries

    def load(self, hash: bytes, code: bytes) -> None:
        """Keep the code of a function; nothing of it is looked at before it is wanted."""
        if hash not in self._entries:
            self._entries[hash] = _Entry(code)

    def get(self, hash: bytes, submission: Hashable = None) -> Callable[..., Any]:
        """The function, ready to be called. Get it before unpacking its arguments: sources may come with it.

        One that holds values a call may change is made anew each time, unless submission (any value that says which
        map this is a part of) is not None and the same as the last time.
        Raises KeyError for an unknown hash, ImportError when a module is missing here, DeserializationError when it
        cannot be loaded for another reason. An error is raised again at each try.
        """
        entry = self._entries[hash]
        if entry.ready is not None:
            return entry.ready
        if submission is not None and submission == entry.submission and entry.shared is not None:
            return entry.shared
        body = entry.body
        if body is None:
            body = entry.body = _decode(entry.code)
        made: Callable[..., Any] = objects.unpack(body.payload, loading=body.name)
        if not body.stateful:
            entry.ready = made
        elif submission is not None:
            entry.shared, entry.submission = made, submission
        return made

    def name(self, hash: bytes) -> str:
        """What people call the function. Raises KeyError for an unknown hash."""
        entry = self._entries[hash]
        if entry.body is None:
            entry.body = _decode(entry.code)
        return entry.body.name

    def forget(self, hash: bytes) -> None:
        """Drop a function; one that is not known does not matter."""
        self._entries.pop(hash, None)

    def clear(self) -> None:
        """Drop all functions."""
        self._entries.clear()
