"""Names that travelled: which ones do, and that builtins are exchanged only while they have to be."""

from __future__ import annotations

import builtins
import inspect
import linecache
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tuiparallel.wire import names, objects


@pytest.fixture
def namespace() -> Iterator[dict[str, Any]]:
    made: dict[str, Any] = {"__name__": "__main__"}
    names.adopt(made)
    yield made
    names.adopt(None)


def defined(code: str, **known: Any) -> dict[str, Any]:
    here: dict[str, Any] = {"__name__": "__main__", **known}
    exec(code, here)
    return here


def test_uses_are_found_at_any_depth() -> None:
    here = defined(
        "def f(x):\n"
        "    class C:\n"
        "        y = in_class_body\n"
        "        def m(self): return [in_comprehension for _ in x]\n"
        "    return direct, lambda: in_lambda\n"
    )
    found = names.uses(here["f"].__code__)
    assert {"direct", "in_class_body", "in_comprehension", "in_lambda"} <= set(found.names)
    assert {"in_class_body", "in_comprehension", "in_lambda"} <= found.inner and "direct" not in found.inner
    assert not found.rebinds
    assert not names.uses(defined("def f():\n global k\n k = 1")["f"].__code__).names


def test_rebinding_a_variable_of_an_enclosing_function_is_noticed() -> None:
    code = "def mk(n):\n def own():\n  nonlocal n\n  n += 1\n def below():\n  def deep():\n   nonlocal n\n   n = 2\n  return deep\n"
    here = defined(code + " def reads(): return n\n return own, below, reads")
    own, below, reads = here["mk"](1)
    assert [names.uses(f.__code__).rebinds for f in (own, below, reads)] == [True, True, False]


def test_only_names_that_exist_travel() -> None:
    here = defined("f = lambda: (a, nowhere, len, __name__)", a=1)
    assert names.travelling(here["f"]) == {"a": 1}
    assert names.travelling(defined("f = lambda: len", len=5)["f"]) == {"len": 5}


def test_builtins_of_the_namespace_are_the_real_ones_between_calls(namespace: dict[str, Any]) -> None:
    here = defined(
        "def g(x): return x\ndef f(xs): return [g(x) for x in xs]\ndef bad(xs): return [1 / g(x) for x in xs]"
    )
    f, bad = objects.unpack(objects.pack([here["f"], here["bad"]]).body)
    assert f([1]) == [1] and f.__globals__ is not here and "g" not in namespace
    assert namespace["__builtins__"] is vars(builtins)
    with pytest.raises(ZeroDivisionError):
        bad([0])
    assert namespace["__builtins__"] is vars(builtins) and not hasattr(builtins, "g")


def test_a_function_without_inner_names_is_itself(namespace: dict[str, Any]) -> None:
    here = defined("def g(x): return x\nf = lambda x: g(x)")
    f = objects.unpack(objects.pack(here["f"]).body)
    assert names.inner(f) is f and f.__globals__ is namespace and f(1) == 1


def test_a_shell_looks_like_the_function(namespace: dict[str, Any]) -> None:
    here = defined("def g(x): return x\ndef f(xs, *, k=1):\n    'doc'\n    return [g(x) for x in xs]\nf.tag = 5")
    f = objects.unpack(objects.pack(here["f"]).body)
    assert (f.__name__, f.__doc__, f.__module__, f.tag) == ("f", "doc", "__main__", 5)
    assert str(inspect.signature(f)) == "(xs, *, k=1)"
    assert f([1]) == [1] and isinstance(f, types.FunctionType)
    again = objects.unpack(objects.pack(f).body)
    assert again([2]) == [2] and names.inner(names.inner(again)) is names.inner(again)


def test_generators_take_values_errors_and_an_end(namespace: dict[str, Any]) -> None:
    code = """
def g(x): return x
def steps():
    got = []
    try:
        while True:
            try:
                got.append((yield [g(x) for x in got]))
            except KeyError:
                got.append('error')
    finally:
        closed.append(1)
"""
    steps = objects.unpack(objects.pack(defined(code, closed=[])["steps"]).body)
    run = steps()
    assert [next(run), run.send(1), run.throw(KeyError), run.send(2)] == [[], [1], [1, "error"], [1, "error", 2]]
    run.close()
    assert namespace["__builtins__"] is vars(builtins)


def test_in_a_client_functions_get_globals_of_their_own() -> None:
    here = defined("def g(x): return x + a\nf = lambda xs: [g(x) for x in xs]", a=1)
    f = objects.unpack(objects.pack(here["f"]).body)
    assert f([1]) == [2] and f.__globals__ is not here and f.__globals__["a"] == 1
    assert f.__globals__["__name__"] == "__main__"


def test_source_lines_are_shown_where_there_is_no_file(tmp_path: Path) -> None:
    name = str(tmp_path / "not" / "there.py")
    names.show(name, 3, "a = 1\nb = 2\n")
    names.show(name, 7, "c = 3\n")
    assert [linecache.getline(name, n) for n in (2, 3, 4, 7)] == ["\n", "a = 1\n", "b = 2\n", "c = 3\n"]
    linecache.checkcache()
    assert linecache.getline(name, 7) == "c = 3\n"
    real = tmp_path / "real.py"
    real.write_text("x\n")
    names.show(str(real), 1, "y\n")
    assert linecache.getline(str(real), 1) == "x\n"


def test_shown_files_are_bounded(tmp_path: Path) -> None:
    for number in range(names.SHOWN_FILES + 10):
        names.show(str(tmp_path / "none" / f"{number}.py"), 1, "a\n")
    assert len(names._shown) == names.SHOWN_FILES
    assert str(tmp_path / "none" / "0.py") not in linecache.cache
