"""Cells of source code in a namespace of the test's."""

from __future__ import annotations

import asyncio
import linecache
import traceback
from collections.abc import Coroutine
from typing import Any

import pytest

from tuiparallel.engine.cells import REMEMBERED, Cells


def wait(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


@pytest.fixture
def names() -> dict[str, Any]:
    return {"__name__": "__main__"}


@pytest.fixture
def cells(names: dict[str, Any]) -> Cells:
    cells = Cells(names, wait)
    cells.engine = 2
    return cells


def test_names_stay(cells: Cells, names: dict[str, Any]) -> None:
    cells.run("a = 1\ndef f():\n    return a\n", None, True)
    cells.run("b = f() + 1\n    ", None, True)
    cells.run("    c = 'ü'\n    d = c * 2", None, True)
    assert (names["b"], names["d"]) == (2, "üü")


def test_the_last_expression_is_displayed_unless_silent(cells: Cells) -> None:
    cells.run("1\n2 + 3", None, False)
    assert cells.take() == ([], {"data": {"text/plain": "5"}, "metadata": {}, "execution_count": 1})
    for code, silent in (("5", True), ("5;", False), ("None", False), ("x = 5", False), ("", False)):
        cells.run(code, None, silent)
        assert not cells.shown


def test_display_adds_outputs(cells: Cells) -> None:
    cells.show(1, "two")
    outputs, result = cells.take()
    assert [output["data"]["text/plain"] for output in outputs] == ["1", "'two'"]
    assert result is None and not cells.shown


def test_a_traceback_shows_the_cells_line(cells: Cells) -> None:
    cells.run("def broken():\n    return 1 / 0  # here\n", None, True)
    with pytest.raises(ZeroDivisionError) as caught:
        cells.run("broken()", None, False)
    text = "".join(traceback.format_exception(caught.value))
    assert 'File "<cell 1 on engine 2>", line 2, in broken' in text
    assert "return 1 / 0  # here" in text
    with pytest.raises(NameError) as other:
        cells.run("\nnope\n", "/some/script.py", True)
    assert 'File "/some/script.py", line 2' in "".join(traceback.format_exception(other.value))


def test_top_level_await(cells: Cells, names: dict[str, Any]) -> None:
    cells.run("import asyncio\nx = await asyncio.sleep(0, 4)\nx + 1", None, False)
    assert names["x"] == 4
    assert cells.take()[1] is not None


def test_old_cells_lines_are_forgotten(cells: Cells) -> None:
    for _ in range(REMEMBERED + 5):
        cells.run("pass", None, True)
    assert "<cell 1 on engine 2>" not in linecache.cache
    assert f"<cell {REMEMBERED} on engine 2>" in linecache.cache
    linecache.clearcache()
