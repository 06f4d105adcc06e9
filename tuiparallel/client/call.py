"""What a client knows of the tasks of one Submit: columns, not one object per task.

A Call lives as long as an AsyncResult (or the client's own results) holds it; nothing else does. No socket, thread or
clock in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pickle import loads
from typing import TYPE_CHECKING, Any, Final

from tuiparallel.errors import DeserializationError, RemoteError
from tuiparallel.wire.failures import to_exception
from tuiparallel.wire.messages import Buffer, ErrorText, Extras, Outcome, Place, Work
from tuiparallel.wire.objects import PLAIN, unpack
from tuiparallel.wire.states import State

if TYPE_CHECKING:
    from tuiparallel.wire.blobs import BlobReader, BlobStore


class _Unset:
    """Stands where a value was not unpacked yet."""


_UNSET: Final = _Unset()


class Call:
    """`count` tasks of one session with counters from `first` on, and what has become of them.

    outcomes and received (seconds since the epoch) have one entry per task, None until it has ended. left counts
    those, failed the ones that ended in anything but a value. sent tells whether all of it was handed over.
    """

    __slots__ = (
        "__weakref__",
        "blobs",
        "count",
        "errors",
        "failed",
        "first",
        "foreign",
        "left",
        "mapped",
        "outcomes",
        "places",
        "received",
        "sent",
        "size",
        "sizes",
        "session",
        "submitted",
        "targets",
        "values",
        "watchers",
        "work",
    )

    def __init__(
        self,
        session: str,
        first: int,
        count: int,
        work: Work | None,
        targets: list[int] | None,
        blobs: BlobStore | None,
    ) -> None:
        self.session = session
        self.first = first
        self.count = count
        self.work = work  # None: of another client, and the hub has not told yet
        self.targets = targets  # one per task for direct work
        self.blobs = blobs
        self.outcomes: list[Outcome | None] = [None] * count
        self.received: list[float | None] = [None] * count
        self.left = count
        self.failed = 0
        self.places: dict[int, Place] | None = None  # engines that ran some of it: uuid and host
        self.submitted: float | None = None  # seconds since the epoch, where it differs from the work's
        self.size: int | Sequence[int] | None = (
            None  # bytes of the packed calls with their blobs, one for all or each
        )
        self.sent = True
        self.foreign = False
        self.values: list[Any] | None = None
        self.errors: dict[int, Exception] | None = None
        self.watchers: list[Callable[[], None]] | None = None
        self.mapped: dict[int, Mapped] | None = None  # large buffers of results that were not unpacked yet
        self.sizes: dict[int, int] | None = None  # of results that were let go when they were unpacked

    def settle(self, index: int, outcome: Outcome, received: float | None, places: Sequence[Place] = ()) -> bool:
        """Take a task's outcome; False when it is a copy of one that is there. places: those of its Done."""
        if self.outcomes[index] is not None:
            return False
        engine = outcome.engine
        if engine is not None and outcome.place >= 0 and (self.places is None or engine not in self.places):
            self.places = self.places or {}
            self.places[engine] = places[outcome.place]
        self.received[index] = received
        self.outcomes[index] = outcome
        if outcome.blobs and self.blobs is not None:
            # The hub may give a buffer back as soon as we have it: a mapping keeps it, whatever becomes of its name.
            self.mapped = self.mapped or {}
            self.mapped[index] = Mapped(self.blobs, outcome.blobs)
        if outcome.state != State.DONE:
            self.failed += 1
        self.left -= 1
        return True

    def error(self, index: int) -> Exception | None:
        """The error of a task that has ended, None when it has a value.

        RemoteErrors of the task, or DeserializationError when its value cannot be unpacked here.
        """
        outcome = self.outcomes[index]
        assert outcome is not None
        if outcome.state != State.DONE:
            if self.errors is None:
                self.errors = {}
            found = self.errors.get(index)
            if found is None:
                found = self.errors[index] = failure_of(outcome)
            return found
        self._unpack(index, outcome)
        return self.errors.get(index) if self.errors else None

    def value(self, index: int) -> Any:
        """The value of a task that has ended, unpacked when first asked for. Raises its error."""
        if self.values is not None:
            value = self.values[index]
            if value is not _UNSET:
                return value
        error = self.error(index)
        if error is not None:
            raise error
        assert self.values is not None
        return self.values[index]

    def values_of(self, first: int, count: int) -> list[Any]:
        """The values of tasks that have all ended with one. What cannot be unpacked is in `errors` afterwards."""
        if self.values is None:
            self.values = [_UNSET] * self.count
        values, outcomes = self.values, self.outcomes
        for index in range(first, first + count):
            if values[index] is _UNSET:
                outcome = outcomes[index]
                assert outcome is not None
                body = outcome.body
                if len(body) <= _WORTH_FREEING and body[:1] == PLAIN:
                    try:
                        values[index] = loads(body)
                        continue
                    except Exception:
                        pass  # said below
                self._unpack(index, outcome)
        return values[first : first + count]

    def _unpack(self, index: int, outcome: Outcome) -> None:
        if self.values is None:
            self.values = [_UNSET] * self.count
        if self.values[index] is not _UNSET or (self.errors and index in self.errors):
            return
        try:
            store: BlobReader | None = self.mapped.pop(index, self.blobs) if self.mapped else self.blobs
            self.values[index] = unpack(outcome.body, store)
        except Exception as cause:
            if self.errors is None:
                self.errors = {}
            self.errors[index] = _unreadable(outcome, cause)
            return
        if len(outcome.body) > _WORTH_FREEING:  # else a large result would be kept twice
            self.sizes = self.sizes or {}
            self.sizes[index] = self.result_size(index) or 0
            self.outcomes[index] = Outcome(
                outcome.task, outcome.state, outcome.engine, outcome.started, outcome.completed, outcome.attempt,
                b"", outcome.extras, outcome.attempts, outcome.blobs, outcome.received, outcome.place,
            )  # fmt: skip

    def place_of(self, index: int) -> Place | None:
        """uuid and host of the engine that a task has ended on; None when there is none, or nobody knows."""
        outcome = self.outcomes[index]
        if outcome is None or outcome.engine is None or self.places is None:
            return None
        return self.places.get(outcome.engine)

    def size_of(self, index: int) -> int | None:
        """Bytes of a task's packed call, its blobs included; None when it is not known here."""
        return self.size if self.size is None or isinstance(self.size, int) else self.size[index]

    def result_size(self, index: int) -> int | None:
        """Bytes of a task's packed value, its blobs included; None as long as there is none."""
        if self.sizes is not None and index in self.sizes:
            return self.sizes[index]
        outcome = self.outcomes[index]
        if outcome is None or outcome.state != State.DONE:
            return None
        return len(outcome.body) + sum(size for _, size in outcome.blobs)

    def unpacked(self, body: bytes) -> Any:
        """Something that a task packed beside its value."""
        return unpack(body, self.blobs)


