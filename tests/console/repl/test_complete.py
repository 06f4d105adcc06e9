"""Completion: what is known here, what a namespace answers, and no user code on the way."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tuiparallel.console.repl import inspecting
from tuiparallel.console.repl.complete import at_once, call_before, merged
from tuiparallel.console.repl.magics import Seen


class Trap:
    """Every way to run its code raises."""

    value = 3

    def __init__(self) -> None:
        self.own = 1

    @property
    def danger(self) -> int:
        raise AssertionError("a property was run")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("__getattr__ was run")

    def __dir__(self) -> list[str]:
        raise AssertionError("__dir__ was run")

    def method(self, first, *, second=""):  # type: ignore[no-untyped-def]
        """Says what it does."""


NAMES: dict[str, Any] = {"trap": Trap(), "Trap": Trap, "os": os, "total": 1, "_hidden": 2}


@pytest.mark.parametrize(
    ("text", "has", "has_not"),
    [
        ("trap.", {"own", "value", "danger", "method"}, {"__init__"}),
        ("trap.__in", {"__init__"}, {"own"}),
        ("Trap.", {"value", "danger"}, {"own"}),
        ("os.path.jo", {"join"}, set()),
        ("to", {"total"}, set()),
        ("_h", {"_hidden"}, set()),
        ("pri", {"print"}, set()),
        ("whi", {"while"}, set()),
        ("trap.danger.", set(), {"real"}),
        ("nothing.", set(), {"x"}),
        ("f().", set(), {"x"}),
        ("'abc'.", set(), {"upper"}),
    ],
)
def test_names_come_out_of_dictionaries(text: str, has: set[str], has_not: set[str]) -> None:
    found = set(inspecting.complete(text, len(text), NAMES))
    assert has <= found
    assert not has_not & found


def test_many_names_are_bounded() -> None:
    assert len(inspecting.complete("n", 1, {f"n{i}": i for i in range(1000)})) == 200


def test_signature_and_description() -> None:
    assert inspecting.signature("trap.method", NAMES) == "trap.method(self, first, *, second='')"
    assert "Says what it does." in inspecting.describe("trap.method", NAMES)
    assert "def method" in inspecting.describe("trap.method", NAMES, source=True)
    assert inspecting.describe("nothing", NAMES) == ""
    assert inspecting.signature("total", NAMES) is None


def test_names_of_the_namespace_stand_before_builtins_and_keywords() -> None:
    options = at_once("x = pr", 6, Seen())
    assert options.start == 4
    assert options.wanted
    assert "print" in options.words
    found = merged(options, ["problem", "print", "price"], "x = pr", 6)
    assert found.words[:2] == ("problem", "price")
    assert found.words.count("print") == 1


def test_after_a_dot_only_the_namespace_is_asked() -> None:
    options = at_once("np.ar", 5, Seen())
    assert (options.start, options.words, options.wanted) == (3, (), True)
    assert merged(options, ["array", "np.arange", "bad name"], "np.ar", 5).words == ("array", "arange")


def test_magics_are_known_here() -> None:
    options = at_once("%tar", 4, Seen())
    assert (options.start, options.words, options.wanted) == (0, ("%targets",), False)
    options = at_once("%result 1", 9, Seen((1, 12)))
    assert (options.start, options.words) == (8, ("12", "1"))


@pytest.mark.parametrize(
    ("text", "name"), [("np.sum(", "np.sum"), ("f(g(1), ", "f"), ("f(g(", "g"), ("abs", "abs"), ("x = [1, ", "")]
)
def test_shift_tab_finds_the_call(text: str, name: str) -> None:
    assert call_before(text, len(text)) == name
