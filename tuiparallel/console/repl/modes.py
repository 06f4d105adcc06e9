"""Where a cell goes: the mode, the targets, and the prompt that says both. No widget in this file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from tuiparallel.console.figures import ranges


class Mode(StrEnum):
    """How a cell is sent."""

    PX = "px"
    LB = "lb"
    LOCAL = "local"

    @property
    def next(self) -> Mode:
        """The mode that ctrl+t goes to."""
        order = list(Mode)
        return order[(order.index(self) + 1) % len(order)]


@dataclass(frozen=True, slots=True)
class Targets:
    """Engines by id, or all there are at the time of the call (ids None). label: how they were picked."""

    ids: tuple[int, ...] | None = None
    label: str = ""

    def text(self) -> str:
        """As the prompt writes it between brackets."""
        if self.ids is None:
            return "all"
        return self.label or ranges(list(self.ids)) or "none"

    def gone(self, living: Iterable[int]) -> tuple[int, ...]:
        """Those that are not there any more."""
        if self.ids is None:
            return ()
        there = set(living)
        return tuple(engine for engine in self.ids if engine not in there)

    def without(self, gone: Iterable[int]) -> Targets:
        """The rest of them."""
        if self.ids is None:
            return self
        left = set(self.ids) - set(gone)
        return Targets(tuple(engine for engine in self.ids if engine in left))


ALL = Targets()


class TargetError(ValueError):
    """A text that names no engines; it says why."""


def parse_targets(
    text: str,
    living: Iterable[int],
    marked: Iterable[int] = (),
    query: Callable[[str], Iterable[int]] | None = None,
) -> Targets:
    """Targets from what people type: `all`, `0-3,7`, `marked`, or a query such as `host:n001`.

    Raises TargetError: nothing matches, an id that is not there, a text that is none of these.
    """
    text = text.strip()
    there = sorted(set(living))
    if text in ("", "all", "*"):
        return ALL
    if text in ("marked", "marks"):
        ids = tuple(sorted(set(marked)))
        if not ids:
            raise TargetError("no engine is marked: `space` marks one in Engines (1)")
        return Targets(ids, f"{len(ids)} marked")
    if re.fullmatch(r"[\d\s,:-]+", text):
        return _from_numbers(text, there)
    if query is None:
        raise TargetError(f"{text!r} is neither all, marked, nor ids such as 0-3,7")
    try:
        ids = tuple(sorted(set(query(text))))
    except ValueError as error:
        raise TargetError(str(error)) from error
    if not ids:
        raise TargetError(f"no engine matches {text}")
    return Targets(ids, text)


def _from_numbers(text: str, there: list[int]) -> Targets:
    chosen: list[int] = []
    for part in re.split(r"[,\s]+", text.strip(" ,")):
        found = re.fullmatch(r"(\d+)(?:[-:](\d+))?", part)
        if found is None:
            raise TargetError(f"{part!r} is not an id or a range such as 0-3")
        low = int(found[1])
        high = int(found[2]) if found[2] else low
        if high < low:
            raise TargetError(f"{part}: the range ends before it begins")
        inside = [engine for engine in there if low <= engine <= high]
        if found[2] is None and not inside or not inside:
            known = ranges(there) or "none"
            raise TargetError(f"no engine {part}; there are {known}")
        chosen += inside
    return Targets(tuple(dict.fromkeys(chosen)))


@dataclass(frozen=True, slots=True)
class Where:
    """The state the prompt tells: mode and targets."""

    mode: Mode = Mode.PX
    targets: Targets = ALL

    def label(self, gone: tuple[int, ...] = ()) -> str:
        """`px[0-3]`, `lb[all]`, `local`; targets that are gone are named."""
        if self.mode is Mode.LOCAL:
            return "local"
        lost = f", {ranges(list(gone))} gone" if gone else ""
        return f"{self.mode}[{self.targets.text()}{lost}]"

    def in_mode(self, mode: Mode) -> Where:
        """The same targets in another mode."""
        return replace(self, mode=mode)
