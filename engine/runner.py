"""Runs one task after the other in the engine's namespace, and makes of each what the hub is told.

All that belongs to users, unpickling and pickling included, happens below Interrupts' mark and inside one `try`.
"""

from __future__ import annotations

import builtins
import resource
import types
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from tuiparallel.engine import forks
from tuiparallel.engine.capture import Capture
from tuiparallel.engine.cells import Cells
from tuiparallel.engine.interrupts import Interrupts, user_code, without_handler
from tuiparallel.engine.namespace import Namespace
from tuiparallel.engine.queue import Assignment
from tuiparallel.errors import MessageTooLarge
from tuiparallel.link.clock import Clock
from tuiparallel.wire import current, failures
from tuiparallel.wire.blobs import BlobStore, NoRoom
from tuiparallel.wire.functions import FunctionTable
from tuiparallel.wire.ids import counter_of, msg_id
from tuiparallel.wire.messages import MAX_FRAME, Buffer, ErrorText, Extras, Kind, Ran, RunBatch
from tuiparallel.wire.objects import Packed, pack, unpack_call

if TYPE_CHECKING:
    import asyncio

LARGEST_BODY = MAX_FRAME - (1 << 20)  # bytes of one result in its message; what is larger belongs into blobs
LONG = 0.010  # seconds after which a task's result tells how much memory the engine needed
_NOTHING = pack(None)


class ElementFailed(Exception):
    """One element of a part of a map has raised; its cause is what it raised."""

    def __init__(self, index: int) -> None:
        self.index = index


