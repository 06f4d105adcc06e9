"""By-value functions at their destination: globals, and the names that travelled with them.

On an engine the namespace is globals() of every function that came by value. The names that travelled with it are in
a dict of builtins of its own: a function takes its builtins from its globals when it is made, so the namespace's
`__builtins__` is exchanged for that moment. Functions made *inside* it take them from there too; so one whose inner
code uses such names gets a thin shell, which makes the same exchange for as long as it runs. Looking a name up costs
the same as in any other function.

A process without a namespace (a client) gives functions that arrive globals of their own, with what travelled.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import linecache
import os
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

Namespace = dict[str, Any]

BUILTINS = vars(builtins)
NOT_TRAVELLING = frozenset({"__builtins__", "__name__", "__package__", "__spec__", "__loader__"})
GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
SHOWN_LIMIT = 20_000  # characters of one function's source that travel
SHOWN_FILES = 500  # files whose travelled lines are kept

_namespaces: list[Namespace | None] = [None]  # the innermost is the one that functions arrive in


def adopt(namespace: Namespace | None) -> None:
    """Make this dict the globals of functions that arrive in this process from now on."""
    _namespaces[0] = namespace
    if namespace is not None:
        namespace["__builtins__"] = BUILTINS


def home() -> Namespace | None:
    """The namespace that functions arrive in; None in a process that is no engine."""
    return _namespaces[-1]


class Uses(NamedTuple):
    """What the code of a function looks up by name."""

    names: tuple[str, ...]  # of globals, anywhere in it
    inner: frozenset[str]  # of globals, in code nested in it
    rebinds: bool  # it assigns to variables of an enclosing function


_uses: weakref.WeakKeyDictionary[types.CodeType, Uses] = weakref.WeakKeyDictionary()


def uses(code: types.CodeType) -> Uses:
    """The names that a function's code, and code nested in it, looks up in globals()."""
    found = _uses.get(code)
    if found is None:
        names: dict[str, None] = {}
        inner: dict[str, None] = {}
        rebinds = False
        for step in dis.get_instructions(code):
            if step.opname in GLOBAL_READS:
                names[step.argval] = None
            elif step.opname == "STORE_DEREF" and step.argval in code.co_freevars:
                rebinds = True
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                below = uses(constant)
                inner.update(dict.fromkeys(below.names))
                rebinds = rebinds or below.rebinds and bool(code.co_freevars)
        found = Uses(tuple(names | inner), frozenset(inner), rebinds)
        _uses[code] = found
    return found


def travelling(function: types.FunctionType) -> dict[str, Any]:
    """The global names a function uses that exist where it was defined, or that it has brought along itself."""
    own = function.__globals__
    brought: dict[str, Any] = getattr(function, "__builtins__")  # noqa: B009 — not all stubs know it
    found = {}
    for name in uses(function.__code__).names:
        if name in NOT_TRAVELLING:
            continue
        if name in own:
            found[name] = own[name]
        elif brought is not BUILTINS and name in brought and brought[name] is not BUILTINS.get(name, brought):
            found[name] = brought[name]
    return found


class Origin:
    """Where functions of one message were defined; at the destination, what their names are looked up in."""

    def __init__(self, module: str) -> None:
        self.namespace = home()
        if self.namespace is None:
            self.globals: Namespace = {"__name__": module, "__builtins__": BUILTINS}
            self.names = self.globals
        else:
            self.globals = self.namespace
            self.names = dict(BUILTINS)


def make_function(
    code: types.CodeType, origin: Origin, closure: tuple[types.CellType, ...] | None, name: str, shell: bool
) -> types.FunctionType:
    """Called by pickles: a function without its state. shell: code nested in it uses names that travelled."""
    if origin.namespace is None:
        return types.FunctionType(code, origin.globals, name, None, closure)
    before = origin.globals.get("__builtins__", BUILTINS)
    origin.globals["__builtins__"] = origin.names
    try:
        function = types.FunctionType(code, origin.globals, name, None, closure)
    finally:
        origin.globals["__builtins__"] = before
    return _shelled(function, origin) if shell else function


