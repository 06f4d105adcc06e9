"""Decorators: functions that run on a view, and functions that ask for the right engine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.flags import given
from tuiparallel.client.mapping import partition_of
from tuiparallel.wire.references import dependent, required, satisfy

if TYPE_CHECKING:
    from tuiparallel.client.view import View

__all__ = ["ParallelFunction", "RemoteFunction", "depend", "dependent", "parallel", "remote", "require"]

Function = Callable[..., Any]


class RemoteFunction:
    """A function whose calls run on a view: view.apply with these flags. Made by @view.remote or @remote(view).

        >>> double = tp.RemoteFunction(dview, lambda x: 2 * x, block=True)
        >>> double(4)
        [8, 8, 8, 8]

    view: where. f: the function; it is the attribute `func`, and name, signature and docstring are its. block: None:
    the view's flag at the time of the call. flags: as for View.set_flags. Calling it returns what View.apply returns
    and raises what that raises.
    Raises TypeError when f cannot be called, KeyError, TypeError and ValueError for flags.
    """

    def __init__(self, view: View, f: Function, block: bool | None = None, **flags: Any) -> None:
        if not callable(f):
            raise TypeError(f"f must be callable, not {type(f).__name__}: {f!r:.200}")
        functools.update_wrapper(self, f)
        self.view = view
        self.func = f
        self.block: bool | None = given("block", block, None)
        self.flags = {name: view._checked(name, value) for name, value in flags.items()}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self.view.temp_flags(**self.flags):
            result = self.view.apply_async(self.func, *args, **kwargs)
            block = self.view._flag("block") if self.block is None else self.block
        return result.get() if block else result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self.func, '__name__', self.func)!s} on {self.view!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(f"{self!r} belongs to a client and cannot be sent: send its function, {self.func!r}")


class ParallelFunction(RemoteFunction):
    """A function that is called with parts of sequences, one part per engine. Made by @view.parallel or
    @parallel(view).

        >>> total = tp.ParallelFunction(dview, lambda part: [sum(part)], block=True)
        >>> total(range(8)), total.map([[1, 2], [3]])
        ([1, 5, 9, 13], [[3], [3]])

    view, f, block, flags: as for RemoteFunction. dist: 'b', contiguous parts, or 'r', round robin. ordered,
    chunksize: as for View.map, for its map().

    Calling it with sequences of equal lengths sends one part of each to each engine (on a balanced view as many parts
    as there are engines); keywords go to each call. It returns an AsyncResult, with block its result: the parts'
    results joined as by DirectView.gather. It raises TypeError without a sequence, ValueError for different lengths,
    and what View.apply raises.
    Raises ValueError for another dist, TypeError when f cannot be called, KeyError, TypeError and ValueError for
    flags.
    """

    def __init__(
        self,
        view: View,
        f: Function,
        dist: str = "b",
        block: bool | None = None,
        ordered: bool = True,
        chunksize: int | None = None,
        **flags: Any,
    ) -> None:
        self.dist = dist
        self.ordered = ordered
        self.chunksize = chunksize
        self._partition = partition_of(dist)
        super().__init__(view, f, block, **flags)

    def __call__(self, *sequences: Any, **kwargs: Any) -> Any:
        """f(*parts, **kwargs) for each part of the sequences, which have equal lengths; results are joined as by
        gather.

        sequences: as for DirectView.scatter.
        Returns an AsyncResult, with block the joined result.
        Raises TypeError without a sequence, ValueError for different lengths, and what View.apply raises.
        """
        if not sequences:
            raise TypeError(f"{self!r} needs at least one sequence")
        view = self.view
        with view.temp_flags(**self.flags):
            engines = view._parts_for(sequences)
            split = [self._partition.split(sequence, engines) for sequence in sequences]
            lengths = {sum(len(part) for part in parts) for parts in split}
            if len(lengths) > 1:
                raise ValueError(f"the sequences have different lengths: {', '.join(map(str, sorted(lengths)))}")
            rows = [row for row in zip(*split, strict=True) if len(row[0])]
            parts = view._each(self.func, rows, kwargs)
            block = view._flag("block") if self.block is None else self.block
        result = AsyncResult(
            view._client,
            parts,
            single=False,
            name=getattr(self.func, "__name__", "parallel"),
            track=view._flag("track"),
            joined=self._partition.join,
        )
        return result.get() if block else result

    def map(self, *sequences: Any) -> Any:
        """f for each element, as View.map.

        sequences: iterables; the shortest wins.
        Returns an AsyncMapResult with a value per element in their order, with block a list.
        Raises TypeError and ValueError as View.map does; with block CompositeError.
        """
        options: dict[str, Any] = {"ordered": self.ordered}
        if self.chunksize is not None:
            options["chunksize"] = self.chunksize
        with self.view.temp_flags(**self.flags):
            result = self.view.map_async(self.func, *sequences, **options)
            block = self.view._flag("block") if self.block is None else self.block
        return result.get() if block else result


def remote(view: View, block: bool | None = None, **flags: Any) -> Callable[[Function], RemoteFunction]:
    """Decorator: calls of the function run on a view; the same as view.remote.

        >>> @tp.remote(rc[:2], block=True)
        ... def double(x):
        ...     return 2 * x
        >>> double(4)
        [8, 8]

    view: where. block: None (the view's flag at the time of the call) or a bool. flags: as for View.set_flags; they
    go with each call.
    Returns a decorator that makes a RemoteFunction.
    Raises, when it decorates, KeyError, TypeError and ValueError for flags.
    """

    def decorate(f: Function) -> RemoteFunction:
        return RemoteFunction(view, f, block, **flags)

    return decorate


def parallel(
    view: View, dist: str = "b", block: bool | None = None, ordered: bool = True, **flags: Any
) -> Callable[[Function], ParallelFunction]:
    """Decorator: the function is called with parts of sequences on a view; the same as view.parallel.

        >>> @tp.parallel(dview, block=True)
        ... def doubled(part):
        ...     return [2 * x for x in part]
        >>> doubled(range(6))
        [0, 2, 4, 6, 8, 10]

    view: where. dist: 'b', contiguous parts, or 'r', round robin. block: None (the view's flag at the time of the
    call) or a bool. ordered: as for View.map, for its map(). flags: as for View.set_flags, and chunksize.
    Returns a decorator that makes a ParallelFunction.
    Raises, when it decorates, ValueError for another dist, KeyError, TypeError and ValueError for flags.
    """

    def decorate(f: Function) -> ParallelFunction:
        return ParallelFunction(view, f, dist, block, ordered, **flags)

    return decorate


def depend(f: Function, *args: Any, **kwargs: Any) -> Callable[[Function], dependent]:
    """Decorator: the task runs only on an engine where f(*args, **kwargs) does not return False.

        >>> @tp.depend(lambda wanted: tp.current_task().engine_id == wanted, 2)
        ... def where():
        ...     return tp.current_task().engine_id
        >>> lview.apply_sync(where)
        2

    f: called first on the engine, with args and kwargs. When it returns False (that object) or raises
    UnmetDependency, an engine that was not tried yet gets the task; when none is left it ends with
    ImpossibleDependency.
    Returns a decorator that makes a `dependent`.
    Raises TypeError when f cannot be called. After IPython.parallel's depend.
    """
    if not callable(f):
        raise TypeError(f"depend needs a function to ask, not {f!r:.200}")

    def decorate(function: Function) -> dependent:
        return dependent(function, f, *args, **kwargs)

    return decorate


def require(*objects: Any, **mapping: Any) -> Callable[[Function], dependent]:
    """Decorator: what the task needs in the engine's namespace is put there before it runs.

        >>> @tp.require("math", limit=5)
        ... def f():
        ...     return math.factorial(limit)
        >>> lview.apply_sync(f)
        120

    objects: modules, by name or as objects, which are imported on the engine; functions and classes, which are put
    into its namespace under their names. mapping: names and values that are put there. Where a module cannot be
    imported the task goes to another engine; when none is left it ends with ImpossibleDependency.
    Returns a decorator that makes a `dependent`.
    Raises TypeError for an object that has no name. After IPython.parallel's require.
    """
    modules, things = required(objects, mapping)

    def decorate(function: Function) -> dependent:
        return dependent(function, satisfy, modules, things)

    return decorate
