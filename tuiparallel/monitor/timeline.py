"""Cells of the timeline, drawn from the spans: heights where tasks are many, edges where they are few."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tuiparallel.monitor.rows import IDLE_CELL, Cell, Lane
from tuiparallel.monitor.spans import SOLID, EngineSpans, Span, Track

SAMPLE = 8  # spans of a cell that are looked at for the function with most time in it
GAP = 1 / 8  # of a cell: a shorter idle time between two tasks is not drawn


def lane(engine: int, spans: EngineSpans, names: Sequence[str], edges: Sequence[float], now: float) -> Lane:
    """An engine's cells between neighbouring edges (ascending times)."""
    start, end = edges[0], edges[-1]
    tracks = [_Touching(track, edges) for track in spans.tracks if track.starts]
    tracks = [track for track in tracks if track.any]
    running = spans.running(now)
    if running is not None and (running.start >= end or running.end <= start):
        running = None
    unknowns = [piece for piece in spans.unknowns(now) if piece[1] > start and piece[0] < end]
    marks = spans.failures
    mark = bisect_left(marks, (start, -1))
    cells: list[Cell] = []
    single = tracks[0] if len(tracks) == 1 else None
    full: tuple[int, Cell] | None = None  # the span that filled the last cell, and how that looks
    for column in range(len(edges) - 1):
        low, high = edges[column], edges[column + 1]
        failed = False
        while mark < len(marks) and marks[mark][0] < high:
            failed = True
            mark += 1
        here = running if running is not None and running.start < high and running.end > low else None
        if here is None and (single is None or single.first[column] >= single.stop[column + 1]) and not tracks[1:]:
            cell = IDLE_CELL
        elif here is None and single is not None and single.fills(column, low, high):
            at = single.first[column]
            if full is None or full[0] != at:
                track = single.track
                full = at, Cell(1.0, names[track.names[at]], track.tasks[at], False, False, 1.0, "", None)
            cell = full[1]
        else:
            cell = _cell(column, low, high, tracks, here, names)
        unknown = bool(unknowns) and _unknown(unknowns, low, high, cell.busy)
        if failed or unknown:
            cell = cell._replace(failed=failed, unknown=unknown)
        cells.append(cell)
    return Lane(engine, tuple(cells))


def edges(start: float, end: float, columns: int) -> list[float]:
    """Column borders: columns + 1 times. Raises ValueError for an empty interval."""
    if columns < 1 or not end > start:
        raise ValueError(f"a timeline needs columns and an end after its start, not {columns} from {start} to {end}")
    step = (end - start) / columns
    return [start + step * column for column in range(columns)] + [end]


class _Touching:
    """Which spans of a track touch each cell, and the busy time before each edge."""

    __slots__ = ("any", "before", "first", "stop", "track")

    def __init__(self, track: Track, edges: Sequence[float]) -> None:
        self.track = track
        starts, ends = track.starts, track.ends
        first = bisect_right(ends, edges[0])
        stop = bisect_left(starts, edges[-1])
        self.any = first < stop
        self.first: list[int] = []
        self.stop: list[int] = []
        self.before: list[float] = []
        if not self.any:
            return
        low, high = first, first
        for edge in edges:
            low = bisect_right(ends, edge, low)
            high = bisect_left(starts, edge, high)
            self.first.append(low)
            self.stop.append(high)
            self.before.append(_before(track, edge, low))

    def fills(self, column: int, low: float, high: float) -> bool:
        """Whether a cell is all one task."""
        at = self.first[column]
        track = self.track
        if self.stop[column + 1] - at != 1 or track.starts[at] > low or track.ends[at] < high:
            return False
        return track.weight(at) >= SOLID * (track.ends[at] - track.starts[at])


def _before(track: Track, moment: float, first: int) -> float:
    """Track.before, where the first span that ends after the moment is known."""
    if first == len(track.starts):
        return track.total
    base = track.prefix[first]
    start = track.starts[first]
    if moment <= start:
        return base
    return base + track.weight(first) * (moment - start) / (track.ends[first] - start)


