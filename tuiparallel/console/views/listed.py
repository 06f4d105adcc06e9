"""Panes whose rows are kept as a list, each under a key of its own: Now and Errors."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from tuiparallel.console.actions import Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import LineView


class Keyed(Protocol):
    """A row that knows its key."""

    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=Keyed)


class ListedView(LineView, Generic[R]):
    """A pane that gives all of its rows to `list_rows` when it pulls."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.rows: list[R] = []
        self.places: dict[str, int] = {}

    def list_rows(self, rows: list[R]) -> None:
        """Show these rows from now on."""
        self.rows = rows
        self.places = {row.key: index for index, row in enumerate(rows)}
        self.desk.retitle()

    def count(self) -> int:
        return len(self.rows)

    def key_at(self, index: int) -> Key:
        return self.rows[index].key

    def find(self, key: Key) -> int | None:
        return self.places.get(key) if isinstance(key, str) else None

    def current(self) -> R | None:
        """The row under the cursor."""
        return self.rows[self._at] if self._at < len(self.rows) else None
