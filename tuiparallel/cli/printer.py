"""What a verb prints: results to stdout, everything else to stderr, as text or as JSON lines.

Text is plain: no escape codes, on a terminal or off it, so NO_COLOR changes nothing.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

from tuiparallel.monitor.report import SCHEMA, envelope


class Printer:
    """Where a verb's results and notes go. cluster: the name that JSON lines carry."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.cluster: str | None = None

    def row(self, kind: str, fields: dict[str, Any], text: str) -> None:
        """One result: with --json the object, its first keys added, else the text."""
        self.both(envelope(kind, self.cluster) | fields, text)

    def both(self, row: dict[str, Any], text: str) -> None:
        """One result: with --json the whole object, else the text."""
        if self.as_json:
            self.json(row)
        else:
            self.text(text)

    def json(self, row: dict[str, Any]) -> None:
        """One object on a line of its own."""
        _write(sys.stdout, json.dumps(row, ensure_ascii=True))

    def text(self, text: str, end: str = "\n") -> None:
        """A result that has no JSON form of its own."""
        _write(sys.stdout, text, end)

    def note(self, text: str) -> None:
        """Something beside the result; --quiet leaves it out."""
        if not self.quiet:
            _write(sys.stderr, text)

    def error(self, kind: str, message: str, code: int) -> None:
        """Why the command fails."""
        if self.as_json:
            line = {"schema": SCHEMA, "kind": "error", "class": kind, "message": message, "exit": code}
            _write(sys.stderr, json.dumps(line))
        else:
            _write(sys.stderr, f"tuipar: {message}")


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    try:
        stream.write(text + end)
    except UnicodeEncodeError:  # the terminal's encoding is smaller than our text
        encoding = stream.encoding or "ascii"
        stream.write((text + end).encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def drop_stdout() -> None:
    """After a reader has gone: let what is still buffered go nowhere, so that the exit is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
    finally:
        os.close(nowhere)
