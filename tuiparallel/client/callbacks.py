"""The thread in which add_done_callback's functions run, so that they may wait, submit and take their time."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

_log = logging.getLogger("tuiparallel.client")


class Callbacks:
    """Runs functions one after the other; their errors are logged. The thread starts with the first one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def put(self, function: Callable[[], object]) -> None:
        """Run it soon."""
        with self._lock:
            if self._closed:
                return  # nobody is there to run it
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._queue.put(function)

    def _run(self) -> None:
        while True:
            function = self._queue.get()
            if function is None:
                return
            try:
                function()
            except Exception:
                _log.exception("a done callback failed")
            del function

    def close(self) -> None:
        """End the thread, after what was put before."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join(timeout=5.0)
