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
from tuiparallel.client.mapping import Partition, partition_of
from tuiparallel.client.mapresult import AsyncMapResult
from tuiparallel.client.submitting import Order
from tuiparallel.client.targets import chosen
from tuiparallel.client.view import MapOptions, View, _contiguous, apply_order
from tuiparallel.wire.functions import pack_function
from tuiparallel.wire.messages import Kind

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.client.lazymap import LazyMapIterator

_SHOWN = 8  # targets that repr() names


class DirectView(View):
    """Calls run on each of `targets`: an int (then results are bare values), a list of ints, or 'all'.

    'all' is evaluated at each call, other targets when the view is made or set.
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
        """iter(map_async(...)): a part for each engine at once."""
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
        """Run source code on the engines. Returns the AsyncResult, with block when it has ended well; values are
        ExecuteReply. silent=False displays the last expression.

        Raises TypeError when code is no str.
        """
        if not isinstance(code, str):
            raise TypeError(f"code is a str of Python source, not {type(code).__name__}: {code!r:.200}")
        return self._execute("execute", code, None, silent, targets, block, label)

    def run(
        self, filename: Any, targets: Any = None, block: bool | None = None, label: str | None = None
    ) -> AsyncResult:
        """execute() the contents of a file of this machine. Raises OSError when it cannot be read."""
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
        """Set names, or dotted names, in the engines' namespaces; the result is None per engine.

        Raises TypeError when ns is no dict of names, ValueError for what is not a name.
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
        """The values of a name, or of each of a list of names (any expressions), from the engines' namespaces.

        Raises TypeError when names is neither a str nor a list of str.
        """
        single = isinstance(names, str)
        listed = [names] if single else names
        if not isinstance(listed, (list, tuple, set, frozenset)) or not all(isinstance(n, str) for n in listed):
            raise TypeError(f"pull takes a str or a list of str, not {names!r:.200}")
        result = self._run(Kind.PULL, "pull", (list(listed), single), targets)
        return self._finish(result, self._blocking(block))

    def update(self, ns: dict[str, Any]) -> Any:
        """push(ns), blocking as the view does."""
        return self.push(ns)

    def get(self, names: Any) -> Any:
        """pull(names, block=True)."""
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
        """Give each engine its part of a sequence, under the name `key`; the result is None per engine.

        With n engines, engine number i of the view gets part i of n:

            dview.scatter("a", range(16), block=True)     # on 4 engines: [None, None, None, None]
            dview["a"]                                    # [[0, 1, 2, 3], [4, 5, 6, 7], ...]

        seq: any iterable. Parts of arrays are slices along the first axis (nothing is copied here), lists, tuples,
        str and bytes keep their type, all else arrives as lists; with fewer items than engines the last parts are
        empty. dist: 'b' contiguous parts, the first ones longer by one; 'r' round robin. flatten: a part of length 1
        is sent as its element. targets, block, track: as the view's flags, for this call. Without block the result
        is an AsyncResult; wait_on_send() on it tells, with track, when an array may be changed again. gather() is the
        inverse. Raises TypeError when seq is no sequence, ValueError for another dist, NoEnginesRegistered when the
        view is empty. After IPython.parallel's scatter.
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
        """The parts of a scattered sequence as one: arrays joined (dtype kept), anything else as one flat list."""
        how: Partition = partition_of(dist)
        if not isinstance(key, str):
            raise TypeError(f"gather takes a name, not {key!r}")
        ids, _ = self._aim(targets)
        order = Order(self._settings(), Kind.PULL, "gather", None)
        parts = self._send(order, (self._pack(([key], True), {}),), ids, len(ids))
        return self._finish(GatheredResult(self._client, parts, how.join), self._blocking(block))

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empty the engines' namespaces: Client.clear."""
        return self._client.clear(self._flag("targets") if targets is None else targets, self._blocking(block))

    # Interactive use --------------------------------------------------------------------------------------------

    def activate(self, suffix: str = "") -> None:
        """In IPython: %px and its family work on this view, with `suffix` at their names. Else a RuntimeError."""
        from tuiparallel.client.magics import activate

        activate(self, suffix)

    def sync_imports(self, local: bool = True, quiet: bool = False) -> AbstractContextManager[None]:
        """Imports of the with-block are done here (with local) and on the engines."""
        from tuiparallel.client.importing import sync_imports

        return sync_imports(self, local, quiet)

    @property
    def importer(self) -> AbstractContextManager[None]:
        """sync_imports(local=True)."""
        return self.sync_imports()
