"""Which part of a value cannot be sent, in words."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from tuiparallel.wire.unsendable import whats_wrong

LOCK = threading.Lock()


@dataclasses.dataclass(slots=True)
class Slots:
    part: Any


class Plain:
    def __init__(self, part: Any) -> None:
        self.part = part

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, "value"),
        ([1, LOCK], "value[1]"),
        ((LOCK,), "value[0]"),
        ({"a": [LOCK]}, "value['a'][0]"),
        (Plain(LOCK), "value.part"),
        (Slots(LOCK), "value.part"),
        (Plain(LOCK).method, "value.__self__.part"),
        ({LOCK: 1}, f"value key {LOCK!r}"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_paths(value: Any, path: str) -> None:
    assert whats_wrong(value, "value", TypeError("?")) == f"{path}: cannot pickle '_thread.lock' object"


def test_parts_of_functions() -> None:
    here: dict[str, Any] = {"lock": threading.Lock(), "__name__": "__main__"}
    exec(
        "def uses(): return lock\n"
        "def mk(x):\n def closes(): return x\n return closes\n"
        "def default(x=lock): pass\n"
        "def keyword(*, x=lock): pass\n",
        here,
    )
    for function, path in (
        (here["uses"], "value, global name 'lock' used by uses"),
        (here["mk"](here["lock"]), "value, variable 'x' used by mk.<locals>.closes"),
        (here["default"], "value, default 1 of default"),
        (here["keyword"], "value, default of 'x' of keyword"),
    ):
        assert whats_wrong(function, "value", TypeError("?")).startswith(f"{path}: cannot pickle")


def test_calls_name_their_arguments() -> None:
    assert whats_wrong(((1, LOCK), {}), "call", TypeError("?")).startswith("argument 2: cannot pickle")
    assert whats_wrong(((), {"key": [LOCK]}), "call", TypeError("?")).startswith("argument key[0]: cannot pickle")


def test_a_very_wide_value_is_not_searched_for_ever() -> None:
    message = whats_wrong([[[LOCK]] for _ in range(5)] + list(range(100_000)), "value", TypeError("?"))
    assert message.startswith("value[0][0][0]: ")
    hidden: list[Any] = [*range(5000), LOCK]
    assert whats_wrong(hidden, "value", TypeError("?")).startswith("value: cannot pickle '_thread.lock' object")


def test_what_only_fails_as_a_whole_is_named_as_a_whole() -> None:
    class Odd:
        def __reduce__(self) -> Any:
            raise KeyError("no")

    message = whats_wrong([Odd()], "value", KeyError("no"))
    assert message.startswith("value[0]: cannot pickle it: KeyError: 'no' (in an object of type ")
