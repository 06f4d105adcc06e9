"""Submissions: how far they are, how fast, and when they will be done, or honestly that nobody knows.

The rate is that of the last quarter of the completions (at least 5 of them, over at least 2 seconds). Its spread
comes from the parts of that stretch: if the parts differ, so may the future. A submission that stalled, or has ended
too few tasks, has no estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from tuiparallel.monitor.rows import Eta
from tuiparallel.monitor.sanitize import clean_line
from tuiparallel.wire.messages import BatchRow

LEAST_TASKS = 5
LEAST_SECONDS = 2.0
PARTS = 8
SAMPLES = 512
STALLED = 3.0  # times the longest pause of the stretch
LIMIT = 1_000  # submissions kept; finished ones go first
PER_VIEW = 200


@dataclass(slots=True)
class Course:
    """A submission's row and its course: (time, tasks ended) at each step that was seen."""

    row: BatchRow
    samples: list[tuple[float, int]] = field(default_factory=list)

    def put(self, row: BatchRow, at: float) -> None:
        """Take in a newer row, told at a time."""
        ended = row.done + row.failed - row.aborted  # an abort tells nothing of the pace
        moment = row.last if row.last > 0 else at
        self.row = row
        if not self.samples:
            # What had ended before we looked gives no rate; only a submission seen from its start has one from there.
            self.samples.append((row.submitted, 0) if ended == 0 else (moment, ended))
        last_at, last_ended = self.samples[-1]
        if ended > last_ended:
            self.samples.append((max(moment, last_at), ended))
        elif ended < last_ended:
            self.samples = [(moment, ended)]
        if len(self.samples) > SAMPLES:
            # Every second sample of the older half: the newest quarter stays as fine as it came.
            half = SAMPLES // 2
            self.samples[:half] = self.samples[:half:2]

    def rate(self, now: float) -> tuple[float, float] | None:
        """Tasks per second and the standard error of that; None when it is unknown."""
        if len(self.samples) < 2:
            return None
        first_ended = self.samples[0][1]
        last_at, last_ended = self.samples[-1]
        wanted = max(LEAST_TASKS, math.ceil((last_ended - first_ended) / 4))
        begin = len(self.samples) - 1
        while begin > 0 and (
            last_ended - self.samples[begin][1] < wanted or last_at - self.samples[begin][0] < LEAST_SECONDS
        ):
            begin -= 1
        stretch = self.samples[begin:]
        seconds, ended = last_at - stretch[0][0], last_ended - stretch[0][1]
        if ended < LEAST_TASKS or seconds < LEAST_SECONDS:
            return None
        pause = max(after[0] - before[0] for before, after in zip(stretch, stretch[1:], strict=False))
        if now - last_at > max(STALLED * pause, LEAST_SECONDS):
            return None
        return ended / seconds, _error(stretch)

    def eta(self, now: float) -> Eta | None:
        """Seconds from now until all is done, with half the width of a 95 % interval."""
        remaining = self.row.total - self.row.done - self.row.failed
        if remaining <= 0 or (found := self.rate(now)) is None:
            return None
        rate, error = found
        seconds = max(remaining / rate - (now - self.samples[-1][0]), 0.0)
        return Eta(seconds, min(2.0 * error / rate, 1.0) * remaining / rate)


def _error(stretch: list[tuple[float, int]]) -> float:
    """Standard error of a stretch's rate, from the rates of up to PARTS parts of equal length."""
    start, end = stretch[0][0], stretch[-1][0]
    parts = min(PARTS, len(stretch) - 1)
    if parts < 2:
        return (stretch[-1][1] - stretch[0][1]) / (end - start)
    length = (end - start) / parts
    marks = [_ended_at(stretch, start + length * part) for part in range(parts + 1)]
    rates = [(after - before) / length for before, after in zip(marks, marks[1:], strict=False)]
    mean = sum(rates) / parts
    return math.sqrt(sum((rate - mean) ** 2 for rate in rates) / (parts - 1) / parts)


def _ended_at(stretch: list[tuple[float, int]], moment: float) -> float:
    """Tasks ended at a moment, on the straight line between two samples."""
    for (before, low), (after, high) in zip(stretch, stretch[1:], strict=False):
        if moment <= after:
            return low + (high - low) * (moment - before) / (after - before) if after > before else float(high)
    return float(stretch[-1][1])


class Progress:
    """All submissions an observer knows."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.courses: dict[int, Course] = {}
        self._limit = limit

    def put(self, row: BatchRow, at: float) -> bool:
        """Take in a row; False when it says nothing new."""
        if not row.name.isprintable() or not (row.label or "").isprintable():
            label = None if row.label is None else clean_line(row.label)
            row = msgspec.structs.replace(row, name=clean_line(row.name), label=label)
        course = self.courses.get(row.id)
        if course is None:
            course = self.courses[row.id] = Course(row)
            course.put(row, at)
            if len(self.courses) > self._limit:
                self._forget_one()
            return True
        if course.row == row:
            return False
        course.put(row, at)
        return True

    def missing(self, present: Iterable[int]) -> bool:
        """Drop unfinished submissions the hub no longer lists; True when there were any."""
        known = set(present)
        gone = [
            number
            for number, course in self.courses.items()
            if number not in known and course.row.done + course.row.failed < course.row.total
        ]
        for number in gone:
            del self.courses[number]
        return bool(gone)

    def open(self) -> list[Course]:
        """Unfinished submissions, newest first."""
        courses = [
            course for course in self.courses.values() if course.row.done + course.row.failed < course.row.total
        ]
        return sorted(courses, key=lambda course: (-course.row.submitted, course.row.id))

    def left_by_session(self) -> dict[int, int]:
        """How many tasks are open, of every session that has a submission here."""
        left: dict[int, int] = {}
        for course in self.courses.values():
            row = course.row
            left[row.session] = left.get(row.session, 0) + max(0, row.total - row.done - row.failed)
        return left

    def finished(self) -> list[Course]:
        """Finished ones, newest end first."""
        courses = [
            course for course in self.courses.values() if course.row.done + course.row.failed >= course.row.total
        ]
        return sorted(courses, key=lambda course: (-course.row.last, course.row.id))

    def overall(self, now: float) -> tuple[Eta | None, bool]:
        """The latest known estimate of all unfinished submissions, and whether one of them is unknown."""
        etas = [course.eta(now) for course in self.open()]
        known = [eta for eta in etas if eta is not None]
        return max(known, key=lambda eta: eta.seconds, default=None), len(known) < len(etas)

    def _forget_one(self) -> None:
        def age(course: Course) -> tuple[bool, float]:
            return course.row.done + course.row.failed < course.row.total, course.row.last or course.row.submitted

        oldest = min(self.courses.values(), key=age)
        del self.courses[oldest.row.id]
