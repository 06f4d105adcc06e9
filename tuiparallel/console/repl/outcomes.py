"""What the parts of a cell gave, folded: equal values are one line, equal failures one kind. No widget in this file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from os.path import commonprefix

import msgspec

from tuiparallel.console.figures import plural, ranges
from tuiparallel.monitor.rows import Run

MAX_GROUPS = 200


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one engine (or one element of a map) gave. Text is foreign until it is shown.

    place: engine id, index of an element, or None. value: text of the result, empty when it was None.
    """

    place: int | None
    ok: bool
    value: str = ""
    stdout: str = ""
    stderr: str = ""
    ename: str = ""
    evalue: str = ""
    traceback: str = ""
    ended: float = 0.0
    seconds: float | None = None
    count: int = 1  # parts that are as this one
    runs: tuple[tuple[tuple[Run, ...], ...], ...] = ()  # styles of the lines of stdout and stderr; empty: none


class Grouping(StrEnum):
    """How outcomes are listed."""

    IDENTICAL = "identical"
    ENGINE = "engine"
    ORDER = "order"


@dataclass(slots=True)
class Group:
    """Parts with the same value, or failures of the same kind. text: the value, or `Name: message`."""

    text: str
    ok: bool
    places: list[int] = field(default_factory=list)
    count: int = 0
    traceback: str = ""
    order: float = 0.0

    def add(self, part: Part) -> None:
        """Counts a part in."""
        self.count += part.count
        if part.place is not None:
            self.places.append(part.place)


@dataclass(slots=True)
class Folded:
    """All parts of a cell: values most frequent first, failures by kind, and how many None."""

    values: list[Group] = field(default_factory=list)
    failures: list[Group] = field(default_factory=list)
    nones: int = 0
    none_places: list[int] = field(default_factory=list)
    left_out: int = 0  # different values beyond MAX_GROUPS

    @property
    def all_none(self) -> bool:
        """Every part that ended well gave None, so nothing is to be shown of them."""
        return not self.values


_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def kind_of(part: Part) -> str:
    """What failures are folded by: the type, the message without its numbers and addresses."""
    return f"{part.ename}: {_NUMBER.sub('#', part.evalue)}"


def fold(parts: Iterable[Part]) -> Folded:
    """Groups parts in the order of their places; values by their text, failures by their kind."""
    folded = Folded()
    values: dict[str, Group] = {}
    failures: dict[str, Group] = {}
    for part in parts:
        if not part.ok:
            key = kind_of(part)
            group = failures.get(key)
            if group is None:
                text = f"{part.ename}: {part.evalue}" if part.evalue else part.ename
                group = failures[key] = Group(text, False, traceback=part.traceback)
            group.add(part)
        elif not part.value:
            folded.nones += part.count
            if part.place is not None:
                folded.none_places.append(part.place)
        else:
            found = values.get(part.value)
            if found is None:
                if len(values) >= MAX_GROUPS:
                    folded.left_out += part.count
                    continue
                found = values[part.value] = Group(part.value, True)
            found.add(part)
    folded.values = sorted(values.values(), key=lambda group: -group.count)
    folded.failures = sorted(failures.values(), key=lambda group: -group.count)
    return folded


def by_engine(parts: Sequence[Part]) -> list[Part]:
    """One line per engine, in the order of their ids."""
    return sorted(parts, key=lambda part: -1 if part.place is None else part.place)


def by_order(parts: Sequence[Part]) -> list[Part]:
    """One line per part, in the order in which they ended."""
    return sorted(parts, key=lambda part: part.ended)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of an outcome, and whether it differs from what most parts gave."""

    text: str
    differs: bool = False


def difference(text: str, usual: str) -> list[Piece]:
    """The text in at most three pieces: the middle one is where it differs from the usual text."""
    if text == usual:
        return [Piece(text)]
    head = len(commonprefix([text, usual]))
    tail = len(commonprefix([text[head:][::-1], usual[head:][::-1]]))
    end = len(text) - tail
    if end <= head:  # something of the usual text is missing here: what stands around the gap is marked
        head, end = max(0, head - 1), min(len(text), end + 1)
    pieces = (Piece(text[:head]), Piece(text[head:end], True), Piece(text[end:]))
    return [piece for piece in pieces if piece.text]


def usual_of(folded: Folded) -> str | None:
    """The text most parts gave, when more than half of at least three gave it."""
    total = sum(group.count for group in folded.values) + folded.nones + folded.left_out
    if total < 3 or not folded.values:
        return None
    first = folded.values[0]
    return first.text if first.count * 2 > total else None


def places_text(places: Sequence[int], element: bool, count: int = 0) -> str:
    """`e0-3,7` or `[0-3,7]`; many ranges are cut. count: of how many, when not all places are known."""
    if not places:
        return ""
    text = ranges(list(places))
    if len(text) > 40:
        text = text[: text.rfind(",", 0, 36) if "," in text[:36] else 36] + ",…"
    if count > len(places) and not text.endswith("…"):
        text += ",…"
    return f"[{text}]" if element else f"e{text}"


def summary(folded: Folded, element: bool) -> str:
    """One sentence on the failures: `3 failures of 2 kinds`."""
    count = sum(group.count for group in folded.failures)
    noun = "element" if element else "engine"
    kinds = len(folded.failures)
    return f"{plural(count, noun)} failed" + (f", {kinds} kinds" if kinds > 1 else "")
