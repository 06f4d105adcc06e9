"""The work of `tuipar demo`: read and parse every Python file of the standard library, one task per file."""

from __future__ import annotations

import ast
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LONGEST = 10  # functions of a file that can matter for the longest ten of all


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
    """Parse one file. Raises what reading and parsing raise: SyntaxError, UnicodeDecodeError, OSError."""
    with tokenize.open(Path(home, path)) as file:
        text = file.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in old files
        tree = ast.parse(text, path)
    classes = sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree))
    functions = [
        LongFunction((node.end_lineno or node.lineno) - node.lineno + 1, name, path, node.lineno)
        for name, node in _functions(tree, "")
    ]
    longest = sorted(functions, reverse=True)[:LONGEST]
    return Parsed(path, text.count("\n") + (not text.endswith("\n") and bool(text)), len(functions), classes, longest)


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)
