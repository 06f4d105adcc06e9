"""Which test stands for which row of the API's tables, and how it ended: `python -m tests.rows [report ...]`.

A report is what `pytest --junitxml FILE` or `pytest -rA` has written; `-` is stdin. The tests that there are, are
collected beside it: those that no report names were not run. A test carries the numbers of its rows at the head of its name, or of a parameter's id: test_b16_b17_no_engines,
test_page[s40-execute-and-run]. The rows: S, what users may rely on; N, functions and names; B, bad input; D, defects
that must not come back. Exit code 1 when a row has no test, or one that failed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

ROWS = {"S": 92, "N": 20, "B": 46, "D": 39}  # the last number of each table; all count from 1
PASSED, FAILED, UNKNOWN = "passed", "FAILED", "not run"
MISSING = "missing"
_HEAD = re.compile(r"(?:[a-z]\d+(?:_|-|\b))+")
_ROW = re.compile(r"([snbd])0*(\d+)(?=_|-|\b)")
_LINE = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S+::\S.*?)(?: - .*)?$")


def all_rows() -> list[str]:
    """Every row, in order."""
    return [f"{table}{number}" for table, last in ROWS.items() for number in range(1, last + 1)]


def rows_of(test: str) -> list[str]:
    """The rows that a test's id names."""
    name = test.rpartition("::")[2]
    function, _, parameters = name.partition("[")
    found: list[str] = []
    for text in (function.removeprefix("test_"), parameters.rstrip("]")):
        if head := _HEAD.match(text):
            found += [f"{table.upper()}{number}" for table, number in _ROW.findall(head[0])]
    return [row for row in found if int(row[1:]) in range(1, ROWS[row[0]] + 1)]


def results_in(report: str) -> dict[str, str]:
    """{id of a test: how it ended} from the text of a report. Raises ParseError for broken XML."""
    if report.lstrip().startswith("<?xml"):
        return dict(_case(case) for case in ElementTree.fromstring(report).iter("testcase"))
    lines = [_LINE.match(line) for line in report.splitlines()]
    return {line[2]: PASSED if line[1] == "PASSED" else FAILED for line in lines if line}


def _case(case: ElementTree.Element) -> tuple[str, str]:
    test = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
    return test, FAILED if {child.tag for child in case} & {"failure", "error", "skipped"} else PASSED


def collected() -> dict[str, str]:
    """{id: 'not run'} of every test there is, also those that are left out of a usual run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", ""]
    found = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    return {line: UNKNOWN for line in found.stdout.splitlines() if "::" in line}


def table(results: dict[str, str]) -> list[tuple[str, str, str]]:
    """(row, test, result) for every test of every row; ('S1', '', 'missing') for a row without one.

    Tests that differ in parameters are one: it failed when one of them did, and was run when one of them was.
    """
    tests: dict[str, dict[str, str]] = {row: {} for row in all_rows()}
    for test, result in results.items():
        for row in dict.fromkeys(rows_of(test)):
            function = test if _HEAD.match(test.partition("[")[2]) else test.partition("[")[0]
            both = tests[row].get(function, UNKNOWN), result
            tests[row][function] = next(one for one in (FAILED, PASSED, UNKNOWN) if one in both)
    return [(row, *one) for row, found in tests.items() for one in found.items() or [("", MISSING)]]


def main(reports: Iterable[str]) -> int:
    """Print the table; the exit code."""
    results = collected()
    for name in reports:
        results |= results_in(sys.stdin.read() if name == "-" else Path(name).read_text())
    lines = table(results)
    for row, test, result in lines:
        print(f"{row:<5}{result:<9}{test}".rstrip())
    missing = [row for row, _, result in lines if result == MISSING]
    failed = [row for row, _, result in lines if result == FAILED]
    print(f"{len(all_rows())} rows, {len(lines) - len(missing)} tests, {len(missing)} missing, {len(failed)} failed")
    return 1 if missing or failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
