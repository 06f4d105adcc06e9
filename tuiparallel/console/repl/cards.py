"""The cards of the REPL as a list of lines: one LineView over the lines of all cards, drawn from where it is looked at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable

from textual import events
from textual.message import Message

from tuiparallel.console.actions import Here, Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.console.repl.card import Card
from tuiparallel.console.repl.cardlines import lines_of
from tuiparallel.console.repl.editor import Prompt

MAX_CARDS = 1000

EXAMPLES = [
    "px      runs on every target:       import os; os.getpid()",
    "lb      runs once, anywhere:        sum(range(10**7))",
    "        once per element:           %%map x in range(100)",
    "local   plain Python, with rc:      ar = lview.map(abs, range(9))",
    "",
    "^T goes from mode to mode, ^G picks targets, %magics lists the rest",
]


PRESSED = {
    "enter": "fold", "escape": "leave", "i": "leave", "e": "edit", "T": "again", "A": "abort", "I": "interrupt",
    "t": "traceback", "p": "output", "y": "copy",
}  # fmt: skip
"""Keys on a card."""


class Cards(LineView):
    """All cards, oldest first. A row is a line; its id is `cell * 1000 + line`, so the cursor stays on its card."""

    pane = "cards"
    number = 8
    pulls = 10
    kind = "cell"

    class Pressed(Message):
        """A key that means something to the card under the cursor: "again", "edit", "stop", "leave", "fold"."""

        def __init__(self, what: str, card: Card | None) -> None:
            super().__init__()
            self.what = what
            self.card = card

    def __init__(self, desk: Desk, prompt: Prompt) -> None:
        super().__init__(desk)
        self.prompt = prompt
        self.cards: list[Card] = []
        self.following = True
        self.changes = 0
        self._lines: dict[int, tuple[Hashable, list[Cells]]] = {}
        self._starts: list[int] = [0]  # first row of each card, and the end

    # Cards --------------------------------------------------------------------------------------------------------

    def add(self, card: Card) -> None:
        """Shows a new card at the end; the oldest of too many goes."""
        self.cards.append(card)
        while len(self.cards) > MAX_CARDS:
            oldest = next((old for old in self.cards if not old.open), self.cards[0])
            self.cards.remove(oldest)
            self._lines.pop(oldest.number, None)
        self.following = True
        self.changes += 1

    def by_number(self, number: int) -> Card | None:
        """A card by its cell's number."""
        low = bisect_right(self.cards, number, key=lambda card: card.number) - 1
        return self.cards[low] if low >= 0 and self.cards[low].number == number else None

    def here_card(self) -> Card | None:
        """The card under the cursor."""
        if not self.cards or self.cursor is None:
            return None
        at = bisect_right(self._starts, self._at) - 1
        return self.cards[at] if 0 <= at < len(self.cards) else None

    def step(self, cards: int) -> bool:
        """Moves the cursor to the head of another card; False past the end."""
        if not self.cards:
            return False
        at = bisect_right(self._starts, self._at) - 1
        if cards < 0 and self._at > self._starts[min(at, len(self.cards) - 1)]:
            cards += 1  # first to the head of this one
        to = at + cards
        if to >= len(self.cards):
            return False
        self.move_to(self._starts[max(0, to)])
        return True

    def to_newest(self) -> None:
        """Goes to the head of the newest card."""
        self.pull_now(force=True)
        if self.cards:
            self.move_to(self._starts[-2])

    def to_end(self) -> None:
        """Goes to the newest line and stays there."""
        if self.count():
            self.move_to(self.count() - 1, follow=True)

    def show_card(self, card: Card) -> None:
        """Puts the cursor on a card's head."""
        self.pull_now(force=True)
        if card in self.cards:
            self.move_to(self._starts[self.cards.index(card)])

    # What LineView asks -----------------------------------------------------------------------------------------

    def version(self) -> Hashable:
        moving = any(card.open for card in self.cards)
        return (self.changes, sum(card.version + card.printed.version for card in self.cards),
                int(self.desk.clock.monotonic() * 10) if moving else 0)  # fmt: skip

    def pull(self) -> None:
        starts = [0]
        for card in self.cards:
            starts.append(starts[-1] + len(self._lines_of(card)))
        self._starts = starts

    def _lines_of(self, card: Card) -> list[Cells]:
        width = max(20, self.size.width - 2)
        now = self.desk.clock.monotonic()
        stamp = (card.version, card.printed.version, width, self.desk.glyphs.name, int(now * 10) if card.open else 0)
        kept = self._lines.get(card.number)
        if kept is None or kept[0] != stamp:
            kept = self._lines[card.number] = (stamp, lines_of(card, width, self.desk.glyphs, now))
        return kept[1]

    def count(self) -> int:
        return self._starts[-1]

    def _place(self, index: int) -> tuple[Card, int]:
        at = bisect_right(self._starts, index) - 1
        return self.cards[at], index - self._starts[at]

    def key_at(self, index: int) -> Key:
        card, line = self._place(index)
        return card.number * 1000 + line

    def find(self, key: Key) -> int | None:
        if not isinstance(key, int):
            return None
        number, line = divmod(key, 1000)
        at = bisect_right(self.cards, number, key=lambda card: card.number) - 1
        if at < 0 or self.cards[at].number != number:
            return None
        return min(self._starts[at] + line, self._starts[at + 1] - 1)

    def cells(self, index: int, width: int) -> Cells:
        card, line = self._place(index)
        lines = self._lines_of(card)
        return lines[line] if line < len(lines) else []

    def empty(self) -> list[str]:
        return EXAMPLES

    def problem(self, index: int) -> bool:
        card, line = self._place(index)
        return line == 0 and bool(card.failed)

    def here(self) -> Here:
        """The tasks of the card under the cursor, so that the keys for tasks do what they do elsewhere."""
        card = self.here_card()
        if card is None or card.sent is None:
            return Here(pane="repl", kind="cell")
        views = [self.desk.store.task_named(msg_id) for msg_id in card.sent.ids[:1000]]
        return Here(pane="repl", kind="task", ids=tuple(view.id for view in views if view is not None))

    # Keys -------------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        if self.prompt.forward(self, event):
            return
        if self.prompt.answer(event.key):
            event.stop()
            event.prevent_default()
            return
        what = PRESSED.get(event.key, PRESSED.get(event.character or "", ""))
        moves = {"up": -1, "k": -1, "down": 1, "j": 1}
        if event.key == "ctrl+up":
            self.step(-1)
        elif event.key == "ctrl+down":
            if not self.step(1):
                what = "leave"
        elif event.key in moves:
            if event.key == "down" and self._at >= self.count() - 1:
                what = "leave"
            self.move(moves[event.key])
        elif event.key in ("pageup", "pagedown"):
            self.move(self.room * (1 if event.key == "pagedown" else -1))
        elif event.key == "home":
            self.move_to(0)
        elif event.key == "end":
            self.to_end()
        elif not what:
            return
        event.stop()
        event.prevent_default()
        if what:
            self.post_message(self.Pressed(what, self.here_card()))
