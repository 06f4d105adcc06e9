"""Every exception that people can catch, in one tree.

    ParallelError (= KernelError = IPythonError)
    ├── HubUnreachable (ConnectionError) ── ConnectTimeout (TimeoutError)
    ├── ClusterNotFound (FileNotFoundError)   ClusterExists, StartError (RuntimeError)   InsecureFile (PermissionError)
    ├── AuthenticationError, ProtocolMismatch (ConnectionError)   ClientClosed (RuntimeError, OSError)
    ├── ResultNotReady (AssertionError, RuntimeError, ValueError)   NoEnginesRegistered   NoSuchEngine (IndexError)
    ├── SerializationError (TypeError, PicklingError)   DeserializationError   MessageTooLarge (ValueError)
    ├── UnmetDependency (= TaskRejectError)
    └── RemoteError
        ├── CompositeError   AlreadyDisplayedError
        ├── EngineError
        ├── AbortedTask (= TaskAborted)   TaskTimeout (= DependencyTimeout)
        ├── ImpossibleDependency (UnmetDependency) ── InvalidDependency
        └── TaskLost   ResultExpired   StorageFull   NoSuchTask (KeyError)

In parentheses stand further base classes. Whatever is above RemoteError happened here; a RemoteError happened to a task.
Each class can be built from one message, and each pickles.
"""

from __future__ import annotations

import builtins
from _pickle import PicklingError  # the hub imports this file, and knows nothing that loads pickles
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

EngineInfo = dict[str, Any]
"""Where an exception was raised; exactly the keys engine_id (int or None), engine_uuid (str) and method (str)."""

ErrorEntry = tuple[str, str, str, EngineInfo]
"""ename, evalue, traceback and engine_info of one failure in CompositeError.elist."""


class ParallelError(Exception):
    """Anything that tuiparallel raises by itself: the root of its errors. KernelError and IPythonError are older
    names.
    """


KernelError = IPythonError = ParallelError  # as ipyparallel calls it
TimeoutError = builtins.TimeoutError  # error.TimeoutError is what a wait that is late raises


# What goes wrong here ---------------------------------------------------------------------------------------------


class HubUnreachable(ParallelError, ConnectionError):
    """The hub has not answered for as long as the caller was willing to wait.

    Raised by waits after the client's hub_timeout seconds, and by questions after its query_timeout. What was
    submitted is kept, and waiting again works. Also a ConnectionError.
    """


class ConnectTimeout(HubUnreachable, builtins.TimeoutError):
    """A new Client got no answer from the hub in its timeout. Also a HubUnreachable and a TimeoutError."""


class ClusterNotFound(ParallelError, FileNotFoundError):
    """No running cluster has this name, or this connection file does not exist; it names those that run. Raised by
    Client(), Cluster.from_name and Cluster.connect. Also a FileNotFoundError.
    """


class ClusterExists(ParallelError, RuntimeError):
    """A cluster of this name is running already. Raised by Cluster.start. Also a RuntimeError."""


class StartError(ParallelError, RuntimeError):
    """A hub or an engine could not be started; the message has the end of its log. Also a RuntimeError."""


class InsecureFile(ParallelError, PermissionError):
    """A file with keys belongs to somebody else, or others may read it; the message has the cure, a chmod. Also a
    PermissionError.
    """


class AuthenticationError(ParallelError, ConnectionError):
    """The hub does not accept this key: another cluster's, an engine's, or one from before keys were rotated. Also a
    ConnectionError.
    """


class ProtocolMismatch(ParallelError, ConnectionError):
    """Hub and peer speak different versions of the protocol; the message says which side is older. Also a
    ConnectionError.
    """


class ClientClosed(ParallelError, RuntimeError, OSError):
    """The client was closed, or belongs to the parent of this process: make a new Client. Also a RuntimeError and
    OSError.
    """


class ResultNotReady(ParallelError, AssertionError, RuntimeError, ValueError):
    """The answer was asked for before the task had ended, as by AsyncResult.successful. Also an AssertionError, a
    RuntimeError and a ValueError.
    """


class NoEnginesRegistered(ParallelError):
    """There is no engine that a direct call could go to: the cluster has none, or the view is empty."""


class NoSuchEngine(ParallelError, IndexError):
    """No living engine has this id; the message has the ids there are, or what it died of. Also an IndexError."""


class SerializationError(ParallelError, TypeError, PicklingError):
    """A value cannot be sent; the message says which part of which argument, and why. Raised by the call, of a result
    through its AsyncResult. Also a TypeError and a PicklingError.
    """


class DeserializationError(ParallelError):
    """A result has arrived that cannot be made into a value here, as when its module is missing; its metadata can be
    read.
    """


class MessageTooLarge(ParallelError, ValueError):
    """A call or a result has more bytes than the cluster may store at a time; the message says which key raises that.
    Also a ValueError.
    """


class UnmetDependency(ParallelError):
    """For the code of a task to raise: this engine will not do, let another one try. When none is left the task ends
    with ImpossibleDependency. TaskRejectError is an older name.
    """


TaskRejectError = UnmetDependency


# What goes wrong in a task ----------------------------------------------------------------------------------------


class RemoteError(ParallelError):
    """An exception that was raised by a task, or that became of a task.

        >>> try:
        ...     rc[1].apply_sync(lambda: 1 / 0)
        ... except ZeroDivisionError as e:                           # `except tp.RemoteError` catches it as well
        ...     print(e)
        ...     print(repr(e), e.ename, e.engine_info["engine_id"])
        [1:apply] ZeroDivisionError: division by zero
        <RemoteError[1]:ZeroDivisionError(division by zero)> ZeroDivisionError 1

    Of user code it is usually an instance of a class that has RemoteError and the class of the exception as bases. It
    is a plain RemoteError when the exception cannot be loaded here, when layouts clash, and when it would steer the
    caller's own control flow: KeyboardInterrupt, SystemExit, StopIteration, TimeoutError, CancelledError.

    ename, evalue: name of its class, and str() of it; e.args is both. traceback: text of the engine's, "" when there
    is none. engine_info: a dict of exactly engine_id (int or None), engine_uuid (str) and method ('apply' or
    'execute'). original: the exception itself where it could be loaded here, else None; it stays behind when it is
    pickled. index: of a map the place of the element in the input, else None. facts: what the hub knows of a failure
    of its own, by name. RemoteError(message) builds one from a message alone.
    """

    ENAME = ""  # the ename of a hub error where it differs from the name of its class
    index: int | None = None  # of a map: the place in its input of the element that failed

    def __init__(
        self,
        ename: str,
        evalue: str | None = None,
        traceback: str = "",
        engine_info: EngineInfo | None = None,
        *,
        facts: dict[str, Any] | None = None,
    ) -> None:
        if evalue is None:  # built from one message
            ename, evalue = type(self).ENAME or type(self).__name__, ename
        info = engine_info or {}
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback
        self.engine_info: EngineInfo = {
            "engine_id": info.get("engine_id"),
            "engine_uuid": info.get("engine_uuid", ""),
            "method": info.get("method", "apply"),
        }
        self.facts: dict[str, Any] = facts or {}
        self.original: BaseException | None = None
        self.args = (ename, evalue)
        if traceback:
            self.add_note(
                f"\nOn the engine:\n{traceback.rstrip()}"
            )  # so that an uncaught error shows both tracebacks

    def __str__(self) -> str:
        return f"{self._place()}{self.ename}: {self.evalue}" if self.evalue else f"{self._place()}{self.ename}"

    def __repr__(self) -> str:
        engine = self.engine_info["engine_id"]
        where = "" if engine is None else f"[{engine}]"
        return f"<{self._kind()}{where}:{self.ename}({self.evalue})>"

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.ename, self.evalue, self.traceback, self.engine_info)
        state = {key: value for key, value in self.__dict__.items() if key != "__notes__"} | {"original": None}
        return type(self), parts, state

    def _kind(self) -> str:
        return type(self).__name__

    def _place(self) -> str:
        engine, method = self.engine_info["engine_id"], self.engine_info["method"]
        return "" if engine is None else f"[{engine}:{method}] "

    def render_traceback(self) -> list[str]:
        """The traceback's lines as the engine wrote them.

        Returns a list of str; one line with the message when there is no traceback.
        Raises nothing.
        """
        return self.traceback.rstrip().splitlines() or [str(self)]

    def print_traceback(self, excid: int | None = None) -> None:
        """Print the traceback of the engine.

        excid: ignored; it makes the call the same as CompositeError's.
        Returns None.
        Raises nothing.
        """
        print("\n".join(self.render_traceback()))

    def _render_traceback_(self) -> list[str]:  # IPython asks for this
        return [*self.render_traceback(), str(self)] if self.traceback else [str(self)]


class CompositeError(RemoteError):
    """At least one of several tasks of one call has failed.

        >>> try:
        ...     rc[:3].apply_sync(lambda: 1 // (tp.current_task().engine_id - 1))
        ... except tp.CompositeError as e:
        ...     print([error.ename for error in e.errors], e.results[0], e.results[2], len(e.elist))
        ['ZeroDivisionError'] -1 1 1

    msg: what the call was. elist: a list of (ename, evalue, traceback, engine_info), one of each failure. errors: the
    same as RemoteErrors. results: a list with one value per task, and its error in place of each missing one; empty
    when it was raised before all had ended. tb_limit: how many are printed in full, 4.
    """

    tb_limit = 4

    def __init__(
        self,
        msg: str,
        elist: Iterable[ErrorEntry] = (),
        *,
        errors: Sequence[RemoteError] | None = None,
        results: Sequence[Any] = (),
    ) -> None:
        super().__init__("CompositeError", msg)
        if errors is None:
            errors = [RemoteError(*entry) for entry in elist]
        self.errors: list[RemoteError] = list(errors)
        self.elist: list[ErrorEntry] = [(e.ename, e.evalue, e.traceback, e.engine_info) for e in self.errors]
        self.results: list[Any] = list(results)
        for error in self.errors[: self.tb_limit]:
            if error.traceback:
                self.add_note(f"\n{error._place()}\n{error.traceback.rstrip()}".rstrip())

    @property
    def msg(self) -> str:
        """What the call was, in one line: a str."""
        return self.evalue

    def __str__(self) -> str:
        shown = [str(error) for error in self.errors[: self.tb_limit]]
        if more := len(self.errors) - len(shown):
            shown.append(f"... and {more} more")
        return "\n".join([self.evalue, *shown])

    def __repr__(self) -> str:
        return f"<CompositeError({len(self.errors)}): {self.evalue}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Values of other tasks may be large or not picklable: errors travel, results stay.
        return _composite, (self.evalue, self.errors)

    def raise_exception(self, excid: int = 0) -> NoReturn:
        """Raise one of the errors.

        excid: its number in `errors`, from 0.
        Raises this RemoteError, IndexError when there is none of this number.
        """
        raise self._error(excid)

    def render_traceback(self, excid: int | None = None) -> list[str]:
        """The tracebacks as lines.

        excid: the number of an error in `errors`; None: the first tb_limit ones.
        Returns a list of str.
        Raises IndexError when there is none of this number.
        """
        if excid is not None:
            return self._error(excid).render_traceback()
        lines = [self.evalue]
        for error in self.errors[: self.tb_limit]:
            lines += ["", str(error), *error.render_traceback()]
        if more := len(self.errors) - self.tb_limit:
            lines += ["", f"... and {more} more"] if more > 0 else []
        return lines

    def print_traceback(self, excid: int | None = None) -> None:
        """Print the tracebacks.

        excid: the number of an error in `errors`; None: the first tb_limit ones.
        Returns None.
        Raises IndexError when there is none of this number.
        """
        print("\n".join(self.render_traceback(excid)))

    def _render_traceback_(self) -> list[str]:
        return self.render_traceback()

    def _error(self, excid: int) -> RemoteError:
        try:
            return self.errors[excid]
        except IndexError:
            count = len(self.errors)
            raise IndexError(f"there is no error number {excid}: this CompositeError has {count}, from 0") from None


