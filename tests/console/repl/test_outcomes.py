"""Equal outcomes are one line; what differs is marked; failures fold by kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.console.repl.outcomes import Part, difference, fold, places_text, usual_of


def test_two_of_256_are_different() -> None:
    parts = [Part(engine, True, "None!" if engine in (7, 9) else "12.0") for engine in range(256)]
    folded = fold(parts)
    assert [(group.text, group.count) for group in folded.values] == [("12.0", 254), ("None!", 2)]
    assert usual_of(folded) == "12.0"
    assert places_text(folded.values[1].places, False) == "e7,9"


def test_all_none_shows_nothing() -> None:
    folded = fold([Part(engine, True) for engine in range(4)])
    assert folded.all_none
    assert folded.nones == 4


def test_equal_failures_are_one_kind_whatever_their_numbers() -> None:
    parts = [Part(n, False, ename="ValueError", evalue=f"bad seed {n} at 0x{n:x}") for n in range(256)]
    parts.append(Part(256, False, ename="KeyError", evalue="'a'"))
    folded = fold(parts)
    assert [(group.count, group.text) for group in folded.failures] == [
        (256, "ValueError: bad seed 0 at 0x0"),
        (1, "KeyError: 'a'"),
    ]


def test_folding_is_bounded_and_counts_what_it_leaves_out() -> None:
    folded = fold([Part(n, True, str(n)) for n in range(1000)])
    assert len(folded.values) == 200
    assert folded.left_out == 800


def test_what_differs_is_marked() -> None:
    pieces = difference("loss 0.25 ok", "loss 0.31 ok")
    assert [(piece.text, piece.differs) for piece in pieces] == [("loss 0.", False), ("25", True), (" ok", False)]
    assert [piece.differs for piece in difference("same", "same")] == [False]


@given(st.text(max_size=20), st.text(max_size=20))
def test_pieces_are_the_text(text: str, usual: str) -> None:
    assert "".join(piece.text for piece in difference(text, usual)) == text


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.booleans(), st.integers(1, 3))))
def test_no_part_is_lost(rows: list[tuple[str, bool, int]]) -> None:
    parts = [Part(n, ok, value, ename="E", count=count) for n, (value, ok, count) in enumerate(rows)]
    folded = fold(parts)
    total = sum(group.count for group in [*folded.values, *folded.failures]) + folded.nones + folded.left_out
    assert total == sum(part.count for part in parts)
