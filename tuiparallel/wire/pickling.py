"""Pickles: the fast C pickler where it will do, and one that knows arrays and by-value functions where it will not.

The fast one pickles functions and classes by reference and arrays as writable ones. So its output is only used when
it holds no sign of those: no buffer, no array, no name of `__main__`, nor of a module whose parts travel otherwise.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
import weakref
from collections.abc import Iterable
from pickle import PickleBuffer
from typing import Any

from cloudpickle import cloudpickle

from tuiparallel.wire import arrays, names

PROTOCOL = 5

_marked: weakref.WeakSet[types.FunctionType] = weakref.WeakSet()  # by interactive
_suspects: list[bytes] = [b"__main__", b"reconstruct", b"_frombuffer"]


def mark_by_value(function: types.FunctionType) -> None:
    """Let this function travel by value, though it may be importable."""
    _marked.add(function)
    suspect(function.__module__)


def suspect(module: str) -> None:
    """Never trust the fast pickler with what names this module."""
    if module.encode() not in _suspects:
        _suspects.append(module.encode())


def dumps(value: Any) -> tuple[bytes, list[PickleBuffer]]:
    """A pickle and its out-of-band buffers. Raises whatever the value's own code raises."""
    buffers: list[PickleBuffer] = []
    try:
        stream = pickle.dumps(value, PROTOCOL, buffer_callback=buffers.append)
    except Exception:
        return dumps_fully(value)
    if buffers:
        return dumps_fully(value)
    for sign in _suspects:
        if sign in stream:
            return dumps_fully(value)
    for module in cloudpickle._PICKLE_BY_VALUE_MODULES:  # whoever uses cloudpickle's own registry means us too
        if module.encode() in stream:
            return dumps_fully(value)
    return stream, buffers


def dumps_fully(value: Any) -> tuple[bytes, list[PickleBuffer]]:
    """The same by the thorough pickler: functions and classes of `__main__` by value, arrays read-only."""
    buffers: list[PickleBuffer] = []
    with io.BytesIO() as file:
        Pickler(file, buffers).dump(value)
        return file.getvalue(), buffers


def loads(stream: Any, buffers: Iterable[Any] = ()) -> Any:
    """The value of a pickle. Buffers should be read-only views: what is made of them is as writable as they are."""
    return pickle.loads(stream, buffers=buffers)


def any_module_by_value() -> bool:
    """Whether cloudpickle was told to send the contents of some module by value."""
    return bool(cloudpickle._PICKLE_BY_VALUE_MODULES)


def is_by_reference(thing: Any) -> bool:
    """Whether a function or class travels as the name that it can be imported by."""
    if isinstance(thing, types.FunctionType) and (thing in _marked or names.inner(thing) is not thing):
        return False
    return bool(cloudpickle._should_pickle_by_reference(thing))


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's, with our way for functions, classes, arrays and memoryviews."""

    def __init__(self, file: io.BytesIO, buffers: list[PickleBuffer]) -> None:
        super().__init__(file, PROTOCOL, buffers.append)
        self._origins: dict[int, _Sender] = {}
        self._cells: set[int] = set()
        numpy = sys.modules.get("numpy")
        self._array: type | tuple[()] = getattr(numpy, "ndarray", ()) if numpy is not None else ()

    def reducer_override(self, thing: Any) -> Any:
        """How pickle asks for anything that is not one of its basic types."""
        kind = type(thing)
        if kind is types.FunctionType:
            return NotImplemented if is_by_reference(thing) else self._reduce_function(thing)
        if kind is types.CodeType:  # cloudpickle from 3.1.3 on leaves the file out, which tracebacks need
            make, arguments = cloudpickle._code_reduce(thing)
            return names.make_code, (thing.co_filename, make, *arguments)
        if kind is _Sender:
            return names.Origin, (thing.module,)
        if kind is memoryview:
            return arrays.reduce_view(thing)
        if kind is types.CellType and id(thing) in self._cells:
            return names.new_cell, ()
        if self._array and isinstance(thing, self._array):
            return arrays.reduce_array(thing)
        try:
            is_class = issubclass(kind, type)
        except TypeError:  # some extension types have a metaclass that is none
            is_class = False
        return _reduce_class(thing) if is_class else NotImplemented

    def _reduce_function(self, outer: types.FunctionType) -> Any:
        function = names.inner(outer)
        code = function.__code__
        origin = self._origins.get(id(function.__globals__))
        if origin is None:
            origin = _Sender(function.__module__ or "__main__")
            self._origins[id(function.__globals__)] = origin
        travelling = names.travelling(function)
        cells = function.__closure__ or ()
        self._cells.update(map(id, cells))
        contents = [(index, cell.cell_contents) for index, cell in enumerate(cells) if _is_full(cell)]
        slots = {
            "__defaults__": function.__defaults__,
            "__kwdefaults__": function.__kwdefaults__,
            "__qualname__": function.__qualname__,
            "__module__": function.__module__,
            "__annotations__": function.__annotations__,
            "__doc__": function.__doc__,
        }
        # Modules used as attributes of a package (xml.dom) are imported there by being in the pickle.
        seen = [*travelling.values(), *(value for _, value in contents)]
        attributes = dict(function.__dict__)
        submodules = cloudpickle._find_imported_submodules(code, seen)
        state = (origin, travelling, contents, slots, attributes, names.source_of(code), submodules)
        shell = not names.uses(code).inner.isdisjoint(travelling)
        arguments = (code, origin, function.__closure__, function.__name__, shell)
        return names.make_function, arguments, state, None, None, names.set_function


class _Sender:
    """Stands for names.Origin while a message is written: one for the functions that share their globals."""

    def __init__(self, module: str) -> None:
        self.module = module


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


# Classes by value -------------------------------------------------------------------------------------------------

_received: weakref.WeakSet[type] = weakref.WeakSet()


def _reduce_class(cls: type) -> Any:
    reduced = cloudpickle._class_reduce(cls)
    if not isinstance(reduced, tuple) or len(reduced) != 6:
        return reduced
    make, arguments, state = reduced[:3]
    return _make_class, (make, *arguments), state, None, None, _set_class


def _make_class(make: Any, *arguments: Any) -> type:
    """Called by pickles: the class of this identity, a new one if it was never met here."""
    identity = arguments[-2]
    known = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(identity)
    if known is not None:
        return known  # type: ignore[no-any-return]
    made: type = make(*arguments)
    _received.add(made)
    return made


def _set_class(cls: type, state: Any) -> None:
    """Called by pickles: fills a class, unless it was defined here: then it comes home and is as it should be."""
    if cls in _received:
        cloudpickle._class_setstate(cls, state)
