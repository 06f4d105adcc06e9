"""Colours of Python text by Pygments, and the one place that uses private names of Textual's TextArea.

`TextArea` keeps what its tree-sitter found in `_highlights`: per line (first byte, last byte, name). `_build_highlight_map`
is called after every edit; here it is filled from Pygments. Both are tried by a test of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Protocol

from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped]
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType  # type: ignore[import-untyped]
from rich.style import Style

MOST_LINES = 300  # above it a key would be felt

Mark = tuple[int, int | None, str]

STYLES: dict[str, str] = {
    "keyword": "fn-3",
    "string": "fn-1",
    "number": "fn-6",
    "comment": "dim",
    "builtin": "fn-0",
    "definition": "bold fn-2",
    "operator": "dim",
    "magic": "bold key",
    "fault": "bold underline failure",
}
"""Kinds of text to styles of the console's themes."""

_KINDS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "comment"),
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (String, "string"),
    (Number, "number"),
    (Name.Function, "definition"),
    (Name.Class, "definition"),
    (Name.Decorator, "definition"),
    (Name.Builtin, "builtin"),
    (Name.Exception, "builtin"),
)

_SPANS = re.compile(r"'''|\"\"\"|\\$", re.MULTILINE)
_lexer = PythonLexer(stripnl=False, ensurenl=False)


class Painter(Protocol):
    """What turns the name of a style into one."""

    def style(self, name: str) -> Style: ...


def styles_of(paint: Painter) -> dict[str, Style]:
    """The styles of every kind under a theme."""
    return {kind: paint.style(name) for kind, name in STYLES.items()}


@cache
def kind_of(token: _TokenType) -> str:
    """The kind of a Pygments token, empty for plain text."""
    for group, kind in _KINDS:
        if token in group:
            return kind
    return ""


def marks(text: str) -> dict[int, list[Mark]]:
    """Per line what is coloured how, in bytes; nothing above MOST_LINES."""
    found: dict[int, list[Mark]] = {}
    if text.count("\n") >= MOST_LINES:
        return found
    head, _, body = text.partition("\n")
    first = 0
    if text.lstrip(" ").startswith(("%", "!")):
        found[0] = [(0, len(head.encode()), "magic")]
        if not body:
            return found
        first, text = 1, body
    if _SPANS.search(text) is None:  # nothing reaches over a line's end, so lines are coloured one by one, and kept
        for row, line in enumerate(text.split("\n"), first):
            if line and (of_line := _line_marks(line)):
                found[row] = list(of_line)
        return found
    row, column = first, 0
    for kind, piece in _pieces(text):
        for number, part in enumerate(piece.split("\n")):
            if number:
                row, column = row + 1, 0
            width = len(part) if part.isascii() else len(part.encode("utf-8", "replace"))
            if kind and part.strip():
                found.setdefault(row, []).append((column, column + width, kind))
            column += width
    return found


@lru_cache(maxsize=2048)
def _line_marks(line: str) -> tuple[Mark, ...]:
    found: list[Mark] = []
    column = 0
    for kind, piece in _pieces(line):
        width = len(piece) if piece.isascii() else len(piece.encode("utf-8", "replace"))
        if kind and piece.strip():
            found.append((column, column + width, kind))
        column += width
    return tuple(found)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    for _, token, piece in _lexer.get_tokens_unprocessed(text):
        yield kind_of(token), piece
