"""The result of gather: the parts of all engines as one sequence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import Part
from tuiparallel.client.mapresult import AsyncMapResult

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


class GatheredResult(AsyncMapResult):
    """The AsyncMapResult of a gather: its items are those of the gathered whole, and iteration waits for that.

    How many items there are is not known before: until then len() and progress count engines. get_dict() gives each
    engine's own part.
    """

    def __init__(self, client: Client, parts: Sequence[Part], join: Callable[[list[Any]], Any]) -> None:
        super().__init__(client, parts, name="gather", joined=join)

    def __len__(self) -> int:
        return len(self.get()) if self.ready() and self.successful() else self._count()

    @property
    def progress(self) -> int:
        """How many of the len() items are here."""
        return len(self) if self.ready() and self.successful() else super().progress

    def _iterate(self) -> Iterator[Any]:
        yield from self.get()

    async def __aiter__(self) -> AsyncIterator[Any]:
        await self._reached(self.ready)
        for item in self.get():
            yield item

    def get_dict(self, timeout: float | None = -1) -> dict[int, Any]:
        """The parts by engine.

        timeout: seconds; None and -1: for ever.
        Returns {engine id: its part}.
        Raises what get() raises: TimeoutError, CompositeError, HubUnreachable.
        """
        self.get(timeout)
        found: dict[int, Any] = {}
        for call, index in self._tasks():
            outcome = call.outcomes[index]
            assert outcome is not None and outcome.engine is not None
            found[outcome.engine] = call.value(index)
        return found
