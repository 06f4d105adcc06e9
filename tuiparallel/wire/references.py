"""What calls refer to by name and engines run: References, dependent functions, the bodies of starmap and reduce.

These are written by clients and unpickled on engines, so they live where both may look. In the process of an engine
the namespace is names.home(); in any other process a Reference stays what it is.
"""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tuiparallel.errors import ParallelError, UnmetDependency
from tuiparallel.wire import names


class Reference:
    """An expression that stands for its value in the engine's namespace.

        >>> dview.scatter("n", [1, 2, 3, 4], flatten=True, block=True)
        [None, None, None, None]
        >>> dview.apply_sync(pow, tp.Reference("n * 10"), 2), rc[0].apply_sync(tp.Reference("n.__add__"), 1)
        ([100, 400, 900, 1600], 2)

    name: a str, a name or an expression; it is the attribute `name`. A Reference may be the function, an argument, or
    stand at any depth in arguments, of apply, map and push. Calling it here is a TypeError. What it evaluates to is
    looked up when the task runs; NameError and the like are the task's error.
    Raises TypeError when name is no str.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a Reference is a str, a name or an expression on the engine, not {name!r}")
        self.name = name
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self!r} means something on an engine only: apply it with a view")

    def __repr__(self) -> str:
        return f"Reference({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, Reference) else NotImplemented

    def __hash__(self) -> int:
        return hash((Reference, self.name))

    def __reduce__(self) -> tuple[Any, ...]:
        return resolve, (self.name,)


def resolve(expression: str) -> Any:
    """Called by pickles: the expression's value in the engine's namespace. Raises what evaluating it raises."""
    namespace = names.home()
    if namespace is None:
        return Reference(expression)
    try:
        return eval(compile(expression, f"<Reference {expression}>", "eval", dont_inherit=True), namespace)
    except ParallelError:
        raise
    except Exception as failure:
        raise _own(failure) from None


def _own(failure: Exception) -> Exception:
    """The same exception, as one that is not taken for a failure to unpickle."""
    kind = type(failure)
    try:
        made = type(kind.__name__, (ParallelError, kind), {"__reduce__": lambda self: (kind, self.args)})
        own: Exception = made(*failure.args)
    except Exception:  # classes may do anything when they are derived from
        return ParallelError(f"{kind.__name__}: {failure}")
    own.with_traceback(failure.__traceback__)
    return own


# Functions that ask for the right engine ----------------------------------------------------------------------------


class dependent:
    """A function that runs only where another one does not say no: what depend and require make.

    func: the function. df: called before it on the engine, with dargs and dkwargs; when it returns False, the task
    goes to an engine that it has not tried. They are attributes of these names. Calling it runs df and then func in
    this process, and raises UnmetDependency when df says no.
    Raises nothing of its own.
    """

    def __init__(self, func: Callable[..., Any], df: Callable[..., Any], *dargs: Any, **dkwargs: Any) -> None:
        functools.update_wrapper(self, func)
        self.func = func
        self.df = df
        self.dargs = dargs
        self.dkwargs = dkwargs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.df(*self.dargs, **self.dkwargs) is False:
            name = getattr(self.df, "__name__", repr(self.df))
            raise UnmetDependency(f"{name} says no: this engine will not do")
        return self.func(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _dependent, (self.func, self.df, self.dargs, self.dkwargs)

    def __repr__(self) -> str:
        return f"<dependent {getattr(self.func, '__name__', self.func)!s}>"


def _dependent(
    func: Callable[..., Any], df: Callable[..., Any], dargs: tuple[Any, ...], dkwargs: dict[str, Any]
) -> dependent:
    return dependent(func, df, *dargs, **dkwargs)


def satisfy(modules: Iterable[str], things: Mapping[str, Any]) -> bool:
    """Import these modules, and put them and these things into the namespace. Raises UnmetDependency."""
    found: dict[str, Any] = dict(things)
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as failure:
            raise UnmetDependency(f"module {name} cannot be imported here: {failure}") from failure
        top = name.partition(".")[0]
        found[top] = importlib.import_module(top)
    namespace = names.home()
    if namespace is not None:
        namespace.update(found)
    return True


def required(objects: Iterable[Any], mapping: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """What satisfy needs for require(*objects, **mapping). Raises TypeError for what has no name."""
    modules: list[str] = []
    things: dict[str, Any] = dict(mapping)
    for thing in objects:
        if isinstance(thing, str):
            modules.append(thing)
        elif isinstance(thing, types.ModuleType):
            modules.append(thing.__name__)
        elif isinstance(name := getattr(thing, "__name__", None), str):
            things[name] = thing
        else:
            raise TypeError(f"{thing!r} has no name: require it as a keyword, name=value")
    return modules, things


# Bodies of maps -------------------------------------------------------------------------------------------------------


def call_row(function: Callable[..., Any], row: Any, **constants: Any) -> Any:
    """One element of a starmap: a dict is keyword arguments, anything else positional ones."""
    if isinstance(row, dict):
        return function(**{**constants, **row})
    return function(*row, **constants)


def call_rows(function: Callable[..., Any], rows: list[tuple[Any, ...]]) -> list[Any]:
    """Several elements of a map in one call."""
    return [function(*row) for row in rows]


def reduce_part(function: Callable[[Any, Any], Any], part: list[Any]) -> Any:
    """One part of a reduction."""
    return functools.reduce(function, part)
