"""The ladder of confirmation: a question about frozen ids, asked in the footer, in a dialog, or with a name to type.

No widget in this file. Keys pressed before a question was painted, and for a moment after, answer nothing: what was
typed ahead never confirms.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tuiparallel.console.deeds import Deed

DEAF = 0.3  # seconds after the painting in which keys are not heard


class Answer(Enum):
    """What a key means to a question."""

    IGNORED = "ignored"
    NO = "no"
    YES = "yes"


@dataclass
class Question:
    """A question of level 1, in the footer. Only y is Yes; any other key is No."""

    deed: Deed
    painted: float | None = None  # monotonic seconds

    @property
    def text(self) -> str:
        """What the footer asks, and what has moved on since it did."""
        left = self.deed.live() if self.deed.live is not None else ""
        return f"{self.deed.question}? {f'({left}) ' if left else ''}".rstrip()

    def press(self, key: str, now: float) -> Answer:
        """What this key answers."""
        if self.painted is None or now - self.painted < DEAF:
            return Answer.IGNORED
        return Answer.YES if key == "y" else Answer.NO
