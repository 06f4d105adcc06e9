"""exec and run on real engines."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tests.live.conftest import PrivateCluster
from tests.live.jsonlines import rows
from tuiparallel.cli.app import run
from tuiparallel.client.client import Client

Until = Callable[..., None]
Capture = pytest.CaptureFixture[str]


def test_exec(client: Client, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = ["-c", "shared"]
    assert run(["exec", "print('a'); print('b'); 40 + 2", "-t", "0,2", *one]) == 0
    assert capsys.readouterr().out == "[0] a\n[0] b\n[0] 42\n[2] a\n[2] b\n[2] 42\n"
    assert run(["exec", "import sys; print('a'); print('c', file=sys.stderr)", "-t", "1", *one]) == 0
    assert capsys.readouterr() == ("a\n", "c\n")
    assert run(["exec", "1/0", "-t", "1", *one]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "ZeroDivisionError: division by zero" in printed.err
    assert run(["exec", "x = 5\nx", "--json", *one]) == 0
    found = rows(capsys.readouterr().out, "result", "shared")
    assert [row["engine"] for row in found] == [0, 1, 2, 3]
    assert {(row["status"], row["value"], row["error"]) for row in found} == {("ok", "5", None)}
    assert run(["exec", "1/0", "-t", "3", "--json", *one]) == 1
    (row,) = rows(capsys.readouterr().out, "result", "shared")
    assert row["status"] == "error"
    assert row["error"]["ename"] == "ZeroDivisionError" and "1/0" in row["error"]["traceback"]
    assert run(["exec", "1", "-t", "99", *one]) == 6
    assert "99" in capsys.readouterr().err
    assert run(["exec", "__import__('threading').Event().wait(1)", "-t", "0", "--timeout", "0.05", *one]) == 5
    file = tmp_path / "script.py"
    file.write_text("def f():\n    raise KeyError('here')\nprint('before')\nf()\n")
    assert run(["run", str(file), "-t", "2", *one]) == 1
    printed = capsys.readouterr()
    assert printed.out == "before\n"
    assert "script.py" in printed.err and "line 2" in printed.err
    done = subprocess.run(
        [sys.executable, "-m", "tuiparallel.cli", "exec", "-", "-t", "1", *one],
        input="print(6 * 7)", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "42\n")


def test_ctrl_c_leaves_tasks_running_and_says_so(private_cluster: PrivateCluster, until: Until) -> None:
    cluster = private_cluster(1, name="ctrlc")
    with cluster as client:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuiparallel.cli", "exec", "__import__('threading').Event().wait(1)", "-c", "ctrlc"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        until(lambda: client.queue_status()[0]["queue"] == 1, what="the task has been submitted")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert "go on" in err
        until(lambda: client.queue_status()[0]["completed"] == 1, what="the task has gone on")
