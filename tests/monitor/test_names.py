"""Names as numbers."""

from __future__ import annotations

from tuiparallel.monitor.names import OTHERS, Names


def test_equal_names_have_one_number_and_are_safe() -> None:
    names = Names()
    one, other = names.index("fit"), names.index("evil\x1b[2J\n")
    assert names.index("fit") == one != other
    assert names.texts[one] == "fit" and names.texts[other] == "evil "


def test_beyond_the_bound_they_are_others() -> None:
    names = Names(limit=2)
    assert [names.texts[names.index(text)] for text in ("a", "b", "c", "a")] == ["a", "b", OTHERS, "a"]
    assert len(names) == 3
