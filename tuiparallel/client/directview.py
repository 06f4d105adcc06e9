"""DirectView: named engines, each of which runs every call, and their namespaces as dictionaries."""

from __future__ import annotations

import keyword
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.flags import given
from tuiparallel.client.gathered import GatheredResult
from tuiparallel.client.mapoptions import MapOptions
from tuiparallel.client.mapping import Partition, partition_of
from tuiparallel.client.mapresult import AsyncMapResult
from tuiparallel.client.submitting import Order
from tuiparallel.client.targets import chosen
from tuiparallel.client.view import View, _contiguous, apply_order
from tuiparallel.wire.functions import pack_function
from tuiparallel.wire.messages import Kind

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.client.lazymap import LazyMapIterator

_SHOWN = 8  # targets that repr() names


class DirectView(View):
    """A view whose calls run on each of its engines, and whose namespaces are read and written like dictionaries.

        >>> dview = rc[:]
        >>> dview.push({"a": 2, "b": 3}, block=True)
        [None, None, None, None]
        >>> dview.apply_sync(lambda: a + b), rc[0].apply_sync(lambda: a * b)
        ([5, 5, 5, 5], 6)
        >>> dview["c"] = [1, 2]
        >>> dview["c"], rc[0]["c"]
        ([[1, 2], [1, 2], [1, 2], [1, 2]], [1, 2])

    targets: an int (results are bare values), a list of ints (results are lists in its order, also for a list of
    one), or 'all': looked up at each call. A view keeps its targets: for an engine that has died the part of the
    result is an EngineError, and the others run. Calls to one engine run in the order of submission.

    view[name] waits and gives values as pull does; view[name] = value sends as push does, and waits when `block` is
    set.
    """

    FLAGS: ClassVar[tuple[str, ...]] = View.FLAGS
    BALANCED = False

    def __init__(self, client: Client, targets: Any, **flags: Any) -> None:
        super().__init__(client, **flags)
        self._flags["targets"] = targets

    def __repr__(self) -> str:
        targets = self._flag("targets")
        if isinstance(targets, list):
            shown = ",".join(map(str, targets if len(targets) <= _SHOWN else targets[:4]))
            text = f"[{shown}]" if len(targets) <= _SHOWN else f"[{shown},...] ({len(targets)})"
        else:
            text = str(targets)
        return f"<{type(self).__name__} {text}>"

    def _checked_targets(self, value: Any) -> Any:
        if value is None or (isinstance(value, str) and value == "all"):
            return "all"
        ids, single = chosen(self._session, value)
        return ids[0] if single else ids

    def _engines(self) -> Sequence[int]:
        targets = self._flag("targets")
        if targets == "all":
            return self._session.engines or []
        return [targets] if isinstance(targets, int) else list(targets)

    def _status_targets(self) -> Any:
        return self._flag("targets")

    def _aim(self, targets: Any = None) -> tuple[list[int], bool]:
        """The ids of this call and whether it is to a single engine. A view keeps its targets, also dead ones."""
        self._session.check()
        if targets is not None:
            return chosen(self._session, targets)
        own = self._flag("targets")
        if isinstance(own, int):
            return [own], True
        if isinstance(own, list):
            return own, False
        return chosen(self._session, own)

    def _run(
        self,
        kind: Kind,
        name: str,
        args: tuple[Any, ...],
        targets: Any,
        label: str | None = None,
        track: bool = False,
    ) -> AsyncResult:
        """One call of a kind without function, the same for all targets."""
        ids, single = self._aim(targets)
        settings = self._settings()
        if label is not None:
            settings = settings._replace(label=given("label", label, None))
        parts = self._send(Order(settings, kind, name, None), (self._pack(args, {}),), ids, len(ids))
        return AsyncResult(self._client, parts, single=single, name=name, track=track)

    def _blocking(self, block: bool | None) -> bool:
        return bool(given("block", block, self._flag("block")))

    # apply and map ----------------------------------------------------------------------------------------------

    def _apply(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncResult:
        ids, single = self._aim()
        order = apply_order(self._settings(), f)
        parts = self._send(order, (self._pack(args, kwargs),), ids, len(ids))
        return AsyncResult(self._client, parts, single=single, name=order.name, track=self._flag("track"))

    def _map(self, f: Callable[..., Any], rows: list[tuple[Any, ...]], options: MapOptions) -> AsyncMapResult:
        if options.chunksize != 1:
            warnings.warn(
                "a DirectView sends one part to each engine: chunksize is ignored", UserWarning, stacklevel=4
            )
        ids, _ = self._aim()
        settings = self._settings()
        if options.label is not None:
            settings = settings._replace(label=options.label)
        function = pack_function(f)
        order = Order(settings, Kind.MAP, function.name, function)
        chunks = [chunk for chunk in _contiguous(rows, len(ids)) if chunk]
        calls = []
        first = 0
        for chunk in chunks:
            calls.append(self._pack((chunk, options.constants, options.return_exceptions, first), {}))
            first += len(chunk)
        parts = []
        for number, call in enumerate(calls):
            parts += self._send(order, (call,), [ids[number]], 1)
        return AsyncMapResult(
            self._client,
            parts,
            name=order.name,
            sizes=[len(chunk) for chunk in chunks],
            ordered=options.ordered,
            track=self._flag("track") if options.track is None else options.track,
            return_exceptions=options.return_exceptions,
        )

    def imap(
        self,
        f: Callable[..., Any],
        /,
        *sequences: Iterable[Any],
        ordered: bool = True,
        max_outstanding: int | str | None = "auto",
        return_exceptions: bool = False,
    ) -> LazyMapIterator:
        """iter(map_async(...)): a part is sent to each engine at once.

        f, sequences: as for map. ordered: True gives values in the order of the input, False as parts finish.
        max_outstanding: ignored. return_exceptions: True gives errors in place of values.
        Returns a LazyMapIterator.
        Raises what map raises, TypeError among it; next() raises the RemoteError of an element that failed.
        """
        from tuiparallel.client.lazymap import eager

        result = self.map_async(f, *sequences, ordered=ordered, return_exceptions=return_exceptions)
        return eager(result)

    def _parts_for(self, sequences: Sequence[Any]) -> int:
        return len(self._aim()[0])

    def _places(self, count: int) -> list[int] | None:
        ids, _ = self._aim()
        return [ids[number % len(ids)] for number in range(count)]

    # Code and namespaces ----------------------------------------------------------------------------------------

    def execute(
        self, code: str, silent: bool = True, targets: Any = None, block: bool | None = None, label: str | None = None
    ) -> AsyncResult:
        """Run source code in the engines' namespaces.

            >>> dview.execute("import math; x = math.factorial(5)", block=True)
            <AsyncResult(execute): finished>
            >>> rc[0]["x"], rc[0].execute("x + 1", silent=False).get(timeout=10).execute_result["data"]["text/plain"]
            (120, '121')

        code: a str, of any number of lines. silent: False displays the value of the last expression. targets, block,
        label: as the view's flags, for this call.
        Returns an AsyncResult, with block the one that has ended well. Its result is an ExecuteReply (stdout, stderr,
        execute_result, ...), a list of one per engine for several targets.
        Raises TypeError when code is no str; with block, or through the result, the error of the code (SyntaxError
        for what cannot be compiled): a RemoteError, a CompositeError for several targets.
        """
        if not isinstance(code, str):
            raise TypeError(f"code is a str of Python source, not {type(code).__name__}: {code!r:.200}")
        return self._execute("execute", code, None, silent, targets, block, label)

    def run(
        self, filename: Any, targets: Any = None, block: bool | None = None, label: str | None = None
    ) -> AsyncResult:
        """Run a file of this machine in the engines' namespaces: execute() of its contents.

        filename: a path; the encoding is Python's, tracebacks name file and line. targets, block, label: as the
        view's flags, for this call.
        Returns what execute returns.
        Raises FileNotFoundError and other OSError when it cannot be read, SyntaxError for an encoding that does not
        exist, and what execute raises.
        """
        import os
        import tokenize

        name = os.fspath(filename)
        with tokenize.open(name) as file:
            code = file.read()
        return self._execute("run", code, str(name), True, targets, block, label)

    def _execute(
        self, name: str, code: str, filename: str | None, silent: bool, targets: Any, block: bool | None, label: Any
    ) -> AsyncResult:
        result = self._run(Kind.EXECUTE, name, (code, filename, bool(silent)), targets, label)
        if self._blocking(block):
            result.get()
        return result

    def push(
        self, ns: dict[str, Any], targets: Any = None, block: bool | None = None, track: bool | None = None
    ) -> Any:
        """Set names in the engines' namespaces.

            >>> rc[:2].push({"a": 1, "b": [2, 3]}, block=True), rc[1].pull(["a", "b"], block=True)
            ([None, None], [1, [2, 3]])

        ns: a dict of names, or dotted names ('config.seed' sets an attribute), and values. targets, block: as the
        view's flags, for this call. track: whether wait_on_send() of the result tells when arrays in it may be
        changed again; large ones are written once, however many engines get them.
        Returns an AsyncResult of None, for several targets of a list of None per engine; with block that result.
        Raises TypeError when ns is no dict of str, ValueError for a key that is no name, SerializationError,
        NoEnginesRegistered.
        """
        if not isinstance(ns, dict) or not all(isinstance(name, str) for name in ns):
            raise TypeError(f"push takes a dict of names and values, not {ns!r:.200}")
        for name in ns:
            if not all(part.isidentifier() and not keyword.iskeyword(part) for part in name.split(".")):
                raise ValueError(f"{name!r} is not a name, nor a dotted one")
        tracked = bool(given("track", track, self._flag("track")))
        result = self._run(Kind.PUSH, "push", (ns,), targets, track=tracked)
        return self._finish(result, self._blocking(block))

    def pull(self, names: Any, targets: Any = None, block: bool | None = None) -> Any:
        """The values of names from the engines' namespaces; names of functions that were sent are not among them.

            >>> rc[:2].push({"a": 1, "b": [2, 3]}, block=True)
            [None, None]
            >>> rc[0].pull("a", block=True), rc[:2].pull("a", block=True), rc[:2].pull(["a", "b[0]"], block=True)
            (1, [1, 1], [[1, 2], [1, 2]])

        names: a name, or any expression, as a str; or a list of these. targets, block: as the view's flags, for this
        call.
        Returns an AsyncResult; its result, which is returned with block, is per engine the value, for a list of names
        the list of values: bare for one target (an int), else a list with one entry per engine in the order of
        `targets`. What arrives is read-only where it can be.
        Raises TypeError when names is neither a str nor a list of str, NoEnginesRegistered; through the result
        NameError (a RemoteError), or what evaluating raises.
        """
        single = isinstance(names, str)
        listed = [names] if single else names
        if not isinstance(listed, (list, tuple, set, frozenset)) or not all(isinstance(n, str) for n in listed):
            raise TypeError(f"pull takes a str or a list of str, not {names!r:.200}")
        result = self._run(Kind.PULL, "pull", (list(listed), single), targets)
        return self._finish(result, self._blocking(block))

    def update(self, ns: dict[str, Any]) -> Any:
        """push(ns), for those who think of the view as a dict.

        ns: as for push.
        Returns what push returns: None per engine, or without the flag block an AsyncResult of that.
        Raises TypeError and ValueError as push does.
        """
        return self.push(ns)

    def get(self, names: Any) -> Any:
        """pull(names, block=True), for those who think of the view as a dict.

        names: as for pull.
        Returns the value, or a list with one per engine in the order of `targets`.
        Raises TypeError as pull does, NameError (a RemoteError) for a missing name, CompositeError when several
        engines are asked.
        """
        return self.pull(names, block=True)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.push({name: value})

    def __contains__(self, name: object) -> bool:
        raise TypeError("a view is no container: view[name] raises NameError when the engines lack a name")

    __iter__ = None

    # Scatter and gather -----------------------------------------------------------------------------------------

    def scatter(
        self,
        key: str,
        seq: Iterable[Any],
        dist: str = "b",
        flatten: bool = False,
        targets: Any = None,
        block: bool | None = None,
        track: bool | None = None,
    ) -> Any:
        """Give each engine its part of a sequence, under one name. gather() is the inverse.

            >>> dview.scatter("part", range(10), block=True)
            [None, None, None, None]
            >>> dview["part"]
            [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
            >>> dview.gather("part", block=True)
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

        key: the name. seq: any iterable; parts of arrays are slices along the first axis, which are not copied here,
        parts of lists, tuples, str and bytes keep their type, of all else they are lists. With n engines, number i of
        the view gets part i of n. dist: 'b', contiguous parts, the first ones longer by one where it does not come
        out even, or 'r', round robin: seq[i::n]. With fewer items than engines some parts are empty. flatten: True
        sends a part of length 1 as its element. targets, block: as the view's flags, for this call. track: whether
        wait_on_send() of the result tells when an array may be changed again.
        Returns an AsyncResult of a list of None, one per engine, also for a single one; with block that list.
        Raises TypeError when seq is not iterable or key no str, ValueError for another dist and for a key that is no
        name, NoEnginesRegistered when the view is empty, SerializationError. After IPython.parallel's scatter.
        """
        how = partition_of(dist)
        ids, _ = self._aim(targets)
        pieces = how.split(seq, len(ids))
        tracked = bool(given("track", track, self._flag("track")))
        order = Order(self._settings(), Kind.PUSH, "scatter", None)
        self._checked_name(key)
        parts = []
        packed = []
        for piece in pieces:
            value = piece[0] if flatten and len(piece) == 1 else piece
            packed.append(self._pack(({key: value},), {}))
        for engine, call in zip(ids, packed, strict=True):
            parts += self._send(order, (call,), [engine], 1)
        result = AsyncResult(self._client, parts, single=False, name="scatter", track=tracked)
        return self._finish(result, self._blocking(block))

    @staticmethod
    def _checked_name(key: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a name is a str, not {key!r}")
        if not all(part.isidentifier() and not keyword.iskeyword(part) for part in key.split(".")):
            raise ValueError(f"{key!r} is not a name, nor a dotted one")

    def gather(self, key: str, dist: str = "b", targets: Any = None, block: bool | None = None) -> Any:
        """The parts of a scattered sequence as one: the inverse of scatter.

            >>> dview.scatter("part", np.arange(6.0), block=True)
            [None, None, None, None]
            >>> dview.gather("part", block=True)
            array([0., 1., 2., 3., 4., 5.])

        key: the name, or any expression. dist: as it was scattered, 'b' or 'r'. targets, block: as the view's flags,
        for this call.
        Returns an AsyncMapResult of the whole, with block the whole: arrays are concatenated along the first axis
        (their dtype is kept, the result is read-only), lists, tuples and single elements make one flat list, str and
        bytes stay apart, one entry per engine. get_dict() gives each engine's own part.
        Raises TypeError when key is no str, ValueError for another dist, NoEnginesRegistered; through the result a
        CompositeError, of NameError where an engine has no such name.
        """
        how: Partition = partition_of(dist)
        if not isinstance(key, str):
            raise TypeError(f"gather takes a name, not {key!r}")
        ids, _ = self._aim(targets)
        order = Order(self._settings(), Kind.PULL, "gather", None)
        parts = self._send(order, (self._pack(([key], True), {}),), ids, len(ids))
        return self._finish(GatheredResult(self._client, parts, how.join), self._blocking(block))

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empty the namespaces of this view's engines, as Client.clear.

        targets: default the view's. block: wait until it is done.
        Returns None, or without block an AsyncResult of None.
        Raises NoSuchEngine, TypeError.
        """
        return self._client.clear(self._flag("targets") if targets is None else targets, self._blocking(block))

    # Interactive use --------------------------------------------------------------------------------------------

    def activate(self, suffix: str = "") -> None:
        """In IPython: %px, %%px, %autopx, %pxconfig and %pxresult work on this view.

        suffix: a str that is put behind their names, as in %px1.
        Returns None.
        Raises RuntimeError outside of IPython.
        """
        from tuiparallel.client.magics import activate

        activate(self, suffix)

    def sync_imports(self, local: bool = True, quiet: bool = False) -> AbstractContextManager[None]:
        """A context manager: imports in its block happen here and on the view's engines, `as` and `from` included.

            >>> with rc[:2].sync_imports(quiet=True):
            ...     from math import factorial as f
            >>> rc[1].apply_sync(lambda: f(4))
            24

        Only import statements of the block itself, in this thread, are taken. local: False imports on the engines
        alone. quiet: False prints a line per import.
        Returns the context manager.
        Raises, from the import statement, CompositeError when engines cannot import it, ImportError when this process
        cannot.
        """
        from tuiparallel.client.importing import sync_imports

        return sync_imports(self, local, quiet)

    @property
    def importer(self) -> AbstractContextManager[None]:
        """The same as sync_imports(): a context manager."""
        return self.sync_imports()
