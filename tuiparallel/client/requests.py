"""Questions and commands to the hub that are answered by a Reply: numbered, repeated after a reconnection, awaited."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from tuiparallel.wire.messages import ErrorText, Message, Reply


class Request:
    """One question on its way. answer(body) turns the Reply's body into what its asker gets, in the asker's thread."""

    __slots__ = ("__weakref__", "asked", "done", "error", "number", "raw", "watchers", "what")

    def __init__(self, number: int, what: str, asked: float) -> None:
        self.number = number
        self.what = what  # for messages: "queue_status", "abort", ...
        self.asked = asked  # monotonic
        self.done = False
        self.raw: Any = None
        self.error: ErrorText | Exception | None = None
        self.watchers: list[Callable[[], None]] = []


class Requests:
    """The open ones by number."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, Request] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, what: str, make: Callable[[int], Message], now: float) -> tuple[Request, Message]:
        """A new request and its message, made with its number."""
        number = next(self._numbers)
        request = Request(number, what, now)
        with self._lock:
            self._open[number] = request
        return request, make(number)

    def reply(self, reply: Reply) -> Request | None:
        """The request this answers; None when nobody waits for it any more."""
        with self._lock:
            request = self._open.pop(reply.request, None)
        if request is not None:
            request.raw, request.error = reply.body, reply.error
            request.done = True
        return request

    def give_up(self, request: Request) -> None:
        """Nobody waits for this one any more."""
        with self._lock:
            self._open.pop(request.number, None)

    def fail(self, error: Exception) -> list[Request]:
        """End all open ones with an error; returns them."""
        with self._lock:
            failed = list(self._open.values())
            self._open.clear()
        for request in failed:
            request.error = error
            request.done = True
        return failed
