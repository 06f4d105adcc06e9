"""bench: this project, the standard library and the bare machine on the same work, in turn; and what limits each figure."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import ExitCode, usage
from tuiparallel.cli.limits import limits
from tuiparallel.cli.workloads import FULL, QUICK, Figures, Row, rows

OURS = "tuiparallel"
# How each system is measured: the arguments of a Python of its own, which prints its figures as the last line.
PROGRAMS: dict[str, list[str]] = {
    OURS: ["-m", "tuiparallel.cli.clusterfigures"],
    "Pool": ["-m", "tuiparallel.cli.standardfigures", "Pool"],
    "bare 0MQ": ["-m", "tuiparallel.cli.standardfigures", "bare 0MQ"],
    "memory copy": ["-m", "tuiparallel.cli.standardfigures", "memory copy"],
}
ROUNDS = 3
_PATIENCE = 900  # seconds for all figures of one system, once
_TAIL = 1500  # characters of what a failed program said


class Samples:
    """What was measured: by system and key, a value per round; and what failed, with its reason."""

    def __init__(self, systems: Sequence[str]) -> None:
        self.values: dict[str, dict[str, list[float]]] = {name: {} for name in systems}
        self.failed: dict[str, str] = {}

    def add(self, system: str, figures: Figures) -> None:
        """One round of one system."""
        for key, value in figures.items():
            self.values[system].setdefault(key, []).append(value)

    def median(self, system: str, key: str) -> float | None:
        """The median of all rounds; None when the system has no such figure."""
        values = self.values.get(system, {}).get(key)
        return statistics.median(values) if values else None

    def medians(self, system: str) -> Figures:
        """All medians of one system."""
        return {key: statistics.median(values) for key, values in self.values.get(system, {}).items()}

    def spread(self, system: str, key: str) -> tuple[float, float, float] | None:
        """Median, lowest, highest."""
        values = self.values.get(system, {}).get(key)
        return (statistics.median(values), min(values), max(values)) if values else None


def measured(
    programs: Mapping[str, Sequence[str]],
    rounds: int,
    quick: bool,
    note: Callable[[str], None],
    place: str | None = None,
) -> Samples:
    """Run every program in turn, so many rounds. place: their working directory.

    A program that fails is noted with its last words and not run again; the others go on.
    """
    samples = Samples(list(programs))
    for turn in range(rounds):
        for name, arguments in programs.items():
            if name in samples.failed:
                continue
            note(f"round {turn + 1} of {rounds}: {name}")
            try:
                samples.add(name, _run([*arguments, *(["--quick"] if quick else [])], place))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                samples.failed[name] = str(error)
                note(f"{name} gave no figures: {error}")
    return samples


def _run(arguments: Sequence[str], place: str | None) -> Figures:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=place,
        timeout=_PATIENCE,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"exit code {done.returncode}; {(done.stderr or done.stdout)[-_TAIL:].strip()}")
    figures: Figures = json.loads(lines[-1])
    return figures


def number(value: float, places: int) -> str:
    """For people: thousands apart, and no more digits than a measurement has."""
    if places and value >= 100:
        places = 0
    return f"{value:,.{places}f}"


def cell(samples: Samples, system: str, row: Row) -> str:
    """Median, and lowest to highest when there were several rounds; empty when there is no figure."""
    found = samples.spread(system, row.key)
    if found is None:
        return ""
    middle, low, high = (number(value, row.places) for value in found)
    return middle if len(samples.values[system][row.key]) == 1 else f"{middle} ({low}–{high})"


def heading(rounds: int) -> str:
    """Where and how the figures were taken."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    how = f"median of {rounds} rounds in turn (lowest–highest)" if rounds > 1 else "one round"
    return f"{how}; Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores{load}"


def table(samples: Samples, table_rows: Sequence[Row], systems: Sequence[str]) -> str:
    """The figures in columns, for a terminal."""
    lines = [["", *systems]]
    lines += [[f"{row.text} ({row.unit})", *(cell(samples, name, row) for name in systems)] for row in table_rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(systems) + 1)]
    shown = []
    for line in lines:
        columns = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        shown.append("  ".join([line[0].ljust(widths[0]), *columns]).rstrip())
    return "\n".join(shown)


def row_object(samples: Samples, row: Row, systems: Sequence[str], limit: str | None) -> dict[str, Any]:
    """The JSON object of one row."""
    figures: dict[str, Any] = {}
    for name in systems:
        found = samples.spread(name, row.key)
        figures[name] = None if found is None else dict(zip(("median", "low", "high"), found, strict=True))
    better = "higher" if row.higher else "lower"
    return {"key": row.key, "what": row.text, "unit": row.unit, "better": better, "figures": figures, "limit": limit}


def bench(call: Call, quick: bool) -> int:
    """Measure, print the table and the limits. FAILED when this project's own figures could not be taken."""
    if call.named or call.file:
        raise usage("bench has clusters of its own: -c and --file do not go with it")
    sizes, rounds = (QUICK, 1) if quick else (FULL, ROUNDS)
    call.out.note(
        f"measuring; other work on this machine changes the figures. About {'15 s' if quick else '3 minutes'}"
    )
    samples = measured(PROGRAMS, rounds, quick, call.out.note)
    shown = [row for row in rows(sizes) if any(samples.median(name, row.key) is not None for name in PROGRAMS)]
    why = limits({name: samples.medians(name) for name in PROGRAMS})
    systems = list(PROGRAMS)
    if call.out.as_json:
        for row in shown:
            call.out.row("bench", row_object(samples, row, systems, why.get(row.key)), "")
    else:
        call.out.text(f"{heading(rounds)}\n\n{table(samples, shown, systems)}\n\nwhat limits {OURS}")
        for row in shown:
            if row.key in why:
                call.out.text(f"  {row.text}: {why[row.key]}")
    for name, reason in samples.failed.items():
        call.out.note(f"tuipar: {name} gave no figures: {reason}")
    return ExitCode.FAILED if OURS in samples.failed else ExitCode.DONE
