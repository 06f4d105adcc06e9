"""Tasks on their way to the hub: counters are given, single calls are gathered into batches, batches are posted.

A lone call leaves at once. While earlier Submits are unacknowledged, calls that agree in everything but arguments and
engine are gathered and leave together: with the next acknowledgement, when the batch is full, or when somebody waits.
So a burst costs few messages and a single call no delay.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tuiparallel.client.call import Call, ended_here
from tuiparallel.client.handover import Handover, Writing
from tuiparallel.client.ledger import Ledger
from tuiparallel.link.link import Link
from tuiparallel.wire.functions import FunctionCode
from tuiparallel.wire.messages import MAX_BATCH, BlobUse, ErrorText, Need, Submit, Work
from tuiparallel.wire.objects import BATCH_LIMIT
from tuiparallel.wire.states import State

TASKS_UNDER_WAY = 10_000  # unacknowledged tasks at which submitting waits
BYTES_UNDER_WAY = 256 << 20  # unacknowledged bytes at which submitting waits


class Settings(NamedTuple):
    """What a view's flags say about each of its tasks: the part of Work that stays the same from call to call."""

    balanced: bool
    label: str | None = None
    time_limit: float | None = None
    after: Need | None = None
    follow: Need | None = None
    timeout: float | None = None
    retries: int = 0
    retry_on: str = "any"
    priority: int = 0
    allowed: tuple[int, ...] | None = None  # balanced: the engines it may run on


class Order(NamedTuple):
    """What all tasks of a call share: how, what, by which function."""

    settings: Settings
    kind: int
    name: str
    function: FunctionCode | None


class _Bundle:
    """Single calls that wait to be sent together."""

    __slots__ = ("blobs", "bodies", "bytes", "first", "order", "targets", "work")

    def __init__(self, order: Order, first: int, work: Work) -> None:
        self.order = order
        self.first = first
        self.work = work
        self.targets: list[int] = []
        self.bodies: list[bytes] = []
        self.blobs: list[BlobUse] = []
        self.bytes = 0


