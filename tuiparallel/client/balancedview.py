"""LoadBalancedView: the hub chooses an engine for each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tuiparallel.client.asyncresult import AsyncResult, Part
from tuiparallel.client.flags import Flag
from tuiparallel.client.mapoptions import MapOptions
from tuiparallel.client.mapresult import AsyncMapResult
from tuiparallel.client.submitting import Order
from tuiparallel.client.targets import chosen
from tuiparallel.client.view import View, apply_order
from tuiparallel.wire.functions import pack_function
from tuiparallel.wire.messages import MAX_BATCH, Kind
from tuiparallel.wire.objects import BATCH_LIMIT, plain_calls

if TYPE_CHECKING:
    from tuiparallel.client.client import Client

FIRST_BATCH = 250  # tasks in a map's first Submit; the next ones double: engines begin while the rest is packed


class LoadBalancedView(View):
    """A view that runs each call on one engine, which the hub chooses: one that is idle, or the least busy one.

        >>> lview = rc.load_balanced_view()
        >>> lview.map_sync(lambda x: x * x, range(6))
        [0, 1, 4, 9, 16, 25]
        >>> with lview.temp_flags(retries=2, priority=5, timeout=10):
        ...     ar = lview.apply_async(pow, 2, 4)
        >>> ar.get(timeout=10), ar.engine_id in rc.ids
        (16, True)

    targets: None (any engine, also ones that come later), or a list of ints that calls are restricted to. Without any
    engine calls wait for the first one. It has no push, pull, scatter, gather, execute and run, since no engine is
    meant.

    More flags than other views, see set_flags: after and follow (what tasks wait for, and where they run), timeout
    (seconds for these to be met, None: no limit), retries (attempts after the first one), retry_on, priority. A task
    whose dependencies cannot be met any more ends with ImpossibleDependency, with one that does not exist
    InvalidDependency, after timeout DependencyTimeout. By default a call is attempted once: when its engine dies
    while it may have run, it ends as EngineError.
    """

    FLAGS: ClassVar[tuple[str, ...]] = (
        *View.FLAGS, "after", "follow", "timeout", "retries", "retry_on", "priority"
    )  # fmt: skip
    BALANCED = True

    after = Flag()
    follow = Flag()
    timeout = Flag()
    retries = Flag()
    retry_on = Flag()
    priority = Flag()

    def __init__(self, client: Client, **flags: Any) -> None:
        super().__init__(client, **flags)

    def __repr__(self) -> str:
        targets = self._flag("targets")
        return f"<{type(self).__name__} {'None' if targets is None else list(targets)}>"

    def _checked_targets(self, value: Any) -> list[int] | None:
        if value is None or (isinstance(value, str) and value == "all"):
            return None
        ids, _ = chosen(self._session, value)
        return ids

    def _allowed(self, flags: dict[str, Any]) -> tuple[int, ...] | None:
        return None if flags["targets"] is None else tuple(flags["targets"])

    def _engines(self) -> Sequence[int]:
        targets = self._flag("targets")
        living = self._session.engines or []
        return living if targets is None else [engine for engine in targets if engine in living]

    def _status_targets(self) -> Any:
        targets = self._flag("targets")
        return "all" if targets is None else targets

    def _apply(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncResult:
        self._session.check()
        order = apply_order(self._settings(), f)
        parts = self._send(order, (self._pack(args, kwargs),), None, 1)
        return AsyncResult(self._client, parts, single=True, name=order.name, track=self._flag("track"))

    def _map(self, f: Callable[..., Any], rows: list[tuple[Any, ...]], options: MapOptions) -> AsyncMapResult:
        self._session.check()
        settings = self._settings()
        if options.label is not None:
            settings = settings._replace(label=options.label)
        function = pack_function(f)
        chunked = options.chunksize > 1
        order = Order(settings, Kind.MAP if chunked else Kind.APPLY, function.name, function)
        parts: list[Part] = []
        sizes: list[int] | None = [] if chunked else None
        if chunked:
            assert sizes is not None
            step = options.chunksize
            for start in range(
                0, len(rows), step * 64
            ):  # in steps, so that the first ones run while others are packed
                calls = []
                for first in range(start, min(start + step * 64, len(rows)), step):
                    chunk = rows[first : first + step]
                    sizes.append(len(chunk))
                    calls.append(self._pack((chunk, options.constants, options.return_exceptions, first), {}))
                parts += self._send_each(order, calls)
        else:
            start, step = 0, FIRST_BATCH
            while start < len(rows):
                parts += self._send_rows(order, rows[start : start + step], options.constants)
                start, step = start + step, min(2 * step, MAX_BATCH)
        return AsyncMapResult(
            self._client,
            parts,
            name=order.name,
            sizes=sizes,
            ordered=options.ordered,
            track=self._flag("track") if options.track is None else options.track,
            return_exceptions=options.return_exceptions,
        )

    def _send_rows(self, order: Order, rows: list[tuple[Any, ...]], constants: dict[str, Any]) -> list[Part]:
        """A task per row, at most MAX_BATCH of them."""
        bodies = plain_calls(rows, constants)
        if bodies is not None:
            return [self._submit(order, bodies, len(bodies), None)]
        return self._send_each(order, [self._pack(row, constants) for row in rows])

    def _send_each(self, order: Order, calls: list[Any]) -> list[Part]:
        """A task per packed call, in Submits that stay below what a frame may hold."""
        parts: list[Part] = []
        start = size = 0
        for end, call in enumerate(calls):
            size += len(call.body)
            if size > BATCH_LIMIT and end > start:
                parts += self._send(order, calls[start:end], None, end - start)
                start, size = end, len(call.body)
        return parts + self._send(order, calls[start:], None, len(calls) - start)
