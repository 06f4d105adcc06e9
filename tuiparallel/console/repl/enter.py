"""What `enter` does: a table over the text and the cursor. And how a new line is indented.

Events in, answers out: no widget in this file.
"""

from __future__ import annotations

import ast
import codeop
import re
import warnings
from dataclasses import dataclass
from enum import Enum, auto

INDENT = 4
_OPENERS = "([{"
_LEAVES = re.compile(r"\s*(return|pass|break|continue|raise)\b")
_COMPOUND = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.AsyncFor, ast.While, ast.With,
    ast.AsyncWith, ast.Try, ast.TryStar, ast.Match,
)  # fmt: skip


class Enter(Enum):
    """What the key does."""

    NOTHING = auto()
    NEW_LINE = auto()
    RUN = auto()
    SHOW_ERROR = auto()


class Whole(Enum):
    """What a text is as a piece of Python."""

    EMPTY = auto()
    INCOMPLETE = auto()
    COMPLETE = auto()
    WRONG = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """A syntax error: its message and where; row and column from 0."""

    message: str
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is, and its fault when it is wrong."""

    whole: Whole
    fault: Fault | None = None


def reading(text: str) -> Reading:
    """Whether a cell is empty, incomplete, complete or wrong. Magics' first lines are looked through."""
    if not text.strip():
        return Reading(Whole.EMPTY)
    head, body, offset = python_part(text)
    if body is None:
        return Reading(Whole.COMPLETE)
    if not body.strip():
        return Reading(Whole.INCOMPLETE if head.startswith("%%") else Whole.COMPLETE)
    return _reading_of_python(body, offset)


def python_part(text: str) -> tuple[str, str | None, int]:
    """The first line of a magic (or nothing), the Python to be checked (None: no Python) and how many lines precede it.

    `%px CODE`, `%lb CODE`, `%local CODE` and `%time CODE` are checked by whoever runs them: they are one line.
    """
    lead = len(text) - len(text.lstrip("\n"))
    stripped = text.lstrip()
    first, _, rest = stripped.partition("\n")
    if stripped.startswith("%%"):
        return first, rest, lead + 1
    if stripped.startswith(("%", "!")) or (re.fullmatch(r"\s*[\w.]+\?\??\s*", stripped)):
        return first, None, lead
    return "", text, 0


def _reading_of_python(body: str, offset: int) -> Reading:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            code = codeop.compile_command(body, "<cell>", "exec")
            if code is None:
                return Reading(Whole.INCOMPLETE)
            tree = ast.parse(body)
        except SyntaxError as error:
            fault = Fault(error.msg or "invalid syntax", (error.lineno or 1) - 1 + offset, (error.offset or 1) - 1)
            return Reading(Whole.WRONG, fault)
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            return Reading(Whole.WRONG, Fault(str(error), offset, 0))
    last_line = body.rpartition("\n")[2]
    if tree.body and isinstance(tree.body[-1], _COMPOUND) and last_line.strip():
        return Reading(Whole.INCOMPLETE)
    return Reading(Whole.COMPLETE)


def on_enter(text: str, row: int, *, shown_error: str | None = None) -> tuple[Enter, Fault | None]:
    """What enter does with the cursor in this row; shown_error: the text whose error stands there already."""
    found = reading(text)
    last = text.count("\n")
    match found.whole:
        case Whole.EMPTY:
            return Enter.NOTHING, None
        case Whole.INCOMPLETE:
            return Enter.NEW_LINE, None
        case Whole.WRONG:
            if text == shown_error:
                return Enter.RUN, None
            return Enter.SHOW_ERROR, found.fault
        case Whole.COMPLETE:
            return (Enter.RUN if row == last else Enter.NEW_LINE), None


def indent_after(text: str, row: int, column: int) -> str:
    """The blanks a new line begins with when the one with the cursor is broken there."""
    line = text.split("\n")[row][:column]
    code = _without_comment(line).rstrip()
    width = len(line) - len(line.lstrip(" "))
    if not code.strip():
        return " " * min(width, column)
    if code.endswith(":") or code[-1] in _OPENERS:
        return " " * (width + INDENT)
    if _LEAVES.match(code):
        return " " * max(0, width - INDENT)
    return " " * width


def _without_comment(line: str) -> str:
    quote = ""
    at = 0
    while at < len(line):
        letter = line[at]
        if quote:
            if letter == "\\":
                at += 1
            elif letter == quote:
                quote = ""
        elif letter in "'\"":
            quote = letter
        elif letter == "#":
            return line[:at]
        at += 1
    return line
