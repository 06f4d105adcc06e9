"""What an AsyncResult tells of its tasks: metadata, published data, times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tuiparallel.client import timing
from tuiparallel.client.metadata import ALIASES, KEYS, Metadata, metadata_of
from tuiparallel.errors import ResultNotReady

if TYPE_CHECKING:
    from tuiparallel.client.call import Call
    from tuiparallel.client.session import Session

TASK_KEYS = frozenset(KEYS) | frozenset(ALIASES)


class Facts:
    """A part of AsyncResult."""

    _session: Session
    _single: bool
    _name: str

    if TYPE_CHECKING:

        def ready(self) -> bool: ...
        def _tasks(self) -> Iterator[tuple[Call, int]]: ...
        def _task(self, number: int) -> tuple[Call, int]: ...
        def __getitem__(self, key: Any) -> Any: ...

    @property
    def metadata(self) -> Any:
        """The Metadata of the task, or a list with one per task, in order; also before they have ended."""
        if self._single:
            return metadata_of(*self._task(0))
        return [metadata_of(call, index) for call, index in self._tasks()]

    @property
    def data(self) -> Any:
        """What the task published with publish_data: a dict, or a list with one per task."""
        return self["data"]

    def _fact(self, key: str) -> Any:
        metadata = self.metadata
        return metadata[key] if isinstance(metadata, Metadata) else [one[key] for one in metadata]

    def __getattr__(self, name: str) -> Any:
        if name in TASK_KEYS:
            return self._fact(name)
        if isinstance(getattr(type(self), name, None), property):
            # A property raised AttributeError, and Python asks here as if there were no such property.
            return getattr(type(self), name).fget(self)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # Times ------------------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since the first submission, until the last result was received: a float."""
        return timing.elapsed(self._all_metadata(), self.ready(), self._session.clock.time())

    @property
    def wall_time(self) -> float:
        """Seconds from the first submission to the last result.
        Raises ResultNotReady before all tasks have ended.
        """
        if not self.ready():
            raise ResultNotReady(f"{self._name} has not ended: wait() first")
        return timing.wall_time(self._all_metadata())

    @property
    def serial_time(self) -> float:
        """Seconds of execution, all tasks together.
        Raises ResultNotReady before all have ended.
        """
        if not self.ready():
            raise ResultNotReady(f"{self._name} has not ended: wait() first")
        return timing.serial_time(self._all_metadata())

    def timedelta(
        self, start: Any, end: Any, start_key: Callable[[Any], Any] = min, end_key: Callable[[Any], Any] = max
    ) -> float:
        """The time from one moment to another one.

            >>> ar = rc[:].apply_async(abs, -1)
            >>> ar.wait(10)
            >>> 0 <= ar.timedelta(ar.submitted, ar.received) < 10
            True

        start, end: datetimes, or lists of them, of which start_key and end_key pick one (the earliest, and the
        latest).
        Returns seconds, a float.
        Raises TypeError for None, of a task that has not come that far.
        """
        first: datetime = start if isinstance(start, datetime) else start_key(start)
        last: datetime = end if isinstance(end, datetime) else end_key(end)
        return (last - first).total_seconds()

    def _all_metadata(self) -> list[Metadata]:
        return [metadata_of(call, index) for call, index in self._tasks()]
