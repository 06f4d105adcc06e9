"""Key presses to actions: a table per place, and prefixes (`y`, `ctrl+x`) that wait for one more key."""

from __future__ import annotations

from dataclasses import dataclass

from textual.events import Key

from tuiparallel.console.actions import PREFIXES, Action, Registry

SHOWN = {
    "escape": "esc", "backslash": "\\", "question_mark": "?", "ctrl+backslash": "^\\", "pagedown": "pgdn",
    "pageup": "pgup", "shift+tab": "⇤",
}  # fmt: skip


def key_of(event: Key) -> str:
    """A key by the name the table has: the character when it draws one, else Textual's name."""
    if event.character is not None and event.character.isprintable() and event.character != " ":
        return event.character
    return event.key


def shown(key: str) -> str:
    """A key as the footer and the help write it: ^P, esc, A."""
    if key in SHOWN:
        return SHOWN[key]
    if key.startswith("ctrl+") and len(key) == 6:
        return "^" + key[-1].upper()
    return key


@dataclass(frozen=True, slots=True)
class Pending:
    """A prefix was pressed: one of these actions may follow."""

    prefix: str
    place: str


class Keys:
    """Which action a key means now. Holds nothing but a pending prefix."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.pending: Pending | None = None

    def press(self, key: str, places: tuple[str, ...]) -> Action | Pending | None:
        """The action of this key, a Pending when it is a prefix, or None when it means nothing here."""
        if self.pending is not None:
            place, self.pending = self.pending.place, None
            return self._registry.by_key(key, (place,))
        if (place_of := PREFIXES.get(key)) is not None:
            self.pending = Pending(key, place_of)
            return self.pending
        return self._registry.by_key(key, places)
