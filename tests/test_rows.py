"""The table of rows and tests, and that no row is without a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import rows

JUNIT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite>
<testcase classname="tests.live.test_views" name="test_s01_s02_large[40 kB]"/>
<testcase classname="tests.live.test_views" name="test_s01_s02_large[2 MB]"><failure message="no">no</failure></testcase>
<testcase classname="tests.test_names" name="test_n3_of_ours"/></testsuite></testsuites>"""
TEXT = """PASSED tests/live/test_names.py::test_n03_the_namespace_wins
FAILED tests/live/test_bad.py::test_b16_b17_no_engines[a - b] - AssertionError: no
"""


def test_rows_are_read_from_the_head_of_a_name() -> None:
    assert rows.rows_of("tests/a.py::test_s01_s02_large[16 B]") == ["S1", "S2"]
    assert rows.rows_of("tests/a.py::test_f33_b7_wrong_keys") == ["B7"]
    assert rows.rows_of("tests/a.py::test_a_page[s40-execute-and-run]") == ["S40"]
    assert rows.rows_of("tests/a.py::test_a_b7_inside[b'x']") == rows.rows_of("tests/a.py::test_s999") == []


def test_results_come_from_junit_and_from_the_summary() -> None:
    found = {row: (test, result) for row, test, result in rows.table(rows.results_in(JUNIT))}
    assert found["S1"] == found["S2"] == ("tests/live/test_views.py::test_s01_s02_large", rows.FAILED)
    assert found["N3"] == ("tests/test_names.py::test_n3_of_ours", rows.PASSED)
    assert found["D1"] == ("", rows.MISSING)
    text = {row: result for row, _, result in rows.table(rows.results_in(TEXT))}
    assert (text["N3"], text["B16"], text["B17"]) == (rows.PASSED, rows.FAILED, rows.FAILED)


def test_the_table_is_printed_and_every_row_has_a_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.xml"
    file.write_text(JUNIT)
    assert rows.main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "S1   FAILED   tests/live/test_views.py::test_s01_s02_large" in lines
    assert any(re.match(r"D39  not run  tests/live/\S+::test_\w*d39_", line) for line in lines)
    assert {line.split()[0] for line in lines[:-1]} == set(rows.all_rows())
    assert re.fullmatch(r"197 rows, \d+ tests, 0 missing, 2 failed", lines[-1])
