"""Which tasks of one session are awaited, and which Calls want to hear of them.

Outstanding tasks are counted even when nobody holds their AsyncResult any more; Calls are only known weakly, so that
a result lives exactly as long as somebody can ask for it. No socket, thread or clock in this file.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Sequence

from tuiparallel.client.call import Call
from tuiparallel.wire.ids import Span, spans
from tuiparallel.wire.messages import MAX_BATCH, Outcome, Place


class _CallRef(weakref.ref[Call]):
    """A weak reference that knows under which counter it is kept."""

    __slots__ = ("first",)
    first: int


class _Stretch:
    """Outstanding tasks of a Call of several: one byte each, 1 while the outcome is awaited."""

    __slots__ = ("awaited", "end", "first", "left")

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self.end = first + count
        self.left = count
        self.awaited = bytearray(b"\1") * count


class Ledger:
    """The tasks of one session, by counter. A Call has at most MAX_BATCH of them."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.outstanding = 0  # tasks that have not ended
        self._lock = threading.Lock()
        self._singles: set[int] = set()  # outstanding ones of Calls of one task
        self._stretches: list[_Stretch] = []  # outstanding ones of larger Calls, ascending
        self._living: dict[int, _CallRef] = {}  # by first counter
        self._wide: list[int] = []  # first counters of living Calls of more than one task, ascending

    # Calls ------------------------------------------------------------------------------------------------------

    def add(self, call: Call, awaited: bool = True) -> None:
        """Know a Call, so that outcomes reach it. awaited: its tasks were submitted just now."""
        ref = _CallRef(call, self._forget)
        ref.first = call.first
        with self._lock:
            self._living[call.first] = ref
            if call.count > 1:
                insort(self._wide, call.first)
            if awaited:
                self.outstanding += call.count
                if call.count == 1:
                    self._singles.add(call.first)
                else:
                    insort(self._stretches, _Stretch(call.first, call.count), key=_first)

    def _forget(self, ref: weakref.ref[Call]) -> None:
        # Runs wherever the last holder lets go, perhaps inside add(): single operations only, and no lock.
        assert isinstance(ref, _CallRef)
        if self._living.get(ref.first) is ref:
            self._living.pop(ref.first, None)

    def find(self, counter: int) -> tuple[Call, int] | None:
        """The living Call that has this task, and its index there."""
        ref = self._living.get(counter)
        call = ref() if ref is not None else None
        if call is not None:
            return call, 0
        with self._lock:
            if len(self._wide) > 64 and len(self._wide) > 2 * len(self._living):
                self._wide = [first for first in self._wide if first in self._living]
            # Calls of one session do not overlap, but a dead one may stand in between.
            at = bisect_right(self._wide, counter)
            while at > 0 and counter - self._wide[at - 1] < MAX_BATCH:
                at -= 1
                ref = self._living.get(self._wide[at])
                call = ref() if ref is not None else None
                if call is None:
                    continue
                if counter < call.first + call.count:
                    return call, counter - call.first
                break
        return None

    def living(self) -> Iterator[Call]:
        """The Calls that somebody holds, in no order."""
        for ref in list(self._living.values()):
            call = ref()
            if call is not None:
                yield call

    # Outcomes ---------------------------------------------------------------------------------------------------

    def settle(
        self,
        outcomes: Sequence[Outcome],
        received: float,
        watched: Callable[[Call], None],
        places: Sequence[Place] = (),
    ) -> None:
        """Hand outcomes to their Calls; watched(call) is told of each that has watchers. One thread at a time.

        places: uuid and host of engines, as in Done.
        """
        self._ended(outcomes)
        call: Call | None = None
        first = end = 0
        changed: dict[Call, None] = {}
        for outcome in outcomes:
            counter = outcome.task
            if call is None or not first <= counter < end:
                found = self.find(counter)
                if found is None:
                    continue  # nobody holds it any more
                call = found[0]
                first, end = call.first, call.first + call.count
            had = received if not call.foreign else _had(outcome)
            if call.settle(counter - first, outcome, had, places) and call.watchers:
                changed[call] = None
        for call in changed:
            watched(call)

    def _ended(self, outcomes: Sequence[Outcome]) -> None:
        """These are not outstanding any more, from before anybody can see that they have ended."""
        stretch: _Stretch | None = None
        ended = 0
        try:
            for outcome in outcomes:
                counter = outcome.task
                if stretch is None or not stretch.first <= counter < stretch.end:
                    if counter in self._singles:
                        self._singles.discard(counter)
                        ended += 1
                        continue
                    stretch = self._stretch_of(counter)
                    if stretch is None:
                        continue
                index = counter - stretch.first
                if stretch.awaited[index]:
                    stretch.awaited[index] = 0
                    stretch.left -= 1
                    ended += 1
                    if not stretch.left:
                        self._drop(stretch)
        finally:  # Ctrl-C may fall in between: those that were struck off are counted all the same
            with self._lock:
                self.outstanding -= ended

    def _drop(self, stretch: _Stretch) -> None:
        with self._lock:
            del self._stretches[bisect_right(self._stretches, stretch.first, key=_first) - 1]

    def _stretch_of(self, counter: int) -> _Stretch | None:
        with self._lock:
            at = bisect_right(self._stretches, counter, key=_first) - 1
            return self._stretches[at] if at >= 0 and counter < self._stretches[at].end else None

    # Outstanding ------------------------------------------------------------------------------------------------

    def is_outstanding(self, counter: int) -> bool:
        """Whether this client submitted the task and has no outcome yet."""
        if counter in self._singles:
            return True
        stretch = self._stretch_of(counter)
        return stretch is not None and bool(stretch.awaited[counter - stretch.first])

    def open_counters(self) -> list[int]:
        """Counters of all outstanding tasks, ascending."""
        with self._lock:
            counters = list(self._singles)
            for stretch in self._stretches:
                counters += [stretch.first + i for i, awaited in enumerate(stretch.awaited) if awaited]
        counters.sort()
        return counters

    def awaited(self) -> list[Span]:
        """Counters whose outcome is still wanted: the outstanding ones, and those somebody asked for again."""
        wanted = set(self.open_counters())
        for call in self.living():
            if call.left:
                wanted.update(call.first + i for i, outcome in enumerate(call.outcomes) if outcome is None)
        return spans(sorted(wanted))


def _had(outcome: Outcome) -> float | None:
    """When the hub had the outcome of another client's task."""
    return outcome.completed if outcome.received is None else outcome.received


def _first(stretch: _Stretch) -> int:
    return stretch.first
