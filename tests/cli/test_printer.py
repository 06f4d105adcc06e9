"""Results to stdout, the rest to stderr, as text or JSON."""

from __future__ import annotations

import io
import json
import sys

import pytest

from tuiparallel.cli.printer import Printer


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    out = Printer()
    out.row("cluster", {"name": "lab"}, "lab")
    out.note("beside it")
    out.error("ValueError", "no", 2)
    assert capsys.readouterr() == ("lab\n", "beside it\ntuipar: no\n")


def test_quiet_leaves_results_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    out = Printer(quiet=True)
    out.text("a result")
    out.note("beside it")
    out.error("ValueError", "no", 2)
    assert capsys.readouterr() == ("a result\n", "tuipar: no\n")


def test_json_is_one_ascii_line_with_its_envelope_first(capsys: pytest.CaptureFixture[str]) -> None:
    out = Printer(as_json=True)
    out.cluster = "lab"
    out.row("check", {"text": "µ\n"}, "unused")
    out.error("ClusterNotFound", "no", 3)
    printed = capsys.readouterr()
    assert printed.out == '{"schema": 1, "kind": "check", "cluster": "lab", "text": "\\u00b5\\n"}\n'
    assert json.loads(printed.err) == {
        "schema": 1, "kind": "error", "class": "ClusterNotFound", "message": "no", "exit": 3
    }  # fmt: skip


def test_a_small_encoding_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Printer().text("5 µs")
    assert raw.getvalue() == b"5 \\xb5s\n"
