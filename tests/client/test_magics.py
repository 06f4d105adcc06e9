"""%px and its family, with a shell that has no more than what they use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import ScriptedHub, accepting, connected, scripted
from tuiparallel.client.magics import Magics, _targets, activate
from tuiparallel.wire.messages import Accepted, Done, Extras, Kind, Message, Outcome, Submit
from tuiparallel.wire.objects import pack, unpack_call
from tuiparallel.wire.states import State


class Shell:
    def __init__(self) -> None:
        self.magics: dict[tuple[str, str], Any] = {}
        self.user_ns: dict[str, Any] = {}
        self.ran: list[str] = []

    def register_magic_function(self, function: Any, kind: str, name: str) -> None:
        self.magics[kind, name] = function

    def run_cell(self, code: str) -> None:
        self.ran.append(code)


def printing(hub: ScriptedHub, message: Message) -> list[Message]:
    """Every execution prints its own code."""
    if not isinstance(message, Submit) or message.work.kind != Kind.EXECUTE:
        return accepting(hub, message)
    (code, _, _), _ = unpack_call(message.calls[0])
    targets = message.work.targets or []
    outcomes = [
        Outcome(message.first + i, State.DONE, engine, 1.0, 2.0, 1, pack(None).body, Extras(f"{code}\n"))
        for i, engine in enumerate(targets)
    ]
    return [Accepted([message.first]), Done(hub.session, outcomes)]


@pytest.fixture
def place(home: Path) -> Path:
    folder = home / "hub"
    folder.mkdir()
    return folder


def test_px_runs_lines_and_cells_on_the_engines(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(place, printing) as hub, connected(hub) as rc:
        shell = Shell()
        view = rc[:].set_flags(block=True)
        Magics(shell, view, "2").register()
        assert set(shell.magics) == {("line", "px2"), ("cell", "px2"), ("line", "autopx2"), ("line", "pxconfig2"),
                                     ("line", "pxresult2")}  # fmt: skip
        px, cell = shell.magics["line", "px2"], shell.magics["cell", "px2"]
        assert px("--no-stream a = 1") is None  # or IPython would show it as Out
        assert capsys.readouterr().out == "[stdout:0]\na = 1\n[stdout:1]\na = 1\n"
        assert cell("--no-stream -t 1 -o kept --local", "b\n") is None
        assert capsys.readouterr().out == "[stdout:1]\nb\n\n" and shell.ran == ["b\n"]
        assert shell.user_ns["kept"].ready()
        later = px("--noblock c")
        later.wait(10)
        shell.magics["line", "pxresult2"]("-e order")
        assert "[stdout:0]\nc\n" in capsys.readouterr().out
        shell.magics["line", "pxconfig2"]("--noblock -t 0 --verbose")
        assert view.block is False and view.targets == 0
        with pytest.raises(ValueError, match="%%px"):
            cell("--nonsense", "x")


def test_autopx_sends_every_cell_until_it_is_off_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(place, printing) as hub, connected(hub) as rc:
        shell = Shell()
        magics = Magics(shell, rc[:].set_flags(block=True), "")
        magics.autopx()
        shell.run_cell("x = 1")
        shell.run_cell("%time y")
        assert shell.ran == ["%time y"] and "[stdout:0] x = 1" in capsys.readouterr().out
        magics.autopx()
        shell.run_cell("z")
        assert shell.ran == ["%time y", "z"]


def test_targets_of_a_command_line() -> None:
    assert [_targets(t) for t in ("all", "3", "-1", "0,2", "[0,2]")] == ["all", 3, -1, [0, 2], [0, 2]]
    assert _targets("::2") == slice(None, None, 2)


def test_outside_of_ipython_there_is_nothing_to_activate(place: Path) -> None:
    with scripted(place) as hub, connected(hub) as rc, pytest.raises(RuntimeError, match="IPython"):
        activate(rc[:])
