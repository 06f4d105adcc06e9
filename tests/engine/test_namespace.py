"""A namespace of its own, in a process of its own: it replaces `__main__`."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from tuiparallel.engine.namespace import NEW, Namespace
space = Namespace()
assert sys.modules["__main__"] is space.module
assert set(space.names) == NEW
space.push({"a": 1, "b": type("Box", (), {})()})
space.push({"b.c": 2})
assert space.pull(["a", "b.c", " a + 1 "]) == [1, 2, 2]
try:
    space.push({"nope.c": 2})
except NameError as error:
    assert "nope" in str(error)
else:
    raise SystemExit("no NameError")
space.names["__name__"] = "other"
space.clear()
assert set(space.names) == NEW and space.names["__name__"] == "__main__"
print("fine")
"""


def test_names_come_and_go() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert done.stdout == "fine\n", done.stderr
