"""sync_imports: import statements of a with-block that happen here and on the engines.

What a statement binds, `as` included, is read from the code around the running import instruction: __import__ itself is
not told. Only imports of the block's own frame and thread are taken.
"""

from __future__ import annotations

import builtins
import dis
import importlib.util
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuiparallel.client.directview import DirectView

_STORES = ("STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "STORE_DEREF")
_lock = threading.Lock()


@contextmanager
def sync_imports(view: DirectView, local: bool, quiet: bool) -> Iterator[None]:
    """Run the block's imports on the view's engines, and with `local` here too."""
    frame = sys._getframe(2)  # above this generator and contextlib's __enter__
    thread = threading.get_ident()
    original = builtins.__import__

    def importing(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> types.ModuleType | _Nothing:
        caller = sys._getframe(1)
        if caller is not frame or threading.get_ident() != thread:
            return original(name, globals, locals, fromlist, level)
        package = (globals or {}).get("__package__") or ""
        absolute = importlib.util.resolve_name("." * level + name, package) if level else name
        statement = _statement(caller, absolute, fromlist or ())
        module = original(name, globals, locals, fromlist, level) if local else _Nothing()
        if not quiet:
            print(f"{statement} on {view!r}")
        view.execute(statement, block=True)
        return module

    with _lock:
        builtins.__import__ = importing  # type: ignore[assignment]
    try:
        yield
    finally:
        with _lock:
            builtins.__import__ = original


def _statement(frame: types.FrameType, name: str, fromlist: tuple[str, ...]) -> str:
    """The import statement that this frame is executing."""
    if "*" in fromlist:
        return f"from {name} import *"
    following = [step for step in dis.get_instructions(frame.f_code) if step.offset > frame.f_lasti]
    parts: list[str] = []
    taken: str | None = None
    for step in following:
        if step.opname == "IMPORT_FROM":
            taken = step.argval
        elif step.opname in _STORES:
            if not fromlist:
                whole = step.argval == name.partition(".")[0] and taken is None
                return f"import {name}" if whole else f"import {name} as {step.argval}"
            parts.append(str(taken) if taken == step.argval else f"{taken} as {step.argval}")
            if len(parts) == len(fromlist):
                break
    return f"from {name} import {', '.join(parts or fromlist)}"


class _Nothing:
    """What is bound here by an import that is done on the engines alone."""

    def __getattr__(self, name: str) -> _Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self
