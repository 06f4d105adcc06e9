"""ViewExecutor: the concurrent.futures interface over a view."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.durations import seconds
from tuiparallel.errors import AbortedTask
from tuiparallel.link.clock import Deadline
from tuiparallel.wire.references import call_rows

if TYPE_CHECKING:
    from tuiparallel.client.view import View


class TaskFuture(Future[Any]):
    """A concurrent.futures.Future of one call. `ar` is its AsyncResult; cancel() aborts the call as long as it is
    queued.
    """

    def __init__(self, ar: AsyncResult) -> None:
        super().__init__()
        self.ar = ar
        self._cancelling = False

    def cancel(self) -> bool:
        """Abort the call if it has not started.
        Returns a bool: whether it will never run.
        Raises nothing.
        """
        if self.done():
            return super().cancel()
        self._cancelling = True
        try:
            if self.ar.cancel():
                return super().cancel()
        finally:
            self._cancelling = False
        self._settle()
        return False

    def result(self, timeout: float | None = None) -> Any:
        """The call's value, as of any Future.

        timeout: seconds; None: for ever.
        Returns the value.
        Raises TimeoutError, CancelledError, the call's RemoteError, HubUnreachable.
        """
        self._wait_inside(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The call's error, as of any Future.

        timeout: seconds; None: for ever.
        Returns an exception or None.
        Raises TimeoutError, CancelledError.
        """
        self._wait_inside(timeout)
        return super().exception(timeout)

    def _wait_inside(self, timeout: float | None) -> None:
        if timeout is None and not self.done() and self.ar._session.nesting.host() is not None:
            self.ar.wait()

    def _settle(self) -> None:
        if self._cancelling or self.done() or not self.ar.ready():
            return
        try:
            if not self.set_running_or_notify_cancel():
                return
        except Exception:  # another thread was first
            return
        try:
            value = self.ar._result(False)
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(value)


class ViewExecutor(Executor):
    """A concurrent.futures.Executor whose calls run on a view, after PEP 3148.

        >>> with tp.ViewExecutor(lview) as pool:
        ...     future = pool.submit(pow, 2, 5)
        ...     list(pool.map(abs, range(-3, 0))), future.result(timeout=10)
        ([3, 2, 1], 32)

    view: any view; its flags go with each call. It is the attribute `view`. Shutting it down ends no engine.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._lock = threading.Lock()
        self._closed = False
        self._open: dict[TaskFuture, None] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit fn(*args, **kwargs).

        fn, args, kwargs: as for View.apply.
        Returns a concurrent Future of its value; cancel() works while it is queued, and its attribute `ar` is the
        AsyncResult.
        Raises RuntimeError after shutdown(), and TypeError, SerializationError and MessageTooLarge as View.apply
        does.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("this executor was shut down: make a new one with view.executor")
            ar = self.view.apply_async(fn, *args, **kwargs)
            future = TaskFuture(ar)
            self._open[future] = None
        session = self.view._session

        def ended() -> None:
            session.callbacks.put(lambda: self._settle(future))

        ar._when_ready(ended)
        return future

    def _settle(self, future: TaskFuture) -> None:
        self._open.pop(future, None)
        if future.ar.ready():
            future._settle()
        elif not future.done():  # the client was closed, or the hub is gone for good
            error = self.view._session.hopeless()
            if error is not None and future.set_running_or_notify_cancel():
                future.set_exception(error)

    def map(
        self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[Any]:
        """fn of each element, in order, while the input is read as far ahead as keeps all engines busy.

        fn: as for View.apply. iterables: the shortest wins; they may be endless. timeout: seconds from this call on;
        None: no limit. chunksize: elements per task, an int >= 1.
        Returns an iterator over values.
        Raises RuntimeError after shutdown(), ValueError for chunksize < 1, TypeError; the iterator raises
        TimeoutError when a value is late, and the RemoteError of an element that failed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("this executor was shut down: make a new one with view.executor")
        if chunksize < 1:
            raise ValueError(f"chunksize={chunksize}: it must be >= 1")
        deadline = Deadline(self.view._session.clock, seconds("timeout", timeout))
        if chunksize == 1:
            return _until(self.view.imap(fn, *iterables), deadline)
        rows = zip(*iterables, strict=False)
        chunks = iter(lambda: list(itertools.islice(rows, chunksize)), [])
        found = _until(self.view.imap(partial(call_rows, fn), chunks), deadline)
        return itertools.chain.from_iterable(found)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. Engines live on.

        wait: return when all calls have ended. cancel_futures: abort those that are queued.
        Returns None.
        Raises HubUnreachable when the hub does not answer.
        """
        with self._lock:
            self._closed = True
        open_ones = list(self._open)
        if cancel_futures and open_ones:
            for future in open_ones:
                future._cancelling = True
            self.view.client.abort([future.ar for future in open_ones if not future.ar.ready()], block=True)
            for future in open_ones:
                future.ar.wait(self.view._session.query_timeout)
                aborted = future.ar.ready() and isinstance(future.ar.exception(0), AbortedTask)
                if not (aborted and Future.cancel(future)):
                    future._cancelling = False
                    future._settle()
        if wait:
            for future in open_ones:
                future.ar.wait()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.view!r}>"


def _until(values: Any, deadline: Deadline) -> Iterator[Any]:
    while True:
        try:
            value = values.next(deadline.left())
        except StopIteration:
            return
        yield value