class Mapped:
    """The blobs of one result, opened when it arrived. Stands for a store that has only these, for reading."""

    def __init__(self, store: BlobStore, blobs: Sequence[Buffer]) -> None:
        self._store = store
        self._views: dict[str, memoryview] = {}
        for name, size in blobs:
            try:
                self._views[name] = store.open(name, size)
            except OSError:
                pass  # it is gone already: whoever asks for the value is told

    def open(self, name: str, size: int | None = None) -> memoryview:
        """As BlobStore.open."""
        view = self._views.get(name)
        return self._store.open(name, size) if view is None else view


_WORTH_FREEING = 4096  # bytes of a packed result that are let go once it was unpacked


def failure_of(outcome: Outcome) -> RemoteError:
    """The exception of an outcome that is not DONE."""
    extras = outcome.extras
    if extras is None or extras.error is None:
        ename = _ENAMES.get(State(outcome.state), "RemoteError")
        return to_exception(ErrorText(ename, "the hub gave no reason", "", outcome.engine))
    return to_exception(extras.error)


_ENAMES = {State.ABORTED: "AbortedTask", State.EXPIRED: "TaskTimeout", State.LOST: "EngineError"}


def _unreadable(outcome: Outcome, cause: Exception) -> Exception:
    if outcome.blobs and isinstance(cause.__cause__ or cause, FileNotFoundError):
        text = (
            f"the large buffers of task {outcome.task} were given back: those of ended tasks are kept up to blob_keep"
        )
        return to_exception(ErrorText("ResultExpired", text, "", outcome.engine))
    if isinstance(cause, DeserializationError):
        return cause
    error = DeserializationError(
        f"the result of task {outcome.task} (engine {outcome.engine}) cannot be unpacked here: "
        f"{type(cause).__name__}: {cause}"
    )
    error.__cause__ = cause
    return error


def ended_here(task: int, state: State, error: ErrorText) -> Outcome:
    """An outcome that this client makes itself, for a task the hub never took."""
    return Outcome(task, state, None, None, None, 0, b"", Extras(error=error))
