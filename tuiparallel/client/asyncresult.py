"""AsyncResult: what a call gives at once, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from tuiparallel.client import display, timing
from tuiparallel.client.call import Call
from tuiparallel.client.durations import seconds
from tuiparallel.client.ending import Ending
from tuiparallel.client.metadata import ALIASES, KEYS, Metadata, metadata_of
from tuiparallel.client.nesting import ranges_of
from tuiparallel.errors import CompositeError, HubUnreachable, ParallelError, RemoteError, ResultNotReady
from tuiparallel.wire.ids import IdRange, msg_id
from tuiparallel.wire.messages import Kind
from tuiparallel.wire.states import State

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.client.streaming import OutputStream

_KEYS = frozenset(KEYS) | frozenset(ALIASES)


class Part(NamedTuple):
    """Some tasks of a Call: its numbers first .. first + size - 1."""

    call: Call
    first: int
    size: int

    def ended(self) -> bool:
        if not self.call.left:
            return True
        return None not in self.call.outcomes[self.first : self.first + self.size]


class AsyncResult(Ending):
    """The tasks of one call, or several such, in order.

    single: one task, whose bare value is the result; otherwise the result is a list with a value per task. Waits take
    seconds; None and -1 mean for ever, other negative numbers 0. Not a concurrent Future: as_future() gives one.
    """

    def __init__(
        self,
        client: Client,
        parts: Sequence[Part],
        *,
        single: bool,
        name: str,
        track: bool = False,
        return_exceptions: bool = False,
        joined: Callable[[list[Any]], Any] | None = None,
        owner: bool = True,
    ) -> None:
        self._client = client
        self._session = client._session
        self._parts = parts
        self._single = single
        self._name = name
        self._track = track
        self._return_exceptions = return_exceptions
        self._joined = joined  # makes the result of the list of values
        self._joined_value: list[Any] = []  # holds it once it was made
        self._ended = 0  # parts before this one have ended
        self.owner = owner

    def __repr__(self) -> str:
        state = "finished" if self.ready() else "pending"
        return f"<{type(self).__name__}({self._name}): {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} belongs to a client and cannot be sent: send its msg_ids, or its result")

    # Which tasks ------------------------------------------------------------------------------------------------

    @property
    def msg_ids(self) -> list[str]:
        """The msg_id of each task, in order."""
        return [msg_id(session, counter) for session, counter in self._jobs()]

    def _jobs(self) -> list[tuple[str, int]]:
        return [
            (part.call.session, part.call.first + index)
            for part in self._parts
            for index in range(part.first, part.first + part.size)
        ]

    def _tasks(self) -> Iterator[tuple[Call, int]]:
        for call, first, count in self._parts:
            for index in range(first, first + count):
                yield call, index

    def _task(self, number: int) -> tuple[Call, int]:
        for call, first, count in self._parts:
            if number < count:
                return call, first + number
            number -= count
        raise IndexError(number)

    def _count(self) -> int:
        return sum(part.size for part in self._parts)

    # Waiting ----------------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether all tasks have ended. Does not block."""
        parts = self._parts
        while self._ended < len(parts):
            if not parts[self._ended].ended():
                return False
            self._ended += 1
        return True

    def done(self) -> bool:
        """The same as ready()."""
        return self.ready()

    def _enough(self, return_when: str) -> Callable[[], bool]:
        if return_when == ALL_COMPLETED:
            return self.ready
        if return_when == FIRST_COMPLETED:
            return lambda: self.ready() or any(call.outcomes[index] is not None for call, index in self._tasks())
        if return_when == FIRST_EXCEPTION:
            return lambda: self.ready() or any(call.failed for call, _, _ in self._parts)
        raise ValueError(f"return_when={return_when!r}: it must be ALL_COMPLETED, FIRST_COMPLETED or FIRST_EXCEPTION")

    def _wait(self, timeout: float | None, return_when: str | None = None) -> bool:
        limit = seconds("timeout", timeout)
        enough = self._enough(return_when or ALL_COMPLETED)
        if enough():
            return True
        try:
            return self._session.wait(enough, limit, self._unended)
        except KeyboardInterrupt as interrupt:
            interrupt.async_result = self  # type: ignore[attr-defined]
            raise

    def _unended(self) -> list[IdRange]:
        return ranges_of((call.session, call.first + i) for call, i in self._tasks() if call.outcomes[i] is None)

    def wait(self, timeout: float | None = None, return_when: str | None = None) -> Any:
        """Block until all tasks have ended, or `timeout` seconds. Raises nothing, whatever became of them.

        Returns None; with return_when the sets (done, pending) of AsyncResults, one per task.
        """
        try:
            self._wait(timeout, return_when)
        except ParallelError:
            pass  # the hub is gone, or the client closed: who wants to know asks with get()
        if return_when is None:
            return None
        pieces = self.split()
        return {piece for piece in pieces if piece.ready()}, {piece for piece in pieces if not piece.ready()}

    def get(
        self, timeout: float | None = None, return_exceptions: bool | None = None, return_when: str | None = None
    ) -> Any:
        """The result, when all tasks have ended.

        Raises TimeoutError when it is late (waiting again works), the RemoteError of a single task that failed, a
        CompositeError when one or more of several did, HubUnreachable. With return_exceptions errors stand in the
        list. return_when=FIRST_EXCEPTION raises at the first failure.
        """
        if not self.ready() and not self._wait(timeout, return_when):
            raise TimeoutError(self._late(timeout))
        if not self.ready():
            failed = [self._error(call, index) for call, index in self._ended_tasks()]
            found = [error for error in failed if error is not None]
            if found:
                raise self._composite(found, [])
            raise TimeoutError(self._late(timeout))
        return self._result(self._return_exceptions if return_exceptions is None else return_exceptions)

    def _late(self, timeout: float | None) -> str:
        left = self._count() - sum(1 for _ in self._ended_tasks())
        text = f"{self._name}: {left} of {self._count()} tasks have not ended"
        if timeout is not None:
            text += f" within {timeout:g} s"
        if not self._session.engines:
            text += "; the cluster has no engine: waiting for a first engine"
        return text

    def _ended_tasks(self) -> Iterator[tuple[Call, int]]:
        return ((call, index) for call, index in self._tasks() if call.outcomes[index] is not None)

    # Results ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _error(call: Call, index: int) -> Exception | None:
        return call.error(index)

    @staticmethod
    def _value(call: Call, index: int) -> Any:
        if call.work is not None and call.work.kind == Kind.EXECUTE:
            return display.ExecuteReply(metadata_of(call, index))
        return call.value(index)

    def _result(self, return_exceptions: bool) -> Any:
        if self._single:
            call, index = self._task(0)
            error = self._error(call, index)
            if error is None:
                return self._value(call, index)
            if return_exceptions:
                return error
            raise error
        if self._joined_value:
            return self._joined_value[0]
        values, errors = self._values()
        if errors and not return_exceptions:
            raise self._composite(errors, values)
        if self._joined is None or errors:
            return values
        self._joined_value.append(self._joined(values))
        return self._joined_value[0]

    def _values(self) -> tuple[list[Any], list[Exception]]:
        """All values in order, with errors in place, and the errors again."""
        values: list[Any] = []
        errors: list[Exception] = []
        for call, index in self._tasks():
            error = self._error(call, index)
            if error is None:
                values.append(self._value(call, index))
            else:
                values.append(error)
                errors.append(error)
        return values, errors

    def _composite(self, errors: list[Exception], values: list[Any]) -> CompositeError:
        total = len(values) or self._count()
        remote = [error if isinstance(error, RemoteError) else _as_remote(error) for error in errors]
        return CompositeError(f"{len(errors)} of {total} calls of {self._name} failed", errors=remote, results=values)

    @property
    def result(self) -> Any:
        """The result: the same as get()."""
        return self.get()

    @property
    def r(self) -> Any:
        """The result: the same as get()."""
        return self.get()

    def successful(self) -> bool:
        """Whether no task failed. Raises ResultNotReady (an AssertionError) before they have ended."""
        if not self.ready():
            raise ResultNotReady(f"{self._name} has not ended: wait() first")
        return all(self._error(call, index) is None for call, index in self._tasks())

    def exception(self, timeout: float | None = None) -> Exception | None:
        """The error that get() would raise, or None. Raises TimeoutError when it is late."""
        if not self._wait(timeout):
            raise TimeoutError(self._late(timeout))
        try:
            self._result(False)
        except Exception as error:
            return error
        return None

    def get_dict(self, timeout: float | None = -1) -> dict[int, Any]:
        """{engine_id: value}. Raises as get does, and ValueError when one engine ran two of the calls."""
        values = self.get(timeout)
        if self._single:
            values = [values]
        found: dict[int, Any] = {}
        for (call, index), value in zip(self._tasks(), values, strict=True):
            outcome = call.outcomes[index]
            assert outcome is not None and outcome.engine is not None
            if outcome.engine in found:
                raise ValueError(f"engine {outcome.engine} ran more than one of the calls: use get()")
            found[outcome.engine] = value
        return found

    @property
    def result_dict(self) -> dict[int, Any]:
        """The same as get_dict()."""
        return self.get_dict()

    # Facts ------------------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> Any:
        """The Metadata of the task, or a list with one per task. At any time."""
        if self._single:
            return metadata_of(*self._task(0))
        return [metadata_of(call, index) for call, index in self._tasks()]

    @property
    def data(self) -> Any:
        """What the task published: a dict, or a list with one per task."""
        return self["data"]

    def _fact(self, key: str) -> Any:
        metadata = self.metadata
        return metadata[key] if isinstance(metadata, Metadata) else [one[key] for one in metadata]

    def __getattr__(self, name: str) -> Any:
        if name in _KEYS:
            return self._fact(name)
        if isinstance(getattr(type(self), name, None), property):
            # A property raised AttributeError, and Python asks here as if there were no such property.
            return getattr(type(self), name).fget(self)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in _KEYS:
                raise KeyError(key)
            return self._fact(key)
        if self._single:
            raise TypeError(f"{self._name} has a single result: use get()")
        if isinstance(key, (int, slice)):
            if not self.ready():
                raise TimeoutError(self._late(None))
            return self.get()[key]
        raise TypeError(f"{key!r}: an item of an AsyncResult is a number, a slice or a key of its metadata")

    def __len__(self) -> int:
        return self._count()

    def __bool__(self) -> bool:
        return True

    @property
    def progress(self) -> int:
        """How many of the len() items are done."""
        return sum(1 for _ in self._ended_tasks())

    def __iter__(self) -> Iterator[Any]:
        if self._single:
            raise TypeError(f"{self._name} has a single result, which is not iterated: use get()")
        return self._iterate()

    def _iterate(self) -> Iterator[Any]:
        for call, index in self._tasks():
            self._await_task(call, index)
            error = self._error(call, index)
            if error is not None and not self._return_exceptions:
                raise error
            yield self._value(call, index) if error is None else error

    def _await_task(self, call: Call, index: int) -> None:
        if call.outcomes[index] is None:
            this = [(call.session, call.first + index, 1)]
            self._session.wait(lambda: call.outcomes[index] is not None, None, lambda: this)

    # Times ------------------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since submission, until the last result was received."""
        return timing.elapsed(self._all_metadata(), self.ready(), self._session.clock.time())

    @property
    def wall_time(self) -> float:
        """Seconds from the first submission to the last result. Raises ResultNotReady before that."""
        if not self.ready():
            raise ResultNotReady(f"{self._name} has not ended: wait() first")
        return timing.wall_time(self._all_metadata())

    @property
    def serial_time(self) -> float:
        """Seconds of execution, all tasks together. Raises ResultNotReady before all have ended."""
        if not self.ready():
            raise ResultNotReady(f"{self._name} has not ended: wait() first")
        return timing.serial_time(self._all_metadata())

    def timedelta(
        self, start: Any, end: Any, start_key: Callable[[Any], Any] = min, end_key: Callable[[Any], Any] = max
    ) -> float:
        """Seconds from start to end: datetimes, or lists of them, of which start_key and end_key pick one."""
        first: datetime = start if isinstance(start, datetime) else start_key(start)
        last: datetime = end if isinstance(end, datetime) else end_key(end)
        return (last - first).total_seconds()

    def _all_metadata(self) -> list[Metadata]:
        return [metadata_of(call, index) for call, index in self._tasks()]

    # Sending ----------------------------------------------------------------------------------------------------

    @property
    def sent(self) -> bool:
        """Whether tracked arguments were handed over and may be changed again; without track always True."""
        return not self._track or all(call.sent for call, _, _ in self._parts)

    def wait_on_send(self, timeout: float | None = -1) -> None:
        """Block until `sent`. Raises TimeoutError when it is late."""
        limit = seconds("timeout", timeout)
        if not self.sent and not self._session.wait(lambda: self.sent, limit):
            raise TimeoutError(f"{self._name} was not handed over within {limit:g} s")

    wait_for_send = wait_on_send

    # Ending -----------------------------------------------------------------------------------------------------

    def abort(self, running: bool = False, grace: float = 5.0) -> None:
        """End what has not started; with running also what has (KeyboardInterrupt, after `grace` seconds a kill).

        Raises RuntimeError when all of it has ended.
        """
        if self.ready():
            raise RuntimeError(f"{self._name} has ended: there is nothing to abort")
        self._client.abort(self, block=True, running=running, grace=grace)

    def cancel(self) -> bool:
        """Abort what has not started; whether all tasks ended as aborted by that."""
        try:
            if self.ready():
                return False
            self.abort()
            self._wait(self._session.query_timeout)
        except (ParallelError, RuntimeError, TimeoutError):
            return False
        return all(
            (outcome := call.outcomes[index]) is not None and outcome.state == State.ABORTED
            for call, index in self._tasks()
        )

    # One by one, and together -----------------------------------------------------------------------------------

    def split(self) -> list[AsyncResult]:
        """One AsyncResult per task."""
        return [
            AsyncResult(
                self._client,
                [Part(call, index, 1)],
                single=True,
                name=self._name,
                track=self._track,
                owner=self.owner,
            )
            for call, index in self._tasks()
        ]

    def join(self, *others: AsyncResult) -> AsyncResult:
        """One AsyncResult of this one's tasks and the others', in order."""
        parts = [part for one in (self, *others) for part in one._parts]
        return AsyncResult(self._client, parts, single=False, name=self._name, track=self._track)

    # Output and progress ----------------------------------------------------------------------------------------

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Whether all output is here; it comes with the results, so this waits for them, at most `timeout` seconds."""
        try:
            return self._wait(timeout)
        except HubUnreachable:
            return self.ready()

    def stream_output(self) -> OutputStream:
        """A context manager within which the tasks' output is printed as it comes; each line once."""
        from tuiparallel.client.streaming import OutputStream

        return OutputStream(self)

    def display_outputs(self, groupby: str = "type", result_only: bool = False) -> None:
        """Print the output of all tasks, under a line that names stream and engine.

        groupby: 'type' (all stdout, all stderr, all results), 'engine', or 'order' (of targets).
        """
        display.display_outputs(self._all_metadata(), groupby, result_only)

    def wait_interactive(
        self, interval: float = 0.1, timeout: float | None = -1, return_when: str = ALL_COMPLETED
    ) -> None:
        """Wait with a progress bar on stderr. Raises TimeoutError when it is late."""
        from tuiparallel.client.progress import wait_with_bar

        limit = seconds("timeout", timeout)
        enough = self._enough(return_when)
        if not wait_with_bar(self._session, enough, lambda: (self.progress, len(self)), self._name, interval, limit):
            raise TimeoutError(self._late(limit))


def _as_remote(error: Exception) -> RemoteError:
    """For a list of RemoteErrors: what went wrong with unpacking a result here."""
    made = RemoteError(type(error).__name__, str(error))
    made.original = error
    return made


def whole(calls: Iterable[Call]) -> list[Part]:
    """All tasks of these calls."""
    return [Part(call, 0, call.count) for call in calls]


def async_result(thing: object) -> AsyncResult:
    """Narrow a type."""
    return cast(AsyncResult, thing)
