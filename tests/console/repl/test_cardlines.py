"""Cards as lines, at the widths there are; and when an end is foretold."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tuiparallel.console.glyphs import UNICODE
from tuiparallel.console.repl.card import Card, Pace, State, outcome_of
from tuiparallel.console.repl.cardlines import as_text, cell_line, lines_of
from tuiparallel.console.repl.child import MAX_PARTS, bounded
from tuiparallel.console.repl.modes import Mode
from tuiparallel.console.repl.outcomes import Grouping, Part, fold


def card_of(parts: list[Part], mode: Mode = Mode.PX, source: str = "f()") -> Card:
    """A finished cell."""
    card = Card(14, mode, f"{mode}[all]" if mode is not Mode.LOCAL else "local", source, 0.0)
    card.parts = tuple(parts)
    card.total = card.done = len(parts)
    card.failed = sum(not part.ok for part in parts)
    card.end(outcome_of(parts, 0, 0), 0.31)
    return card


def drawn(card: Card, width: int = 118, now: float = 1.0) -> list[str]:
    """Its lines as text."""
    return as_text(lines_of(card, width, UNICODE, now)).split("\n")


def test_256_engines_of_which_two_are_different_are_three_lines() -> None:
    parts = [Part(n, True, {7: "12.1", 9: "12.3"}.get(n, "12.0")) for n in range(256)]
    lines = drawn(card_of(parts))
    assert [line.strip() for line in lines[1:]] == ["254 × 12.0   e0-6,8,10-255", "1 × 12.1   e7", "1 × 12.3   e9"]


def test_256_equal_failures_are_one_line_and_its_cells_line() -> None:
    trace = 'Traceback (most recent call last):\n  File "<cell 3 on engine 1>", line 7, in <module>\nValueError: no\n'
    lines = drawn(card_of([Part(n, False, ename="ValueError", evalue="no", traceback=trace) for n in range(256)]))
    assert [line.strip() for line in lines[1:]] == ["256 × ValueError: no   e0-255   line 7 of this cell"]
    assert "✗ 256/256" in lines[0]


def test_all_none_is_the_head_alone() -> None:
    assert len(drawn(card_of([Part(n, True) for n in range(4)]))) == 1


def test_few_different_values_stand_side_by_side() -> None:
    lines = drawn(card_of([Part(n, True, str(n * n)) for n in range(4)]))
    assert lines[1].strip() == "4 different:   e0 0   e1 1   e2 4   e3 9"


def test_failures_are_seen_beside_many_values() -> None:
    parts = [Part(n, True, str(n)) for n in range(500)] + [Part(500, False, ename="KeyError", evalue="'a'")]
    card = card_of(parts)
    assert any("KeyError" in line for line in drawn(card))
    assert len(drawn(card)) <= 8
    card.unfolded = True
    assert len(drawn(card)) > 8


@pytest.mark.parametrize("grouping", [Grouping.ENGINE, Grouping.ORDER])
def test_other_groupings_have_a_line_per_part(grouping: Grouping) -> None:
    card = card_of(
        [Part(1, True, "b", ended=1.0), Part(0, True, "a", ended=2.0), Part(2, False, ename="E", ended=3.0)]
    )
    card.grouping = grouping
    order = ["e0", "e1", "e2"] if grouping is Grouping.ENGINE else ["e1", "e0", "e2"]
    assert [line.split()[0] for line in drawn(card)[1:]] == order


@pytest.mark.parametrize("width", [40, 58, 78, 98, 118, 198])
@pytest.mark.parametrize("state", list(State))
def test_the_head_fits_every_width(width: int, state: State) -> None:
    card = Card(1234, Mode.PX, "px[5 marked]", "très_long(" + "x, " * 100 + ")\nmore", 0.0, total=60_000, done=41_220)
    card.state = state
    card.failed = 12
    head = lines_of(card, width, UNICODE, 95.0)[0]
    assert sum(cell_len(text) for text, _ in head) <= width
    assert "[1234]" in head[0][0]


def test_unfolded_it_shows_text_and_traceback() -> None:
    card = card_of(
        [Part(0, False, ename="E", evalue="x", traceback="Traceback:\n  deep\nE: x")], source="a = 1\nf(a)"
    )
    card.unfolded = True
    text = "\n".join(drawn(card))
    for wanted in ("1  a = 1", "2  f(a)", "deep"):
        assert wanted in text


def test_times_are_told_when_asked_for() -> None:
    card = card_of([Part(n, True, seconds=0.1 * (n + 1)) for n in range(3)])
    card.timed = True
    assert drawn(card)[-1].strip() == "wall 310ms, running 100ms to 300ms, together 600ms"


def test_the_last_line_of_the_cell_in_a_traceback_counts() -> None:
    assert cell_line('File "<cell 1>", line 2, in f\nFile "/usr/x.py", line 9') == 2
    assert cell_line('File "/usr/x.py", line 9') is None


def test_the_end_is_within_20_percent_at_half_way() -> None:
    pace = Pace()
    for step in range(51):
        pace.add(step * 0.5, step * 10)
    found = pace.estimate(25.0, 1000)
    assert found is not None
    assert 20 <= found[0] <= 30


def test_a_stalled_or_young_rate_foretells_nothing() -> None:
    pace = Pace()
    for step in range(3):
        pace.add(step * 0.3, step)
    assert pace.estimate(0.6, 1000) is None
    for step in range(20):
        pace.add(1 + step * 0.5, 3 + step * 5)
    assert pace.estimate(11.0, 1000) is not None
    assert pace.estimate(60.0, 1000) is None


@pytest.mark.parametrize(
    ("enames", "aborted", "lost", "state"),
    [
        ([], 0, 0, State.DONE),
        (["ValueError"], 0, 0, State.ERRORS),
        (["KeyboardInterrupt", "AbortedTask"], 1, 0, State.INTERRUPTED),
        (["AbortedTask"], 1, 0, State.ABORTED),
        (["EngineError", "AbortedTask"], 1, 1, State.LOST),
        (["ValueError", "AbortedTask"], 1, 0, State.ERRORS),
    ],
)
def test_a_cells_state_is_its_worst_parts(enames: list[str], aborted: int, lost: int, state: State) -> None:
    parts = [Part(n, False, ename=name) for n, name in enumerate(enames)] + [Part(9, True)]
    assert outcome_of(parts, aborted, lost) is state


def test_a_large_maps_parts_are_bounded_with_exact_counts() -> None:
    parts = [
        Part(n, False, ename="ValueError", evalue=f"bad {n}") if n % 4 == 1 else Part(n, True, str(n // 8))
        for n in range(100_000)
    ]
    kept = bounded(parts)
    assert len(kept) <= MAX_PARTS + 1
    assert sum(part.count for part in kept) == 100_000
    folded = fold(kept)
    assert [(group.count, group.text) for group in folded.failures] == [(25_000, "ValueError: bad 1")]
    assert [part.place for part in kept if part.ok and part.place is not None] == sorted(
        part.place for part in kept if part.ok and part.place is not None
    )
