"""Two daemon threads for what can wait: calls go out in order, of questions only the newest of each kind counts.

Answers come back to the screen's loop, one each. Work is registered before it starts, so `idle` is exact; the threads
are daemons, so a client that blocks for ever delays neither a key nor the exit.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Work = Callable[[], Any]
Then = Callable[[Any], None]
Otherwise = Callable[[BaseException], None]
_Job = tuple[Work, Then, Otherwise]


def work_behind(work: Callable[[Any], str | None], client: Any, tell: Callable[[str], object]) -> None:
    """Runs `work` with a client on a daemon thread of its own; what it returns, or its error, is told in one text."""

    def run() -> None:
        try:
            text = work(client) or ""
        except BaseException as error:  # a thread's edge: what went wrong is said where it can be read
            text = f"{type(error).__name__}: {error}"
        if text:
            tell(text)

    threading.Thread(target=run, name="console-background", daemon=True).start()


class Calls:
    """The threads between the screen and the Client. Made and used on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._asks: OrderedDict[str, _Job] = OrderedDict()
        self._fresh = threading.Condition()
        self._open = 0
        self._closed = False
        for name, body in (("console-calls", self._call_loop), ("console-asks", self._ask_loop)):
            threading.Thread(target=body, name=name, daemon=True).start()

    @property
    def open(self) -> int:
        """Calls and questions that have not come back."""
        return self._open

    def call(self, work: Work, then: Then, otherwise: Otherwise) -> None:
        """Runs `work` after all calls before it; its value or its error comes back on the loop."""
        self._open += 1
        self._jobs.put((work, then, otherwise))

    def ask(self, kind: str, work: Work, then: Then, otherwise: Otherwise) -> None:
        """Runs `work` soon. A newer question of the same kind replaces one that has not started."""
        with self._fresh:
            if kind in self._asks:
                self._open -= 1
            self._open += 1
            self._asks[kind] = (work, then, otherwise)
            self._fresh.notify()

    def close(self) -> None:
        """Lets the threads end; answers that come later are dropped."""
        self._closed = True
        self._jobs.put(None)
        with self._fresh:
            self._fresh.notify()

    def _call_loop(self) -> None:
        while (job := self._jobs.get()) is not None and not self._closed:
            self._run(job)

    def _ask_loop(self) -> None:
        while True:
            with self._fresh:
                while not self._asks and not self._closed:
                    self._fresh.wait()
                if self._closed:
                    return
                _, job = self._asks.popitem(last=False)
            self._run(job)

    def _run(self, job: _Job) -> None:
        work, then, otherwise = job
        try:
            value = work()
        except BaseException as error:  # a thread's edge: the error goes to whoever asked, with its cause
            self._answer(otherwise, error)
        else:
            self._answer(then, value)

    def _answer(self, receiver: Callable[[Any], None], value: Any) -> None:
        if self._closed:
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver, receiver, value)
        except RuntimeError:  # the loop has ended between the test and the call
            self._closed = True

    def _deliver(self, receiver: Callable[[Any], None], value: Any) -> None:
        self._open -= 1
        if not self._closed:
            receiver(value)
