"""Cells as people bring them into the pane: by keys, or pasted and run."""

from __future__ import annotations

from typing import Any

from tests.console.repl.scripted import until
from tuiparallel.console.repl.card import Card

SIZE = (120, 30)


async def type_in(pilot: Any, text: str) -> None:
    """Types text, as keys."""
    names = {"\n": "ctrl+j", " ": "space"}
    await pilot.press(*(names.get(letter, letter) for letter in text))


async def run_cell(pilot: Any, text: str) -> Card:
    """Pastes a cell and runs it by f5."""
    repl = pilot.app.repl
    count = len(repl.cards.cards)
    repl.editor.put(text)
    await pilot.press("f5")
    await until(pilot, lambda: len(repl.cards.cards) > count, "a card")
    card: Card = repl.cards.cards[-1]
    return card