class Submitter:
    """Gives counters to tasks and posts them, in the order of their counters.

    wait_for_room(ready) blocks the caller until ready() holds, or raises. Any thread may submit.
    """

    def __init__(
        self,
        session: str,
        link: Link,
        ledger: Ledger,
        handover: Handover,
        wait_for_room: Callable[[Callable[[], bool]], None],
    ) -> None:
        self.next = 0  # the counter that the next task gets
        self._session = session
        self._link = link
        self._ledger = ledger
        self._handover = handover
        self._wait_for_room = wait_for_room
        self._lock = threading.RLock()
        self._bundle: _Bundle | None = None
        self._tasks_under_way = 0
        self._bytes_under_way = 0
        self._under_way: dict[int, tuple[int, int]] = {}  # first counter -> tasks, bytes; unacknowledged Submits

    # Submitting -------------------------------------------------------------------------------------------------

    def submit(
        self,
        order: Order,
        bodies: list[bytes],
        count: int,
        targets: Sequence[int] | None = None,
        blobs: Sequence[BlobUse] = (),
        writing: Writing | None = None,
    ) -> Call:
        """Send `count` (at most MAX_BATCH) tasks: one body each, or one that all share; targets for direct work.

        writing: blobs that still have to be written before the hub may know of them. Waits while too much is
        unacknowledged.
        """
        if not self._room():
            self.flush()
            self._wait_for_room(self._room)
        with self._lock:
            first = self.next
            self.next = first + count
            bundle = self._bundle
            if bundle is not None and (count != 1 or order != bundle.order):
                self._flush()
                bundle = None
            if bundle is None:
                work = self._work(order, targets)
            else:
                work = bundle.work
            call = Call(self._session, first, count, work, list(targets) if targets is not None else None,
                        self._handover.store)  # fmt: skip
            call.size = len(bodies[0]) if count == 1 and not blobs else _sizes(bodies, count, blobs)
            self._ledger.add(call)
            if writing is not None:
                self._flush()
                call.sent = False
                writing.call = call
            if count == 1 and writing is None:
                self._gather(order, first, work, bodies[0], targets, blobs)
            else:
                self._post(Submit(first, count, _addressed(work, targets), *_carried(order), bodies, list(blobs)),
                           sum(map(len, bodies)), writing)  # fmt: skip
        if self._bundle is not None and not self._under_way:
            self.flush()  # the acknowledgement came while the lock was held
        return call

    def _gather(
        self,
        order: Order,
        first: int,
        work: Work,
        body: bytes,
        targets: Sequence[int] | None,
        blobs: Sequence[BlobUse],
    ) -> None:
        bundle = self._bundle
        if bundle is None:
            bundle = self._bundle = _Bundle(order, first, work)
        if blobs:
            at = len(bundle.bodies)
            bundle.blobs += [BlobUse(at, use.name, use.size) for use in blobs]
        bundle.bodies.append(body)
        bundle.bytes += len(body)
        if targets is not None:
            bundle.targets.append(targets[0])
        if not self._under_way or len(bundle.bodies) >= MAX_BATCH or bundle.bytes >= BATCH_LIMIT:
            self._flush()

    def flush(self) -> None:
        """Send what was gathered."""
        if self._bundle is not None:
            with self._lock:
                self._flush()

    def try_flush(self) -> None:
        """The same for the thread that receives, which must not wait: whoever holds the lock will flush."""
        if self._bundle is not None and self._lock.acquire(blocking=False):
            try:
                self._flush()
            finally:
                self._lock.release()

    def _flush(self) -> None:
        bundle, self._bundle = self._bundle, None
        if bundle is None:
            return
        work = _addressed(bundle.work, bundle.targets if bundle.order.settings.balanced is False else None)
        submit = Submit(bundle.first, len(bundle.bodies), work, *_carried(bundle.order), bundle.bodies, bundle.blobs)
        self._post(submit, bundle.bytes, None)

    def _post(self, submit: Submit, size: int, writing: Writing | None) -> None:
        size += len(submit.code or b"")
        self._under_way[submit.first] = (submit.count, size)
        self._tasks_under_way += submit.count
        self._bytes_under_way += size
        self._handover.send(submit, size, writing)

    def _work(self, order: Order, targets: Sequence[int] | None) -> Work:
        settings = order.settings
        return Work(
            order.kind, order.name, settings.balanced, self._link.clock.time(),
            list(settings.allowed) if settings.allowed is not None else None,
            settings.label, settings.after, settings.follow, settings.timeout, settings.time_limit,
            settings.retries, settings.retry_on, settings.priority,
        )  # fmt: skip

    # Acknowledgements: the thread that receives -------------------------------------------------------------------

    def _room(self) -> bool:
        return self._tasks_under_way < TASKS_UNDER_WAY and self._bytes_under_way < BYTES_UNDER_WAY

    def accepted(self, firsts: Sequence[int]) -> None:
        """The hub has these Submits on record."""
        self._link.ack(firsts)
        self._forget(firsts)
        self.try_flush()

    def welcomed(self, accepted_below: int) -> None:
        """The hub has every Submit below this counter on record."""
        self.accepted([first for first in list(self._under_way) if first < accepted_below])

    def rejected(self, first: int, error: ErrorText, settle: Callable[[list[Any]], None]) -> None:
        """The hub will not take this Submit: its tasks end here, with its error."""
        count = self._under_way.get(first, (0, 0))[0]
        self._link.ack([first])
        self._forget([first])
        settle([ended_here(counter, State.ERROR, error) for counter in range(first, first + count)])
        self.try_flush()

    def _forget(self, firsts: Sequence[int]) -> None:
        for first in firsts:
            tasks, size = self._under_way.pop(first, (0, 0))
            self._tasks_under_way -= tasks
            self._bytes_under_way -= size


def _sizes(bodies: Sequence[bytes], count: int, blobs: Sequence[BlobUse]) -> int | Sequence[int]:
    """Bytes of each call with its blobs; a single number when it is the same for all."""
    if len(bodies) == 1 and all(use.index == 0 for use in blobs):
        return len(bodies[0]) + sum(use.size for use in blobs)  # one call for all of them
    sizes = array("Q", map(len, bodies if len(bodies) == count else list(bodies) * count))
    for use in blobs:
        sizes[use.index] += use.size
    return sizes


def _carried(order: Order) -> tuple[bytes, bytes | None]:
    function = order.function
    return (b"", None) if function is None else (function.hash, function.code)


def _addressed(work: Work, targets: Sequence[int] | None) -> Work:
    if targets is None:
        return work
    return Work(
        work.kind, work.name, False, work.submitted, list(targets), work.label, work.after, work.follow, work.timeout,
        work.time_limit, work.retries, work.retry_on, work.priority,
    )  # fmt: skip