def _composite(msg: str, errors: list[RemoteError]) -> CompositeError:
    return CompositeError(msg, errors=errors)


class AlreadyDisplayedError(RemoteError):
    """A RemoteError whose traceback people have seen already; it prints as one line."""

    def __init__(self, message: str, *parts: Any) -> None:
        super().__init__(message, *parts)
        self.__notes__: list[str] = []

    def render_traceback(self) -> list[str]:
        """The message alone: the rest was shown before.
        Returns a list of one str.
        Raises nothing.
        """
        return [str(self)]


class EngineError(RemoteError):
    """The engine of a task died, or went away, before its result was known. Others of its tasks are not touched.

    engine_id (int), host (str), pid (int): which engine. exitcode, signal: how it ended, ints, or None. peak_rss: the
    most memory it had, bytes, or None. stderr_tail: the last lines of its stderr, a str. attempts: how many there
    were. may_have_started: False when the task surely never ran.
    """

    def __init__(
        self,
        ename: str,
        evalue: str | None = None,
        traceback: str = "",
        engine_info: EngineInfo | None = None,
        *,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(ename, evalue, traceback, engine_info, facts=facts)
        known = self.facts
        self.engine_id: int | None = known.get("engine_id", self.engine_info["engine_id"])
        self.host: str = known.get("host", "")
        self.pid: int | None = known.get("pid")
        self.exitcode: int | None = known.get("exitcode")
        self.signal: int | None = known.get("signal")
        self.peak_rss: int | None = known.get("peak_rss")
        self.stderr_tail: str = known.get("stderr_tail", "")
        self.attempts: Any = known.get("attempts", 0)
        self.may_have_started: bool = known.get("may_have_started", True)


class AbortedTask(RemoteError):
    """The task was aborted before it could end by itself. TaskAborted is an older name."""


TaskAborted = AbortedTask


class TaskTimeout(RemoteError):
    """The task waited for its dependencies longer than its `timeout`, or ran longer than its `time_limit`, in
    seconds. DependencyTimeout is the same.
    """


DependencyTimeout = TaskTimeout


class ImpossibleDependency(RemoteError, UnmetDependency):
    """What the task waits for can no longer happen, or no engine is left that would do. Also an UnmetDependency."""


class InvalidDependency(ImpossibleDependency):
    """What the task waits for does not exist. Also an ImpossibleDependency."""


class TaskLost(RemoteError):
    """The hub once knew this task and does not any more: its history was reset."""


class ResultExpired(RemoteError):
    """The result was purged, or forgotten to keep the hub's history within its limits of rows, bytes and age."""


class StorageFull(RemoteError):
    """The hub cannot store the task or its result: the disk or the memory it may use is full."""


class NoSuchTask(RemoteError, KeyError):
    """No task has this msg_id. Also a KeyError, which is its ename."""

    ENAME = "KeyError"


HUB_ERRORS: dict[str, type[RemoteError]] = {
    "EngineError": EngineError,
    "AbortedTask": AbortedTask,
    "TaskTimeout": TaskTimeout,
    "ImpossibleDependency": ImpossibleDependency,
    "InvalidDependency": InvalidDependency,
    "TaskLost": TaskLost,
    "ResultExpired": ResultExpired,
    "StorageFull": StorageFull,
    "KeyError": NoSuchTask,
}
"""The classes of errors that the hub itself makes, by their ename."""

LOCAL_ERRORS: dict[str, type[ParallelError]] = {
    cls.__name__: cls
    for cls in (
        HubUnreachable, ConnectTimeout, ClusterNotFound, ClusterExists, StartError, InsecureFile, AuthenticationError,
        ProtocolMismatch, ClientClosed, ResultNotReady, NoEnginesRegistered, NoSuchEngine, SerializationError,
        DeserializationError, MessageTooLarge, UnmetDependency,
    )
}  # fmt: skip
"""The classes above RemoteError by name: what Refused.kind and a Reply's error may name."""
