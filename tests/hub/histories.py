"""Running generated histories: one, or many on all processors; a failing one is made small and told step by step.

As a program, `python -m tests.hub.histories FIRST END [STEP]`, it runs these seeds and prints what they came to as JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.hub.world import Step, World, plan

ROOT = Path(__file__).parents[2]
MOST_FAILURES = 3  # of one process


def play(seed: int, steps: list[Step], check: bool = True) -> World:
    """One whole history of these steps. Raises AssertionError when a promise is broken."""
    world = World(seed, check)
    for step in steps:
        world.step(step)
    world.finish()
    return world


def fails(seed: int, steps: list[Step], check: bool = True) -> str:
    """What goes wrong in it; empty when nothing does."""
    try:
        play(seed, steps, check)
    except Exception as error:  # whatever it is, this history shows it
        return f"{type(error).__name__}: {error}"
    return ""


def shrunk(seed: int, steps: list[Step], check: bool = True, tries: int = 2000) -> list[Step]:
    """As few of the steps as still go wrong in the same manner."""
    manner = _manner(fails(seed, steps, check))
    size = max(1, len(steps) // 2)
    while tries > 0:
        at, smaller = 0, False
        while at < len(steps) and tries > 0:
            tries -= 1
            rest = steps[:at] + steps[at + size :]
            if _manner(fails(seed, rest, check)) == manner:
                steps, smaller = rest, True
            else:
                at += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2)
    return steps


def _manner(text: str) -> str:
    """A fault's text without its numbers."""
    return re.sub(r"[0-9.]+|b'[^']*'", "", text)[:60]


def run_history(seed: int, check: bool = True) -> World:
    """The history with this number. Raises AssertionError with the seed and the fewest steps that show the fault."""
    steps = plan(seed)
    try:
        return play(seed, steps, check)
    except Exception as error:
        few = shrunk(seed, steps, check)
        text = "\n".join(f"    {step!r}," for step in few)
        raise AssertionError(
            f"history {seed}: {error}\n{len(few)} of its {len(steps)} steps are enough: {fails(seed, few, check)}\n"
            f"to repeat it: play({seed}, [\n{text}\n])"
        ) from error


@dataclass
class Total:
    """What many histories came to."""

    histories: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, histories: int, counts: dict[str, int], failures: list[str]) -> None:
        self.histories += histories
        self.counts.update(counts)
        self.failures += failures


def run_some(seeds: Iterable[int]) -> Total:
    """These histories, one after the other, until a few have failed."""
    total = Total()
    for seed in seeds:
        try:
            total.add(1, run_history(seed).counts, [])
        except AssertionError as error:
            total.add(1, {}, [str(error)])
            if len(total.failures) >= MOST_FAILURES:
                break
    return total


def run_many(first: int, count: int) -> Total:
    """Histories first to first + count - 1, on all processors: each takes every so-manieth."""
    step = os.cpu_count() or 1
    command = [sys.executable, "-m", "tests.hub.histories"]
    workers = [
        subprocess.Popen([*command, str(at), str(first + count), str(step)], cwd=ROOT, stdout=subprocess.PIPE)
        for at in range(first, first + step)
    ]
    total = Total()
    for worker in workers:
        output, _ = worker.communicate()
        assert worker.returncode == 0, f"a process of histories ended with {worker.returncode}"
        total.add(**json.loads(output))
    return total


if __name__ == "__main__":
    done = run_some(range(*map(int, sys.argv[1:])))
    print(json.dumps({"histories": done.histories, "counts": done.counts, "failures": done.failures}))
