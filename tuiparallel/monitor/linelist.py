"""A list of output lines that pass a filter, kept up to date by looking only at what came, changed and went."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from tuiparallel.monitor.output import Output
from tuiparallel.monitor.reads import LineList
from tuiparallel.monitor.rows import OutputFilter, OutputLine
from tuiparallel.wire.ids import COUNTER_BITS


class Position(NamedTuple):
    """How far a list has followed."""

    end: int
    changes: int
    evictions: int


class Lines:
    """Numbers of the lines that pass a filter, ascending; follow() brings them up to date."""

    def __init__(self, output: Output, where: OutputFilter) -> None:
        self._output = output
        self._where = where
        self._passes = passing(where)
        self._at = Position(0, 0, 0)
        self.numbers = array("q")

    def follow(self) -> bool:
        """Take in what came, changed and went; True when that was anything to this list."""
        output = self._output
        here = Position(output.end, output.change_count, output.evictions)
        if here == self._at:
            return False
        changed = False
        lines = output.lines
        if here.evictions != self._at.evictions:
            # A note of loss has the number of the newest line it stands for, which may have been in this list.
            markers = {number for number in output.markers() if number < self._at.end}
            before = len(self.numbers)
            self.numbers = array("q", [n for n in self.numbers if n in lines and n not in markers])
            changed = len(self.numbers) != before
            for number in markers:
                if self._passes(lines[number]):
                    self.numbers.insert(bisect_left(self.numbers, number), number)
                    changed = True
        if here.changes != self._at.changes:
            changed = self._rejudge(here.changes - self._at.changes) or changed
        for number in range(self._at.end, here.end):
            line = lines.get(number)
            if line is not None and self._passes(line):
                self.numbers.append(number)
                changed = True
        self._at = here
        return changed

    def index(self, number: int) -> int:
        """Position of the first line with this number or a greater one."""
        return bisect_left(self.numbers, number)

    def _rejudge(self, count: int) -> bool:
        """Look again at lines that were redrawn."""
        changes = self._output.changes
        if count > len(changes):
            numbers = {number for number in self._output.lines if number < self._at.end}
        else:
            numbers = {changes[-step] for step in range(1, count + 1)}
        changed = False
        for number in numbers:
            line = self._output.lines.get(number)
            if line is None or number >= self._at.end:
                continue
            at = bisect_left(self.numbers, number)
            here = at < len(self.numbers) and self.numbers[at] == number
            passes = self._passes(line)
            if passes and not here:
                self.numbers.insert(at, number)
            elif here and not passes:
                del self.numbers[at]
            changed = changed or here or passes
        return changed


def passing(where: OutputFilter) -> Callable[[OutputLine], bool]:
    """The test a filter means. Raises re.error for a faulty expression."""
    search = searching(where.text, where.regex, where.case) if where.text else None

    def passes(line: OutputLine) -> bool:
        if where.engines and line.engine not in where.engines:
            return False
        if line.unit == "lines":
            return search is None and not where.tasks and not where.sessions
        if where.streams and line.stream not in where.streams:
            return False
        if where.tasks and line.task not in where.tasks:
            return False
        if where.sessions and (line.task is None or line.task >> COUNTER_BITS not in where.sessions):
            return False
        return search is None or search(line.text)

    return passes


def searching(text: str, regex: bool, case: bool) -> Callable[[str], bool]:
    """A test for text. Raises re.error for a faulty expression."""
    if regex:
        find = re.compile(text, 0 if case else re.IGNORECASE).search
        return lambda line: find(line) is not None
    if case:
        return lambda line: text in line
    wanted = text.lower()
    return lambda line: wanted in line.lower()


@dataclass(slots=True)
class LockedLines(LineList):
    """Lines behind the store's lock."""

    _lock: Lock
    _all: Mapping[int, OutputLine]
    _lines: Lines

    def refresh(self) -> bool:
        with self._lock:
            return self._lines.follow()

    def __len__(self) -> int:
        return len(self._lines.numbers)

    def rows(self, start: int, count: int) -> list[OutputLine]:
        start = max(start, 0)
        with self._lock:
            numbers = self._lines.numbers[start : start + max(count, 0)]
            return [self._all[number] for number in numbers if number in self._all]

    def index(self, number: int) -> int:
        return self._lines.index(number)

    def number(self, index: int) -> int:
        return self._lines.numbers[index]

    def find(self, text: str, regex: bool = False, case: bool = False) -> list[int]:
        search = searching(text, regex, case)
        with self._lock:
            lines = [self._all.get(number) for number in self._lines.numbers]
        return [at for at, line in enumerate(lines) if line is not None and search(line.text)]
