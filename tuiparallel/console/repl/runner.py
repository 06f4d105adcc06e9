"""How a cell runs where it runs: on an engine (balanced cells, maps) or in the console's child process.

Sent by reference, so only the standard library is imported here. Names live in the `__main__` of the process.
"""

from __future__ import annotations

import ast
import io
import linecache
import pickle
import subprocess
import sys
from collections import OrderedDict
from types import CodeType
from typing import Any

MAX_TEXT = 256 << 10  # characters of a value that are shown
MAX_PICKLED = 1 << 20  # bytes of a value that travel beside its text
_KEPT_SOURCES = 200
_sources: OrderedDict[str, None] = OrderedDict()
_bodies: OrderedDict[tuple[str, str, str], Any] = OrderedDict()


class CellValue:
    """What the last expression of a balanced cell gave: its text, and the value itself, unpickled when asked for.

    pickled is empty when the value cannot be sent or is larger than a megabyte; `why` says which.
    """

    def __init__(self, text: str, pickled: bytes = b"", why: str = "") -> None:
        self.text = text
        self.pickled = pickled
        self.why = why

    @property
    def value(self) -> Any:
        """The value. Raises ValueError when it did not travel."""
        if not self.pickled:
            raise ValueError(f"the value stayed on its engine: {self.why}")
        return pickle.loads(self.pickled)

    def __repr__(self) -> str:
        return self.text


def remember(filename: str, source: str) -> None:
    """Lets tracebacks show the lines of a cell; the newest cells only."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    _sources[filename] = None
    _sources.move_to_end(filename)
    while len(_sources) > _KEPT_SOURCES:
        oldest, _ = _sources.popitem(last=False)
        linecache.cache.pop(oldest, None)


def compiled(source: str, filename: str) -> tuple[CodeType, CodeType | None]:
    """The statements of a cell, and its last expression apart (None: it ends in a statement, or in `;`)."""
    tree = ast.parse(source, filename)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
        return compile(tree, filename, "exec", dont_inherit=True), None
    tree.body.pop()
    expression = ast.Expression(last.value)
    return (
        compile(tree, filename, "exec", dont_inherit=True),
        compile(expression, filename, "eval", dont_inherit=True),
    )


def namespace() -> dict[str, Any]:
    """The names cells live in: those of this process's `__main__`."""
    return sys.modules["__main__"].__dict__


def run(source: str, filename: str, names: dict[str, Any]) -> Any:
    """Runs a cell and returns the value of its last expression, None when there is none."""
    remember(filename, source)
    body, last = compiled(source, filename)
    exec(body, names)
    return None if last is None else eval(last, names)


def shown(value: Any) -> str:
    """The text of a value, cut at MAX_TEXT; a `__repr__` that raises is told, not raised."""
    try:
        text = repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}: {error}>"
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… {len(text) - MAX_TEXT:,} characters more"
    return text


def run_cell(source: str, filename: str) -> CellValue | None:
    """A balanced cell: runs in this engine's namespace; its last value comes back as text, and pickled when small."""
    names = namespace()
    value = run(source, filename, names)
    if value is None:
        return None
    names["_"] = value
    text = shown(value)
    try:
        pickled = _pickled(value)
    except Exception as error:
        return CellValue(text, why=f"{type(error).__name__}: {error}")
    if len(pickled) > MAX_PICKLED:
        return CellValue(text, why=f"{len(pickled):,} bytes are more than a cell brings back; use dview.pull")
    return CellValue(text, pickled)


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:
        import cloudpickle

        beside = io.BytesIO()
        cloudpickle.dump(value, beside, protocol=5)
        return beside.getvalue()


class EachElement:
    """The body of `%%map x in EXPR` as a function of one element; the last expression is the value.

    Names that the body assigns belong to the call, so elements cannot meet in the namespace; it reads the engine's.
    """

    def __init__(self, source: str, target: str, filename: str) -> None:
        self.source = source
        self.target = target
        self.filename = filename
        self.__name__ = f"map {target}"

    def __call__(self, element: Any) -> Any:
        key = (self.source, self.target, self.filename)
        body = _bodies.get(key)
        if body is None or body.__globals__ is not namespace():
            body = _bodies[key] = body_function(*key)
            while len(_bodies) > _KEPT_SOURCES:
                _bodies.popitem(last=False)
        return body(element)


def body_function(source: str, target: str, filename: str) -> Any:
    """A function of one argument that binds it to `target` and runs the source. Raises SyntaxError as the source would."""
    remember(filename, source)
    tree = ast.parse(source, filename)
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        tree.body[-1] = ast.copy_location(ast.Return(last.value), last)
    binding = ast.parse(f"{target} = __element__", filename)
    function = ast.parse("def cell(__element__): pass", filename).body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = [*binding.body, *tree.body]
    module = ast.fix_missing_locations(ast.Module([function], []))
    made: dict[str, Any] = {}
    names = namespace()
    code = compile(module, filename, "exec", dont_inherit=True)
    exec(code, names, made)
    return made["cell"]


def shell(command: str) -> None:
    """Runs a shell command where the cell runs; what it prints is the cell's output."""
    sys.stdout.flush()
    sys.stderr.flush()
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        print(f"exit status {done.returncode}", file=sys.stderr)


def shell_source(command: str) -> str:
    """Python that runs a shell command, for wherever a cell runs."""
    return (
        "import tuiparallel.console.repl.runner as _runner\n"
        f"try:\n    _runner.shell({command!r})\nfinally:\n    del _runner"
    )


def names_in(space: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, type and a short text of every name a user has put into a namespace."""
    found: list[tuple[str, str, str]] = []
    for name in sorted(name for name in space if not name.startswith("_")):
        value = space[name]
        kind = type(value).__name__
        length = ""
        if isinstance(value, (str, bytes, bytearray, list, tuple, dict, set, frozenset, range)):
            length = f"{len(value):,}"
        found.append((name, kind, length))
    return found
