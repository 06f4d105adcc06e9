"""What limits each figure of the benchmark, in a sentence that the figures themselves fill in."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tuiparallel.cli.workloads import SMALL_MB, Figures

_BUSY = 0.6  # of the time that passes; a process below it holds nobody up by computing
_SIDES = ("client", "hub", "engines")


def limits(figures: Mapping[str, Figures], cores: int | None = None) -> dict[str, str]:
    """A sentence for each row that the figures of 'tuiparallel' have, by the row's key. cores: None: of this machine."""
    ours = figures.get("tuiparallel", {})
    bare, copy = figures.get("bare 0MQ", {}), figures.get("memory copy", {})
    cores = cores or os.cpu_count() or 1
    found = {
        "start_s": "the start of one Python and its imports; hub and engines are forked from it.",
        "ready_s": "as above, and per engine a fork, a log, a connection and its first words with the hub.",
        "blocking_us": _blocking(ours, bare),
        "direct_us": "the same way as a balanced call: client, hub, engine and back, with a wake-up at each.",
        "apply_per_s": _sides(ours, "apply", cores),
        "map_per_s": _sides(ours, "map", cores),
        "few_per_s": "as the long map; the way there and back, when nobody computes yet or any more, counts for more.",
        "growth": "below 1 something costs more the more tasks there are; above 1 the start of a map is what costs.",
        "argument_GBs": _memory(ours, copy, "argument_GBs", "the client writes the array into shared memory once"),
        "share_s": _share(ours, copy),
        "share_more_s": _more(ours),
        "pull_GBs": _memory(ours, copy, "pull_GBs", "the engine writes the array into shared memory once"),
        "small_per_s": _small(ours),
        "memory_MB": "each process's own objects; the interpreter and its modules are pages that all of them share.",
        "idle_cpu": "heartbeats and the supervisor's report of CPU and memory, once a second.",
    }
    return {key: text for key, text in found.items() if key in ours and text}


def _blocking(ours: Figures, bare: Figures) -> str:
    text = "four hops over sockets, each with a wake-up of a sleeping process by the kernel"
    if "blocking_us" in ours and bare.get("blocking_us"):
        times = ours["blocking_us"] / bare["blocking_us"]
        text += f": the bare echo has the same hops; with the task, its record and its result this is {times:.1f}x as long"
    return text + "."


def _sides(ours: Figures, name: str, cores: int) -> str:
    """Which side of a task is busiest, from CPU times taken while it ran."""
    spent = {side: ours.get(f"{name}_{side}_us") for side in _SIDES}
    wall = ours.get(f"{name}_wall_us")
    known = {side: value for side, value in spent.items() if value is not None}
    if not wall or len(known) < len(_SIDES):
        return ""
    total = sum(known.values())
    each = ", ".join(f"{side} {value:.1f}" for side, value in known.items())
    one = {side: value for side, value in known.items() if side != "engines"}  # those that are one process
    busiest = max(one, key=lambda side: one[side])
    if total > 0.85 * wall * cores:
        return (
            f"all {cores} cores are busy: {wall:.1f} µs pass per task, and its CPU time is {total:.1f} µs ({each})."
        )
    share = one[busiest] / wall
    if share < _BUSY:
        waiting = f"no process is busy ({busiest}: {share:.0%} of the time): all wait for one another, or for other work here"
        return f"{waiting}; {wall:.1f} µs pass per task (CPU: {each} µs)."
    return (
        f"the {busiest}, one process, computes {share:.0%} of the time: {wall:.1f} µs pass per task (CPU: {each} µs)."
    )


def _memory(ours: Figures, copy: Figures, key: str, what: str) -> str:
    if key not in ours or not copy.get(key):
        return f"{what}, at the speed of memory."
    return f"{what}, and the other side maps it: {ours[key] / copy[key]:.0%} of the speed of a plain copy."


def _share(ours: Figures, copy: Figures) -> str:
    if "share_s" not in ours or not copy.get("share_s"):
        return "the array is written once, however many engines map it."
    times = ours["share_s"] / copy["share_s"]
    return f"the array is written once, however many engines map it: {times:.1f}x the time of one plain copy."


def _more(ours: Figures) -> str:
    if not ours.get("share_s") or "share_more_s" not in ours:
        return ""
    return f"the same one copy, and a message per engine: {ours['share_more_s'] / ours['share_s']:.2f}x the time of the row above."


def _small(ours: Figures) -> str:
    if "small_per_s" not in ours:
        return ""
    speed = 2 * ours["small_per_s"] * SMALL_MB / 1024
    text = f"each array is copied at every socket on its way, {speed:.2f} GB/s both ways together"
    if ours.get("map_per_s"):
        text += f"; as tasks they are {ours['small_per_s'] / ours['map_per_s']:.0%} of the rate of empty ones"
    return text + "."
