"""How others learn that an AsyncResult has ended: callbacks, concurrent Futures, await, async for."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuiparallel.client.asyncresult import Part
    from tuiparallel.client.call import Call
    from tuiparallel.client.session import Session


class Ending:
    """A part of AsyncResult."""

    _session: Session
    _parts: Sequence[Part]
    _single: bool
    _name: str
    _return_exceptions: bool

    if TYPE_CHECKING:

        def ready(self) -> bool: ...
        def _result(self, return_exceptions: bool) -> Any: ...
        def _tasks(self) -> Iterator[tuple[Call, int]]: ...
        @staticmethod
        def _error(call: Call, index: int) -> Exception | None: ...
        @staticmethod
        def _value(call: Call, index: int) -> Any: ...

    def _when_ready(self, function: Callable[[], None]) -> None:
        """Call function once, in whichever thread finds all tasks ended (or the client closed): it must not wait."""
        self._session.when(self.ready, [part.call for part in self._parts], function)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call a function when all tasks have ended, or at once when they have.

            >>> import threading
            >>> told = threading.Event()
            >>> rc[0].apply_async(abs, -1).add_done_callback(lambda ar: told.set() if ar.get() == 1 else None)
            >>> told.wait(10)
            True

        fn: called with this AsyncResult in a thread of the client for callbacks, one after the other: get, apply and
        waits are allowed there. Its exceptions are logged.
        Returns None.
        Raises TypeError when fn cannot be called.
        """
        if not callable(fn):
            raise TypeError(f"a done callback must be callable, not {type(fn).__name__}")
        self._when_ready(lambda: self._session.callbacks.put(lambda: fn(self)))

    def as_future(self) -> concurrent.futures.Future[Any]:
        """A concurrent.futures.Future of the result; its cancel() does not reach the tasks.

            >>> rc[0].apply_async(abs, -1).as_future().result(timeout=10)
            1

        Returns the Future; it has the value, or the error, that get() gives.
        Raises nothing.
        """
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()

        def settle() -> None:
            try:
                value = self._session.ended(self.ready) and self._result(self._return_exceptions)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)

        # Unpacking a large result would hold up the thread that receives.
        self._when_ready(lambda: self._session.callbacks.put(settle))
        return future

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        await self._reached(self.ready)
        return self._result(self._return_exceptions)

    async def _reached(self, ready: Callable[[], bool]) -> None:
        if ready():
            return
        loop = asyncio.get_running_loop()
        reached: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not reached.done():
                reached.set_result(None)

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                pass  # the loop was closed

        self._session.when(ready, [part.call for part in self._parts], tell)
        await reached
        self._session.ended(ready)

    async def __aiter__(self) -> AsyncIterator[Any]:
        if self._single:
            raise TypeError(f"{self._name} has a single result: await it")
        for call, index in self._tasks():

            def there(call: Call = call, index: int = index) -> bool:
                return call.outcomes[index] is not None

            await self._reached(there)
            error = self._error(call, index)
            if error is not None and not self._return_exceptions:
                raise error
            yield self._value(call, index) if error is None else error
