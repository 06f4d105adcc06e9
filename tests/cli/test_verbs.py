"""The options that every verb has, before it and after it."""

from __future__ import annotations

import pytest
import typer

from tuiparallel.cli.call import Call
from tuiparallel.cli.verbs import verb, with_common


@pytest.fixture
def seen() -> list[Call]:
    return []


@pytest.fixture
def app(seen: list[Call]) -> typer.Typer:
    app = typer.Typer()

    @app.callback(invoke_without_command=True)
    @with_common
    def main(call: Call) -> int:
        return 0

    @verb(app, "look")
    def look(call: Call, where: str = "here") -> int:
        """Look."""
        seen.append(call)
        return 7

    return app


@pytest.mark.parametrize(
    "arguments",
    [
        ["look", "-c", "lab", "--json"],
        ["-c", "lab", "--json", "look"],
        ["-c", "other", "look", "-c", "lab", "--json"],
    ],
)
def test_common_options(app: typer.Typer, seen: list[Call], arguments: list[str]) -> None:
    assert app(args=arguments, standalone_mode=False) == 7
    (call,) = seen
    assert (call.named, call.file, call.out.as_json, call.out.quiet) == ("lab", None, True, False)


def test_own_options_stay(app: typer.Typer, seen: list[Call]) -> None:
    assert app(args=["look", "--where", "there", "-q", "--file", "x.json"], standalone_mode=False) == 7
    assert seen[0].out.quiet and seen[0].file == "x.json"
