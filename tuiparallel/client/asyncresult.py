"""AsyncResult: what a call gives at once, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from tuiparallel.client import display
from tuiparallel.client.call import Call
from tuiparallel.client.durations import seconds
from tuiparallel.client.ending import Ending
from tuiparallel.client.facts import TASK_KEYS, Facts
from tuiparallel.client.metadata import metadata_of
from tuiparallel.client.nesting import ranges_of
from tuiparallel.client.output import Output
from tuiparallel.errors import CompositeError, ParallelError, RemoteError, ResultNotReady
from tuiparallel.wire.ids import IdRange, msg_id
from tuiparallel.wire.messages import Kind
from tuiparallel.wire.states import State

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


class Part(NamedTuple):
    """Some tasks of a Call: its numbers first .. first + size - 1."""

    call: Call
    first: int
    size: int

    def ended(self) -> bool:
        if not self.call.left:
            return True
        return None not in self.call.outcomes[self.first : self.first + self.size]


class AsyncResult(Facts, Output, Ending):
    """What a call gives at once: its tasks, in order, and what becomes of them.

        >>> ar = rc[:2].apply_async(pow, 2, 10)
        >>> ar.get(timeout=10), ar.ready(), ar.successful(), len(ar), ar[0]
        ([1024, 1024], True, True, 2, 1024)
        >>> ar.status, ar.engine_id, [m.engine_id for m in ar.metadata]
        (['ok', 'ok'], [0, 1], [0, 1])

    Of a single task (one target, or a balanced view) the result is a bare value, and so are metadata and its items;
    of several both are lists with one entry per task, in the order of the targets or of the input. ar[i] and ar[i:j]
    are items of the result (TimeoutError when it is not there yet, TypeError for a single one), iteration gives them
    in order as they arrive, ar['key'] and ar.key are items of metadata. `await ar` gives the result, `async for` the
    items.

    All waits take seconds; None and -1 mean for ever, other negative numbers 0. They end with HubUnreachable when the
    hub is gone for the client's hub_timeout, after which waiting again works. A dropped AsyncResult frees its result;
    its tasks go on. `owner` says whether the client keeps no copy in Client.results. It is no concurrent Future,
    since there `result` is a method: as_future() gives one. After multiprocessing's AsyncResult, as in
    IPython.parallel.
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
        """The msg_id of each task: a list of str, in order."""
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
        """Whether all tasks have ended. Does not block.
        Returns a bool.
        Raises nothing.
        """
        parts = self._parts
        while self._ended < len(parts):
            if not parts[self._ended].ended():
                return False
            self._ended += 1
        return True

    def done(self) -> bool:
        """The same as ready().
        Returns a bool.
        Raises nothing.
        """
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
        """Block until all tasks have ended, whatever became of them.

            >>> rc[0].apply_async(abs, -1).wait(timeout=10)

        timeout: seconds; None and -1: for ever. return_when: None, or ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
        of concurrent.futures: wait for less.
        Returns None, also when it is late or the hub is gone; with return_when the sets (done, pending) of
        AsyncResults, one per task.
        Raises TypeError for a timeout that is no number and ValueError for nan or another return_when, and nothing
        else.
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

            >>> bad = rc[:2].apply_async(lambda: 1 / 0)
            >>> try:
            ...     bad.get(timeout=10)
            ... except tp.CompositeError as error:
            ...     error.errors[0]
            <RemoteError[0]:ZeroDivisionError(division by zero)>

        timeout: seconds; None and -1: for ever. return_exceptions: True gives errors in place of values instead of
        raising; None: as the map was told. return_when: FIRST_EXCEPTION of concurrent.futures raises at the first
        failure.
        Returns a bare value of a single task, else a list in the order of the tasks; of gather and reduce what they
        make of it.
        Raises TimeoutError when it is late (waiting again works); of a single task that failed its RemoteError, which
        is also an instance of the exception's own class (`except ZeroDivisionError` works); of several a
        CompositeError, also when only one failed; EngineError, AbortedTask, TaskTimeout and ResultExpired for what
        became of the task; DeserializationError when the value cannot be unpacked here; HubUnreachable, ClientClosed.
        """
        if not self._wait(timeout, return_when):
            raise TimeoutError(self._late(timeout))
        if return_when is not None and not self.ready():
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
        """The result: the same as get(), which it calls; it blocks, raises what get() raises, and is no method."""
        return self.get()

    @property
    def r(self) -> Any:
        """The result: a short name of `result`."""
        return self.get()

    def successful(self) -> bool:
        """Whether no task failed.
        Returns a bool.
        Raises ResultNotReady (an AssertionError) before all have ended.
        """
        if not self.ready():
            raise ResultNotReady(f"{self._name} has not ended: wait() first")
        return all(self._error(call, index) is None for call, index in self._tasks())

    def exception(self, timeout: float | None = None) -> Exception | None:
        """The error that get() would raise.

        timeout: seconds; None and -1: for ever.
        Returns an exception, or None when all went well.
        Raises TimeoutError when it is late, HubUnreachable.
        """
        if not self._wait(timeout):
            raise TimeoutError(self._late(timeout))
        try:
            self._result(False)
        except Exception as error:
            return error
        return None

    def get_dict(self, timeout: float | None = -1) -> dict[int, Any]:
        """The results by engine.

            >>> rc[:2].apply_async(abs, -1).get_dict(timeout=10)
            {0: 1, 1: 1}

        timeout: seconds; None and -1: for ever.
        Returns {engine id: value}.
        Raises ValueError when one engine ran two of the calls, and what get() raises: TimeoutError, RemoteError,
        CompositeError, HubUnreachable.
        """
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
        """The results by engine: the same as get_dict(), which it calls."""
        return self.get_dict()

    # Facts ------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in TASK_KEYS:
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
        """How many of the len() items are done: an int."""
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

    # Sending ----------------------------------------------------------------------------------------------------

    @property
    def sent(self) -> bool:
        """Whether tracked arguments were handed over, so that arrays among them may be changed again; without track
        True.
        """
        return not self._track or all(call.sent for call, _, _ in self._parts)

    def wait_on_send(self, timeout: float | None = -1) -> None:
        """Block until `sent`: then arrays that were sent may be changed, and the engines compute with the old
        contents.

            >>> a = np.zeros(1_000_000)
            >>> with rc[0].temp_flags(track=True) as view:
            ...     ar = view.apply_async(lambda x: float(x.sum()), a)
            >>> ar.wait_on_send(timeout=10)
            >>> a += 1
            >>> ar.get(timeout=10)
            0.0

        Without track it returns at once, and changing an array early is a race. timeout: seconds; None and -1: for
        ever.
        Returns None.
        Raises TimeoutError when it is late, HubUnreachable. wait_for_send is the same.
        """
        limit = seconds("timeout", timeout)
        if not self.sent and not self._session.wait(lambda: self.sent, limit):
            raise TimeoutError(f"{self._name} was not handed over within {limit:g} s")

    wait_for_send = wait_on_send

    # Ending -----------------------------------------------------------------------------------------------------

    def abort(self, running: bool = False, grace: float = 5.0) -> None:
        """End the tasks that have not started: get() raises AbortedTask for them at once.

        running: also those that run; they get KeyboardInterrupt, and after `grace` seconds their engine is killed and
        restarted.
        Returns None when the hub has done it.
        Raises RuntimeError when all have ended, HubUnreachable.
        """
        if self.ready():
            raise RuntimeError(f"{self._name} has ended: there is nothing to abort")
        self._client.abort(self, block=True, running=running, grace=grace)

    def cancel(self) -> bool:
        """abort() for those who want no exception, as of a Future.
        Returns a bool: whether every task was aborted by it before it started.
        Raises nothing.
        """
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
        """One AsyncResult per task.
        Returns a list of them in order, each of a single value.
        Raises nothing.
        """
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
        """One AsyncResult of several.

            >>> one, two = rc[0].apply_async(abs, -1), rc[1].apply_async(abs, -2)
            >>> one.join(two).get(timeout=10)
            [1, 2]

        others: AsyncResults.
        Returns an AsyncResult of this one's tasks and theirs, in order; its result is a list with one value per task.
        Raises nothing.
        """
        parts = [part for one in (self, *others) for part in one._parts]
        return AsyncResult(self._client, parts, single=False, name=self._name, track=self._track)


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
