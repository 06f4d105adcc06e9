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
    """A function that runs on a view: calling it is view.apply with these flags. Keeps name, signature and doc."""

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
    """A function of sequences: called, each engine gets a part of each; map() calls it per element."""

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
        """f(*parts) for each part of the sequences, which have equal lengths; results are joined as by gather.

        Raises TypeError and ValueError when that does not work out.
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
        """f for each element, as view.map."""
        options: dict[str, Any] = {"ordered": self.ordered}
        if self.chunksize is not None:
            options["chunksize"] = self.chunksize
        with self.view.temp_flags(**self.flags):
            result = self.view.map_async(self.func, *sequences, **options)
            block = self.view._flag("block") if self.block is None else self.block
        return result.get() if block else result


def remote(view: View, block: bool | None = None, **flags: Any) -> Callable[[Function], RemoteFunction]:
    """Decorator: the function runs on this view."""

    def decorate(f: Function) -> RemoteFunction:
        return RemoteFunction(view, f, block, **flags)

    return decorate


def parallel(
    view: View, dist: str = "b", block: bool | None = None, ordered: bool = True, **flags: Any
) -> Callable[[Function], ParallelFunction]:
    """Decorator: the function runs on parts of sequences on this view."""

    def decorate(f: Function) -> ParallelFunction:
        return ParallelFunction(view, f, dist, block, ordered, **flags)

    return decorate


def depend(f: Function, *args: Any, **kwargs: Any) -> Callable[[Function], dependent]:
    """Decorator: f(*args, **kwargs) runs first on the engine; when it returns False, another engine is tried."""
    if not callable(f):
        raise TypeError(f"depend needs a function to ask, not {f!r:.200}")

    def decorate(function: Function) -> dependent:
        return dependent(function, f, *args, **kwargs)

    return decorate


def require(*objects: Any, **mapping: Any) -> Callable[[Function], dependent]:
    """Decorator: modules (by name or object) are imported on the engine, and other things put into its namespace.

    A module that cannot be imported there makes the task go to another engine. Raises TypeError for what has no name.
    """
    modules, things = required(objects, mapping)

    def decorate(function: Function) -> dependent:
        return dependent(function, satisfy, modules, things)

    return decorate
