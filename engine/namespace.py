"""The engine's namespace: the `__dict__` of a `__main__` module of its own, and what people do to it by name."""

from __future__ import annotations

import sys
import types
from typing import Any

from tuiparallel.wire import names

NEW = frozenset({"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__builtins__"})
"""The names of a module that nothing has been done to."""


class Namespace:
    """names is globals() of everything that runs here by value."""

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.names: dict[str, Any] = vars(self.module)
        self.install()

    def install(self) -> None:
        """Make it this process's `__main__`."""
        sys.modules["__main__"] = self.module
        names.adopt(self.names)

    def clear(self) -> None:
        """As new: no names but the module's own."""
        self.names.clear()
        self.names.update(__name__="__main__", __doc__=None, __package__=None, __loader__=None, __spec__=None)
        self.install()

    def push(self, values: dict[str, Any]) -> None:
        """Bind names; a dotted one sets an attribute of what its first parts name."""
        for name, value in values.items():
            owner, dot, attribute = name.rpartition(".")
            if dot:
                setattr(self.look_up(owner), attribute, value)
            else:
                self.names[name] = value

    def pull(self, expressions: list[str]) -> list[Any]:
        """The value of each expression. Raises what evaluating it raises."""
        return [self.look_up(expression) for expression in expressions]

    def look_up(self, expression: str) -> Any:
        """The value of a name, or of any other expression."""
        if expression in self.names:
            return self.names[expression]
        code = compile(expression.strip(), "<pull>", "eval", dont_inherit=True)
        return eval(code, self.names)
