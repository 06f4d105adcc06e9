"""What the kernel says of engine processes: processor time, memory, state. Once a second, so it must cost little."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tuiparallel.wire.messages import Vital


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a process: seconds of processor time it has used, bytes in memory, the kernel's letter."""

    busy: float
    rss: int
    state: str


class Observer:
    """Measures processes; a Vital needs two looks, the first one of a process says 0.0 of a core."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, float]] = {}  # pid -> when, seconds of processor time
        self._limit = memory_limit()

    def look(self, engines: dict[str, int], now: float) -> list[Vital]:
        """Measure these (uuid -> pid) at the monotonic time `now`."""
        vitals: list[Vital] = []
        before, self._before = self._before, {}
        for uuid, pid in engines.items():
            reading = read(pid)
            if reading is None:
                continue
            at, busy = before.get(pid, (now, reading.busy))
            share = (reading.busy - busy) / (now - at) if now > at else 0.0
            self._before[pid] = (now, reading.busy)
            vitals.append(Vital(uuid, pid, round(share, 3), reading.rss, self._limit, reading.state))
        return vitals


if sys.platform == "linux":
    _TICK = os.sysconf("SC_CLK_TCK")
    _PAGE = os.sysconf("SC_PAGE_SIZE")

    def read(pid: int) -> Reading | None:
        """Look at a process; None when it is gone."""
        # One small file: a tenth of what psutil takes for the same three numbers.
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                content = file.read(1024)
        except OSError:
            return None
        fields = content[content.rindex(b")") + 2 :].split()
        state = fields[0].decode("ascii")
        return Reading((int(fields[11]) + int(fields[12])) / _TICK, int(fields[21]) * _PAGE, state)

else:

    def read(pid: int) -> Reading | None:
        """Look at a process; None when it is gone."""
        import psutil

        letters = {"running": "R", "sleeping": "S", "disk-sleep": "D", "stopped": "T", "zombie": "Z"}
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                state = letters.get(process.status(), "")
                return Reading(times.user + times.system, process.memory_info().rss, state)
        except psutil.Error:
            return None


def memory_limit(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that processes here may use: the smallest limit of the control groups around this one, or the machine's."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    places = [root]
    try:
        for line in own.read_text().splitlines():
            number, _, group = line.split(":", 2)
            if number == "0":  # the unified hierarchy
                place = root / group.lstrip("/")
                places += [place, *(parent for parent in place.parents if parent.is_relative_to(root))]
    except (OSError, ValueError):
        pass
    for place in places:
        try:
            limit = min(limit, int((place / "memory.max").read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return limit
