"""Source code that runs in an engine's namespace, a cell at a time, as a notebook would run it."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from tuiparallel.engine.display import Bundle, bundle

REMEMBERED = 500  # cells whose lines tracebacks can still show

Awaiter = Callable[[Coroutine[Any, Any, Any]], Any]


class Cells:
    """Runs cells; what they display waits in outputs and result until it is taken."""

    def __init__(self, namespace: dict[str, Any], wait: Awaiter) -> None:
        self.engine = -1
        self.count = 0
        self.outputs: list[Bundle] = []
        self.result: dict[str, Any] | None = None
        self._namespace = namespace
        self._wait = wait
        self._files: deque[str] = deque()

    def run(self, code: str, filename: str | None, silent: bool) -> None:
        """Execute code; unless silent the value of a last expression is displayed. Raises whatever the code raises."""
        self.count += 1
        name = filename or f"<cell {self.count} on engine {self.engine}>"
        source = _source(code)
        self._remember(name, source)
        tree = compile(source, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        last = tree.body[-1] if tree.body else None
        if silent or not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
            self._execute(tree, name)
            return
        self._execute(ast.Module(tree.body[:-1], tree.type_ignores), name)
        value = self._execute(ast.Expression(last.value), name)
        if value is not None:
            self.result = {**bundle(value), "execution_count": self.count}

    def show(self, *values: Any) -> None:
        """What `display` does in a task: add these to its outputs."""
        self.outputs += [bundle(value) for value in values]

    @property
    def shown(self) -> bool:
        """Whether there is something to take."""
        return bool(self.outputs) or self.result is not None

    def take(self) -> tuple[list[Bundle], dict[str, Any] | None]:
        """What the task that has just ended displayed."""
        outputs, result = self.outputs, self.result
        self.outputs, self.result = [], None
        return outputs, result

    def _execute(self, tree: ast.Module | ast.Expression, name: str) -> Any:
        mode = "eval" if isinstance(tree, ast.Expression) else "exec"
        code = compile(tree, name, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        value = eval(code, self._namespace)
        return self._wait(value) if code.co_flags & inspect.CO_COROUTINE else value

    def _remember(self, name: str, source: str) -> None:
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        self._files.append(name)
        if len(self._files) > REMEMBERED:
            oldest = self._files.popleft()
            if oldest not in self._files:
                linecache.cache.pop(oldest, None)


def _source(code: str) -> str:
    """The code with its common indentation and an unfinished last line's removed, as pasted code often has them."""
    if code[:1] in (" ", "\t"):
        code = textwrap.dedent(code)
    body, line, rest = code.rpartition("\n")
    return body + line if line and not rest.strip() else code
