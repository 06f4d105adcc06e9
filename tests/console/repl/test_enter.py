"""The enter table, row by row, and how a new line is indented."""

from __future__ import annotations

import pytest

from tuiparallel.console.repl.enter import Enter, Whole, indent_after, on_enter, reading

NEW, RUN, ERROR, NOTHING = Enter.NEW_LINE, Enter.RUN, Enter.SHOW_ERROR, Enter.NOTHING

TABLE = [
    ("", 0, NOTHING),
    ("  \n ", 1, NOTHING),
    ("f(", 0, NEW),
    ("x = [1,\n 2,", 1, NEW),
    ('s = """abc', 0, NEW),
    ("for x in y:", 0, NEW),
    ("for x in y:\n    print(x)", 1, NEW),
    ("for x in y: print(x)", 0, NEW),
    ("for x in y:\n    print(x)\n", 2, RUN),
    ("for x in y:\n    print(x)\n    ", 2, RUN),
    ("def f():\n    return 1\n\nf()", 3, RUN),
    ("@cache\ndef f():\n    return 1", 2, NEW),
    ("class A: pass\n", 1, RUN),
    ("1 + 1", 0, RUN),
    ("a = 1\nb = 2", 1, RUN),
    ("a = 1\nb = 2", 0, NEW),
    ("x = \\", 0, NEW),
    ("1 +", 0, ERROR),
    ("print 'x'", 0, ERROR),
    ("  x", 0, ERROR),
    ("f(]", 0, ERROR),
    ("%targets 0-3", 0, RUN),
    ("%%map x in range(3)", 0, NEW),
    ("%%map x in range(3)\nx * x", 1, RUN),
    ("%%map x in range(3)\nif x:", 1, NEW),
    ("%%px -t 0\n1 +", 1, ERROR),
    ("!ls -l", 0, RUN),
    ("np.array?", 0, RUN),
    ("np.array??", 0, RUN),
]


@pytest.mark.parametrize(("text", "row", "what"), TABLE)
def test_the_table(text: str, row: int, what: Enter) -> None:
    assert on_enter(text, row)[0] is what


def test_a_second_enter_on_the_same_faulty_text_sends_it() -> None:
    assert on_enter("1 +", 0, shown_error="1 +")[0] is RUN
    assert on_enter("1 + +", 0, shown_error="1 +")[0] is ERROR


def test_the_fault_names_its_place_in_the_whole_text() -> None:
    fault = on_enter("%%px\nx = 1\ny = = 2", 2)[1]
    assert fault is not None
    assert (fault.row, fault.column) == (2, 4)


def test_odd_text_is_never_an_exception() -> None:
    for text in ("\0", "(" * 5000, "\ud800", "1" * 5000, "if" * 100, "'" * 3):
        assert reading(text).whole in Whole


@pytest.mark.parametrize(
    ("text", "row", "column", "blanks"),
    [
        ("for x in y:", 0, 11, 4),
        ("for x in y:  # why", 0, 18, 4),
        ("    if x:", 0, 9, 8),
        ("    return 1", 0, 12, 0),
        ("        break", 0, 13, 4),
        ("    x = 1", 0, 9, 4),
        ("f(", 0, 2, 4),
        ("d = {'#': [", 0, 11, 4),
        ("x = 1", 0, 5, 0),
        ("", 0, 0, 0),
        ("    ", 0, 4, 4),
        ("s = 'a:'", 0, 8, 0),
    ],
)
def test_a_new_line_is_indented_as_python_would(text: str, row: int, column: int, blanks: int) -> None:
    assert indent_after(text, row, column) == " " * blanks
