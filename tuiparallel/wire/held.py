"""What a by-value function holds: whether it is still the same as when it was packed, and whether a call may change it.

Values that cannot change are compared by identity. One that can makes the function `stateful`, and not `comparable`:
it has to be packed again each time, since it may have changed in place.
"""

from __future__ import annotations

import enum
import sys
import types
import weakref
from typing import Any

from tuiparallel.wire import names, pickling

FIXED = frozenset({
    int, float, complex, bool, str, bytes, range, type(None), type(...), type(NotImplemented), types.ModuleType,
    types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType, types.MemberDescriptorType,
    types.GetSetDescriptorType, types.CodeType, slice,
})  # fmt: skip
"""Types of values that never change."""

PYTHONS_OWN = frozenset({"dataclasses", "reprlib", "_collections", "typing", "_abc"})
"""Modules whose objects, put into classes by Python itself, do not change."""

DERIVED = frozenset({"_abc_impl", "_field_defaults"})
"""What Python keeps in a class that is a function of the rest, beside names like __dataclass_fields__."""

PARTS_LIMIT = 2000  # parts that are looked at before a function counts as one that has to be packed each time


class Holding:
    """The parts of a function, in a fixed order.

    comparable: all of them can be compared by identity. stateful: a call may change one of them.
    """

    __slots__ = ("parts", "comparable", "stateful")

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.comparable = True
        self.stateful = False

    def same_as(self, other: Holding) -> bool:
        """Whether the function would be packed into the same bytes."""
        if not other.comparable or len(self.parts) != len(other.parts):
            return False
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            if mine is not theirs:
                return False
        return True


def holding(function: types.FunctionType) -> Holding:
    """What this by-value function holds now, and by-value functions that it uses."""
    found = Holding()
    seen: set[int] = set()
    left: list[Any] = [function]
    while left:
        part = left.pop()
        kind = type(part)
        if kind in FIXED:
            found.parts.append(part)
        elif kind is tuple or kind is frozenset:
            found.parts += (kind, len(part))
            left += part
        elif kind is staticmethod or kind is classmethod:
            left.append(part.__func__)
        elif kind is property:
            left += (part.fget, part.fset, part.fdel)
        elif kind is types.FunctionType or isinstance(part, type):
            # Weakly: whoever keeps this Holding must not keep the function alive. A living object has one such ref.
            found.parts.append(weakref.ref(part))
            if id(part) in seen:
                continue
            seen.add(id(part))
            if kind is types.FunctionType:
                if part.__globals__.get("__name__") in PYTHONS_OWN:
                    continue  # such as a dataclass's __repr__, which has a set to notice recursion
                if part is function or not pickling.is_by_reference(part):
                    _function(names.inner(part), found, left)
            elif not issubclass(part, enum.Enum) and not pickling.is_by_reference(part):
                _class(part, left)
        elif kind.__module__ not in PYTHONS_OWN:
            found.comparable = False
            found.stateful = found.stateful or not _is_read_only_array(part)
        if len(found.parts) > PARTS_LIMIT:
            found.comparable = False
            found.stateful = True
            return found
    return found


def _function(function: types.FunctionType, found: Holding, left: list[Any]) -> None:
    code = function.__code__
    attributes = function.__dict__
    if names.uses(code).rebinds or attributes and not all(name.startswith("__") for name in attributes):
        found.stateful = True  # __wrapped__, __isabstractmethod__ and the like are set once
    left.append(code)
    if function.__defaults__:
        left += function.__defaults__
    if function.__kwdefaults__:
        left += function.__kwdefaults__.values()
    for cell in function.__closure__ or ():
        try:
            left.append(cell.cell_contents)
        except ValueError:
            left.append(None)
    left += function.__dict__.values()
    for name, value in names.travelling(function).items():
        left += (name, value)


def _class(cls: type, left: list[Any]) -> None:
    left += cls.__bases__
    for name, value in vars(cls).items():
        if isinstance(value, types.FunctionType) or not (name.startswith("__") or name in DERIVED):
            left += (name, value)


def _is_read_only_array(value: Any) -> bool:
    """An array of numbers arrives read-only: a call cannot change it, though its owner here can."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject
