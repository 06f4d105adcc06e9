"""The marks that the figures are held against, and whether they hold. Nothing here fails a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuiparallel.cli.bench import OURS, Samples

THREE = ("ipyparallel", "distributed", "ray")


@dataclass(frozen=True)
class Mark:
    """text: what is promised. figure: its value, None when something of it was not measured. at_least: else at most.

    most: the other bound, where a figure is to lie between two.
    """

    text: str
    figure: Callable[[Samples], float | None]
    bound: float
    at_least: bool
    unit: str = "x"
    most: float | None = None

    def held(self, samples: Samples) -> bool | None:
        """Whether it holds; None when it was not measured."""
        value = self.figure(samples)
        if value is None:
            return None
        if self.most is not None and value > self.most:
            return False
        return value >= self.bound if self.at_least else value <= self.bound

    def line(self, samples: Samples) -> str:
        """The figure, the bound, and held or not."""
        sign = ">=" if self.at_least else "<="
        bound = (
            f"{sign} {self.bound:g} {self.unit}" if self.most is None else f"{self.bound:g}–{self.most:g} {self.unit}"
        )
        value = self.figure(samples)
        if value is None:
            return f"not measured               {bound:>10}  {self.text}"
        word = "held    " if self.held(samples) else "NOT HELD"
        return f"{word} {value:>12,.2f} {self.unit:<4} {bound:>10}  {self.text}"


def over(key: str, system: str) -> Callable[[Samples], float | None]:
    """Our figure over another system's."""
    return lambda samples: _ratio(samples.median(OURS, key), samples.median(system, key))


def over_best(key: str) -> Callable[[Samples], float | None]:
    """Our figure, of which more is better, over the best of those of the three that were measured."""

    def figure(samples: Samples) -> float | None:
        found = [value for name in THREE if (value := samples.median(name, key)) is not None]
        return _ratio(samples.median(OURS, key), max(found, default=None))

    return figure


def own(key: str) -> Callable[[Samples], float | None]:
    """Our figure as it is."""
    return lambda samples: samples.median(OURS, key)


def _ratio(value: float | None, other: float | None) -> float | None:
    return value / other if value is not None and other else None


def _more_engines(samples: Samples) -> float | None:
    return _ratio(samples.median(OURS, "share_more_s"), samples.median(OURS, "share_s"))


MARKS = (
    Mark("map, a task per element: over Pool.map(chunksize=1)", over("map_per_s", "Pool"), 1.5, True),
    Mark("separate apply_async: over Pool.apply_async", over("apply_per_s", "Pool"), 1.0, True),
    Mark("blocking call, balanced: over the bare echo", over("blocking_us", "bare 0MQ"), 1.6, False),
    Mark("large array as an argument: over the best of the three", over_best("argument_GBs"), 2.0, True),
    Mark("large array to 2 engines: time over ray's put and share", over("share_s", "ray"), 1.5, False),
    Mark("large array to 8 engines: time over that to 2", _more_engines, 1.2, False),
    Mark("large array pulled: over the best of the three", over_best("pull_GBs"), 2.0, True),
    Mark("small arrays there and back: over the best of the three", over_best("small_per_s"), 1.0, True),
    Mark("start to first result: time over distributed's LocalCluster", over("start_s", "distributed"), 1.0, False),
    Mark("64 engines ready (fewer in the quick run)", own("ready_s"), 3.0, False, "s"),
    Mark("idle memory, proportional", own("memory_MB"), 150.0, False, "MB"),
    Mark("idle CPU, of one core", own("idle_cpu"), 1.0, False, "%"),
    # Above it the cost grows more slowly than the number of tasks: a short map's start is a larger part of it.
    Mark("tasks/s of the long map over the short: within 15 %", own("growth"), 0.85, True, most=1.15),
)


def report(samples: Samples, quick: bool) -> str:
    """All marks, a line each, and what a reader must know about them."""
    lines = [mark.line(samples) for mark in MARKS]
    missing = [name for name in THREE if not samples.values.get(name)]
    if missing:
        lines.append(f"without {', '.join(missing)}: not installed here, or failed; the best is that of the others")
    if quick:
        lines.append("the marks are for the full workloads; these were the quick ones")
    return "\n".join(lines)
