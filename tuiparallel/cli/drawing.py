"""Whether the console can be drawn where the command runs."""

from __future__ import annotations

import os
import sys

CANNOT_DRAW = ("", "dumb", "unknown")
"""Values of TERM of terminals that only print lines."""


def why_plain() -> str:
    """Why only plain text can be printed here; empty where the console can be drawn."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is None or not stream.isatty():
            return "this is no terminal"
    term = os.environ.get("TERM", "")
    return f"this terminal cannot draw (TERM={term})" if term in CANNOT_DRAW else ""
