"""The examples of a page: its python and console blocks, and what the page says they print.

A python block is followed by a text block with its whole output, or has `# ->` comments, one per line that it prints,
or prints nothing. A console block has commands behind `$ ` and below each what it prints. `...` stands for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_FENCE = re.compile(r"^```(\w*)$")
_ARROW = re.compile(r"# ->(?: (.*))?$")


@dataclass
class Example:
    """One thing to run. line: where it stands in the page, from 1. expected: the lines that it prints."""

    kind: Literal["python", "console"]
    line: int
    code: str
    expected: list[str]


def examples_of(text: str) -> list[Example]:
    """All examples of a page, in order. Raises ValueError for a text block that is no output of anything."""
    found: list[Example] = []
    for kind, line, body in _blocks(text):
        if kind == "python":
            arrows = [arrow.group(1) or "" for row in body if (arrow := _ARROW.search(row))]
            found.append(Example("python", line, "\n".join(body) + "\n", [arrow.rstrip() for arrow in arrows]))
        elif kind == "console":
            found += _commands(line, body)
        elif kind == "text":
            if not found or found[-1].kind != "python" or found[-1].expected:
                raise ValueError(f"line {line}: a text block is the output of the python block above it")
            found[-1].expected = body
    return found


def _blocks(text: str) -> list[tuple[str, int, list[str]]]:
    """The fenced blocks: kind, line of the first row, rows."""
    found: list[tuple[str, int, list[str]]] = []
    inside = False
    for number, row in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(row)
        if fence and not inside:
            if not fence.group(1):
                raise ValueError(f"line {number}: a block says what it is")
            found.append((fence.group(1), number + 1, []))
        elif not fence and inside:
            found[-1][2].append(row)
        inside ^= fence is not None
    return found


def _commands(line: int, body: list[str]) -> list[Example]:
    found: list[Example] = []
    for number, row in enumerate(body, line):
        if row.startswith("$ "):
            found.append(Example("console", number, row[2:], []))
        else:
            found[-1].expected.append(row)
    return found


def agrees(expected: list[str], printed: str) -> bool:
    """Whether this was printed, with `...` for anything; blanks at the ends of lines do not count."""
    wanted = re.escape("\n".join(row.rstrip() for row in expected)).replace(re.escape("..."), ".*?")
    lines = "\n".join(row.rstrip() for row in printed.rstrip("\n").splitlines())
    return re.fullmatch(wanted, lines, flags=re.DOTALL) is not None
