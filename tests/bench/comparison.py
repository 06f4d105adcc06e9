"""Every system in turn, several rounds: the README's table, and the marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.marks import report
from tests.bench.peers import importable
from tuiparallel.cli.bench import OURS, PROGRAMS, Samples, cell, heading, measured
from tuiparallel.cli.limits import limits
from tuiparallel.cli.workloads import FULL, QUICK, Row, rows

ROOT = Path(__file__).parents[2]


def programs(names: Sequence[str] = ()) -> dict[str, list[str]]:
    """How each system is measured: those named, or all there are here. Raises KeyError for one that is not here."""
    every = PROGRAMS | {name: ["-m", "tests.bench.peers", name] for name in importable()}
    return {name: every[name] for name in names} if names else every


def compared(names: Sequence[str], rounds: int, quick: bool, note: Callable[[str], None]) -> Samples:
    """Measure."""
    return measured(programs(names), rounds, quick, note, str(ROOT))


def markdown(samples: Samples, table_rows: Sequence[Row]) -> str:
    """The table as it stands in the README. Every system's figures, ours first; empty rows are left out."""
    systems = [name for name in samples.values if samples.values[name]]
    lines = [f"| | {' | '.join(systems)} |", f"| --- {'| ---: ' * len(systems)}|"]
    for row in table_rows:
        cells = [cell(samples, name, row) for name in systems]
        if any(cells):
            lines.append(f"| {row.text} ({row.unit}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def text(samples: Samples, rounds: int, quick: bool) -> str:
    """All that is printed: the table, the marks, what limits each figure, what failed."""
    table_rows = rows(QUICK if quick else FULL)
    why = limits({name: samples.medians(name) for name in samples.values})
    parts = [heading(rounds), markdown(samples, table_rows), report(samples, quick)]
    parts.append("\n".join(f"{row.text}: {why[row.key]}" for row in table_rows if row.key in why))
    parts += [f"{name} gave no figures: {reason}" for name, reason in samples.failed.items()]
    return "\n\n".join(part for part in parts if part)


def complete(samples: Samples, rounds: int) -> bool:
    """Whether our own figures were taken in every round."""
    ours = samples.values.get(OURS, {})
    return bool(ours) and all(len(values) == rounds for values in ours.values())
