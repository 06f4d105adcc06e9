"""Where the console is drawn: on a terminal that can."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tuiparallel.cli.drawing import why_plain

SCRIPT = "import sys; from tuiparallel.cli.drawing import why_plain; open(sys.argv[1], 'w').write(why_plain())"


@pytest.mark.parametrize(
    ("term", "says"),
    [
        ("xterm-256color", ""),
        ("linux", ""),
        ("dumb", "this terminal cannot draw (TERM=dumb)"),
        ("", "this terminal cannot draw (TERM=)"),
    ],
)
def test_c53_a_terminal_that_cannot_draw_is_not_drawn_on(term: str, says: str, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "said")], stdin=slave, stdout=slave, stderr=slave,
            env=os.environ | {"TERM": term}, timeout=60, check=True,
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    assert (tmp_path / "said").read_text() == says


def test_c53_a_pipe_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert why_plain() == "this is no terminal"
    monkeypatch.setattr(sys, "stdin", None)
    assert why_plain() == "this is no terminal"
