"""Questions about a namespace, none of which may run its code."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from tuiparallel.engine import inquiries
from tuiparallel.engine.interrupts import user_code
from tuiparallel.wire.messages import Inquiry


class Trap:
    """A class whose attributes must not be computed."""

    here: int = 1

    def __init__(self) -> None:
        self.own_value = 2

    @property
    def boom(self) -> int:
        raise AssertionError("evaluated")

    def method(self, a: int, b: int = 2, *rest: int, c: int, **more: int) -> None:
        """What it does."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("asked")

    def __repr__(self) -> str:
        raise AssertionError("shown")

    def __sizeof__(self) -> int:
        raise AssertionError("measured")

    def __dir__(self) -> list[str]:
        raise AssertionError("listed")


@pytest.fixture
def names() -> dict[str, Any]:
    return {
        "__name__": "__main__",
        "__builtins__": {"len": len, "list": list},
        "trap": Trap(),
        "array": np.zeros(1000),
        "number": 5,
        "threading": threading,
    }


def test_names_have_types_and_sizes(names: dict[str, Any]) -> None:
    rows = {name: (kind, size) for name, kind, size in inquiries.list_names(names)}
    assert set(rows) == {"trap", "array", "number", "threading"}
    assert rows["array"] == ("numpy.ndarray", 8000)
    assert rows["number"][0] == "int"
    assert rows["trap"][0].endswith("Trap")


def test_completion_walks_dicts_and_classes(names: dict[str, Any]) -> None:
    assert inquiries.complete(names, "nu", 2) == ["number"]
    assert inquiries.complete(names, "x = le", 6) == ["len"]
    assert inquiries.complete(names, "threading.curr", 14) == ["threading.currentThread", "threading.current_thread"]
    assert inquiries.complete(names, "trap.", 5) == ["trap.boom", "trap.here", "trap.method", "trap.own_value"]
    assert inquiries.complete(names, "trap.boom.", 10) == []
    assert inquiries.complete(names, "nu ber", 2) == ["number"]
    assert inquiries.complete(names, "(", 1) == []


def test_descriptions_have_signature_and_text(names: dict[str, Any]) -> None:
    text = inquiries.describe(names, "trap.method")
    assert "(self, a, b=..., *rest, c, **more)" in text and "What it does." in text
    assert "new lock object" in inquiries.describe(names, "threading.Lock")
    assert inquiries.describe(names, "nope") == ""
    assert inquiries.describe(names, "trap").startswith("trap: ")


def test_the_stack_begins_at_user_code() -> None:
    found: list[str] = []

    def inner() -> None:
        import sys

        found.append(inquiries.stack(sys._getframe()))

    user_code(inner)
    assert "in inner" in found[0] and "user_code" not in found[0] and "test_the_stack" not in found[0]
    assert inquiries.stack(None) == ""


def test_an_unknown_question_is_an_error() -> None:
    body, error = inquiries.answer(Inquiry(1, "weather"), {}, 0)
    assert body is None and error is not None and "weather" in error.evalue
