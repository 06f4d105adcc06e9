"""Names and signatures out of a namespace without running user code: dictionaries are read, nothing is fetched."""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
from types import ModuleType
from typing import Any

MAX_NAMES = 200
_PATH = re.compile(r"[^\W\d]\w*(?:\s*\.\s*(?:[^\W\d]\w*)?)*\Z")
_NOTHING = object()


def path_before(text: str, cursor: int) -> str:
    """The dotted name that ends at the cursor, empty when there is none."""
    line = text[:cursor].rpartition("\n")[2]
    found = _PATH.search(line)
    if found is None:
        return ""
    start = found.start()
    if start and line[start - 1] in "\"'.":  # an attribute of something that is not a plain name
        return ""
    return re.sub(r"\s", "", found[0])


def complete(text: str, cursor: int, names: dict[str, Any]) -> list[str]:
    """What the word at the cursor may become, whole words; at most MAX_NAMES, private ones only when asked for."""
    path = path_before(text, cursor)
    owner, dot, prefix = path.rpartition(".")
    if dot:
        holder = resolve(owner, names)
        found = attributes(holder) if holder is not _NOTHING else set()
    elif path:
        found = {name for name in names if isinstance(name, str)} | set(vars(builtins)) | set(keyword.kwlist)
    else:
        return []
    matching = sorted(
        (name for name in found if name.startswith(prefix) and (prefix.startswith("_") or not name.startswith("_"))),
        key=lambda name: (name.lower(), name),
    )
    return matching[:MAX_NAMES]


def resolve(path: str, names: dict[str, Any]) -> Any:
    """What a dotted name stands for, found in dictionaries alone; _NOTHING when it would have to be computed."""
    first, *rest = path.split(".")
    value = names.get(first, _NOTHING)
    if value is _NOTHING:
        value = vars(builtins).get(first, _NOTHING)
    for name in rest:
        if value is _NOTHING:
            break
        value = _stored(value, name)
    return value


def _stored(holder: Any, name: str) -> Any:
    if isinstance(holder, ModuleType):
        return vars(holder).get(name, _NOTHING)
    value = inspect.getattr_static(holder, name, _NOTHING)
    if isinstance(value, (property, classmethod)) or inspect.isdatadescriptor(value):
        return _NOTHING  # what it gives is computed by somebody's code
    return value.__func__ if isinstance(value, staticmethod) else value


def attributes(holder: Any) -> set[str]:
    """Names in the dictionaries of an object, its class and their bases."""
    found: set[str] = set()
    if isinstance(holder, ModuleType):
        return {name for name in vars(holder) if isinstance(name, str)}
    classes = type.__dict__["__mro__"].__get__(holder) if isinstance(holder, type) else ()
    for each in (*classes, *type.__dict__["__mro__"].__get__(type(holder))):
        found.update(name for name in type.__dict__["__dict__"].__get__(each) if isinstance(name, str))
        slots = type.__dict__["__dict__"].__get__(each).get("__slots__", ())
        found.update((slots,) if isinstance(slots, str) else [name for name in slots if isinstance(name, str)])
    if not isinstance(holder, type):
        try:
            own = object.__getattribute__(holder, "__dict__")
        except AttributeError:
            own = {}
        if type(own) is dict:
            found.update(name for name in own if isinstance(name, str))
    return found


def describe(path: str, names: dict[str, Any], source: bool = False) -> str:
    """Type, signature, place and docstring of a name; with source its text instead. Empty when there is no such name."""
    value = resolve(path.strip(), names)
    if value is _NOTHING:
        return ""
    lines = [f"{path}: {type(value).__name__}"]
    if (called := signature(path, names)) is not None:
        lines[0] = called
    if inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value):
        try:
            lines.append(f"in {inspect.getsourcefile(value)}")
        except TypeError:
            pass
        if source:
            try:
                return "\n".join([*lines, "", inspect.getsource(value)])
            except (OSError, TypeError):
                lines.append("its source is not to be found")
    plain = inspect.isroutine(value) or inspect.ismodule(value)  # their docstring is a field, and nobody's code
    text = value.__doc__ if plain else inspect.getattr_static(value, "__doc__", None)
    if isinstance(text, str):
        lines += ["", inspect.cleandoc(text)]
    return "\n".join(lines)


def signature(path: str, names: dict[str, Any]) -> str | None:
    """`name(arguments)` of something that can be called, None when it cannot or does not say."""
    value = resolve(path.strip(), names)
    if value is _NOTHING or not callable(value):
        return None
    try:
        return f"{path}{inspect.signature(value)}"
    except (ValueError, TypeError):
        return f"{path}(…)"
