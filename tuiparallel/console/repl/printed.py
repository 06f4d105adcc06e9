"""The text a cell prints, line by line and bounded, made safe as it comes in."""

from __future__ import annotations

from collections import deque

from tuiparallel.monitor.sanitize import Sanitizer

MOST = 256 << 10  # characters of one cell
LONGEST = 4096  # characters of one line


class Printed:
    """Lines of one cell. A carriage return begins its line anew, so a progress bar stays one line."""

    def __init__(self) -> None:
        self.lines: deque[tuple[str, str]] = deque()  # stream, text
        self.left_out = 0  # lines
        self.version = 0
        self._size = 0
        self._open: dict[str, str] = {}
        self._back: set[str] = set()  # streams whose next character begins the line anew
        self._safe: dict[str, Sanitizer] = {}

    def feed(self, stream: str, text: str) -> None:
        """Takes a chunk of one stream."""
        safe = self._safe.setdefault(stream, Sanitizer())
        self.version += 1
        clean = "".join(piece for piece, _ in safe.feed(text)).replace("\r\n", "\n")
        first, *rest = clean.split("\n")
        self._write(stream, first)
        for line in rest:
            self._end(stream)
            self._write(stream, line)

    def _write(self, stream: str, text: str) -> None:
        before, _, last = text.rpartition("\r")
        if before or text.startswith("\r") or stream in self._back:
            if last or not text.endswith("\r"):
                self._open[stream] = ""
                self._back.discard(stream)
            else:  # it ends in a return: what stands there stays until something is written
                kept = before.rpartition("\r")[2]
                if kept:
                    self._open[stream] = kept
                self._back.add(stream)
                return
        self._open[stream] = (self._open.get(stream, "") + last)[:LONGEST]

    def _end(self, stream: str) -> None:
        line = self._open.pop(stream, "").expandtabs(8)
        self._back.discard(stream)
        self.lines.append((stream, line))
        self._size += len(line) + 1
        while self._size > MOST:
            _, oldest = self.lines.popleft()
            self._size -= len(oldest) + 1
            self.left_out += 1

    def tail(self, count: int) -> list[tuple[str, str]]:
        """The newest lines, the unfinished one among them."""
        whole = [
            *(list(self.lines)[-count:]),
            *((stream, text.expandtabs(8)) for stream, text in self._open.items() if text),
        ]
        return whole[-count:] if count else []

    def __len__(self) -> int:
        return len(self.lines) + sum(1 for text in self._open.values() if text)
