"""The demo's work: what is counted in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuiparallel.cli.stdlib import LongFunction, library, parse_file, python_files

SOURCE = """
class A:
    def f(self):
        def g():
            return 1
        return g

async def h():
    pass
"""


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(SOURCE)
    parsed = parse_file(str(tmp_path), "one.py")
    assert (parsed.lines, parsed.functions, parsed.classes) == (9, 3, 1)
    assert parsed.longest == [
        LongFunction(4, "A.f", "one.py", 3), LongFunction(2, "h", "one.py", 8), LongFunction(2, "A.f.g", "one.py", 4)
    ]  # fmt: skip


def test_a_file_that_is_no_python_raises_its_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def f(:\n")
    with pytest.raises(SyntaxError):
        parse_file(str(tmp_path), "bad.py")


def test_the_librarys_files(tmp_path: Path) -> None:
    files = python_files(library())
    assert "ast.py" in files and "json/decoder.py" in files
    assert not any("site-packages" in path for path in files)
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "x.py").touch()
    assert python_files(tmp_path) == []
