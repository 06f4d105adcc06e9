"""The editor's colours, which use a private hook of Textual's TextArea; and the text in $EDITOR."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.app import SuspendNotSupported

from tests.console.repl.scripted import ReplApp, ScriptedClient, until
from tuiparallel.console.actions import Here
from tuiparallel.console.repl import outside
from tuiparallel.console.repl.actions import REPL_ACTIONS
from tuiparallel.console.repl.highlight import MOST_LINES, marks
from tuiparallel.console.repl.modes import Mode


def kinds(text: str, row: int = 0) -> dict[str, str]:
    """What is coloured in a row, by its text."""
    line = text.split("\n")[row].encode()
    return {line[start:end].decode(): kind for start, end, kind in marks(text).get(row, [])}


def test_pygments_colours_in_bytes() -> None:
    found = kinds("for x in 'grün': print(x)  # ü")
    assert found == {
        "for": "keyword",
        "in": "keyword",
        "'": "string",
        "grün": "string",
        "print": "builtin",
        "# ü": "comment",
    }
    assert kinds("def area(w):\n    return 2.5", 1) == {"return": "keyword", "2.5": "number"}
    assert set(kinds('s = """a\nb"""', 1).values()) == {"string"}


def test_lines_are_coloured_alone_as_they_are_in_the_whole() -> None:
    lines = [
        "import os",
        "def f(x): return [x for x in 'a b']",
        "@g",
        "class A(B): pass",
        "# ü 1",
        "x = 0x1f + 2.5  # ok",
    ]
    apart = [kinds(line) for line in lines]
    text = "\n".join([*lines, 's = """t"""'])  # the quotes make it be read as a whole
    assert [kinds(text, row) for row in range(len(lines))] == apart


def test_a_magic_is_its_own_colour_and_its_body_is_python() -> None:
    text = "%%map x in range(3)\nreturn x"
    assert kinds(text) == {"%%map x in range(3)": "magic"}
    assert kinds(text, 1) == {"return": "keyword"}


def test_above_300_lines_nothing_is_coloured() -> None:
    assert marks("x = 1\n" * (MOST_LINES - 1)) != {}
    assert marks("x = 1\n" * MOST_LINES) == {}


async def test_the_hook_of_textual_is_where_it_was() -> None:
    """When this fails after an update of Textual, the editor has lost its colours and nothing else."""
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=(80, 12)) as pilot:
        editor = app.repl.editor
        editor.put("for x in y:\n    pass")
        await pilot.pause()
        assert editor._highlights[0][0] == (0, 3, "keyword")
        assert editor._theme is not None
        style = app.desk.paint.style("fn-3")
        assert editor._theme.syntax_styles["keyword"].color == style.color
        strip = editor.render_line(0)
        assert any(segment.text == "for" and segment.style.color == style.color for segment in strip)  # type: ignore[union-attr]


async def test_brackets_that_belong_together_are_marked() -> None:
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=(80, 12)) as pilot:
        editor = app.repl.editor
        editor.put("f(a, [b])")
        editor.move_cursor((0, 1))
        await pilot.pause()
        assert editor.matching_bracket_location == (0, 8)


class Suspending:
    """Stands for an app whose terminal can (or cannot) be given away."""

    def __init__(self, can: bool = True) -> None:
        self.can = can

    @contextlib.contextmanager
    def suspend(self) -> Iterator[None]:
        if not self.can:
            raise SuspendNotSupported
        yield


def editor_command(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{path} --flag")


@pytest.mark.parametrize(
    ("script", "found", "says"),
    [
        ('test "$1" = --flag && echo "y = 2" >> "$2"', "x = 1\ny = 2", ""),
        ("true", None, ""),
        ("exit 3", None, "status 3"),
    ],
)
def test_the_text_goes_out_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: str | None, says: str
) -> None:
    editor_command(tmp_path, script, monkeypatch)
    app: Any = Suspending()
    text, problem = outside.edit(app, "x = 1\n" if found else "x = 1")
    assert text == found
    assert says in problem


def test_without_a_terminal_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor_command(tmp_path, "true", monkeypatch)
    app: Any = Suspending(can=False)
    assert "cannot" in outside.edit(app, "x")[1]
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    app = Suspending()
    assert "$EDITOR" in outside.edit(app, "x")[1]


async def test_the_registry_knows_the_keys_and_does_what_they_do() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=(100, 12)) as pilot:
        registry = app.desk.registry
        assert all(action.help and action.id in registry for action, _ in REPL_ACTIONS)
        here = Here("repl")
        registry.perform("repl.mode", here)
        assert app.repl.where.mode is Mode.LB
        app.repl.editor.put("f()")
        registry.perform("repl.line", here)
        assert app.repl.editor.text == "f()\n"
        registry.perform("repl.run", here)
        await until(pilot, lambda: client.sent == [("lb", "f()", None)])
        assert "read-only" in (registry.perform("repl.run", Here("repl", readonly=True)) or "")
