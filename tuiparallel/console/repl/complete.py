"""Completion: what is known here at once, merged with what an engine or the child answers. No widget in this file."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tuiparallel.console.repl import magics
from tuiparallel.console.repl.inspecting import MAX_NAMES, path_before

_WORD = re.compile(r"[%\w]*\Z")
_LOCAL = sorted(set(keyword.kwlist) | {name for name in vars(builtins) if not name.startswith("_")})


@dataclass(frozen=True, slots=True)
class Options:
    """What stands between start and the cursor may become one of these words. wanted: more is to be asked elsewhere."""

    start: int
    words: tuple[str, ...]
    wanted: bool


def at_once(text: str, cursor: int, seen: magics.Seen) -> Options:
    """Magics, keywords and builtins; names of a namespace are still to be asked for when `wanted`."""
    found = magics.complete(text, cursor, seen)
    if found is not None:
        before = text[:cursor]
        start = (
            cursor - len(before.rpartition(" ")[2]) if " " in before.lstrip() else len(before) - len(before.lstrip())
        )
        return Options(start, tuple(found[:MAX_NAMES]), False)
    path = path_before(text, cursor)
    start = word_start(text, cursor)
    if not path:
        return Options(cursor, (), False)
    if "." in path:
        return Options(start, (), True)
    return Options(start, tuple(name for name in _LOCAL if name.startswith(path)), True)


def word_start(text: str, cursor: int) -> int:
    """Where the word begins that ends at the cursor."""
    found = _WORD.search(text[:cursor])
    return found.start() if found else cursor


def merged(options: Options, answer: Iterable[str], text: str, cursor: int) -> Options:
    """The names that were answered first, then keywords and builtins; each once, at most MAX_NAMES."""
    prefix = text[options.start : cursor]
    names = [name.rpartition(".")[2] for name in answer if isinstance(name, str)]
    fitting = [name for name in names if name.startswith(prefix) and name.isidentifier()]
    seen = dict.fromkeys([*fitting, *options.words])
    # A builtin that came back with the names keeps its place behind the names of the namespace.
    known = set(_LOCAL)
    ordered = [name for name in seen if name not in known] + [name for name in seen if name in known]
    return Options(options.start, tuple(ordered[:MAX_NAMES]), False)


def common_prefix(words: Iterable[str]) -> str:
    """What all of them begin with."""
    from os.path import commonprefix

    return commonprefix(list(words))


def call_before(text: str, cursor: int) -> str:
    """The dotted name whose call the cursor is in, or that ends at the cursor: what shift+tab shows."""
    depth = 0
    at = cursor - 1
    while at >= 0 and cursor - at < 2000:
        letter = text[at]
        if letter in ")]}":
            depth += 1
        elif letter in "([{":
            if depth == 0 and letter == "(":
                return path_before(text, at)
            depth = max(0, depth - 1)
        at -= 1
    return path_before(text, cursor)
