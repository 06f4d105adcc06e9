"""The work of `tuipar demo`: read and parse every Python file of the standard library, one task per file."""

from __future__ import annotations

import ast
import sys
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

LONGEST = 10  # functions of a file that can matter for the longest ten of all
SAID_EVERY = 100  # files after which an engine says how far it is

_files_here = count(1)  # of the process that parses, which is an engine

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where a statement keeps its statements


class LongFunction(NamedTuple):
    """A function and how long it is; path is relative to the library."""

    lines: int
    name: str
    path: str
    line: int


class Parsed(NamedTuple):
    """What one file holds."""

    path: str
    lines: int
    functions: int
    classes: int
    longest: list[LongFunction]


def library() -> Path:
    """The folder of the running Python's standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


def python_files(home: Path) -> list[str]:
    """Every .py file below a folder, relative to it, sorted; third-party packages are not the library's."""
    return sorted(
        str(path.relative_to(home))
        for path in home.rglob("*.py")
        if "site-packages" not in path.parts and "dist-packages" not in path.parts
    )


def parse_file(home: str, path: str) -> Parsed:
    """Parse one file, and print how many this process has seen every SAID_EVERY files, and each that cannot be parsed.

    Raises what reading and parsing raise: SyntaxError, UnicodeDecodeError, OSError.
    """
    if (number := next(_files_here)) % SAID_EVERY == 0:
        print(f"{number} files, now {path}")
    try:
        return _parsed(home, path)
    except (SyntaxError, ValueError, OSError) as error:
        print(f"{path}: {type(error).__name__}", file=sys.stderr)
        raise


def _parsed(home: str, path: str) -> Parsed:
    with tokenize.open(Path(home, path)) as file:
        text = file.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in old files
        tree = ast.parse(text, path)
    found = list(_definitions(tree, ""))
    functions = [
        LongFunction((node.end_lineno or node.lineno) - node.lineno + 1, name, path, node.lineno)
        for name, node in found
        if not isinstance(node, ast.ClassDef)
    ]
    longest = sorted(functions, reverse=True)[:LONGEST]
    lines = text.count("\n") + (bool(text) and not text.endswith("\n"))
    return Parsed(path, lines, len(functions), len(found) - len(functions), longest)


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    """All functions and classes with their qualified names. Only statements are walked: expressions hold none."""
    for name in _BLOCKS:
        for child in getattr(node, name, ()):
            if isinstance(child, Definition):
                yield f"{prefix}{child.name}", child
                yield from _definitions(child, f"{prefix}{child.name}.")
            else:
                yield from _definitions(child, prefix)