class Runner:
    """The main thread's half of an engine. run() gives each task its outcome and never raises."""

    def __init__(
        self, uuid: str, clock: Clock, capture: Capture, interrupts: Interrupts, store: BlobStore | None
    ) -> None:
        self.uuid = uuid
        self.engine: int | None = None
        self.functions: FunctionTable
        self.namespace = Namespace()
        self._task: Assignment | None = None
        self._started = 0.0
        self._now = clock.time
        self._capture = capture
        self._interrupts = interrupts
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._peak = 0
        self.functions = FunctionTable(self.namespace.names)
        self.cells = Cells(self.namespace.names, self._wait)
        builtins.display = self.cells.show  # type: ignore[attr-defined]
        current.announce(self._describe)

    def welcome(self, engine: int, host: str) -> None:
        """The hub calls this engine so."""
        self.engine = self.cells.engine = engine
        self.functions.place = f"engine {engine} on {host}"

    def run(self, assignment: Assignment) -> Ran:
        """Run a task to its end."""
        task, lease, batch, place = assignment
        error: ErrorText | None = None
        body = b""
        blobs: tuple[Buffer, ...] = ()
        self._interrupts.running = task
        self._capture.begin(task)
        self._started = started = self._now()
        self._task = assignment
        try:
            packed = user_code(self._perform, batch, place)
            body = packed.body
            if packed.blobs:
                blobs = tuple((blob.name, blob.size) for blob in packed.blobs)
        except BaseException as failure:
            forks.leave(failure)
            error = self._failed(failure, batch)
        self._interrupts.running = None
        completed = self._now()
        extras = self._extras(error, completed - started)
        self._task = None
        ok = extras is None or extras.error is None
        return Ran(task, lease, ok, started, completed, body, extras, blobs)

    def started_of(self, assignment: Assignment) -> float | None:
        """When this task began, for other threads; None when it is not running (yet)."""
        if self._task is not assignment:
            return None
        started = self._started
        return started if self._task is assignment else None

    def _perform(self, batch: RunBatch, place: int) -> Packed:
        calls = batch.calls
        body = calls[place] if len(calls) > 1 else calls[0]
        kind = batch.kind
        if kind == Kind.APPLY:
            function = self.functions.get(batch.function)
            args, kwargs = unpack_call(body, self._store)
            value = function(*args, **kwargs)
            if type(value) is types.CoroutineType:
                value = self._wait(value)
        else:
            value = self._perform_other(kind, batch, body)
        if forks.process.is_child:
            forks.leave()
        packed = _NOTHING if value is None else pack(value, self._store)
        if len(packed.body) > LARGEST_BODY:
            raise MessageTooLarge(
                f"the result has {len(packed.body):,} bytes that are no arrays, and {LARGEST_BODY:,} is the limit: "
                "return arrays or bytes, or leave it in the engine's namespace and pull parts of it"
            )
        return packed

    def _perform_other(self, kind: int, batch: RunBatch, body: bytes) -> Any:
        if kind == Kind.MAP:
            function = self.functions.get(batch.function, (batch.tasks[0], batch.leases[0]))
            args, _ = unpack_call(body, self._store)
            return self._map(function, *args)
        args, _ = unpack_call(body, self._store)
        match kind:
            case Kind.EXECUTE:
                code, filename, silent = args
                self.cells.run(code, filename, silent)
            case Kind.PUSH:
                self.namespace.push(args[0])
            case Kind.PULL:
                values = self.namespace.pull(args[0])
                return values[0] if args[1] else values
            case Kind.CLEAR:
                self.clear()
            case _:
                raise ValueError(f"a task of kind {kind} has arrived: this engine's version does not know it")
        return None

    def _map(
        self,
        function: Callable[..., Any],
        elements: list[tuple[Any, ...]],
        constants: dict[str, Any],
        return_exceptions: bool,
        first: int,
    ) -> list[Any]:
        values: list[Any] = []
        add = values.append
        for index, args in enumerate(elements, first):
            try:
                value = function(*args, **constants)
                if type(value) is types.CoroutineType:
                    value = self._wait(value)
            except Exception as failure:
                if not return_exceptions:
                    raise ElementFailed(index) from failure
                text = failures.from_exception(failure, self.engine, self.uuid, "apply")
                value = failures.to_exception(msgspec.structs.replace(text, facts={"index": index}))
            add(value)
        return values

    def clear(self) -> None:
        """Make the namespace as new."""
        self.namespace.clear()
        self.cells.count = 0
        self._capture.restore()
        self._interrupts.install()
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Await in the engine's own event loop, which goes on where it was at the next such task."""
        if self._loop is None:
            import asyncio  # costs 40 ms, and few tasks need it

            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        loop = self._loop
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # interrupted: let it end, so that it cannot go on within a later task
                task.cancel()
                loop.run_until_complete(_ended(task))
            raise

    def _failed(self, failure: BaseException, batch: RunBatch) -> ErrorText:
        facts: dict[str, Any] = {}
        if isinstance(failure, ElementFailed):
            facts["index"] = failure.index
            failure = failure.__cause__ or failure
        if isinstance(failure, KeyboardInterrupt):
            without_handler(failure)
        method = "execute" if batch.kind == Kind.EXECUTE else "apply"
        text = failures.from_exception(failure, self.engine, self.uuid, method)
        if isinstance(failure, NoRoom):
            text = msgspec.structs.replace(text, ename="StorageFull", traceback="", pickled=None)
        return msgspec.structs.replace(text, facts=facts) if facts else text

    def _extras(self, error: ErrorText | None, seconds: float) -> Extras | None:
        printed = self._capture.end()
        published = current.take_published()
        peak = None
        if seconds > LONG:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if error is None and printed is None and published is None and peak is None and not self.cells.shown:
            return None
        outputs, result = self.cells.take()
        data = None
        if published is not None:
            try:
                data = user_code(pack, published).body
            except BaseException as failure:
                error = error or failures.from_exception(failure, self.engine, self.uuid)
        stdout, stderr = printed or ("", "")
        return Extras(stdout, stderr, outputs, result, data, peak, error)

    def _describe(self) -> current.CurrentTask | None:
        running = self._task
        if running is None or self.engine is None or forks.process.is_child:
            return None
        task, _, batch, _ = running
        return current.CurrentTask(
            msg_id(batch.session, counter_of(task)), self.engine, batch.attempt, batch.label, batch.session
        )


async def _ended(task: asyncio.Task[Any]) -> None:
    import asyncio

    await asyncio.wait([task], timeout=1.0)
