"""Every magic has a help, a completion and a meaning; what is written wrongly says how it is right."""

from __future__ import annotations

import pytest

from tuiparallel.console.repl.commands import Commander
from tuiparallel.console.repl.magics import (
    MAGICS,
    Command,
    Inspect,
    MagicError,
    MapCell,
    Seen,
    Send,
    complete,
    help_text,
    parse_cell,
)
from tuiparallel.console.repl.modes import Mode, Targets, Where
from tuiparallel.console.repl.outcomes import Grouping

PX = Where()
SEEN = Seen((1, 2, 12), (0, 1))


def test_plain_code_goes_where_the_prompt_says() -> None:
    where = Where(Mode.LB, Targets((1,)))
    assert parse_cell("x = 1\n\n", where) == Send("x = 1", where)


def test_pasted_code_with_one_indent_for_all_runs() -> None:
    assert parse_cell("    x = 1\n    y = 2", PX) == Send("x = 1\ny = 2", PX)


@pytest.mark.parametrize(
    ("text", "mode", "source"),
    [("%px x + 1", Mode.PX, "x + 1"), ("%lb f()", Mode.LB, "f()"), ("%local rc.ids", Mode.LOCAL, "rc.ids")],
)
def test_a_line_in_another_mode(text: str, mode: Mode, source: str) -> None:
    plan = parse_cell(text, Where(Mode.LOCAL))
    assert isinstance(plan, Send)
    assert (plan.where.mode, plan.source) == (mode, source)


def test_options_of_a_cell() -> None:
    plan = parse_cell("%%px -t 0-2 --block --group engine\nx\ny", PX)
    assert plan == Send("x\ny", PX, "0-2", True, Grouping.ENGINE)


def test_map_is_read() -> None:
    plan = parse_cell("%%map -c 10 a, b in zip(xs, ys)\na + b", PX)
    assert plan == MapCell("a + b", "a, b", "zip(xs, ys)", PX.in_mode(Mode.LB), 10)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("%%map x\nx", "x in EXPR"),
        ("%%map x in range(3)", "next line"),
        ("%%map 3 in range(3)\nx", "3"),
        ("%%map x in range(\nx", "range("),
        ("%tragets 1", "targets"),
        ("%%targets\nx", "line"),
        ("%map x in y", "cell"),
        ("%px", "nothing to run"),
        ("%%px -t\nx", "-t wants"),
        ("%%px --group odd\nx", "identical, engine, order"),
        ("%push 1x", "1x"),
        ("%push", "name"),
        ("%run", "file"),
        ("%block now", "%block"),
        ("!", "command"),
        ("%px x\ny", "%%"),
    ],
)
def test_what_is_written_wrongly_says_how_it_is_right(text: str, says: str) -> None:
    with pytest.raises(MagicError) as error:
        parse_cell(text, PX)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("%push a b", "dview.push({'a': a, 'b': b}, block=True)\nNone"),
        ("%pull a", "a = dview.pull('a', block=True)\na"),
        ("%scatter a", "dview.scatter('a', a, block=True)\nNone"),
        ("%gather a", "a = dview.gather('a', block=True)\na"),
    ],
)
def test_what_uses_local_names_runs_locally(text: str, runs: str) -> None:
    plan = parse_cell(text, PX)
    assert isinstance(plan, Send)
    assert (plan.where.mode, plan.source) == (Mode.LOCAL, runs)


def test_run_and_shell_go_where_the_cell_would() -> None:
    plan = parse_cell("%run 'my file.py'", PX)
    assert isinstance(plan, Send)
    assert (plan.filename, plan.where) == ("my file.py", PX)
    plan = parse_cell("!echo 'hi there'", PX)
    assert isinstance(plan, Send)
    assert "shell(\"echo 'hi there'\")" in plan.source
    compile(plan.source, "<shell>", "exec")


def test_time_keeps_the_plan() -> None:
    plan = parse_cell("%time %lb f()", PX)
    assert isinstance(plan, Send)
    assert plan.timed
    assert plan.where.mode is Mode.LB


@pytest.mark.parametrize(
    ("text", "name", "source"), [("np.array?", "np.array", False), ("f??", "f", True), ("?f", "f", False)]
)
def test_questions(text: str, name: str, source: bool) -> None:
    assert parse_cell(text, PX) == Inspect(name, source, PX)


def test_commands_carry_their_arguments() -> None:
    assert parse_cell("%save out.py 1 2", PX) == Command("save", ("out.py", "1", "2"), "out.py 1 2")


EXAMPLES = {
    "px": "%px 1", "lb": "%lb 1", "local": "%local 1", "map": "%%map x in y\nx", "time": "%time 1", "push": "%push a",
    "pull": "%pull a", "scatter": "%scatter a", "gather": "%gather a", "run": "%run f.py", "group": "%group order",
    "save": "%save f",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MAGICS))
def test_each_magic_has_help_completion_and_somebody_who_does_it(name: str) -> None:
    magic = MAGICS[name]
    assert magic.help and magic.forms
    marks = "%" if magic.line else "%%"
    assert marks + name in (complete(marks + name[:1], len(marks) + 1, SEEN) or [])
    assert any(magic.help in line for line in help_text(name))
    plan = parse_cell(EXAMPLES.get(name, f"%{name}"), PX)
    if isinstance(plan, Command):
        assert plan.name in Commander(None).names  # type: ignore[arg-type]


def test_arguments_complete() -> None:
    assert complete("%result ", 8, SEEN) == ["12", "2", "1"]
    assert complete("%group e", 8, SEEN) == ["engine"]
    assert complete("%targets m", 10, SEEN) == ["marked"]
    assert complete("%px imp", 7, SEEN) is None
    assert complete("x = 1", 5, SEEN) is None
    assert complete("%%px\nx", 6, SEEN) is None


def test_the_list_names_all() -> None:
    text = "\n".join(help_text())
    assert all(magic.forms[0] in text for magic in MAGICS.values())
    assert "!COMMAND" in text