def set_function(function: types.FunctionType, state: tuple[Any, ...]) -> None:
    """Called by pickles: gives a function its state, and its origin the names that travelled."""
    origin, names, cells, slots, attributes, shown, _ = state  # the last one imports submodules by being there
    origin.names.update(names)
    inside = inner(function)
    for index, value in cells:
        inside.__closure__[index].cell_contents = value  # type: ignore[index]
    for name, value in slots.items():
        setattr(inside, name, value)
    inside.__dict__.update(attributes)
    if inside is not function:
        functools.update_wrapper(function, inside)
        function.__defaults__, function.__kwdefaults__ = None, None
    if shown is not None:
        show(*shown)


def make_code(filename: str, make: Callable[..., types.CodeType], *arguments: Any) -> types.CodeType:
    """Called by pickles: code that knows its file, whatever cloudpickle says of that."""
    return make(*arguments).replace(co_filename=filename)


def new_cell() -> types.CellType:
    """Called by pickles: a variable of an enclosing function, still empty."""
    return types.CellType()


# Functions whose inner code uses names that travelled -----------------------------------------------------------------

_inner: weakref.WeakKeyDictionary[types.FunctionType, types.FunctionType] = weakref.WeakKeyDictionary()


def inner(function: types.FunctionType) -> types.FunctionType:
    """The function itself, without the shell that it may have here."""
    return _inner.get(function, function)


def _shelled(function: types.FunctionType, origin: Origin) -> types.FunctionType:
    if inspect.isasyncgenfunction(function):
        return function  # its steps cannot be wrapped without changing what it is
    namespace, names = origin.globals, origin.names

    def plain(*args: Any, **kwargs: Any) -> Any:
        before = namespace.get("__builtins__", BUILTINS)
        namespace["__builtins__"] = names
        try:
            return function(*args, **kwargs)
        finally:
            namespace["__builtins__"] = before

    def generator(*args: Any, **kwargs: Any) -> Any:
        return (yield from _drive(function(*args, **kwargs), namespace, names))

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        return await _Driven(function(*args, **kwargs), namespace, names)

    shell: Any = plain
    if inspect.isgeneratorfunction(function):
        shell = generator
    elif inspect.iscoroutinefunction(function):
        shell = coroutine
    _inner[shell] = function
    return shell  # type: ignore[no-any-return]


def _drive(steps: Any, namespace: Namespace, names: Namespace) -> Generator[Any, Any, Any]:
    """Run a generator or coroutine to its end, with its names in place during each step and at no other time."""
    step: Callable[[], Any] = functools.partial(steps.send, None)
    while True:
        before = namespace.get("__builtins__", BUILTINS)
        namespace["__builtins__"] = names
        try:
            item = step()
        except StopIteration as end:
            return end.value
        finally:
            namespace["__builtins__"] = before
        try:
            step = functools.partial(steps.send, (yield item))
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:
            step = functools.partial(steps.throw, error)


class _Driven:
    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __await__(self) -> Generator[Any, Any, Any]:
        return _drive(*self.parts)


# Source lines for tracebacks --------------------------------------------------------------------------------------

_shown: OrderedDict[str, dict[int, str]] = OrderedDict()


def source_of(code: types.CodeType) -> tuple[str, int, str] | None:
    """File, first line and text of a function's source, if it is at hand and not too long."""
    lines = linecache.getlines(code.co_filename)
    if not lines:
        return None
    last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            last = max(last, *(line or 0 for _, _, line in constant.co_lines()))
    text = "".join(lines[code.co_firstlineno - 1 : last])
    return (code.co_filename, code.co_firstlineno, text) if text and len(text) <= SHOWN_LIMIT else None


def show(filename: str, first: int, text: str) -> None:
    """Let tracebacks show these lines of a file that does not exist on this host."""
    known = _shown.get(filename)
    if known is None and (os.path.exists(filename) or filename in linecache.cache):
        return
    if known is None:
        known = _shown[filename] = {}
        if len(_shown) > SHOWN_FILES:
            oldest, _ = _shown.popitem(last=False)
            linecache.cache.pop(oldest, None)
    known.update(enumerate(text.splitlines(keepends=True), first))
    lines = [known.get(number, "\n") for number in range(1, max(known) + 1)]
    linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
