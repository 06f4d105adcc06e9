"""Five things a newcomer should know, said once each; a small private file remembers how many were."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from tuiparallel.errors import InsecureFile
from tuiparallel.wire.connection import private_directory, write_private

HINTS = (
    "the digits 0 to 8 go to a pane, m makes it larger, [ goes back",
    "i goes to the REPL: what you type there runs on the engines the prompt names; esc leaves it",
    "enter shows all there is to know about a row; n goes to the next problem",
    "capitals act on the cluster, and ask first: A aborts what waits, I interrupts what runs",
    "? lists the keys of where you are, ctrl+p finds anything by name; q leaves, and the cluster runs on",
)
EVERY = 12.0  # seconds between two hints


def state_file() -> Path:
    """Where it is kept how many hints were said."""
    return platformdirs.user_state_path("tuiparallel") / "console" / "hints"


class Hints:
    """The hints that were not said yet. Where nothing can be kept, none is said: they would come again for ever."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            text = "0"
        except (OSError, UnicodeDecodeError):
            text = ""
        self.said = min(int(text), len(HINTS)) if text.isdecimal() else len(HINTS)
        self._next = 0.0

    def due(self, now: float) -> str | None:
        """The next hint, when its time has come; it counts as said. now: monotonic seconds."""
        if self.said >= len(HINTS) or now < self._next:
            return None
        try:
            private_directory(self.path.parent)
            write_private(self.path, str(self.said + 1).encode())
        except (OSError, InsecureFile):
            self.said = len(HINTS)
            return None
        self.said += 1
        self._next = now + EVERY
        return f"{self.said} of {len(HINTS)}: {HINTS[self.said - 1]}"
