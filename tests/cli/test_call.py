"""Which cluster a call means, and what must be said twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import CommandError, ExitCode
from tuiparallel.errors import ClusterNotFound


def call(cluster: str | None = None, file: str | None = None) -> Call:
    return Call(cluster, file, False, False)


def test_what_must_be_meant() -> None:
    call().must(True, "end it")
    call("lab").must(True, "end all", also_name=True, name="lab")
    for one, yes, name in ((call(), False, False), (call("lab"), False, True), (call(), True, True)):
        with pytest.raises(CommandError, match="nothing was done") as caught:
            one.must(yes, "end it", also_name=name, name="lab")
        assert caught.value.code is ExitCode.REFUSED


def test_no_cluster_and_a_faulty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterNotFound):
        call().connection()
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "client"
    file.write_text("{")
    file.chmod(0o600)
    with pytest.raises(CommandError, match="line 1") as caught:
        call(file="client").connection()  # a path, though it has no slash
    assert caught.value.code is ExitCode.UNREACHABLE
