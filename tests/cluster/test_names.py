"""Which names clusters may have."""

from __future__ import annotations

import pytest

from tuiparallel.cluster.names import LONGEST, checked_name, new_name


@pytest.mark.parametrize("name", ["a", "0", "lab", "my.lab_2-x", "x" * LONGEST])
def test_allowed(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a/b", "allowed are"),
        ("", "cannot be empty"),
        ("x" * 33, "at most 32"),
        (".lab", "beginning with"),
        ("-lab", "beginning with"),
        ("..", "beginning with"),
        ("a b", "allowed are"),
        ("lab\n", "allowed are"),
        ("é", "allowed are"),
    ],
)
def test_b10_others_are_refused_with_the_rule(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked_name(name)


def test_no_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="is a str"):
        checked_name(5)


def test_new_names_are_allowed_and_not_taken() -> None:
    taken: set[str] = set()
    for _ in range(500):
        name = new_name(taken)
        assert checked_name(name) == name
        assert name not in taken
        taken.add(name)


def test_a_new_name_is_found_when_all_pairs_are_taken() -> None:
    class Full:
        def __contains__(self, name: object) -> bool:
            return True

    assert checked_name(new_name(Full()))
