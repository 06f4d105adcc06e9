"""Running generated histories: one, or many on all processors; a failing one is made small and told step by step."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections import Counter
from dataclasses import dataclass, field

from tests.hub.world import Step, World, plan

SHARD = 250  # histories handed to a process at a time


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
class Tally:
    """What many histories came to."""

    histories: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def _shard(bounds: tuple[int, int]) -> Tally:
    tally = Tally()
    for seed in range(*bounds):
        try:
            tally.counts += run_history(seed).counts
        except AssertionError as error:
            tally.failures.append(str(error))
            if len(tally.failures) > 2:
                break
        tally.histories += 1
    return tally


def run_many(first: int, count: int) -> Tally:
    """Histories first to first + count - 1, on all processors."""
    shards = [(at, min(at + SHARD, first + count)) for at in range(first, first + count, SHARD)]
    total = Tally()
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for part in pool.imap_unordered(_shard, shards):
            total.histories += part.histories
            total.counts += part.counts
            total.failures += part.failures
            if len(total.failures) > 4:
                break
    return total
