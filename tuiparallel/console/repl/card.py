"""A cell as a card: its state, progress and outcomes. No widget in this file."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tuiparallel.console.repl.modes import Mode
from tuiparallel.console.repl.outcomes import Folded, Grouping, Part, fold
from tuiparallel.console.repl.printed import Printed, Shown

if TYPE_CHECKING:
    from tuiparallel.console.repl.dispatch import Look, Sent

SAMPLES = 60
FEWEST = 5  # completions below which nothing is said about the end


class State(StrEnum):
    """What became of a cell so far."""

    SENT = "sent"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    ERRORS = "errors"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    LOST = "lost"


OPEN = frozenset({State.SENT, State.WAITING, State.RUNNING})


@dataclass(slots=True)
class Pace:
    """Completions over time, for an estimate of the end. Times are monotonic seconds."""

    samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def add(self, now: float, done: int) -> None:
        """Notes how many were done at a time; at most five notes a second."""
        if not self.samples or (done > self.samples[-1][1] and now - self.samples[-1][0] >= 0.2):
            self.samples.append((now, done))

    def estimate(self, now: float, total: int) -> tuple[float, float] | None:
        """Seconds left and half the width of their interval; None: too few completions, or none for too long.

        The rate is that of the last quarter of the completions, the interval the spread of the rates of its halves.
        """
        if len(self.samples) < 3:
            return None
        began, _ = self.samples[0]
        at, done = self.samples[-1]
        if done - self.samples[0][1] < FEWEST or at - began < 2.0 or done >= total:
            return None
        quarter = done - max(FEWEST, (done - self.samples[0][1]) // 4)
        first = max((sample for sample in self.samples if sample[1] <= quarter), default=self.samples[0])
        if at - first[0] < 0.5:
            return None
        rate = (done - first[1]) / (at - first[0])
        if rate <= 0 or now - at > 5 * max(1.0, 1 / rate):
            return None
        middle = self.samples[len(self.samples) * 3 // 4]
        late = (done - middle[1]) / (at - middle[0]) if at > middle[0] and done > middle[1] else rate
        left = (total - done) / rate
        other = (total - done) / late
        return max(0.0, left - (now - at)), abs(left - other) / 2


@dataclass(slots=True, eq=False)
class Card:
    """One cell that was run. began and ended are monotonic seconds; where is what the prompt said."""

    number: int
    mode: Mode
    where: str
    source: str
    began: float
    state: State = State.SENT
    ended: float | None = None
    done: int = 0
    total: int = 0
    failed: int = 0
    parts: tuple[Part, ...] = ()
    elements: bool = False  # parts are elements of a map
    grouping: Grouping = Grouping.IDENTICAL
    timed: bool = False
    blocking: bool = False
    notes: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)  # what the console itself answers
    printed: Printed = field(default_factory=Printed)
    live: list[Shown] = field(default_factory=list)  # the newest lines of its engines, while it runs
    waits: str = ""
    unfolded: bool = False
    sent: Sent | None = None
    pace: Pace = field(default_factory=Pace)
    asked_to_stop: float | None = None
    stubborn: tuple[int, ...] = ()  # engines that did not stop
    version: int = 0
    child_busy: bool = False  # its code waits or runs in the child process
    plan: object = None
    _folded: tuple[int, Folded] | None = None

    @property
    def open(self) -> bool:
        """Something of it has not ended."""
        return self.state in OPEN

    def changed(self) -> None:
        """What it looks like is another now."""
        self.version += 1

    def seconds(self, now: float) -> float:
        """How long it has run, or ran."""
        return max(0.0, (now if self.ended is None else self.ended) - self.began)

    def folded(self) -> Folded:
        """Its parts, grouped; made once per change."""
        if self._folded is None or self._folded[0] != self.version:
            self._folded = (self.version, fold(self.parts))
        return self._folded[1]

    def take(self, look: Look, now: float) -> None:
        """Takes in how far it is."""
        changed = look.done != self.done or look.ended or self.total != look.total
        self.done, self.total = look.done, look.total
        self.pace.add(now, look.done)
        if look.parts is not None:
            self.parts = look.parts
            self.failed = sum(not part.ok for part in look.parts)
        if look.ended:
            self.end(outcome_of(look.parts or (), look.aborted, look.lost), now)
        if changed:
            self.changed()

    def end(self, state: State, now: float) -> None:
        """All of it has ended."""
        self.state = state
        self.ended = now
        self.waits = ""
        self.live = []
        self.stubborn = ()
        self.changed()

    def fail(self, text: str, now: float) -> None:
        """It could not be sent, or was lost on the way."""
        self.notes.append(text)
        self.end(State.ERRORS, now)


def outcome_of(parts: Sequence[Part], aborted: int, lost: int) -> State:
    """The state of a cell whose parts have all ended: the worst of theirs."""
    failures = [part for part in parts if not part.ok]
    if not failures:
        return State.DONE
    interrupted = sum(part.ename == "KeyboardInterrupt" for part in failures)
    if len(failures) > aborted + lost + interrupted:
        return State.ERRORS
    if lost:
        return State.LOST
    return State.INTERRUPTED if interrupted else State.ABORTED
