"""The tasks an engine was given: which runs next, which may be given back, which results the hub still has to keep.

Events in, effects out: no socket, thread or clock in this file. A lease starts at most once, whatever is repeated, and
each leased task ends in exactly one of a result, a return, or the hub's order to drop it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from tuiparallel.wire.messages import EngineWelcome, Lease, Ran, RunBatch

Assignment = tuple[int, int, RunBatch, int]
"""A task, its lease, the batch it came with and its place in it."""

REMEMBERED = 20_000  # tasks that are over, of which a late copy is still known as one


class TaskQueue:
    """What became of every lease this engine has met.

    unkept_limit: bytes of results the hub has not kept yet; above it no task is started.
    """

    def __init__(self, unkept_limit: int, remembered: int = REMEMBERED) -> None:
        self.running: Assignment | None = None
        self.unkept = 0  # bytes of results that the hub has not kept
        self._unkept_limit = unkept_limit
        self._remembered = remembered
        self._line: deque[Assignment] = deque()
        self._queued: dict[int, int] = {}  # task -> lease, as in all of these
        self._holding: dict[int, int] = {}
        self._returned: dict[int, int] = {}
        self._newest: dict[int, int] = {}  # the newest lease of each task above, and of the last that are over
        self._over: deque[int] = deque()  # tasks that are over, oldest first
        self._void = -1  # the lease of the running task, if its result is not wanted any more
        self._number = 0
        self._sent: dict[int, tuple[Sequence[Lease | Ran], int]] = {}  # messages not kept yet: their leases and size

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def startable(self) -> bool:
        """Whether a task may start: the hub has kept enough of the results."""
        return self.unkept < self._unkept_limit or not self.unkept

    def run(self, batches: Iterable[RunBatch]) -> int:
        """These tasks have arrived, to be run in this order; returns how many are new. Copies are dropped."""
        newest, queued, line = self._newest, self._queued, self._line
        before = len(line)
        for batch in batches:
            for place, (task, lease) in enumerate(zip(batch.tasks, batch.leases, strict=True)):
                if lease <= newest.get(task, -1):
                    continue
                newest[task] = queued[task] = lease
                line.append((task, lease, batch, place))
        return len(line) - before

    def start(self) -> Assignment | None:
        """The next task to run, which counts as started from now on; None: there is none, or too much is unkept."""
        line, queued = self._line, self._queued
        if not self.startable:
            return None
        while line:
            assignment = line.popleft()
            # Those given back or dropped meanwhile have left their place in the line behind.
            if queued.get(assignment[0]) == assignment[1]:
                del queued[assignment[0]]
                self.running = assignment
                return assignment
        return None

    def finish(self, size: int) -> bool:
        """The running task has ended with a result of `size` bytes; whether it is wanted."""
        assignment = self.running
        assert assignment is not None
        self.running = None
        task, lease = assignment[0], assignment[1]
        if lease == self._void:
            self._void = -1
            self._settle(task)
            return False
        self._holding[task] = lease
        self.unkept += size
        return True

    def send(self, leases: Sequence[Lease | Ran], size: int) -> int:
        """Results or returns of these leases leave in one message, with `size` bytes of results; returns its number."""
        self._number += 1
        self._sent[self._number] = (leases, size)
        return self._number

    def revoke(self, leases: Sequence[Lease]) -> tuple[list[Lease], list[Lease]]:
        """The hub wants these back; which of them go back, and which are refused since they had started."""
        back: list[Lease] = []
        refused: list[Lease] = []
        for wanted in leases:
            task, lease = wanted.task, wanted.lease
            if self._queued.get(task) == lease:
                del self._queued[task]
                self._returned[task] = lease
                back.append(wanted)
            elif self._returned.get(task) == lease:
                back.append(wanted)
            elif lease <= self._newest.get(task, -1):
                refused.append(wanted)
            else:  # its Run never arrived, and a late copy must find nobody
                self._newest[task] = self._returned[task] = lease
                back.append(wanted)
        return back, refused

    def kept(self, numbers: Iterable[int]) -> None:
        """The hub has these messages on record."""
        for number in numbers:
            leases, size = self._sent.pop(number, ((), 0))
            self.unkept -= size
            for lease in leases:
                self._release(lease)

    def welcomed(self, welcome: EngineWelcome) -> list[int]:
        """The hub's answer to what hello() listed; returns the numbers of messages that need not be sent again."""
        for lease in welcome.drop:
            self._drop(lease)
        for lease in welcome.kept:
            self._release(lease)
        done = [
            number
            for number, (leases, _) in self._sent.items()
            if all(
                self._holding.get(lease.task) != lease.lease and self._returned.get(lease.task) != lease.lease
                for lease in leases
            )
        ]
        self.kept(done)
        return done

    def hello(self) -> tuple[list[Lease], list[Lease], list[Lease], list[Lease]]:
        """All that the hub may still have to know of: running, queued (in order), holding, returned."""
        running = [Lease(self.running[0], self.running[1])] if self.running and not self._void_running() else []
        queued = [Lease(task, lease) for task, lease, _, _ in self._line if self._queued.get(task) == lease]
        holding = [Lease(task, lease) for task, lease in self._holding.items()]
        returned = [Lease(task, lease) for task, lease in self._returned.items()]
        return running, queued, holding, returned

    def functions(self) -> set[bytes]:
        """The functions of the running task and of those that wait."""
        batches = [assignment[2] for assignment in self._line]
        if self.running is not None:
            batches.append(self.running[2])
        return {batch.function for batch in batches}

    def check(self) -> None:
        """What holds between any two events."""
        assert self.unkept >= sum(size for _, size in self._sent.values())
        assert len(self._over) <= self._remembered
        for part in (self._queued, self._holding, self._returned):
            assert all(self._newest[task] >= lease for task, lease in part.items())

    def _void_running(self) -> bool:
        return self.running is not None and self.running[1] == self._void

    def _drop(self, lease: Lease) -> None:
        running = self.running
        if self._queued.get(lease.task) == lease.lease:
            del self._queued[lease.task]
            self._settle(lease.task)
        elif running is not None and (running[0], running[1]) == (lease.task, lease.lease):
            self._void = lease.lease
        else:
            self._release(lease)

    def _release(self, lease: Lease | Ran) -> None:
        for part in (self._holding, self._returned):
            if part.get(lease.task) == lease.lease:
                del part[lease.task]
                self._settle(lease.task)

    def _settle(self, task: int) -> None:
        """A task is over here. The oldest of those over is forgotten, unless it is back under a newer lease."""
        over = self._over
        over.append(task)
        if len(over) > self._remembered:
            oldest = over.popleft()
            if (
                oldest not in self._queued
                and oldest not in self._holding
                and oldest not in self._returned
                and (self.running is None or self.running[0] != oldest)
            ):
                self._newest.pop(oldest, None)
