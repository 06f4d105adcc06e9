"""The command line itself: usage errors, exit codes, streams; no cluster runs here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tuiparallel.cli.app import run

TUIPAR = [sys.executable, "-m", "tuiparallel.cli"]


def tuipar(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TUIPAR, *arguments], capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stauts"], "status"),
        (["status", "--jsno"], "--json"),
        (["ls", "engnes"], "engines"),
        (["ls"], "engines|tasks"),
        (["exec"], "CODE"),
        (["engines"], "add N"),
        (["engines", "ad", "2"], "add"),
        (["engines", "add", "two"], "valid integer"),
        (["engines", "add", "--", "-2"], "0 or more"),
        (["engines", "signal", "SIGTREM"], "SIGTERM"),
        (["abort"], "--where"),
        (["run", "/no/such/file.py"], "No such file"),
        (["exec", "1", "-t", "a"], "0,2"),
        (["start", "-n", "-1"], "0 or more"),
        (["start", "--name", "a/b"], "allowed are"),
        (["start", "--restart", "always"], "on-failure"),
        (["start", "--scheme", "pure"], "plainrandom"),
        (["stop", "a/b"], "allowed are"),
        (["logs", "hubb"], "hub"),
    ],
)
def test_usage_errors_exit_2_and_name_the_nearest(
    arguments: Sequence[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["ls", "tasks"],
        ["--once"],
        ["exec", "1"],
        ["abort", "--where", "state:open"],
        ["wait"],
        ["engines", "add", "1"],
        ["restart"],
        ["logs", "hub"],
        ["stop", "lab", "--yes"],
        ["status", "-c", "lab"],
        ["status", "--file", "/no/such/client.json"],
    ],
)
def test_without_a_cluster_verbs_exit_3(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--json"]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    error = json.loads(printed.err)
    assert error.pop("message")
    assert error == {"schema": 1, "kind": "error", "class": "ClusterNotFound", "exit": 3}


def test_no_running_cluster_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ls", "clusters", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_b4_a_file_that_others_can_read_exits_4(
    home: object, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    file = f"{tmp_path}/client.json"
    with open(file, "w") as stream:
        stream.write("{}")
    os.chmod(file, 0o644)
    assert run(["status", "--file", file]) == 4
    assert "chmod 600" in capsys.readouterr().err
    os.chmod(file, 0o600)
    assert run(["status", "--file", file]) == 4
    assert "missing" in capsys.readouterr().err


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = ["", "console", "start", "stop", "status", "ls", "exec", "run", "abort", "engines", "engines add"]
    verbs += ["engines scale", "engines stop", "engines signal", "restart", "wait", "logs", "demo", "doctor"]
    for verb in verbs:
        assert run([*verb.split(), "--help"]) == 0
        text = capsys.readouterr().out
        assert "Usage: tuipar" in text
        for option in ("--cluster", "--file", "--json", "--quiet"):
            assert option in text, verb
        assert "\x1b" not in text


def test_without_a_terminal_it_prints_a_snapshot_and_starts_nothing() -> None:
    done = tuipar()
    assert done.returncode == 3
    assert "no terminal" in done.stderr
    assert tuipar("ls", "clusters").stdout.splitlines()[1:] == []


def test_version_is_quick_and_alone() -> None:
    code = "import sys; sys.argv = ['tuipar', '--version']\n"
    code += (
        "from tuiparallel.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
    )
    code += "print([name for name in ('typer', 'textual', 'zmq', 'rich', 'msgspec') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    version, modules = done.stdout.splitlines()
    assert version.startswith("tuipar ")
    assert modules == "[]"
    assert tuipar("-q", "--version").stdout.strip() == version


@pytest.mark.parametrize("verb", ["doctor", "ls clusters", "--once", "status"])
def test_headless_verbs_import_no_textual(verb: str) -> None:
    code = f"import sys; from tuiparallel.cli.app import run; run({verb.split()!r})\n"
    code += "print([name for name in ('textual', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_leaves_is_no_error() -> None:
    process = subprocess.Popen([*TUIPAR, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_sigterm_exits_143() -> None:
    script = (
        "import os, signal, sys\n"
        "from tuiparallel.cli import app, doctor\n"
        "def checks():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    yield from ()\n"
        "doctor.checks = checks\n"
        "sys.exit(app.run(['doctor']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM


def test_an_internal_error_exits_70_with_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tuiparallel.cli import doctor

    def broken() -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(doctor, "checks", broken)
    assert run(["doctor", "--json"]) == 70
    error = json.loads(capsys.readouterr().err)
    assert error["class"] == "ZeroDivisionError"
    path = error["message"].split("report it with ")[1].split(":")[0]
    with open(path) as report:
        assert "ZeroDivisionError: division by zero" in report.read()
    os.unlink(path)
