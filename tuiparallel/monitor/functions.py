"""Totals per function, and sketches of their run times that can be merged.

A sketch counts run times in logarithmic buckets, RUN_BUCKETS_PER_DOUBLING to a doubling: bucket b holds times from
2 ** ((b - 0.5) / 16) to 2 ** ((b + 0.5) / 16) microseconds. A quantile is the middle of its bucket, at most 2.2 %
from the true one. Merging adds counts, and equals the sketch of the union.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from tuiparallel.monitor.names import OTHERS
from tuiparallel.monitor.sanitize import clean_line
from tuiparallel.wire.messages import RUN_BUCKETS_PER_DOUBLING, FunctionRow

BARS = 16  # of the small histogram


class Sketch:
    """A distribution of durations."""

    __slots__ = ("buckets",)

    def __init__(self, buckets: Mapping[int, int] | None = None) -> None:
        self.buckets: dict[int, int] = dict(buckets or {})

    def add(self, seconds: float, count: int = 1) -> None:
        """Count a duration; less than a microsecond counts as one."""
        bucket = bucket_of(seconds)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def merge(self, other: Sketch) -> None:
        """Add all that another one has counted."""
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    @property
    def count(self) -> int:
        """How many durations are counted."""
        return sum(self.buckets.values())

    def quantile(self, fraction: float) -> float:
        """The duration, in seconds, that `fraction` of all do not exceed; 0.0 of an empty sketch."""
        return self.quantiles(fraction)[0]

    def quantiles(self, *fractions: float) -> list[float]:
        """Several quantiles (ascending fractions) in one pass."""
        total = self.count
        found: list[float] = []
        seen = 0
        items = iter(sorted(self.buckets.items()))
        bucket = 0
        for fraction in fractions:
            rank = max(math.ceil(fraction * total), 1)
            while seen < rank and total:
                bucket, count = next(items)
                seen += count
            found.append(middle(bucket) if total else 0.0)
        return found

    def histogram(self, bars: int = BARS) -> tuple[int, ...]:
        """Counts over the range of durations, in steps of equal logarithm; empty for an empty sketch."""
        if not self.buckets:
            return ()
        low, high = min(self.buckets), max(self.buckets)
        found = [0] * bars
        for bucket, count in self.buckets.items():
            found[(bucket - low) * bars // (high - low + 1)] += count
        return tuple(found)


def bucket_of(seconds: float) -> int:
    """The bucket of a duration."""
    return round(math.log2(max(seconds * 1e6, 1.0)) * RUN_BUCKETS_PER_DOUBLING)


def middle(bucket: int) -> float:
    """The duration, in seconds, in the middle of a bucket."""
    return float(2.0 ** (bucket / RUN_BUCKETS_PER_DOUBLING)) * 1e-6


class Functions:
    """The hub's totals by name; the rarest share one row when there are too many."""

    def __init__(self, limit: int = 2_000) -> None:
        self.rows: dict[str, FunctionRow] = {}
        self.limit = limit
        self.folded: dict[str, FunctionRow] = {}  # newest totals of those in `others`
        self.sizes: dict[str, tuple[int, int]] = {}  # bytes in and out, seen here
        self._quantiles: dict[str, tuple[FunctionRow, float, float]] = {}

    def put(self, row: FunctionRow) -> bool:
        """Take in totals; False when they say nothing new."""
        name = clean_line(row.name)
        if name != row.name:
            row = msgspec.structs.replace(row, name=name)
        if self.rows.get(name) == row:
            return False
        bare = msgspec.structs.replace(row, buckets={})
        if self.folded.get(name) == bare:
            return False
        if name in self.rows or len(self.rows) < self.limit:
            self.rows[name] = row
        else:
            self.folded[name] = bare
            if len(self.folded) > 10 * self.limit:
                self.folded.pop(next(iter(self.folded)))
            rarest = min(self.rows.values(), key=lambda item: item.done + item.failed)
            if row.done + row.failed > 2 * (rarest.done + rarest.failed):
                del self.rows[rarest.name]
                self.folded[rarest.name] = msgspec.structs.replace(rarest, buckets={})
                del self.folded[name]
                self.rows[name] = row
        return True

    def replace(self, rows: Iterable[FunctionRow]) -> bool:
        """Take in all totals there are; False when nothing changed."""
        before, self.rows, self.folded = (self.rows, self.folded), {}, {}
        for row in sorted(rows, key=lambda item: -(item.done + item.failed)):
            self.put(row)
        return before != (self.rows, self.folded)

    def bytes_moved(self, name: str, size: int, result_size: int) -> None:
        """Count an ended task's bytes."""
        if name in self.sizes or len(self.sizes) < 2 * self.limit:
            had = self.sizes.get(name, (0, 0))
            self.sizes[name] = (had[0] + size, had[1] + result_size)

    def others(self) -> FunctionRow | None:
        """The folded ones as one row, without a distribution."""
        if not self.folded:
            return None
        rows = self.folded.values()
        return FunctionRow(
            name=f"{OTHERS} ({len(self.folded)})",
            done=sum(row.done for row in rows),
            failed=sum(row.failed for row in rows),
            run=sum(row.run for row in rows),
            wait=sum(row.wait for row in rows),
            back=sum(row.back for row in rows),
            slowest=max(row.slowest for row in rows),
        )

    def mean(self, name: str, least: int = 1) -> float | None:
        """Mean run time of a function that has ended at least so often."""
        row = self.rows.get(name)
        count = ran(row) if row else 0
        return row.run / count if row and count and count >= least else None

    def spread(self, name: str) -> tuple[float, float]:
        """Median and 95th percentile of a function's run times, kept until its totals change."""
        row = self.rows.get(name)
        if row is None:
            return 0.0, 0.0
        kept = self._quantiles.get(name)
        if kept is None or kept[0] is not row:
            p50, p95 = Sketch(row.buckets).quantiles(0.5, 0.95)
            if len(self._quantiles) > 2 * self.limit:
                self._quantiles.clear()
            kept = self._quantiles[name] = (row, p50, p95)
        return kept[1], kept[2]


def ran(row: FunctionRow) -> int:
    """How many of a function's ended tasks have run: aborted and expired ones count as failed, and took no time."""
    return sum(row.buckets.values()) or (row.done + row.failed if row.run else 0)
