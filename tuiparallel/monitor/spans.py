"""When each engine was busy, and with what: exact busy time of any interval by bisection.

A span is an interval with a number of busy seconds in it (as many as it is long, or, for many merged tasks, fewer).
Spans of one engine are kept in tracks that do not overlap; a track's prefix sums make the busy time before any moment
one bisection. One track is the rule; merged spans of several functions at the same time make a second one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

INFINITY = float("inf")
SOLID = 0.999  # busy part of a span from which on it is one task without a pause
MAX_TRACKS = 16  # beyond: a span is cut to what the last track has room for


class Span(NamedTuple):
    """start and end in seconds since the epoch, busy seconds in between, the index of a name, a TaskId."""

    start: float
    end: float
    busy: float
    name: int
    task: int


class Track:
    """Spans that do not overlap, in order of time."""

    __slots__ = ("ends", "names", "prefix", "starts", "tasks", "total")

    def __init__(self) -> None:
        self.starts = array("d")
        self.ends = array("d")
        self.prefix = array("d")  # busy seconds of the spans before this one, plus a constant
        self.total = 0.0  # what the prefix of the next span at the end will be
        self.names = array("H")
        self.tasks = array("q")

    def __len__(self) -> int:
        return len(self.starts)

    def fits(self, start: float, end: float) -> bool:
        """Whether an interval overlaps no span."""
        at = bisect_left(self.ends, start)
        while at < len(self.starts) and self.ends[at] <= start:
            at += 1
        return at == len(self.starts) or self.starts[at] >= end

    def add(self, span: Span) -> None:
        """Insert a span that fits."""
        at = bisect_right(self.starts, span.start)
        # Of an empty span at the start of another the empty one comes first, so that ends stay sorted too.
        while at > 0 and self.starts[at - 1] == span.start and self.ends[at - 1] > span.end:
            at -= 1
        if at == len(self.starts):
            self.starts.append(span.start)
            self.ends.append(span.end)
            self.prefix.append(self.total)
            self.names.append(span.name)
            self.tasks.append(span.task)
            self.total += span.busy
            return
        self.starts.insert(at, span.start)
        self.ends.insert(at, span.end)
        self.names.insert(at, span.name)
        self.tasks.insert(at, span.task)
        if at <= len(self.prefix) // 2:
            self.prefix.insert(at, self.prefix[at])
            for earlier in range(at + 1):
                self.prefix[earlier] -= span.busy
        else:
            self.prefix.insert(at, self.prefix[at])
            for later in range(at + 1, len(self.prefix)):
                self.prefix[later] += span.busy
            self.total += span.busy

    def prepend(self, spans: list[Span]) -> None:
        """Insert spans (in order, not overlapping) that all end before the first one starts."""
        base = (self.prefix[0] if self.prefix else self.total) - sum(span.busy for span in spans)
        head = array("d")
        for span in spans:
            head.append(base)
            base += span.busy
        self.starts = array("d", [span.start for span in spans]) + self.starts
        self.ends = array("d", [span.end for span in spans]) + self.ends
        self.names = array("H", [span.name for span in spans]) + self.names
        self.tasks = array("q", [span.task for span in spans]) + self.tasks
        self.prefix = head + self.prefix

    def trim(self, count: int) -> None:
        """Forget the oldest spans."""
        for column in (self.starts, self.ends, self.prefix, self.names, self.tasks):
            del column[:count]

    def weight(self, at: int) -> float:
        """Busy seconds of one span."""
        after = self.prefix[at + 1] if at + 1 < len(self.prefix) else self.total
        return after - self.prefix[at]

    def before(self, moment: float) -> float:
        """Busy seconds before a moment, plus the track's constant."""
        at = bisect_right(self.starts, moment) - 1
        if at < 0:
            return self.prefix[0] if self.prefix else self.total
        start, end = self.starts[at], self.ends[at]
        if moment >= end:
            return self.prefix[at + 1] if at + 1 < len(self.prefix) else self.total
        return self.prefix[at] + self.weight(at) * (moment - start) / (end - start)

    def span(self, at: int) -> Span:
        """One span."""
        return Span(self.starts[at], self.ends[at], self.weight(at), self.names[at], self.tasks[at])

    def first(self, start: float) -> int:
        """Index of the first span that ends after `start` (or lies exactly on it)."""
        at = bisect_right(self.ends, start)
        while at > 0 and self.starts[at - 1] >= start:
            at -= 1
        return at


