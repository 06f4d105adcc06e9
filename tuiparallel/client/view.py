"""What all views share: flags, apply and map in their three forms, waiting, and asking about their own tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from tuiparallel.client.asyncresult import AsyncResult, Part
from tuiparallel.client.dependency import as_need
from tuiparallel.client.flags import Flag, Flagged, given, meant
from tuiparallel.client.history import History
from tuiparallel.client.mapresult import AsyncMapResult
from tuiparallel.client.packing import PackedCall, pack_arguments, uses
from tuiparallel.client.submitting import Order, Settings
from tuiparallel.wire.functions import pack_function
from tuiparallel.wire.messages import MAX_BATCH, BlobUse, Kind

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.client.executor import ViewExecutor
    from tuiparallel.client.lazymap import LazyMapIterator

MAP_OPTIONS = ("block", "bound", "ordered", "return_exceptions", "label", "track", "kwargs", "chunksize")


class MapOptions:
    """The keyword arguments of a map, checked. Raises TypeError and ValueError."""

    __slots__ = ("block", "chunksize", "constants", "label", "ordered", "return_exceptions", "track")

    def __init__(self, method: str, options: dict[str, Any], allowed: Sequence[str]) -> None:
        for name in options:
            if name not in allowed:
                raise TypeError(f"{method}() takes no argument {name!r}: {meant(name, allowed)}")
        self.block: bool | None = given("block", options.get("block"), None)
        self.ordered = given_bool("ordered", options.get("ordered", True))
        self.return_exceptions = given_bool("return_exceptions", options.get("return_exceptions", False))
        self.label: str | None = given("label", options.get("label"), None)
        self.track: bool | None = given("track", options.get("track"), None)
        constants = options.get("kwargs")
        if constants is None:
            constants = {}
        if not isinstance(constants, dict) or not all(isinstance(name, str) for name in constants):
            raise TypeError(f"kwargs is a dict of argument names and values, not {constants!r}")
        self.constants: dict[str, Any] = constants
        chunksize = options.get("chunksize", 1)
        if chunksize is None:
            chunksize = 1
        if isinstance(chunksize, bool) or not hasattr(chunksize, "__index__"):
            raise TypeError(f"chunksize is an int, not {chunksize!r}")
        if chunksize < 1:
            raise ValueError(f"chunksize={chunksize}: it must be >= 1")
        self.chunksize = int(chunksize)


def given_bool(name: str, value: Any) -> bool:
    """A checked bool."""
    return bool(given("block", value, False)) if isinstance(value, bool) else _no_bool(name, value)


def _no_bool(name: str, value: Any) -> bool:
    raise TypeError(f"{name} is True or False, not {value!r}")


class View(Flagged):
    """Some engines, and how calls go there. Made by a Client."""

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
        """The client of this view."""
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
        submitter = self._session.submitter
        if count == 1:
            only = calls[0]
            sent = submitter.submit(
                order, [only.body], 1, targets, uses(only.blobs) if only.blobs else (), only.writing
            )
            self._remember(sent.first, 1)
            return [Part(sent, 0, 1)]
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
            call_record = submitter.submit(
                order,
                [call.body for call in here],
                size,
                targets[start : start + size] if targets is not None else None,
                blobs,
                writing,
            )
            self._remember(call_record.first, size)
            parts.append(Part(call_record, 0, size))
        return parts

    def _remember(self, first: int, count: int) -> None:
        with self._history_lock:
            self._history.add(first, count)

    def _pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PackedCall:
        return pack_arguments(self._session.handover, args, kwargs)

    def _finish(self, result: AsyncResult, block: bool) -> Any:
        """The AsyncResult itself, or with block what comes of it."""
        return result.get() if block else result

    # apply ------------------------------------------------------------------------------------------------------

    def apply(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call f(*args, **kwargs) on the engines; an AsyncResult, or with view.block the result.

        Raises TypeError when f cannot be called, SerializationError naming what cannot be sent.
        """
        return self._finish(self._apply(f, args, kwargs), self._flag("block"))

    def apply_async(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> AsyncResult:
        """The same, an AsyncResult in any case."""
        return self._apply(f, args, kwargs)

    def apply_sync(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The same, the result in any case."""
        return self._apply(f, args, kwargs).get()

    def _apply(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncResult:
        raise NotImplementedError

    # map --------------------------------------------------------------------------------------------------------

    def map(self, f: Callable[..., Any], /, *sequences: Iterable[Any], **options: Any) -> Any:
        """f for each element, as the builtin map: an AsyncMapResult, or with block a list.

        Keywords: block, bound (ignored), ordered=True, return_exceptions=False, label, track, kwargs (constants for
        every call, sent once), and for balanced views chunksize=1. Raises TypeError and ValueError for bad arguments.
        """
        checked = MapOptions("map", options, self._map_options())
        result = self._map(f, _rows(f, sequences), checked)
        return self._finish(result, self._flag("block") if checked.block is None else checked.block)

    def map_async(self, f: Callable[..., Any], /, *sequences: Iterable[Any], **options: Any) -> AsyncMapResult:
        """The same, an AsyncMapResult in any case."""
        checked = MapOptions("map_async", options, [o for o in self._map_options() if o != "block"])
        return self._map(f, _rows(f, sequences), checked)

    def map_sync(self, f: Callable[..., Any], /, *sequences: Iterable[Any], **options: Any) -> Any:
        """The same, a list in any case."""
        checked = MapOptions("map_sync", options, [o for o in self._map_options() if o != "block"])
        return self._map(f, _rows(f, sequences), checked).get()

    def starmap(self, f: Callable[..., Any], /, rows: Iterable[Any], **options: Any) -> Any:
        """f(*row) for each row that is a tuple (or list), f(**row) for each that is a dict. Keywords as for map."""
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
        """An iterator over f of each element, which reads its input in its own thread and only so far ahead.

        max_outstanding: tasks under way at most; 'auto' is two per engine, 0 all. The input may be endless.
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
        """functools.reduce(f, sequence[, initial]) for an associative f: parts are reduced on the engines.

        Raises TypeError for an empty sequence without an initial value, as functools does.
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
        """Decorator: a RemoteFunction that runs on this view."""
        from tuiparallel.client.decorators import remote

        return remote(self, block, **flags)

    def parallel(
        self, dist: str = "b", block: bool | None = None, ordered: bool = True, **flags: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """Decorator: a ParallelFunction that runs on this view."""
        from tuiparallel.client.decorators import parallel

        return parallel(self, dist, block, ordered, **flags)

    # This view's tasks ------------------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        """The msg_ids of this view's tasks, in the order of submission."""
        return self._history

    @property
    def outstanding(self) -> set[str]:
        """The msg_ids of this view's tasks that have not ended."""
        ledger = self._session.ledger
        mine = self._history.counters()
        return {
            f"{self._session.hex}-{counter}"
            for counter in ledger.open_counters()
            if any(counter in counters for counters in mine)
        }

    @property
    def results(self) -> Any:
        """The client's results."""
        return self._client.results

    @property
    def metadata(self) -> Any:
        """The client's metadata."""
        return self._client.metadata

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Whether these tasks (None: all of this view) have ended within `timeout` seconds."""
        return self._client.wait(self.outstanding if jobs is None else jobs, timeout)

    def abort(
        self,
        jobs: Any = None,
        targets: Any = None,
        block: bool | None = None,
        *,
        running: bool = False,
        grace: float = 5.0,
    ) -> Any:
        """Client.abort for these tasks; None: all of this view that have not ended. grace: seconds."""
        if jobs is None and targets is None:
            jobs = self.outstanding
        return self._client.abort(
            jobs, targets, self._flag("block") if block is None else block, running=running, grace=grace
        )

    def get_result(self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = True) -> Any:
        """Client.get_result; an index is one into this view's history."""
        return self._client._get_result(
            indices_or_msg_ids, self._flag("block") if block is None else block, owner, self._history
        )

    def queue_status(self, targets: Any = None, verbose: bool = False) -> Any:
        """Client.queue_status of this view's engines."""
        return self._client.queue_status(self._status_targets() if targets is None else targets, verbose)

    def _status_targets(self) -> Any:
        return "all"

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Client.purge_results."""
        self._client.purge_results(jobs, targets)

    def shutdown(
        self, targets: Any = None, restart: bool = False, hub: bool = False, block: bool | None = None
    ) -> Any:
        """Client.shutdown of this view's engines."""
        return self._client.shutdown(self._status_targets() if targets is None else targets, restart, hub, block)

    def spin(self) -> None:
        """Handle what has arrived; never needed."""
        self._client.spin()

    @property
    def executor(self) -> ViewExecutor:
        """A concurrent.futures.Executor that submits to this view."""
        from tuiparallel.client.executor import ViewExecutor

        return ViewExecutor(self)

    def register_joblib_backend(self, name: str = "tuiparallel", make_default: bool = False) -> None:
        """joblib runs on this view after joblib.parallel_backend(name)."""
        from tuiparallel.client.joblib import register

        register(self, name, make_default)


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
