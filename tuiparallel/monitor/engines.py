"""The engines an observer has met, the measurements of their processes, and what they ran last."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from tuiparallel.monitor.sanitize import clean_line
from tuiparallel.wire.messages import EngineRow, Vital
from tuiparallel.wire.states import EngineState

WINDOWS = (60, 600, 3600)
SLOTS = 60  # values per window


class Ring:
    """The newest SLOTS means over steps of equal length, oldest first."""

    __slots__ = ("_count", "_step", "_sum", "_tick", "values")

    def __init__(self, step: float) -> None:
        self.values = array("f")
        self._step = step
        self._tick: int | None = None
        self._sum = 0.0
        self._count = 0

    def add(self, at: float, value: float) -> None:
        """Take in a value; those of one step become their mean."""
        tick = int(at // self._step)
        if tick != self._tick or not self.values:
            self._tick, self._sum, self._count = tick, 0.0, 0
            if len(self.values) >= SLOTS:
                del self.values[0]
            self.values.append(value)
        self._sum += value
        self._count += 1
        self.values[-1] = self._sum / self._count


@dataclass(slots=True)
class Measured:
    """One process's vitals: the newest, and rings of CPU and resident memory per window."""

    vital: Vital
    cpu: tuple[Ring, ...] = field(default_factory=lambda: tuple(Ring(window / SLOTS) for window in WINDOWS))
    rss: tuple[Ring, ...] = field(default_factory=lambda: tuple(Ring(window / SLOTS) for window in WINDOWS))


@dataclass(slots=True)
class Seat:
    """An engine: the hub's row, when it became idle, and the last task it ran."""

    row: EngineRow
    idle_since: float | None = None
    last_task: int | None = None
    last_name: str = ""


class Engines:
    """Rows by id; a dead engine keeps its row until it is forgotten."""

    def __init__(self, limit: int = 10_000) -> None:
        self.seats: dict[int, Seat] = {}
        self.limit = limit
        self._measured: dict[str, Measured] = {}

    def put(self, row: EngineRow, at: float) -> bool:
        """Take in a row; False when it says nothing new."""
        row = _clean(row)
        seat = self.seats.get(row.id)
        if seat is not None and seat.row == row:
            return False
        if seat is None:
            seat = self.seats[row.id] = Seat(row)
            if len(self.seats) > self.limit:
                self._forget_one()
        idle = row.state == EngineState.IDLE
        if idle and (seat.idle_since is None or seat.row.state != EngineState.IDLE or seat.row.done != row.done):
            # Of an engine that worked before we looked nobody here knows when it stopped.
            seat.idle_since = row.since if seat.row is row and not row.done + row.errors else max(at, row.since)
        elif not idle:
            seat.idle_since = None
        if row.task is not None:
            seat.last_task, seat.last_name = row.task, row.name
        seat.row = row
        return True

    def missing(self, present: Iterable[int], at: float) -> list[int]:
        """Mark as dead those that the hub no longer lists; their ids."""
        known = set(present)
        gone = [
            seat for seat in self.seats.values() if seat.row.id not in known and seat.row.state != EngineState.DEAD
        ]
        for seat in gone:
            seat.row = msgspec.structs.replace(
                seat.row, state=int(EngineState.DEAD), reason="the hub no longer lists it", task=None, queue=0, held=0
            )
            seat.idle_since = None
        return [seat.row.id for seat in gone]

    def ran(self, engine: int, task: int, name: str) -> None:
        """Remember the last task of an engine that ended one."""
        if seat := self.seats.get(engine):
            seat.last_task, seat.last_name = task, name

    def measure(self, vital: Vital, at: float) -> bool:
        """Take in a measurement; False when it is the one there is."""
        measured = self._measured.get(vital.uuid)
        if measured is None:
            measured = self._measured[vital.uuid] = Measured(vital)
            if len(self._measured) > 2 * self.limit:
                self._forget_measured()
        changed = not measured.cpu[0].values or measured.vital != vital
        measured.vital = vital
        for cpu, rss in zip(measured.cpu, measured.rss, strict=True):
            cpu.add(at, vital.cpu)
            rss.add(at, vital.rss)
        return changed

    def vital(self, uuid: str) -> Vital | None:
        """The newest measurement of an engine's process."""
        measured = self._measured.get(uuid)
        return measured.vital if measured else None

    def history(self, uuid: str, metric: str, window: int) -> list[float]:
        """Measurements of a window, oldest first. Raises ValueError for an unknown metric or window."""
        if window not in WINDOWS or metric not in ("cpu", "rss", "memory"):
            raise ValueError(f"no vitals {metric!r} over {window} s: metrics are cpu, rss, memory; windows {WINDOWS}")
        measured = self._measured.get(uuid)
        if measured is None:
            return []
        place = WINDOWS.index(window)
        if metric == "cpu":
            return list(measured.cpu[place].values)
        values = list(measured.rss[place].values)
        if metric == "memory":
            limit = measured.vital.limit
            return [value / limit for value in values] if limit > 0 else []
        return values

    def forget_dead(self) -> list[int]:
        """Drop dead engines; their ids."""
        dead = [number for number, seat in self.seats.items() if seat.row.state == EngineState.DEAD]
        for number in dead:
            self._drop(number)
        return dead

    def _forget_one(self) -> None:
        dead = (number for number, seat in self.seats.items() if seat.row.state == EngineState.DEAD)
        if (oldest := min(dead, default=None)) is not None:
            self._drop(oldest)

    def _drop(self, number: int) -> None:
        seat = self.seats.pop(number)
        self._measured.pop(seat.row.uuid, None)

    def _forget_measured(self) -> None:
        known = {seat.row.uuid for seat in self.seats.values()}
        self._measured = {uuid: item for uuid, item in self._measured.items() if uuid in known}


def _clean(row: EngineRow) -> EngineRow:
    """The row with safe text."""
    texts = (row.host, row.name, row.label or "", row.reason)
    if all(text.isprintable() for text in texts):
        return row
    label = None if row.label is None else clean_line(row.label)
    return msgspec.structs.replace(
        row, host=clean_line(row.host), name=clean_line(row.name), label=label, reason=clean_line(row.reason)
    )
