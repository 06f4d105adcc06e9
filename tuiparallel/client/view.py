"""What all views share: flags, apply and map in their three forms, waiting, and asking about their own tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from tuiparallel.client.asyncresult import AsyncResult, Part
from tuiparallel.client.dependency import as_need
from tuiparallel.client.flags import Flag, Flagged, given
from tuiparallel.client.handover import Writing
from tuiparallel.client.history import History
from tuiparallel.client.mapoptions import MAP_OPTIONS, MapOptions
from tuiparallel.client.mapresult import AsyncMapResult
from tuiparallel.client.owntasks import OwnTasks
from tuiparallel.client.packing import PackedCall, pack_arguments, uses
from tuiparallel.client.submitting import Order, Settings
from tuiparallel.wire.functions import pack_function
from tuiparallel.wire.messages import MAX_BATCH, BlobUse, Kind

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.client.lazymap import LazyMapIterator


class View(OwnTasks, Flagged):
    """Some engines, and how calls go there: what all views share. Made by a Client; safe to use from several threads.

    Its flags are attributes: block, track, targets, label, time_limit; see set_flags. len() is the number of engines
    that a call goes to, or may go to, now.

    Every method that submits raises ClientClosed after Client.close(), NoEnginesRegistered for a direct call that
    would go nowhere, SerializationError naming the argument that cannot be sent, and MessageTooLarge. With block, and
    in get() of an AsyncResult, it raises RemoteError when a single call failed, CompositeError when one or more of
    several did, and HubUnreachable when the hub is gone for the client's hub_timeout. Ctrl-C in a call that waits
    raises KeyboardInterrupt with the AsyncResult as its `async_result`; the tasks go on.
    """

    FLAGS: ClassVar[tuple[str, ...]] = ("block", "track", "targets", "label", "time_limit")
    BALANCED: ClassVar[bool]

    block = Flag()
    track = Flag()
    targets = Flag()
    label = Flag()
    time_limit = Flag()

    def __init__(self, client: Client, **flags: Any) -> None:
        self._client = client
        self._session = client._session
        self._history = History(self._session.hex)
        self._history_lock = threading.Lock()
        self._settled: tuple[dict[str, Any], Settings] | None = None
        super().__init__(**flags)

    @property
    def client(self) -> Client:
        """The Client of this view."""
        return self._client

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} belongs to a client and cannot be sent: make a Client() in the task, and a view of it"
        )

    def __len__(self) -> int:
        return len(self._engines())

    def _engines(self) -> Sequence[int]:
        """The ids of the engines that a call would go to, or may go to, now."""
        raise NotImplementedError

    # Submitting: what apply and map of all views are made of -----------------------------------------------------

    def _settings(self) -> Settings:
        """The flags, as a part of Work; the same object until a flag changes."""
        flags = self._flags_now()
        settled = self._settled
        if settled is not None and settled[0] is flags:
            return settled[1]
        settings = Settings(
            self.BALANCED, flags["label"], flags["time_limit"], as_need("after", flags.get("after")),
            as_need("follow", flags.get("follow")), flags.get("timeout"), flags.get("retries", 0),
            flags.get("retry_on", "any"), flags.get("priority", 0), self._allowed(flags),
        )  # fmt: skip
        self._settled = (flags, settings)
        return settings

    def _allowed(self, flags: dict[str, Any]) -> tuple[int, ...] | None:
        return None

    def _send(
        self, order: Order, calls: Sequence[PackedCall], targets: Sequence[int] | None, count: int
    ) -> list[Part]:
        """Submit `count` tasks: a packed call each, or one that all share. In slices of MAX_BATCH."""
        if count == 1:
            only = calls[0]
            blobs_of_it = uses(only.blobs) if only.blobs else ()
            return [self._submit(order, [only.body], 1, targets, blobs_of_it, only.writing)]
        shared = len(calls) == 1
        parts: list[Part] = []
        for start in range(0, count, MAX_BATCH):
            size = min(MAX_BATCH, count - start)
            here = calls if shared else calls[start : start + size]
            blobs: list[BlobUse] = []
            writing = None
            for index, call in enumerate(here):
                if call.blobs:
                    blobs += uses(call.blobs, index)
                if call.writing is not None:
                    if writing is None:
                        writing = call.writing
                    else:
                        writing.held += call.writing.held
            places = targets[start : start + size] if targets is not None else None
            parts.append(self._submit(order, [call.body for call in here], size, places, blobs, writing))
        return parts

    def _submit(
        self,
        order: Order,
        bodies: list[bytes],
        count: int,
        targets: Sequence[int] | None,
        blobs: Sequence[BlobUse] = (),
        writing: Writing | None = None,
    ) -> Part:
        """One Submit, and its place in the view's history."""
        sent = self._session.submitter.submit(order, bodies, count, targets, blobs, writing)
        with self._history_lock:
            self._history.add(sent.first, count)
        return Part(sent, 0, count)

    def _pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PackedCall:
        return pack_arguments(self._session.handover, args, kwargs)

    def _finish(self, result: AsyncResult, block: bool) -> Any:
        """The AsyncResult itself, or with block what comes of it."""
        return result.get() if block else result

    # apply ------------------------------------------------------------------------------------------------------

    def apply(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call f(*args, **kwargs) on engines: on each one of a direct view, on one that the hub chooses of a balanced
        view.

            >>> rc[0].apply(lambda x, y: x + y, 2, y=3).get(timeout=10)
            5
            >>> dview.apply_sync(abs, -1), lview.apply_sync(pow, 2, 5)
            ([1, 1, 1, 1], 32)

        f: anything callable, or a Reference; functions of `__main__`, lambdas and nested ones are sent with their
        closures and the names they use, others are imported on the engine. args, kwargs: anything that can be
        pickled; arrays, bytes and memoryviews are not copied, and what arrives is read-only. Every keyword reaches f,
        also block and targets.
        Returns an AsyncResult at once. Its result is f's value when the view has one target (an int) or is balanced,
        else a list with one value per engine in the order of `targets`. With the view's flag block it returns that
        result itself.
        Raises TypeError when f cannot be called, SerializationError naming what cannot be sent, MessageTooLarge,
        NoEnginesRegistered, ClientClosed; with block, or through the AsyncResult, RemoteError, CompositeError,
        HubUnreachable. After IPython.parallel's apply.
        """
        return self._finish(self._apply(f, args, kwargs), self._flag("block"))

    def apply_async(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> AsyncResult:
        """The same as apply, whatever `block` is: f(*args, **kwargs) on engines.

        f, args, kwargs: as for apply.
        Returns an AsyncResult at once.
        Raises TypeError, SerializationError, MessageTooLarge, NoEnginesRegistered and ClientClosed as apply does;
        what becomes of the call is told by the AsyncResult.
        """
        return self._apply(f, args, kwargs)

    def apply_sync(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The same as apply, whatever `block` is: f(*args, **kwargs) on engines.

        f, args, kwargs: as for apply.
        Returns f's value for one target (an int) and for balanced views, else a list with one value per engine in the
        order of `targets`.
        Raises what apply raises with block, RemoteError and CompositeError among them.
        """
        return self._apply(f, args, kwargs).get()

    def _apply(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncResult:
        raise NotImplementedError

    # map --------------------------------------------------------------------------------------------------------

    def map(self, f: Callable[..., Any], /, *sequences: Iterable[Any], **options: Any) -> Any:
        """f for each element, as the builtin map; the shortest of the sequences wins.

            >>> lview.map(lambda x, y: x * y, range(4), range(4)).get(timeout=10)
            [0, 1, 4, 9]
            >>> list(dview.map(str.upper, "abc")), lview.map_sync(pow, [1, 2, 3], kwargs={"exp": 2}, chunksize=2)
            (['A', 'B', 'C'], [1, 4, 9])

        f: as for apply. sequences: iterables, arrays and generators among them; one of them must end (imap takes
        endless ones). A direct view sends one contiguous part to each engine, a balanced one a task per element or
        per `chunksize` elements.

        options, keywords: block (bool, default: the view's flag); ordered (True: iterating over the result gives
        values in the order of the input, False: as they finish; get() is always ordered); return_exceptions (True:
        errors stand in the list in place of values, and every element is run); label (str) and track (bool), default:
        the view's flags; kwargs (a dict of constants, sent once for all calls); chunksize (int >= 1, elements per
        task; ignored by direct views with a UserWarning); bound (ignored: functions always see the engine's
        namespace).

        Returns an AsyncMapResult at once, whose result is a list with a value per element in the order of the input;
        with block that list.
        Raises TypeError without a sequence, for what is not iterable, and for unknown options (it names the nearest
        one), ValueError for chunksize < 1, and what apply raises. Of elements that fail: a CompositeError, each of
        its `errors` with the `index` of the element in the input.
        """
        checked = MapOptions("map", options, self._map_options())
        result = self._map(f, _rows(f, sequences), checked)
        return self._finish(result, self._flag("block") if checked.block is None else checked.block)

    def map_async(self, f: Callable[..., Any], /, *sequences: Iterable[Any], **options: Any) -> AsyncMapResult:
        """The same as map, whatever the flag `block` is.

        f, sequences, options: as for map, without block.
        Returns an AsyncMapResult at once, with a value per element in the order of the input.
        Raises TypeError and ValueError as map does.
        """
        checked = MapOptions("map_async", options, [o for o in self._map_options() if o != "block"])
        return self._map(f, _rows(f, sequences), checked)

    def map_sync(self, f: Callable[..., Any], /, *sequences: Iterable[Any], **options: Any) -> Any:
        """The same as map, whatever the flag `block` is.

        f, sequences, options: as for map, without block.
        Returns a list with a value per element in the order of the input.
        Raises TypeError, ValueError, and CompositeError as map with block does.
        """
        checked = MapOptions("map_sync", options, [o for o in self._map_options() if o != "block"])
        return self._map(f, _rows(f, sequences), checked).get()

    def starmap(self, f: Callable[..., Any], /, rows: Iterable[Any], **options: Any) -> Any:
        """f for each row of arguments: f(*row) for a tuple or a list, f(**row) for a dict. After itertools.starmap.

            >>> lview.starmap(pow, [(2, 3), {"base": 3, "exp": 2}]).get(timeout=10)
            [8, 9]

        f: as for apply. rows: an iterable of tuples, lists and dicts. options: as for map.
        Returns an AsyncMapResult with a value per row in their order, with block a list.
        Raises TypeError for a row that is neither, and what map raises.
        """
        checked = MapOptions("starmap", options, self._map_options())
        if not isinstance(rows, Iterable):
            raise TypeError(f"rows is a sequence of tuples or dicts, not {rows!r}")
        listed = list(rows)
        for number, row in enumerate(listed):
            if not isinstance(row, (tuple, list, dict)):
                raise TypeError(f"row {number} is a tuple of arguments or a dict of them, not {row!r}")
        if any(isinstance(row, dict) for row in listed):
            from functools import partial

            from tuiparallel.wire.references import call_row

            _callable(f)
            result = self._map(partial(call_row, f), [(row,) for row in listed], checked)
        else:
            result = self._map(f, [tuple(row) for row in listed], checked)
        return self._finish(result, self._flag("block") if checked.block is None else checked.block)

    def imap(
        self,
        f: Callable[..., Any],
        /,
        *sequences: Iterable[Any],
        ordered: bool = True,
        max_outstanding: int | str | None = "auto",
        return_exceptions: bool = False,
    ) -> LazyMapIterator:
        """An iterator over f of each element that reads its input in its own thread, and only so far ahead as engines
        need.

            >>> import itertools
            >>> squares = lview.imap(lambda x: x * x, itertools.count())
            >>> next(squares), next(squares), next(squares)
            (0, 1, 4)
            >>> squares.cancel()

        f: as for apply. sequences: iterables, also endless ones; the shortest wins. ordered: True gives values in the
        order of the input, False as they finish. max_outstanding: how many tasks may be under way, an int; 'auto':
        two per engine; 0 or None: no limit. return_exceptions: True gives errors in place of values. A DirectView
        sends a part to each engine at once instead.
        Returns a LazyMapIterator with cancel(), submitted and progress.
        Raises TypeError for what is not callable, not iterable or no such number, ValueError for a negative one;
        next() raises what the input raises, and the RemoteError of an element that failed.
        """
        from tuiparallel.client.lazymap import LazyMapIterator

        _rows_iterator(f, sequences)
        return LazyMapIterator(self, f, sequences, ordered, max_outstanding, return_exceptions)

    def _map_options(self) -> Sequence[str]:
        return MAP_OPTIONS

    def _map(self, f: Callable[..., Any], rows: list[tuple[Any, ...]], options: MapOptions) -> AsyncMapResult:
        raise NotImplementedError

    def reduce(
        self, f: Callable[[Any, Any], Any], sequence: Iterable[Any], *initial: Any, block: bool | None = None
    ) -> Any:
        """functools.reduce(f, sequence[, initial]) for an associative f: parts are reduced on the engines, then here.

            >>> import operator
            >>> lview.reduce(operator.add, range(101), block=True), dview.reduce(operator.add, "bc", "a", block=True)
            (5050, 'abc')

        f: a function of two values, which runs on the engines and here. sequence: an iterable; it is read to its end.
        initial: at most one value, put before all. block: default the view's flag.
        Returns an AsyncResult of one value, with block the value.
        Raises TypeError for an empty sequence without an initial value, for more than one of these, and for what is
        no function or not iterable; else as apply.
        """
        import functools

        from tuiparallel.wire.references import reduce_part

        _callable(f)
        if len(initial) > 1:
            raise TypeError(f"reduce takes one initial value, not {len(initial)}")
        items = list(_iterable("sequence", sequence))
        if not items and not initial:
            raise TypeError("reduce() of an empty sequence with no initial value")
        parts = [part for part in _contiguous(items, max(1, len(self))) if part]
        checked = MapOptions("reduce", {}, ())
        result = self._map(functools.partial(reduce_part, f), [(part,) for part in parts], checked)
        start = [*initial]
        combined = AsyncResult(
            self._client,
            result._parts,
            single=False,
            name=result._name,
            joined=lambda values: functools.reduce(f, [*start, *result._flat(values)]),
        )
        return self._finish(combined, given("block", block, self._flag("block")))

    def _parts_for(self, sequences: Sequence[Any]) -> int:
        """In how many parts a ParallelFunction splits its input."""
        return max(1, len(self))

    def _each(self, f: Callable[..., Any], rows: Sequence[tuple[Any, ...]], kwargs: dict[str, Any]) -> list[Part]:
        """A call f(*row, **kwargs) per row, each in one place."""
        order = apply_order(self._settings(), f)
        calls = [self._pack(row, kwargs) for row in rows]
        return self._send(order, calls, self._places(len(rows)), len(calls)) if calls else []

    def _places(self, count: int) -> list[int] | None:
        """Where `count` calls of one place each go; None: the hub chooses."""
        return None

    # Decorators -------------------------------------------------------------------------------------------------

    def remote(self, block: bool | None = None, **flags: Any) -> Callable[[Callable[..., Any]], Any]:
        """Decorator: calls of the function run on this view.

            >>> @dview.remote(block=True)
            ... def double(x):
            ...     return 2 * x
            >>> double(4)
            [8, 8, 8, 8]

        block: None (the view's flag at the time of the call) or a bool. flags: as for set_flags; they go with each
        call.
        Returns a decorator that makes a RemoteFunction.
        Raises KeyError, TypeError and ValueError for flags as set_flags does, when it decorates.
        """
        from tuiparallel.client.decorators import remote

        return remote(self, block, **flags)

    def parallel(
        self, dist: str = "b", block: bool | None = None, ordered: bool = True, **flags: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """Decorator: the function is called with parts of sequences, one part per engine.

            >>> @dview.parallel(block=True)
            ... def doubled(part):
            ...     return [2 * x for x in part]
            >>> doubled(range(6)), doubled.map([[1], [2]])
            ([0, 2, 4, 6, 8, 10], [[2], [4]])

        dist: 'b', contiguous parts, or 'r', round robin. block: None (the view's flag at the time of the call) or a
        bool. ordered: as for map, for its `.map`. flags: as for set_flags; they go with each call, and chunksize for
        `.map`.
        Returns a decorator that makes a ParallelFunction.
        Raises ValueError for another dist, and KeyError, TypeError and ValueError for flags as set_flags does, when
        it decorates.
        """
        from tuiparallel.client.decorators import parallel

        return parallel(self, dist, block, ordered, **flags)


def _callable(f: Any) -> None:
    if not callable(f):
        raise TypeError(f"f must be callable, not {type(f).__name__}: {f!r:.200}")


def _iterable(name: str, thing: Any) -> Iterable[Any]:
    try:
        iter(thing)
    except TypeError:
        raise TypeError(f"{name} is not iterable: {thing!r:.200}") from None
    found: Iterable[Any] = thing
    return found


def _rows_iterator(f: Any, sequences: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    _callable(f)
    if not sequences:
        raise TypeError("map needs a function and at least one sequence")
    return zip(*[_iterable(f"sequence {n}", s) for n, s in enumerate(sequences, 1)], strict=False)


def _rows(f: Any, sequences: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The arguments of each call of a map; the shortest sequence wins."""
    return list(_rows_iterator(f, sequences))


def _contiguous(items: list[Any], parts: int) -> list[list[Any]]:
    """In `parts` parts, the first ones longer by one where it does not come out even."""
    size, more = divmod(len(items), parts)
    found: list[list[Any]] = []
    start = 0
    for number in range(parts):
        end = start + size + (number < more)
        found.append(items[start:end])
        start = end
    return found


def apply_order(settings: Settings, f: Callable[..., Any]) -> Order:
    """What calls of f share. Raises as pack_function does."""
    function = pack_function(f)
    return Order(settings, Kind.APPLY, function.name, function)