class EngineSpans:
    """One engine's time: its tracks, failures, unknown intervals, and what runs now."""

    __slots__ = ("_unknown", "failures", "open", "tracks", "unknown_since")

    def __init__(self) -> None:
        self.tracks: list[Track] = [Track()]
        self.failures: list[tuple[float, int]] = []  # when, TaskId; in order
        self._unknown: list[tuple[float, float]] = []
        self.unknown_since: float | None = None
        self.open: Span | None = None  # end and busy are those at the time of the read

    @property
    def count(self) -> int:
        """Spans kept. (No __len__: an engine without spans is not nothing, it may fail, run or be silent.)"""
        return sum(len(track) for track in self.tracks)

    def add(self, span: Span) -> bool:
        """Take in a span; False when it has no place and was cut away."""
        for track in self.tracks:
            if track.fits(span.start, span.end):
                track.add(span)
                return True
        if len(self.tracks) < MAX_TRACKS:
            self.tracks.append(Track())
            self.tracks[-1].add(span)
            return True
        return False

    def has(self, span: Span) -> bool:
        """Whether this very span (its task at its time) is here already."""
        for track in self.tracks:
            at = bisect_left(track.starts, span.start)
            while at < len(track) and track.starts[at] == span.start:
                if track.tasks[at] == span.task:
                    return True
                at += 1
        return False

    def merged_at(self, moment: float, name: int) -> bool:
        """Whether a span that stands for many tasks of this name covers a moment."""
        return any(
            span.name == name and span.busy < SOLID * (span.end - span.start)
            for span in self.within(moment, moment + 1e-9)
        )

    def add_many(self, spans: Iterable[Span]) -> None:
        """Take in spans of any age; a page of older ones costs one copy instead of an insertion each."""
        ordered = sorted(spans)
        first = self.tracks[0].starts[0] if self.tracks[0].starts else INFINITY
        older: list[Span] = []
        rest: list[Span] = []
        for span in ordered:
            fits = span.end <= first and (not older or span.start >= older[-1].end)
            (older if fits else rest).append(span)
        if older:
            self.tracks[0].prepend(older)
        for span in rest:
            self.add(span)

    def fail(self, at: float, task: int) -> bool:
        """Mark a failure; False when this one is marked already."""
        mark = (at, task)
        place = bisect_left(self.failures, mark)
        if place < len(self.failures) and self.failures[place] == mark:
            return False
        self.failures.insert(place, mark)
        return True

    def next_failure(self, moment: float, back: bool = False) -> tuple[float, int] | None:
        """The failure strictly after (before) a moment: when, and which task."""
        if back:
            place = bisect_left(self.failures, (moment, -1)) - 1
            return self.failures[place] if place >= 0 else None
        place = bisect_right(self.failures, (moment, 1 << 63))
        return self.failures[place] if place < len(self.failures) else None

    def unknown(self, start: float, end: float) -> None:
        """Say that nobody knows what happened in an interval."""
        if end > start:
            insort(self._unknown, (start, end))
            if len(self._unknown) > 1000:
                del self._unknown[0]

    def unknowns(self, now: float) -> list[tuple[float, float]]:
        """Unknown intervals, the one that lasts included."""
        if self.unknown_since is None or self.unknown_since >= now:
            return self._unknown
        return [*self._unknown, (self.unknown_since, now)]

    def running(self, now: float) -> Span | None:
        """The span of what runs now, up to `now`; it never overlaps what is known to have ended."""
        if self.open is None:
            return None
        start = self.open.start
        for track in self.tracks:
            if track.ends and track.ends[-1] > start:
                start = track.ends[-1]
        return self.open._replace(start=start, end=now, busy=now - start) if now > start else None

    def busy(self, start: float, end: float, now: float) -> float:
        """Busy seconds between two times; never more than the interval is long."""
        found = sum(track.before(end) - track.before(start) for track in self.tracks)
        if running := self.running(now):
            found += max(0.0, min(end, running.end) - max(start, running.start))
        return min(max(found, 0.0), end - start) if end > start else 0.0

    def within(self, start: float, end: float) -> Iterator[Span]:
        """Ended spans that touch an interval, track by track."""
        for track in self.tracks:
            at = track.first(start)
            while at < len(track) and track.starts[at] < end:
                yield track.span(at)
                at += 1

    def at(self, moment: float, now: float) -> Span | None:
        """What ran at a moment: the shortest span around it."""
        found = [span for span in self.within(moment, moment + 1e-9) if span.start <= moment < span.end]
        running = self.running(now)
        if running and running.start <= moment < running.end:
            found.append(running)
        return min(found, key=lambda span: span.end - span.start, default=None)

    def oldest(self) -> float | None:
        """Start of the oldest span kept."""
        return min((track.starts[0] for track in self.tracks if track.starts), default=None)

    def trim(self, count: int) -> int:
        """Forget about `count` of the oldest spans and what is older than the rest; how many went."""
        track = max(self.tracks, key=len)
        gone = min(count, len(track))
        track.trim(gone)
        horizon = track.starts[0] if track.starts else INFINITY
        for other in self.tracks:
            if other is not track:
                old = bisect_right(other.ends, horizon)
                other.trim(old)
                gone += old
        del self.failures[: bisect_left(self.failures, (horizon, -1))]
        self.tracks[1:] = [other for other in self.tracks[1:] if len(other)]
        return gone
