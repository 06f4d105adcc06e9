"""Clients' requests that wait for engines or tasks before they can be answered.

No socket, thread or clock in this file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tuiparallel.hub.book import Book
from tuiparallel.hub.events import AbortSettled
from tuiparallel.hub.registry import Session
from tuiparallel.wire.ids import IdRange
from tuiparallel.wire.messages import Answer, ClearNamespace, ErrorText, Inquiry, Reply


@dataclass(slots=True, eq=False)
class Pending:
    """A request under way. verb: "clear", "ask", "stop" or "restart"; engines: those it still waits for.

    message: what each of them was sent, and is sent again when it connects anew, for it may have been lost.
    """

    session: Session
    request: int
    verb: str
    engines: set[int]
    message: ClearNamespace | Inquiry | None = None
    done: dict[int, Any] = field(default_factory=dict)


class Requests:
    """All pending requests, by the number the hub gave them."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._next = 1
        self._pending: dict[int, Pending] = {}
        self._aborts: dict[int, tuple[Session, int, list[IdRange]]] = {}

    def open(self, session: Session, request: int, verb: str, engines: set[int]) -> int:
        """A new one; answered at once when it waits for nobody."""
        number = self._next
        self._next += 1
        pending = Pending(session, request, verb, engines)
        self._pending[number] = pending
        self._close_if_done(number)
        return number

    def send(
        self,
        session: Session,
        request: int,
        verb: str,
        engines: list[int],
        make: Callable[[int], ClearNamespace | Inquiry],
    ) -> None:
        """A new one that these engines are told of. make: the message, from the request's number."""
        number = self.open(session, request, verb, set(engines))
        pending = self._pending.get(number)
        if pending is not None:
            pending.message = make(number)
            for id in engines:
                self.book.out.engine(self.book.registry.engines[id], pending.message)

    def engine_back(self, engine: int) -> None:
        """An engine has connected anew: what it was asked, or its answer, may have been lost."""
        for pending in self._pending.values():
            if engine in pending.engines and pending.message is not None:
                self.book.out.engine(self.book.registry.engines[engine], pending.message)

    def open_abort(self, session: Session, request: int, unknown: list[IdRange]) -> int:
        """A new abort: the ticket for AbortAsked."""
        number = self._next
        self._next += 1
        self._aborts[number] = (session, request, unknown)
        return number

    def nobody(self) -> int:
        """A ticket for an abort that nobody waits for."""
        number = self._next
        self._next += 1
        return number

    def abort_settled(self, effect: AbortSettled) -> None:
        """All tasks of an abort are decided."""
        asked = self._aborts.pop(effect.ticket, None)
        if asked is None:
            return
        session, request, unknown = asked
        book = self.book
        body = {
            "aborted": book.ranges(effect.aborted),
            "running": book.ranges(effect.running),
            "done": book.ranges(effect.done),
            "unknown": unknown,
        }
        book.out.client(session, Reply(request, body))
        if effect.aborted:
            left = f", {len(effect.running)} were running" if effect.running else ""
            book.event("abort", f"{session.name or session.hex} aborted {len(effect.aborted)} tasks{left}")

    def answered(self, engine: int, answer: Answer) -> None:
        """An engine has answered."""
        pending = self._pending.get(answer.request)
        if pending is None or engine not in pending.engines:
            return
        pending.engines.discard(engine)
        if pending.verb == "ask":
            del self._pending[answer.request]
            self.book.out.client(pending.session, Reply(pending.request, answer.body, answer.error))
            return
        pending.done[engine] = answer.body
        self._close_if_done(answer.request)

    def engine_gone(self, engine: int) -> None:
        """An engine will answer nothing any more."""
        for number, pending in list(self._pending.items()):
            if engine not in pending.engines or pending.verb == "restart":
                continue
            pending.engines.discard(engine)
            if pending.verb == "ask":
                del self._pending[number]
                error = ErrorText("EngineError", f"engine {engine} is gone", "", engine)
                self.book.out.client(pending.session, Reply(pending.request, None, error))
                continue
            if pending.verb == "stop":
                pending.done[engine] = None
            self._close_if_done(number)

    def restarted(self, old: int, new: int | None) -> None:
        """An engine's successor is there; None: there will be none."""
        for number, pending in list(self._pending.items()):
            if pending.verb == "restart" and old in pending.engines:
                pending.engines.discard(old)
                pending.done[old] = new
                self._close_if_done(number)

    def client_gone(self, session: Session) -> None:
        """Nobody waits for these answers any more."""
        for number in [number for number, pending in self._pending.items() if pending.session is session]:
            del self._pending[number]
        for number in [number for number, (asker, _, _) in self._aborts.items() if asker is session]:
            del self._aborts[number]

    def _close_if_done(self, number: int) -> None:
        pending = self._pending[number]
        if pending.engines:
            return
        del self._pending[number]
        key = {"clear": "cleared", "stop": "stopped", "restart": "restarted", "ask": "answer"}[pending.verb]
        body: Any = dict(pending.done) if pending.verb == "restart" else sorted(pending.done)
        self.book.out.client(pending.session, Reply(pending.request, {key: body}))
