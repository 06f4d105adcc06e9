"""Large buffers on their way into blobs, in the background, so that submitting 100 MB returns at once.

The caller's memory is read, never copied: until a buffer was handed over its owner must not change it, which is what
`track` and `wait_on_send` are for. Submits leave in the order of their counters: what follows a large one waits for it.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from pickle import PickleBuffer
from typing import TYPE_CHECKING

from tuiparallel.client.call import Call
from tuiparallel.link.link import Link
from tuiparallel.wire import pages
from tuiparallel.wire.blobs import UNFINISHED, BlobRef, BlobStore
from tuiparallel.wire.messages import ErrorText, Submit, Work

if TYPE_CHECKING:
    from typing_extensions import Buffer

AT_ONCE = 4 << 20  # bytes that the submitting thread writes itself: a few milliseconds

_numbers = itertools.count(1 << 32)  # apart from the numbers of stores that write by themselves


class Writing:
    """Blobs that have their names and are still to be written. held: the buffers, so that they stay alive."""

    def __init__(self) -> None:
        self.held: list[tuple[str, PickleBuffer]] = []
        self.call: Call | None = None


class ClientBlobs(BlobStore):
    """The store of one submitting thread: small blobs are written at once, large ones get a name and wait."""

    def __init__(self, folder: Path, budget: int | None) -> None:
        super().__init__(folder, budget)
        self.writing: Writing | None = None
        self._written = 0

    def begin(self) -> None:
        """A new call begins."""
        self.writing, self._written = None, 0

    def write(self, buffer: Buffer) -> BlobRef:
        """Keep a buffer as a blob, now or soon."""
        held = PickleBuffer(buffer)
        size = held.raw().nbytes
        if self._written + size <= AT_ONCE or (self.budget is not None and size > self.budget):
            self._written += size
            return super().write(buffer)
        name = f"{os.getpid():x}-{next(_numbers):x}-{os.urandom(8).hex()}"
        if self.writing is None:
            self.writing = Writing()
        self.writing.held.append((name, held))
        return BlobRef(name, size)

    def fulfil(self, name: str, buffer: PickleBuffer) -> None:
        """Write a blob that has its name. Raises NoRoom, FileNotFoundError when the folder is gone."""
        view = buffer.raw()
        path = self._path(name)
        try:
            self._fill(path + UNFINISHED, view)
            os.rename(path + UNFINISHED, path)
        except OSError as failure:
            raise self._explained(failure, view.nbytes) from failure

    def keep(self, name: str) -> None:
        """Prepare for writing into this blob's file again, once nobody needs it."""
        pages.keep(self._path(name))


class Handover:
    """Posts Submits in order; those whose blobs are still to be written go through a thread, and all behind them too.

    failed(submit, error) is told when blobs could not be written: its tasks end with that error.
    """

    def __init__(
        self, link: Link, folder: Path, budget: int | None, failed: Callable[[Submit, ErrorText], None], name: str
    ) -> None:
        self._link = link
        self._failed = failed
        self._name = name
        self._writer = ClientBlobs(folder, budget)
        self._per_thread = threading.local()
        self._folder, self._budget = folder, budget
        self._queue: deque[tuple[Submit, int, Writing | None]] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._closed = False

    @property
    def store(self) -> ClientBlobs:
        """This thread's store."""
        found = getattr(self._per_thread, "store", None)
        if found is None:
            found = self._per_thread.store = ClientBlobs(self._folder, self._budget)
        assert isinstance(found, ClientBlobs)
        return found

    def send(self, submit: Submit, size: int, writing: Writing | None) -> None:
        """Post a Submit, now or when it is its turn."""
        if writing is None and not self._busy:
            self._link.post(submit.first, submit, size)
            return
        with self._condition:
            if writing is None and not self._busy:
                self._link.post(submit.first, submit, size)
                return
            self._busy = True
            self._queue.append((submit, size, writing))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._queue:
                    self._busy = False
                    if self._closed:
                        return
                    self._condition.wait()
                submit, size, writing = self._queue.popleft()
            written: list[str] = []
            if writing is not None:
                submit = self._written(submit, writing, written)
                del writing
            self._link.post(submit.first, submit, size)
            del submit  # what was sent must not be kept alive by this thread
            for name in written:
                if self._queue:
                    break  # others wait
                self._writer.keep(name)

    def _written(self, submit: Submit, writing: Writing, written: list[str]) -> Submit:
        try:
            for name, buffer in writing.held:
                self._writer.fulfil(name, buffer)
                written.append(name)
        except Exception as error:
            ename = "StorageFull" if isinstance(error, OSError) else type(error).__name__
            self._failed(submit, ErrorText(ename, str(error), ""))
            submit = _hollow(submit)
        call, writing.call = writing.call, None
        writing.held.clear()
        if call is not None:
            call.sent = True
            for watcher in call.watchers or ():
                watcher()
        return submit

    def close(self) -> None:
        """End the thread, once everything was handed over."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        pages.drop_all()


def _hollow(submit: Submit) -> Submit:
    """The same counters for nobody: the hub counts every task of a session, also those that could not be sent."""
    work = submit.work
    nobody = Work(work.kind, work.name, False, work.submitted, [-1] * submit.count)
    return Submit(submit.first, submit.count, nobody, b"", None, [b""])
