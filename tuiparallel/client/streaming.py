"""stream_output: what tasks print, while they run.

The hub tells observers what is printed, and each outcome has all of it again. A task's text is printed live as long as
it is known to be complete: from its start, and without a gap. What was missed is printed when the outcome is there.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tuiparallel.client.call import Call
from tuiparallel.wire.ids import counter_of, session_of
from tuiparallel.wire.messages import Chunk, Delta, Snapshot

if TYPE_CHECKING:
    from tuiparallel.client.asyncresult import AsyncResult

_STREAMS = ("stdout", "stderr")


class _Printed:
    """How much of one task's text on one stream people have seen."""

    __slots__ = ("base", "live", "rest", "shown")

    def __init__(self, live: bool) -> None:
        self.live = live
        self.shown = 0  # characters
        self.base = -1  # the stream's offset at which this task began
        self.rest = ""  # an unfinished line that waits for its end


class OutputStream:
    """A context manager: within it the output of these tasks appears on stdout and stderr, once each."""

    def __init__(self, result: AsyncResult) -> None:
        self._result = result
        self._session = result._session
        self._lock = threading.Lock()
        self._tasks: dict[tuple[str, int], tuple[Call, int]] = {}
        self._printed: dict[tuple[str, int, str], _Printed] = {}
        self._late: set[tuple[str, int]] = set()
        self._snapshot = False
        self._open = False
        self._unwatch: Callable[[], None] = lambda: None

    def __enter__(self) -> OutputStream:
        for call, index in self._result._tasks():
            if call.outcomes[index] is None:
                self._tasks[call.session, call.first + index] = (call, index)
            else:
                self._finish(call, index)
        if self._tasks:
            self._open = True
            for call in {id(call): call for call, _ in self._tasks.values()}.values():
                if call.watchers is None:
                    call.watchers = []
                call.watchers.append(self._ended)
            self._unwatch = self._session.observe(self._seen)
            self._ended()
        return self

    def __exit__(self, *exception: object) -> None:
        self._unwatch()
        self._ended()
        self._open = False

    # Whoever turns the link ---------------------------------------------------------------------------------------

    def _seen(self, message: Snapshot | Delta) -> None:
        with self._lock:
            if isinstance(message, Snapshot):
                # What already runs has perhaps printed, before this client was told.
                running = [engine.task for engine in message.engines if engine.task is not None]
                running += [row.id for row in message.tasks if row.running]
                self._late |= {self._name(task) for task in running}
                self._snapshot = True
                return
            for chunk in message.output:
                if chunk.task is not None and chunk.stream in _STREAMS:
                    self._print_chunk(chunk, self._name(chunk.task))

    def _name(self, task: int) -> tuple[str, int]:
        session = self._session
        return (session.hex if session_of(task) == session.number else "", counter_of(task))

    def _print_chunk(self, chunk: Chunk, name: tuple[str, int]) -> None:
        if name not in self._tasks:
            return
        printed = self._printed.setdefault((*name, chunk.stream), _Printed(self._snapshot and name not in self._late))
        if printed.base < 0:
            printed.base = chunk.offset
        if not printed.live or chunk.offset != printed.base + printed.shown:
            printed.live = False  # something is missing: the rest is printed at the end
            return
        printed.shown += len(chunk.text)
        self._write(chunk.stream, chunk.engine, printed, chunk.text)

    def _ended(self) -> None:
        with self._lock:
            for name, (call, index) in list(self._tasks.items()):
                if call.outcomes[index] is not None:
                    del self._tasks[name]
                    self._finish(call, index)

    def _finish(self, call: Call, index: int) -> None:
        outcome = call.outcomes[index]
        assert outcome is not None
        if outcome.extras is None:
            return
        for stream, text in (("stdout", outcome.extras.stdout), ("stderr", outcome.extras.stderr)):
            printed = self._printed.pop((call.session, call.first + index, stream), None) or _Printed(True)
            missing = text[printed.shown :]
            if missing or printed.rest:
                self._write(stream, -1 if outcome.engine is None else outcome.engine, printed, missing, last=True)

    def _write(self, stream: str, engine: int, printed: _Printed, text: str, last: bool = False) -> None:
        target = sys.stderr if stream == "stderr" else sys.stdout
        if self._result._single:
            target.write(text)
            target.flush()
            return
        lines = (printed.rest + text).splitlines(keepends=True)
        printed.rest = ""
        if lines and not lines[-1].endswith("\n"):
            if last:
                lines[-1] += "\n"
            else:
                printed.rest = lines.pop()
        target.write("".join(f"[{stream}:{engine}] {line}" for line in lines))
        target.flush()
