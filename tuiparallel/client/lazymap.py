"""imap: a map that reads its input while its results are consumed."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.errors import ParallelError
from tuiparallel.wire.ids import IdRange

if TYPE_CHECKING:
    from tuiparallel.client.mapresult import AsyncMapResult
    from tuiparallel.client.view import View

_PER_ENGINE = 2  # tasks under way, for each engine, with 'auto'
_UNREAD = 64  # results that may wait for their reader, for each task that may be under way


class _Feed:
    """What the reading thread and the iterator share; the thread does not keep the iterator alive."""

    def __init__(self, view: View, limit: int | str | None) -> None:
        self.changed = threading.Condition()
        self.view = view
        self.limit = limit
        self.pending: deque[AsyncResult] = deque()  # submitted, not consumed, in order
        self.under_way = 0
        self.submitted = 0
        self.ended = 0
        self.error: BaseException | None = None  # of the input, or of submitting
        self.exhausted = False
        self.stopped = False

    def room(self) -> bool:
        limit = self.limit
        if limit == "auto":
            limit = max(1, _PER_ENGINE * len(self.view))
        if not limit:
            return True
        assert isinstance(limit, int)
        return self.under_way < limit and len(self.pending) < limit * _UNREAD

    def finished(self) -> None:
        with self.changed:
            self.under_way -= 1
            self.ended += 1
            self.changed.notify_all()

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


class LazyMapIterator(Iterator[Any]):
    """What imap gives: an iterator over values, in the order of the input, or with ordered=False as they finish.

    Its thread reads the input only as far ahead as engines need. next() raises what the input raised, and the
    RemoteError of an element that failed, unless errors are values. Dropping it stops the reading.
    """

    def __init__(
        self,
        view: View,
        f: Callable[..., Any],
        sequences: Sequence[Iterable[Any]],
        ordered: bool,
        max_outstanding: int | str | None,
        return_exceptions: bool,
    ) -> None:
        limit = _limit(max_outstanding)
        self._feed = _Feed(view, limit)
        self._ordered = ordered
        self._return_exceptions = return_exceptions
        self._session = view._session
        self._stop = weakref.finalize(self, self._feed.stop)
        self._thread = threading.Thread(
            target=_read, args=(self._feed, f, sequences), name="tuiparallel-imap", daemon=True
        )
        self._thread.start()

    @property
    def submitted(self) -> int:
        """How many elements were submitted so far: an int."""
        return self._feed.submitted

    @property
    def progress(self) -> int:
        """How many elements are done: an int."""
        return self._feed.ended

    def cancel(self) -> None:
        """Read no more input, and abort what has not started; the iterator then ends.
        Returns None.
        Raises nothing.
        """
        feed = self._feed
        with feed.changed:
            feed.stopped = True
            pending = [result for result in feed.pending if not result.ready()]
            feed.pending.clear()
            feed.changed.notify_all()
        if pending:
            feed.view.client.abort(pending, block=False)

    def __iter__(self) -> LazyMapIterator:
        return self

    def __next__(self) -> Any:
        return self.next(None)

    def next(self, timeout: float | None) -> Any:
        """The next value, for those who cannot wait for ever.

        timeout: seconds; None: for ever.
        Returns the value.
        Raises TimeoutError when it is not there in time, StopIteration at the end, what the input raised, the
        RemoteError of the element.
        """
        feed = self._feed
        session = self._session

        def there() -> bool:
            if feed.stopped or feed.exhausted and not feed.pending:
                return True
            return any(result.ready() for result in self._candidates())

        # The reading thread notifies the condition; results ring through the session.
        if not there() and not session.wait(there, timeout, self._unended):
            raise TimeoutError("the next value of imap is not there yet")
        with feed.changed:
            found = next((result for result in self._candidates() if result.ready()), None)
            if found is None:
                error, feed.error = feed.error, None
                if error is not None and not feed.stopped:
                    raise error
                raise StopIteration
            feed.pending.remove(found)
            feed.changed.notify_all()
        return found._result(self._return_exceptions)

    def _unended(self) -> list[IdRange]:
        return [one for result in self._candidates() for one in result._unended()]

    def _candidates(self) -> list[AsyncResult]:
        """What may come next: the oldest, or any."""
        pending = self._feed.pending
        if self._ordered:
            return [pending[0]] if pending else []
        return list(pending)


def _limit(value: Any) -> int | str | None:
    if value == "auto" or value is None:
        return "auto" if value == "auto" else None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"max_outstanding is an int, 'auto' or 0 for all, not {value!r}")
    if value < 0:
        raise ValueError(f"max_outstanding={value}: it must be >= 0")
    return value


def _read(feed: _Feed, f: Callable[..., Any], sequences: Sequence[Iterable[Any]]) -> None:
    """The reading thread: submits the input as far ahead as there is room."""
    look = feed.view._session.receiver.look
    try:
        for row in zip(*sequences, strict=False):
            with feed.changed:
                while not feed.room() and not feed.stopped:
                    # An engine that joins, or a client that is closed, notifies nobody.
                    feed.changed.wait(1.0)
                    feed.view._session.check()
                if feed.stopped:
                    return
                feed.under_way += 1
            result = feed.view.apply_async(f, *row)
            feed.submitted += 1
            feed.pending.append(result)
            result._when_ready(feed.finished)
            look()
    except (Exception, ParallelError) as error:
        feed.error = error
    finally:
        feed.exhausted = True
        look()


def eager(result: AsyncMapResult) -> EagerMapIterator:
    """An iterator over a map whose parts were sent at once."""
    return EagerMapIterator(result)


class EagerMapIterator(LazyMapIterator):
    """The imap of a DirectView: all of it is submitted at once."""

    def __init__(self, result: AsyncMapResult) -> None:
        self._whole = result
        self._values = iter(result)

    @property
    def submitted(self) -> int:
        """How many elements there are: an int."""
        return len(self._whole)

    @property
    def progress(self) -> int:
        """How many elements are done: an int."""
        return self._whole.progress

    def cancel(self) -> None:
        """Abort the parts that have not started; the iterator then ends.
        Returns None.
        Raises nothing.
        """
        self._values = iter(())
        if not self._whole.ready():
            self._whole._client.abort(self._whole, block=False)

    def next(self, timeout: float | None) -> Any:
        """The next value. timeout: ignored, seconds in other iterators.
        Returns the value.
        Raises StopIteration at the end, the RemoteError of the element.
        """
        return next(self._values)
