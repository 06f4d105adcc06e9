"""The prompt says where code goes, and targets are what people type."""

from __future__ import annotations

import pytest

from tuiparallel.console.repl.modes import ALL, Mode, TargetError, Targets, Where, parse_targets

THERE = (0, 1, 2, 3, 7)


@pytest.mark.parametrize(
    ("where", "gone", "label"),
    [
        (Where(), (), "px[all]"),
        (Where(Mode.PX, Targets((0, 1, 2, 3))), (), "px[0-3]"),
        (Where(Mode.PX, Targets((1, 2), "2 marked")), (), "px[2 marked]"),
        (Where(Mode.LB), (), "lb[all]"),
        (Where(Mode.LB, Targets((3,))), (), "lb[3]"),
        (Where(Mode.LOCAL, Targets((3,))), (), "local"),
        (Where(Mode.PX, Targets((0, 1, 9))), (9,), "px[0-1,9, 9 gone]"),
    ],
)
def test_the_prompt(where: Where, gone: tuple[int, ...], label: str) -> None:
    assert where.label(gone) == label


def test_modes_go_round() -> None:
    assert [mode.next for mode in Mode] == [Mode.LB, Mode.LOCAL, Mode.PX]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", None),
        ("all", None),
        ("0-3", (0, 1, 2, 3)),
        ("0,7", (0, 7)),
        ("2-9", (2, 3, 7)),
        ("7 0", (7, 0)),
        ("marked", (1, 2)),
    ],
)
def test_targets(text: str, ids: tuple[int, ...] | None) -> None:
    assert parse_targets(text, THERE, (2, 1)).ids == ids


@pytest.mark.parametrize("text", ["5", "8-9", "3-1", "1,,x", "host:n001", "-"])
def test_what_names_no_engine_says_why(text: str) -> None:
    with pytest.raises(TargetError) as error:
        parse_targets(text, THERE)
    assert str(error.value)


def test_a_query_is_frozen_into_ids_and_keeps_its_name() -> None:
    targets = parse_targets("host:n001", THERE, query=lambda text: [3, 1] if text == "host:n001" else [])
    assert targets == Targets((1, 3), "host:n001")
    with pytest.raises(TargetError, match="no engine matches"):
        parse_targets("host:n002", THERE, query=lambda text: [])


def test_marks_without_any() -> None:
    with pytest.raises(TargetError, match="space"):
        parse_targets("marked", THERE)


def test_gone_targets_are_told_apart() -> None:
    targets = Targets((0, 4, 7))
    assert targets.gone(THERE) == (4,)
    assert targets.without((4,)).ids == (0, 7)
    assert ALL.gone(()) == ()
