"""AsyncMapResult: the result of a map, a list with a value per element."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import AsyncResult, Part
from tuiparallel.client.call import Call
from tuiparallel.errors import RemoteError

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


class AsyncMapResult(AsyncResult):
    """The result of a map: its items are elements of the input, whichever way they were put into tasks.

        >>> ar = lview.map_async(abs, range(-3, 3), chunksize=2)
        >>> ar.get(timeout=10), len(ar), ar.progress, len(ar.msg_ids), ar[-1], list(ar)[:2]
        ([3, 2, 1, 0, 1, 2], 6, 6, 3, 2, [3, 2])

    len(), progress, ar[i] and iteration are of elements, metadata and msg_ids of tasks. Iteration gives values in the
    order of the input as they arrive, with ordered=False as they finish. An error has the `index` of its element in
    the input.
    """

    def __init__(
        self,
        client: Client,
        parts: Sequence[Part],
        *,
        name: str,
        sizes: list[int] | None = None,
        ordered: bool = True,
        track: bool = False,
        return_exceptions: bool = False,
        joined: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        super().__init__(
            client, parts, single=False, name=name, track=track, return_exceptions=return_exceptions, joined=joined
        )
        self._sizes = sizes
        self._ordered = ordered

    def _flat(self, values: list[Any]) -> list[Any]:
        if self._sizes is None:
            return values
        return [item for chunk in values for item in chunk]

    def __len__(self) -> int:
        return self._count() if self._sizes is None else sum(self._sizes)

    @property
    def progress(self) -> int:
        """How many elements are done: an int."""
        if self._sizes is None:
            return self._count() - sum(call.left for call, _, _ in self._parts)
        return sum(
            size for size, (call, index) in zip(self._sizes, self._tasks(), strict=True) if call.outcomes[index]
        )

    def _starts(self) -> Iterator[int]:
        """The index of each task's first element."""
        if self._sizes is None:
            yield from range(self._count())
            return
        start = 0
        for size in self._sizes:
            yield start
            start += size

    def _values(self) -> tuple[list[Any], list[Exception]]:
        values: list[Any] = []
        errors: list[Exception] = []
        if self._sizes is None:
            for call, first, count in self._parts:
                if call.failed or call.errors:
                    break
                values += call.values_of(first, count)
                if call.errors:
                    break
            else:
                return values, errors
            values.clear()
        for start, (call, index) in zip(self._starts(), self._tasks(), strict=True):
            error = self._indexed_error(call, index, start)
            if error is not None:
                errors.append(error)
                values.append(error)
            elif self._sizes is None:
                values.append(call.value(index))
            else:
                values += call.value(index)
        return values, errors

    def _indexed_error(self, call: Call, index: int, start: int) -> Exception | None:
        error = call.error(index)
        if error is not None:
            outcome = call.outcomes[index]
            place = start
            if outcome is not None and outcome.extras is not None and outcome.extras.error is not None:
                place = outcome.extras.error.facts.get("index", start)
            if isinstance(error, RemoteError):
                error.index = place
                error.facts.setdefault("index", place)
        return error

    def _items(self, call: Call, index: int, start: int) -> list[Any]:
        """The elements of a task that has ended. Raises its error, unless errors are values."""
        error = self._indexed_error(call, index, start)
        if error is not None:
            if self._return_exceptions:
                return [error]
            raise error
        value = call.value(index)
        return [value] if self._sizes is None else value

    def _iterate(self) -> Iterator[Any]:
        if self._ordered:
            for start, (call, index) in zip(self._starts(), self._tasks(), strict=True):
                self._await_task(call, index)
                yield from self._items(call, index, start)
            return
        left = list(zip(self._starts(), self._tasks(), strict=True))
        while left:
            still = []
            for start, (call, index) in left:
                if call.outcomes[index] is None:
                    still.append((start, (call, index)))
                else:
                    yield from self._items(call, index, start)
            if len(still) == len(left):
                waiting = [one for _, one in still]
                self._session.wait(partial(_any_ended, waiting), None, self._unended)
            left = still

    async def __aiter__(self) -> AsyncIterator[Any]:
        left = list(zip(self._starts(), self._tasks(), strict=True))
        while left:
            now = left[:1] if self._ordered else left
            await self._reached(lambda: any(call.outcomes[i] is not None for _, (call, i) in now))  # noqa: B023
            ended = [one for one in now if one[1][0].outcomes[one[1][1]] is not None]
            left = [one for one in left if one not in ended] if not self._ordered else left[1:]
            for start, (call, index) in ended:
                for item in self._items(call, index, start):
                    yield item


def _any_ended(tasks: list[tuple[Call, int]]) -> bool:
    return any(call.outcomes[index] is not None for call, index in tasks)
