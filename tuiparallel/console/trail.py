"""Where the user was: places to go back to and forward again, with their cursor and filter."""

from __future__ import annotations

from dataclasses import dataclass

from tuiparallel.console.actions import Key
from tuiparallel.console.views.inspector import Subject

DEEP = 50


@dataclass(frozen=True, slots=True)
class Place:
    """A pane as it was left."""

    pane: str
    cursor: Key | None
    filter: str
    subject: Subject | None = None


class Trail:
    """Two stacks of places, each at most DEEP."""

    def __init__(self) -> None:
        self._behind: list[Place] = []
        self._ahead: list[Place] = []

    def left(self, place: Place) -> None:
        """A place was left for another; what lay ahead is forgotten."""
        self._behind = [*self._behind[-DEEP + 1 :], place]
        self._ahead.clear()

    def back(self, here: Place) -> Place | None:
        """The place before, or None."""
        if not self._behind:
            return None
        self._ahead.append(here)
        return self._behind.pop()

    def forward(self, here: Place) -> Place | None:
        """The place one came back from, or None."""
        if not self._ahead:
            return None
        self._behind.append(here)
        return self._ahead.pop()