def _cell(
    column: int, low: float, high: float, tracks: Sequence[_Touching], running: Span | None, names: Sequence[str]
) -> Cell:
    busy = 0.0
    touching: list[tuple[Track, int, int]] = []
    count = 0
    for item in tracks:
        first, stop = item.first[column], item.stop[column + 1]
        if stop > first:
            busy += item.before[column + 1] - item.before[column]
            touching.append((item.track, first, stop))
            count += stop - first
    if running is not None:
        busy += min(high, running.end) - max(low, running.start)
        count += 1
    if count == 0:
        return IDLE_CELL
    fraction = min(max(busy / (high - low), 0.0), 1.0)
    if count <= 2 and len(touching) <= 1:
        spans = [track.span(at) for track, first, stop in touching for at in range(first, stop)]
        if running is not None:
            spans.append(running)
        if cell := _edge(low, high, fraction, spans, names):
            return cell
    name, task = _dominant(touching, running, low, high)
    return Cell(fraction, names[name], task, False, False, None, "", None)


def _edge(low: float, high: float, busy: float, spans: Sequence[Span], names: Sequence[str]) -> Cell | None:
    """The cell as two parts; None when that would not tell the truth."""
    for span in spans:
        if (span.start > low and span.end < high) or span.busy < SOLID * (span.end - span.start):
            return None
    size = high - low
    head = spans[0]
    if len(spans) == 1:
        if head.start <= low:
            part = min((head.end - low) / size, 1.0)
            return Cell(busy, names[head.name], head.task, False, False, part, "", None)
        return Cell(busy, "", None, False, False, (head.start - low) / size, names[head.name], head.task)
    tail = spans[1]
    if head.start > low or tail.end < high or (tail.start - head.end) / size > GAP:
        return None
    part = (head.end - low) / size
    return Cell(busy, names[head.name], head.task, False, False, part, names[tail.name], tail.task)


def _dominant(
    touching: Sequence[tuple[Track, int, int]], running: Span | None, low: float, high: float
) -> tuple[int, int]:
    """The name with most busy time in a cell, and a task of it; of many spans a sample is looked at."""
    if running is None and len(touching) == 1:
        track, first, stop = touching[0]
        sample = track.names[first : stop : max(1, (stop - first) // SAMPLE)]
        if sample.count(sample[0]) == len(sample):  # one function, as so often: any of its tasks will do
            return sample[0], track.tasks[(first + stop) // 2]
    sums: dict[int, float] = {}
    longest: dict[int, tuple[float, int]] = {}
    if running is not None:
        weight = min(high, running.end) - max(low, running.start)
        sums[running.name], longest[running.name] = weight, (weight, running.task)
    for track, first, stop in touching:
        starts, ends, prefix, names, total = track.starts, track.ends, track.prefix, track.names, track.total
        count = len(prefix)
        step = max(1, (stop - first) // SAMPLE)
        for at in range(first, stop, step):
            start, end, name = starts[at], ends[at], names[at]
            weight = ((prefix[at + 1] if at + 1 < count else total) - prefix[at]) * step
            if start < low or end > high:
                weight *= (min(end, high) - max(start, low)) / (end - start)
            sums[name] = sums.get(name, 0.0) + weight
            if name not in longest or longest[name][0] < weight:
                longest[name] = (weight, track.tasks[at])
    best = max(sums, key=sums.__getitem__) if len(sums) > 1 else next(iter(sums))
    return best, longest[best][1]


def _unknown(pieces: Sequence[tuple[float, float]], low: float, high: float, busy: float) -> bool:
    """Whether most of a cell's time, and all that is not busy, is unknown."""
    covered = sum(max(0.0, min(end, high) - max(start, low)) for start, end in pieces)
    size = high - low
    return covered >= 0.5 * size and busy * size <= size - covered + 0.01 * size
