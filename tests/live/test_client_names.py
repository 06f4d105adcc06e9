"""Functions and names: every row of the table, on an engine of a real cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuiparallel.client.client import Client
from tuiparallel.client.directview import DirectView
from tuiparallel.errors import RemoteError
from tuiparallel.wire.functions import send_by_value

Here = Callable[[str], dict[str, Any]]


@pytest.fixture
def v(rc: Client) -> DirectView:
    return rc[0]


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, v: DirectView) -> Iterator[Any]:
    """A module beside the script, which engines can import too."""
    name = f"helpers_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("b = 1\ndef f():\n    return b\ndef mk():\n    return lambda: b\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    v.execute(f"import sys; sys.path.insert(0, {str(tmp_path)!r})", block=True)
    yield __import__(name)
    sys.modules.pop(name, None)


def test_n01_a_name_of_the_namespace(v: DirectView, here: Here) -> None:
    v.execute("a = 5", block=True)
    assert v.apply_sync(here("f = lambda: a")["f"]) == 5


def test_n02_a_name_from_here_travels(v: DirectView, here: Here) -> None:
    assert v.apply_sync(here("a = 1; f = lambda: a")["f"]) == 1


def test_n03_the_namespace_wins(v: DirectView, here: Here) -> None:
    v.execute("a = 5", block=True)
    assert v.apply_sync(here("a = 1; f = lambda: a")["f"]) == 5


def test_n04_without_it_what_travelled_is_seen_again(v: DirectView, here: Here) -> None:
    v.execute("a = 5", block=True)
    f = here("a = 1; f = lambda: a")["f"]
    assert v.apply_sync(f) == 5
    v.execute("del a", block=True)
    assert v.apply_sync(f) == 1


def test_n05_a_name_that_is_nowhere(v: DirectView, here: Here) -> None:
    with pytest.raises(NameError, match="name 'a' is not defined") as caught:
        v.apply_sync(here("f = lambda: a")["f"])
    assert isinstance(caught.value, RemoteError)


def test_n06_pull_asks_the_namespace_alone(v: DirectView, here: Here) -> None:
    here("a = 1")
    with pytest.raises(NameError):
        v.pull("a", block=True)


def test_n07_each_call_sees_the_values_it_was_sent_with(v: DirectView, here: Here) -> None:
    f = here("a = 1; f = lambda: a")["f"]
    first = v.apply_async(f)
    here("a = 2")
    assert (first.r, v.apply_sync(f)) == (1, 2)


def test_n08_what_travelled_is_not_in_globals(v: DirectView, here: Here) -> None:
    assert v.apply_sync(here("a = 1; f = lambda: a")["f"]) == 1
    assert v.apply_sync(here("g = lambda: 'a' in globals()")["g"]) is False


def test_n09_global_writes_into_the_namespace(v: DirectView, here: Here) -> None:
    inc = here("k = 0\ndef inc():\n    global k\n    k += 1\n    return k")["inc"]
    assert [v.apply_sync(inc), v.apply_sync(inc)] == [1, 2]
    assert here("")["k"] == 0


def test_n10_functions_travel_with_those_that_call_them(v: DirectView, here: Here) -> None:
    f = here("def g(x): return x + 1\ndef f(x): return g(x)")["f"]
    assert v.apply_sync(f, 1) == 2
    here("def g(x): return x + 10")
    assert v.apply_sync(f, 1) == 11


@pytest.mark.parametrize(
    "code",
    [
        "lambda xs: [g(x) for x in xs]",
        "lambda xs: (lambda: [g(x) for x in xs])()",
        "lambda xs: list(g(x) for x in xs)",
        "lambda xs: C().all(xs)",
    ],
)
def test_n11_nested_code_sees_what_travelled(v: DirectView, here: Here, code: str) -> None:
    here("def g(x): return x + 1\nclass C:\n    def all(self, xs): return [g(x) for x in xs]")
    assert v.apply_sync(here(f"f = {code}")["f"], [1]) == [2]


def test_n12_what_travelled_stays_with_a_pushed_function(v: DirectView, here: Here) -> None:
    v["f"] = here("def g(x): return x + 1\ndef f(x): return g(x)")["f"]
    v.execute("y = f(1)", block=True)
    assert v["y"] == 2


def test_n13_modules_are_imported_there(v: DirectView, here: Here) -> None:
    assert v.apply_sync(here("import numpy as np; f = lambda: np.pi")["f"]) == pytest.approx(3.14159, abs=1e-4)


def test_n14_travelled_names_come_before_builtins(v: DirectView, here: Here) -> None:
    assert v.apply_sync(here("def sum(x): return 'mine'\nf = lambda: sum([1])")["f"]) == "mine"


def test_n15_an_importable_function_sees_its_own_module(v: DirectView, helpers: Any) -> None:
    v.execute("b = 5", block=True)
    assert v.apply_sync(helpers.f) == 1


def test_n15_so_does_one_that_was_sent_by_value(
    v: DirectView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"sent_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("b = 1\ndef f():\n    return b\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__(name)
    v.execute("b = 5", block=True)
    send_by_value(module)
    assert v.apply_sync(module.f) == 1


def test_n16_a_nested_function_of_a_module_is_sent_by_value(v: DirectView, helpers: Any) -> None:
    assert v.apply_sync(helpers.mk()) == 1
    v.execute("b = 5", block=True)
    assert v.apply_sync(helpers.mk()) == 5


def test_n17_names_in_strings_do_not_travel(v: DirectView, here: Here) -> None:
    with pytest.raises(NameError):
        v.apply_sync(here("a = 1; f = lambda: eval('a')")["f"])


def test_n18_classes_keep_their_identity(v: DirectView, here: Here) -> None:
    names = here("class P: pass\nf = lambda: P()")
    assert isinstance(v.apply_sync(names["f"]), names["P"])


def test_n19_a_travelled_list_is_each_calls_own(v: DirectView, here: Here) -> None:
    f = here("seen = []; f = lambda: seen.append(1) or seen")["f"]
    assert [v.apply_sync(f), v.apply_sync(f)] == [[1], [1]]


def test_n20_the_namespace_lives(v: DirectView, here: Here) -> None:
    v.execute("x = []", block=True)
    f = here("f = lambda: x.append(1) or x")["f"]
    assert [v.apply_sync(f), v.apply_sync(f)] == [[1], [1, 1]]
