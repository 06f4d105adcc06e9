"""What a function holds: noticed when it changes, and whether calls can change it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tuiparallel.wire.held import holding


def made(code: str, **known: Any) -> Any:
    here: dict[str, Any] = {"__name__": "__main__", **known}
    exec(code, here)
    return here["f"]


@pytest.mark.parametrize(
    ("code", "comparable", "stateful"),
    [
        ("def f(): return 1", True, False),
        ("a = (1, 'x', (2.5,), frozenset({3}))\ndef f(): return a", True, False),
        ("import math\ndef f(): return math.pi", True, False),
        ("def g(): return 1\ndef f(): return g()", True, False),
        ("def f(n): return f(n - 1)", True, False),
        (
            "class C:\n n = 1\n @property\n def p(self): return 1\n @staticmethod\n def s(): pass\ndef f(): return C()",
            True,
            False,
        ),
        ("import enum\nclass E(enum.Enum):\n A = 1\ndef f(): return E.A", True, False),
        ("import dataclasses\n@dataclasses.dataclass\nclass D:\n a: int = 1\ndef f(): return D()", True, False),
        ("from typing import NamedTuple\nclass N(NamedTuple):\n a: int = 1\ndef f(): return N()", True, False),
        ("import abc\nclass A(abc.ABC):\n @abc.abstractmethod\n def m(self): pass\ndef f(): return A", True, False),
        ("a = []\ndef f(): return a", False, True),
        ("a = ([],)\ndef f(): return a", False, True),
        ("def f(x={}): return x", False, True),
        ("def f(*, x={}): return x", False, True),
        ("def g(): return []\ng.memory = []\ndef f(): return g()", False, True),
        ("def f(): pass\nf.n = 1", True, True),
        ("def mk():\n n = 1\n def f():\n  nonlocal n\n  n += 1\n return f\nf = mk()", True, True),
        ("class C:\n seen = []\ndef f(): return C()", False, True),
        ("class C: pass\na = C()\ndef f(): return a", False, True),
    ],
)
def test_what_can_change(code: str, comparable: bool, stateful: bool) -> None:
    found = holding(made(code))
    assert (found.comparable, found.stateful) == (comparable, stateful)
    assert found.same_as(holding(made(code))) is False  # another function, though of the same text


def test_arrays_may_change_here_and_not_there() -> None:
    found = holding(made("def f(): return a", a=np.zeros(3)))
    assert (found.comparable, found.stateful) == (False, False)
    found = holding(made("def f(): return a", a=np.zeros(3, dtype=object)))
    assert (found.comparable, found.stateful) == (False, True)


def test_the_same_function_is_the_same_until_something_changes() -> None:
    f = made("a = 1\ndef g(): return a\ndef f(): return g()", math=math)
    before = holding(f)
    assert before.same_as(holding(f))
    f.__globals__["a"] = 2
    assert not before.same_as(holding(f))
    f.__globals__["a"] = 1
    assert before.same_as(holding(f))
    f.__defaults__ = (1,)
    assert not before.same_as(holding(f))


def test_what_holds_very_much_is_packed_each_time() -> None:
    found = holding(made("a = tuple(range(10_000))\ndef f(): return a"))
    assert (found.comparable, found.stateful) == (False, True)
