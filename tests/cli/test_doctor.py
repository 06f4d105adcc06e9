"""doctor: a line per check, a code that fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tuiparallel.cli.app import run
from tuiparallel.cli.doctor import checks
from tuiparallel.cluster.place import directory_of, make_directory


def test_this_machine_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "warn"}
    names = {line.split()[1] for line in lines}
    assert names >= {
        "python",
        "packages",
        "libzmq",
        "CURVE",
        "state",
        "disk",
        "config",
        "sockets",
        "blobs",
        "terminal",
    }


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    for line in capsys.readouterr().out.splitlines():
        row = json.loads(line)
        assert list(row)[:3] == ["schema", "kind", "cluster"]
        assert row["level"] in ("ok", "warn", "fail")


def test_a_directory_that_is_open_to_others_fails(capsys: pytest.CaptureFixture[str]) -> None:
    make_directory(directory_of("lab"))
    directory_of("lab").chmod(0o755)
    assert run(["doctor"]) == 1
    assert "chmod 700" in capsys.readouterr().out


def test_a_faulty_configuration_file_fails_its_line(home: Path) -> None:
    file = home / "config" / "tuiparallel" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[cluster]\nhistory_row = 1\n")
    found = {check.name: check for check in checks()}
    assert found["directories"].level == "fail"
    assert "history_rows" in found["directories"].text
