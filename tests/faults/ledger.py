"""The ledger of a run and its checker: lost, hung, duplicated, phantom, changed.

Engines append `name attempt pid start|end` to one file, whoever submits `name submit|ack|end outcome` to another; both
by O_APPEND, so that a killed process leaves whole lines. The checker holds them against each other.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.tasks import noted, value_of, write_line
from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.link.clock import Deadline, SystemClock

DONE = "done"
CHANGED = "changed"


@dataclass
class Report:
    """What the checker found, a list of names each; recoveries are seconds."""

    what: str
    tasks: int = 0
    faults: int = 0  # kills, stops, lost messages: what was done
    lost: list[int] = field(default_factory=list)
    hung: list[int] = field(default_factory=list)
    duplicated: list[int] = field(default_factory=list)
    phantom: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)  # outcomes that are errors, by kind
    recoveries: list[float] = field(default_factory=list)
    seed: int = 0

    def add(self, other: Report) -> None:
        """Count another run of the same kind in."""
        self.tasks += other.tasks
        self.faults += other.faults
        for name in ("lost", "hung", "duplicated", "phantom", "changed", "recoveries"):
            getattr(self, name).extend(getattr(other, name))
        self.errors.update(other.errors)

    @property
    def clean(self) -> bool:
        """Nothing lost, hung, duplicated, phantom or changed."""
        return not (self.lost or self.hung or self.duplicated or self.phantom or self.changed)

    def __str__(self) -> str:
        """A table of one row."""
        head = "| what | tasks | faults | lost | hung | duplicated | phantom | changed | errors | recovery p50 | max | seed |"
        times = sorted(self.recoveries)
        middle, most = (f"{times[len(times) // 2]:.2f} s", f"{times[-1]:.2f} s") if times else ("", "")
        errors = ", ".join(f"{count} {kind}" for kind, count in sorted(self.errors.items())) or "0"
        counts = " | ".join(
            str(len(names)) for names in (self.lost, self.hung, self.duplicated, self.phantom, self.changed)
        )
        row = f"| {self.what} | {self.tasks:,} | {self.faults} | {counts} | {errors} | {middle} | {most} | {self.seed} |"
        found = {
            name: getattr(self, name)[:10]
            for name in ("lost", "hung", "duplicated", "phantom", "changed")
            if getattr(self, name)
        }
        return "\n".join([head, "|" + " --- |" * 12, row, *(f"{name}: {names}" for name, names in found.items())])


class Ledger:
    """Both files of one run, in this folder. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.at_engines = str(folder / "engines.ledger")
        self.at_clients = str(folder / "clients.ledger")
        self._names = itertools.count()
        for path in (self.at_engines, self.at_clients):
            Path(path).touch(0o600)

    def submit(self, view: Any, seconds: float = 0.0) -> tuple[int, AsyncResult]:
        """Submit one task that notes its start and end; its name and its result."""
        name = next(self._names)
        self.note(name, "submit")
        return name, view.apply_async(noted, self.at_engines, name, seconds)

    def call(self, view: Any, function: Callable[[str, int], Any]) -> tuple[int, AsyncResult]:
        """The same with another function of (path, name)."""
        name = next(self._names)
        self.note(name, "submit")
        return name, view.apply_async(function, self.at_engines, name)

    def map(self, view: Any, count: int, seconds: float = 0.0) -> list[tuple[int, AsyncResult]]:
        """A map of tasks that note their start and end, one task each."""
        names = [next(self._names) for _ in range(count)]
        write_line(self.at_clients, "".join(f"{name} submit\n" for name in names))
        result = view.map_async(noted, [self.at_engines] * count, names, [seconds] * count, chunksize=1)
        return list(zip(names, result.split(), strict=True))

    def note(self, name: int, what: str) -> None:
        """Append a line of whoever submits."""
        write_line(self.at_clients, f"{name} {what}\n")

    def collect(self, answers: Iterable[tuple[int, AsyncResult]], timeout: float) -> None:
        """Wait for these and note how each ended; those that do not end within timeout seconds are hung."""
        deadline = Deadline(SystemClock(), timeout)
        lines = []
        for name, answer in answers:
            outcome = outcome_of(name, answer, deadline)
            if outcome:
                lines.append(f"{name} end {outcome}\n")
        write_line(self.at_clients, "".join(lines))

    def starts(self) -> Counter[int]:
        """How often each task has started."""
        return Counter(name for name, what in self._engine_lines() if what == "start")

    def _engine_lines(self) -> list[tuple[int, str]]:
        found = []
        for line in Path(self.at_engines).read_text().splitlines():
            name, _, _, what = line.split()
            found.append((int(name), what))
        return found

    def check(self, what: str, *, allowed: Collection[str] = (), starts: int = 1, seed: int = 0) -> Report:
        """Hold both files against each other.

        allowed: kinds of errors that are an honest end here. starts: how often a task may start.
        """
        report = Report(what, seed=seed)
        started, finished = Counter[int](), Counter[int]()
        for name, event in self._engine_lines():
            (started if event == "start" else finished)[name] += 1
        submitted: set[int] = set()
        ended: dict[int, str] = {}
        for line in Path(self.at_clients).read_text().splitlines():
            words = line.split()
            name = int(words[0])
            if words[1] == "submit":
                submitted.add(name)
            elif words[1] == "end":
                if ended.get(name, words[2]) != words[2]:
                    report.changed.append(name)
                ended[name] = words[2]
        report.tasks = len(submitted)
        for name in sorted(submitted):
            outcome = ended.get(name)
            if outcome is None:
                report.hung.append(name)
            elif outcome == CHANGED:
                report.changed.append(name)
            elif outcome != DONE:
                report.errors[outcome] += 1
                if outcome not in allowed:
                    report.lost.append(name)
            elif not finished[name]:
                report.phantom.append(name)
        report.duplicated += [name for name, count in started.items() if count > starts]
        report.phantom += [name for name in started if name not in submitted]
        return report


def outcome_of(name: int, answer: AsyncResult, deadline: Deadline) -> str:
    """How this task ended: done, changed, or the name of an error; empty when it has not."""
    if not answer.ready():
        answer.wait(deadline.left())
        if not answer.ready():
            return ""
    error = answer.exception(0)
    if error is not None:
        return str(getattr(error, "ename", "") or type(error).__name__)
    value = answer.get(0)
    if isinstance(value, list):  # a part of a map
        value = value[0]
    return DONE if value == value_of(name) else CHANGED
