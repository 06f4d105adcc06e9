"""What really happened in a generated history, and whether P1 to P5 were kept.

It hears from clients, engines and the disk what each of them saw, and never looks at the rules or at what they believe.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tuiparallel.wire.messages import Need, Ran, Work
from tuiparallel.wire.states import TERMINAL, State

ROUNDING = 1e-6  # seconds


class BrokenError(AssertionError):
    """A promise was not kept."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An outcome, as it is on record and as a client is told it."""

    state: State
    lease: int
    engine: int | None
    body: bytes
    ename: str
    facts: Mapping[str, object] = field(default_factory=dict, compare=False)


def expect(kept: bool, promise: str, text: str) -> None:
    """Raise BrokenError unless a promise was kept."""
    if not kept:
        raise BrokenError(f"{promise}: {text}")


class Oracle:
    """The ledger of one history."""

    def __init__(self) -> None:
        self.work: dict[int, Work] = {}  # by task: what clients have submitted
        self.first: dict[int, int] = {}  # by task: the first one of its batch
        self.unmet_on: dict[int, frozenset[int]] = {}  # by task: engines on which its function dependency is not met
        self.received: dict[int, float] = {}  # when a task was first on record, monotonic
        self.holders: dict[int, list[tuple[int, int]]] = defaultdict(
            list
        )  # on record: lease, engine (-1: given back)
        self.begun: dict[tuple[int, int], float] = {}  # task and lease: when it started, monotonic
        self.starts: Counter[int] = Counter()  # of the function itself
        self.values: dict[int, set[bytes]] = defaultdict(set)
        self.failures: dict[int, set[bytes]] = defaultdict(set)
        self.outcomes: dict[int, Ended] = {}  # on record
        self.got: dict[int, Ended] = {}  # by the client that waited
        self.asked: set[int] = set()  # to be aborted
        self.stopped: dict[
            int, tuple[int, bool]
        ] = {}  # by task: the lease it had when its abort was heard; even running
        self.gone: dict[int, set[bool]] = defaultdict(set)  # engines that died or were given up; whether with a mark

    # Clients -------------------------------------------------------------------------------------------------------

    def submits(self, first: int, count: int, work: Work, unmet_on: frozenset[int]) -> None:
        for id in range(first, first + count):
            self.work[id], self.first[id], self.unmet_on[id] = work, first, unmet_on

    def accepted(self, first: int) -> None:
        expect(first in self.received, "P2", f"task {first} was acknowledged and is not on record")

    def gets(self, id: int, ended: Ended) -> None:
        expect(id in self.work, "P1", f"an outcome of task {id}, which nobody has submitted")
        if (known := self.outcomes.get(id)) != ended:
            raise BrokenError(f"P2: task {id} was told as {ended}, on record {known}")
        if (before := self.got.setdefault(id, ended)) != ended:
            raise BrokenError(f"P5: task {id} ended as {before} and then as {ended}")

    def abort_heard(self, ids: Iterable[int], running: bool) -> None:
        for id in ids:
            last, hard = self.stopped.get(id, (self.holders[id][-1][0] if self.holders[id] else 0, False))
            self.stopped[id] = last, hard or running

    def hub_killed(self) -> None:
        """What it has not recorded is forgotten: clients ask again."""
        self.stopped.clear()

    def abort_answered(self, asked: Iterable[int], aborted: set[int], running: set[int], done: set[int]) -> None:
        expect(set(asked) == aborted | running | done, "P1", "an abort was answered for other tasks than asked")
        for id in aborted:
            now = self.outcomes.get(id)
            expect(now is not None and now.state is State.ABORTED, "P5", f"task {id} was called aborted and is {now}")
        for id in done:
            expect(id in self.outcomes, "P5", f"task {id} was called ended and is open")

    # Engines -------------------------------------------------------------------------------------------------------

    def starts_on(self, engine: int, id: int, lease: int, now: float) -> bool:
        """An engine starts a task; whether its function itself is called."""
        work = self.work[id]
        expect((id, lease) not in self.begun, "P4", f"task {id} started twice under lease {lease}")
        expect(
            (lease, engine) in self.holders[id], "P3", f"task {id} runs under lease {lease}, which is not on record"
        )
        last, hard = self.stopped.get(id, (lease, False))
        left_alone = not hard and (id, last) in self.begun  # it ran, and may be tried again
        expect(lease <= last or left_alone, "abort", f"task {id} started after it had been aborted")
        self.begun[id, lease] = now
        self._check_place(engine, id, work)
        self._check_needs(engine, id, work)
        if engine in self.unmet_on[id]:
            return False
        self.starts[id] += 1
        allowed = 1 + (work.retries if work.balanced else 0)
        expect(self.starts[id] <= allowed, "P4", f"task {id} started {self.starts[id]} times, {allowed} are allowed")
        return True

    def _check_place(self, engine: int, id: int, work: Work) -> None:
        if work.targets is None:
            return
        if work.balanced:
            allowed = set(work.targets)
        else:
            allowed = {work.targets[id - self.first[id]]}
        expect(engine in allowed, "targets", f"task {id} runs on engine {engine}, it may on {allowed}")

    def _check_needs(self, engine: int, id: int, work: Work) -> None:
        for need in (work.after, work.follow):
            if need is not None:
                expect(self._counts(need)[1], "after", f"task {id} started before what it waits for was over")
        if work.follow is not None and work.follow.tasks:
            counted = [self.outcomes[one].engine for one in self._counts(work.follow)[0]]
            places = {place for place in counted if place is not None}
            fits = places == {engine} if work.follow.all and places else engine in places
            expect(fits, "follow", f"task {id} runs on engine {engine} and should follow to {places}")

    def _counts(self, need: Need) -> tuple[list[int], bool]:
        """The tasks of a need whose outcome counts, and whether that is enough."""
        ids = list(dict.fromkeys(id for _, id, _ in need.tasks))
        met = [id for id in ids if id in self.outcomes and self._is_met(need, id)]
        return met, len(met) == len(ids) if need.all else bool(met) or not ids

    def _is_met(self, need: Need, id: int) -> bool:
        return need.success if self.outcomes[id].state is State.DONE else need.failure

    def _is_impossible(self, need: Need | None) -> bool:
        if need is None:
            return False
        missed = [id in self.outcomes and not self._is_met(need, id) for _, id, _ in need.tasks]
        return any(missed) if need.all else all(missed)

    def ends(self, id: int, ok: bool, body: bytes) -> None:
        (self.values if ok else self.failures)[id].add(body)

    # The hub's disk ------------------------------------------------------------------------------------------------

    def recorded(self, first: int, count: int, now: float) -> None:
        for id in range(first, first + count):
            expect(id not in self.received, "P4", f"task {id} was taken in twice")
            self.received[id] = now

    def leased(self, lease: int, engine: int, ids: Iterable[int]) -> None:
        for id in ids:
            before = self.holders[id]
            expect(
                not before or lease > before[-1][0], "P4", f"lease {lease} of task {id} is not newer than {before}"
            )
            before.append((lease, engine))

    def keeps(self, engine: int, results: Iterable[Ran]) -> None:
        """The hub tells an engine that it may forget these results."""
        for ran in results:
            current = self.holders[ran.task][-1] == (ran.lease, engine)
            expect(
                ran.task in self.outcomes or not current,
                "P3",
                f"the result of task {ran.task}, lease {ran.lease}, was called kept and is not on record",
            )

    def lost(self, engine: int, exact: bool) -> None:
        self.gone[engine].add(exact)

    def recorded_end(self, id: int, ended: Ended, now: float) -> None:
        before = self.outcomes.get(id)
        if before is not None:
            raise BrokenError(f"P5: task {id} had ended as {before} and is to end as {ended}")
        expect(ended.state in TERMINAL, "P5", f"task {id} is to end as {ended.state}")
        expect(id in self.received, "P1", f"task {id} ends without having been taken in")
        self.outcomes[id] = ended
        work = self.work[id]
        match ended.state:
            case State.DONE:
                expect(ended.body in self.values[id], "P5", f"task {id} has a value that no engine made")
            case State.ABORTED:
                expect(id in self.asked, "P1", f"task {id} is aborted, and nobody asked for it")
            case State.EXPIRED:
                self._check_expired(id, work, ended, now)
            case State.LOST:
                self._check_lost(id, work, ended)
            case _:
                self._check_error(id, work, ended)

    def _attempts(self, id: int) -> int:
        return sum(engine >= 0 for _, engine in self.holders[id])

    def _check_expired(self, id: int, work: Work, ended: Ended, now: float) -> None:
        if "timeout" in ended.facts:
            waited = now - self.received[id] + ROUNDING
            expect(bool(work.timeout) and waited >= (work.timeout or 0), "P1", f"task {id} expired after {waited} s")
            expect(not self.holders[id], "P1", f"task {id} expired waiting, and had been given out")
            return
        ran = now - self.begun.get((id, ended.lease), now) + ROUNDING
        expect(
            work.time_limit is not None and ran >= work.time_limit, "P1", f"task {id} expired after running {ran} s"
        )

    def _check_lost(self, id: int, work: Work, ended: Ended) -> None:
        if not ended.facts["may_have_started"]:
            expect(not work.balanced, "P1", f"balanced task {id} had not started and was lost")
            return
        holder = self.holders[id][-1]
        expect(holder[0] == ended.lease, "P1", f"task {id} was lost under lease {ended.lease}, it had {holder}")
        expect(holder[1] in self.gone, "P1", f"task {id} was lost with engine {holder[1]}, which is there")
        if self.gone[holder[1]] == {True}:
            expect((id, ended.lease) in self.begun, "P1", f"task {id} had not started and was lost")
        if work.balanced and work.retry_on in ("any", "death"):
            expect(self._attempts(id) > work.retries, "retries", f"task {id} was lost with attempts left")

    def _check_error(self, id: int, work: Work, ended: Ended) -> None:
        if ended.ename != "ImpossibleDependency":
            expect(
                ended.body in self.failures[id], "P5", f"task {id} has an error that no engine made: {ended.ename}"
            )
            if work.balanced and work.retry_on in ("any", "error"):
                expect(self._attempts(id) > work.retries, "retries", f"task {id} failed with attempts left")
            return
        free = work.targets is None and work.follow is None and not self.unmet_on[id]
        expect(work.balanced, "P1", f"direct task {id} was called impossible")
        expect(not free or self._is_impossible(work.after), "P1", f"task {id} was called impossible and is not")

    # The end -------------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        left = [id for id in self.work if id not in self.got]
        expect(not left, "P1", f"{len(left)} tasks never ended for their client, the first is {left[:1]}")
        expect(set(self.got) == set(self.work), "P1", "outcomes of other tasks than were submitted")
        expect(self.outcomes == self.got, "P2", "what clients got is not what is on record")
