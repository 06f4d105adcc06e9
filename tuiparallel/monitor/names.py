"""Names as small numbers: functions and labels repeat, so columns hold an index instead of a string."""

from __future__ import annotations

from tuiparallel.monitor.sanitize import clean_line

OTHERS = "others"


class Names:
    """A table of strings, each made safe when it is first met. Beyond the limit all new ones are `others`.

    The limit keeps every number within two bytes, with room for a few marks.
    """

    def __init__(self, limit: int = 65_000) -> None:
        self.texts: list[str] = [OTHERS]
        self._limit = limit
        self._index: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def index(self, text: str) -> int:
        """The number of a string."""
        found = self._index.get(text)
        if found is None:
            if len(self._index) >= self._limit:
                return 0
            found = self._index[text] = len(self.texts)
            self.texts.append(clean_line(text[:1000]))
        return found
