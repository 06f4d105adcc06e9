"""Questions about an engine that are answered while its user code runs, without running any of it.

Nothing here evaluates a property, calls a `__getattr__` or a `__repr__`: what is shown is read from dicts and classes.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from types import FrameType, FunctionType, ModuleType
from typing import Any

from tuiparallel.engine.interrupts import user_code
from tuiparallel.wire import failures
from tuiparallel.wire.messages import ErrorText, Inquiry

SHOWN = 1000  # names or completions in one answer
NOT_SHOWN = frozenset({"__builtins__", "__name__", "__doc__", "__package__", "__loader__", "__spec__"})
_PATH = re.compile(r"[^\W\d]\w*(?:\.\w*)*$")
_MISSING = object()
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that a class statement has made


def answer(question: Inquiry, names: dict[str, Any], main_thread: int) -> tuple[Any, ErrorText | None]:
    """The body of the Answer, or the error."""
    try:
        match question.what:
            case "stack":
                return stack(sys._current_frames().get(main_thread)), None
            case "names":
                return list_names(names), None
            case "complete":
                return complete(names, question.text, question.cursor), None
            case "inspect":
                return describe(names, question.text), None
            case _:
                reason = f"{question.what!r} cannot be asked: known are stack, names, complete, inspect"
                return None, ErrorText("ValueError", reason, "")
    except Exception as failure:  # the namespace changes under our eyes, and its objects may be anything
        return None, ErrorText(type(failure).__name__, str(failure), "")


def stack(frame: FrameType | None) -> str:
    """Where user code is, as a traceback; empty when none runs."""
    found: list[tuple[FrameType, int]] = []
    inside = False
    while frame is not None:
        if frame.f_code is user_code.__code__:
            inside = True
            break
        found.append((frame, frame.f_lineno))
        frame = frame.f_back
    if not inside:
        return ""
    while found and found[-1][0].f_code.co_filename.startswith(failures.OWN_FOLDER):
        found.pop()
    return "".join(traceback.StackSummary.extract(reversed(found)).format())


def list_names(names: dict[str, Any]) -> list[list[Any]]:
    """Name, type and approximate size in bytes of what is in the namespace, without its own and hidden names."""
    rows: list[list[Any]] = []
    for name, value in sorted(_items(names), key=lambda item: item[0]):
        if name not in NOT_SHOWN and len(rows) < SHOWN:
            rows.append([name, _type_name(value), size_of(value)])
    return rows


def size_of(value: Any) -> int:
    """Bytes of an object itself, and of the buffer it owns; not of what it refers to."""
    kind = type(value)
    if kind.__module__ == "numpy" and kind.__name__ in ("ndarray", "memmap"):
        return int(value.nbytes)
    if kind is memoryview:
        return int(value.nbytes)
    if kind.__flags__ & _HEAP:  # a class of Python's, whose __sizeof__ is user code
        return object.__sizeof__(value)
    return sys.getsizeof(value, 0)


def complete(names: dict[str, Any], text: str, cursor: int) -> list[str]:
    """What the dotted name before the cursor may become, as whole dotted names."""
    found = _PATH.search(text[: cursor if cursor > 0 else len(text)])
    if found is None:
        return []
    owner, dot, start = found.group().rpartition(".")
    if not dot:
        candidates = {name for name, _ in _items(names)} | _builtins(names)
        prefix = ""
    else:
        value = _walk(names, owner)
        if value is _MISSING:
            return []
        candidates = _attributes(value)
        prefix = f"{owner}."
    hidden = start.startswith("_")
    matching = (name for name in candidates if name.startswith(start) and (hidden or not name.startswith("_")))
    return [prefix + name for name in sorted(matching)[:SHOWN]]


def describe(names: dict[str, Any], text: str) -> str:
    """Type, signature and documentation of what a dotted name stands for; empty when it stands for nothing."""
    found = _PATH.search(text.strip().rstrip("()?"))
    value = _walk(names, found.group()) if found else _MISSING
    if value is _MISSING:
        return ""
    lines = [f"{found.group() if found else text}: {_type_name(value)}"]
    if isinstance(value, (FunctionType, type)) or not type(value).__flags__ & _HEAP and callable(value):
        if signature := _signature(value):
            lines[0] += f"  {signature}"
    # Of a class of Python's it is in a dict; asking others runs no code but the interpreter's.
    doc = _static(value, "__doc__") if type(value).__flags__ & _HEAP else value.__doc__
    if isinstance(doc, str) and doc:
        lines += ["", inspect.cleandoc(doc)]
    return "\n".join(lines)[:100_000]


def _signature(value: Any) -> str:
    if isinstance(value, type):
        value = next((vars(base)["__init__"] for base in value.__mro__ if "__init__" in vars(base)), None)
    if isinstance(value, FunctionType):
        code = value.__code__
        parts = list(code.co_varnames[: code.co_argcount])
        optional = len(value.__defaults__ or ())
        parts = [f"{name}=..." if i >= len(parts) - optional else name for i, name in enumerate(parts)]
        after = code.co_argcount + code.co_kwonlyargcount
        if code.co_flags & inspect.CO_VARARGS:
            parts.append(f"*{code.co_varnames[after]}")
            after += 1
        elif code.co_kwonlyargcount:
            parts.append("*")
        parts += code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        if code.co_flags & inspect.CO_VARKEYWORDS:
            parts.append(f"**{code.co_varnames[after]}")
        return f"({', '.join(parts)})"
    try:
        return str(inspect.signature(value)) if value is not None else ""
    except (ValueError, TypeError):
        return ""


def _walk(names: dict[str, Any], path: str) -> Any:
    first, *rest = path.split(".")
    value = names.get(first, _MISSING)
    if value is _MISSING:
        found = names.get("__builtins__")
        value = found.get(first, _MISSING) if isinstance(found, dict) else _MISSING
    for part in rest:
        if value is _MISSING:
            break
        value = _static(value, part)
    return value


def _static(value: Any, name: str) -> Any:
    """An attribute as it is stored; what would have to be computed is missing."""
    own = _dict_of(value)
    if name in own:
        return own[name]
    cls = value if isinstance(value, type) else type(value)
    for base in type.__dict__["__mro__"].__get__(cls):
        if name in vars(base):
            found = vars(base)[name]
            if isinstance(found, (staticmethod, classmethod)):
                return found.__func__
            return _MISSING if isinstance(found, property) else found
    return _MISSING


def _attributes(value: Any) -> set[str]:
    found = set(_dict_of(value))
    cls = value if isinstance(value, type) else type(value)
    for base in type.__dict__["__mro__"].__get__(cls):
        found.update(vars(base))
    return {name for name in found if isinstance(name, str)}


def _dict_of(value: Any) -> dict[str, Any]:
    if isinstance(value, ModuleType):
        return dict(ModuleType.__getattribute__(value, "__dict__"))
    if isinstance(value, type):
        return {}
    try:
        found = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return {}
    return dict(found) if type(found) is dict else {}


def _builtins(names: dict[str, Any]) -> set[str]:
    found = names.get("__builtins__")
    return {name for name in found if isinstance(name, str)} if isinstance(found, dict) else set()


def _items(names: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in list(names.items()) if isinstance(name, str)]


def _type_name(value: Any) -> str:
    kind = type(value)
    module = kind.__module__
    if module in ("builtins", "__main__") or not isinstance(module, str):
        return kind.__qualname__
    return f"{module}.{kind.__qualname__}"
