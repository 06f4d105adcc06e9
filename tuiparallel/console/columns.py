"""Columns of a table: which of them fit, and a row's cells in them. The last in rank is dropped first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.cells import cell_len, set_cell_size

from tuiparallel.console.paint import Cells

Row = TypeVar("Row")
GAP = 2


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column. width is its cells; a flexible one takes what is left, up to `most`. rank 0 is dropped last."""

    name: str
    title: str
    width: int
    rank: int
    cell: Callable[[Row, int], tuple[str, str]]
    right: bool = True
    flexible: bool = False
    most: int = 0
    sort: str = ""  # the field of the store it sorts by; empty: it does not
    gap: int = GAP  # blanks before it


_fitted: dict[tuple[int, int], tuple[Sequence[Column[Any]], list[tuple[Column[Any], int]]]] = {}
_MOST_FITTED = 256


def fit(columns: Sequence[Column[Row]], width: int) -> list[tuple[Column[Row], int]]:
    """The columns that fit in `width` cells, in their order, each with its width. Asked for every row, so kept."""
    key = (id(columns), width)
    known = _fitted.get(key)
    if known is None or known[0] is not columns:
        if len(_fitted) >= _MOST_FITTED:
            _fitted.clear()
        known = _fitted[key] = (columns, _fit(columns, width))
    return known[1]


def _fit(columns: Sequence[Column[Row]], width: int) -> list[tuple[Column[Row], int]]:
    chosen: list[Column[Row]] = []
    used = 0
    for column in sorted(columns, key=lambda column: column.rank):
        need = column.width + column.gap
        if used + need > width + GAP:
            break
        chosen.append(column)
        used += need
    spare = width - sum(column.width + column.gap for column in chosen)
    found: list[tuple[Column[Row], int]] = []
    for column in columns:
        if column in chosen:
            extra = 0
            if column.flexible and spare > 0:
                extra = min(spare, column.most - column.width) if column.most else spare
                spare -= extra
            found.append((column, column.width + extra))
    return found


def heading(fitted: Sequence[tuple[Column[Row], int]], sorted_by: str = "", reverse: bool = False) -> Cells:
    """The titles, over their columns; the one that sorts is brighter."""
    cells: Cells = []
    for column, width in fitted:
        title = column.title[:width]
        text = title.rjust(width) if column.right else title.ljust(width)
        style = "strong underline" if sorted_by and column.sort == sorted_by else "heading"
        if style != "heading":
            blanks = len(text) - len(text.lstrip()) if column.right else 0
            cells += [(text[:blanks], ""), (title, style), (text[blanks + len(title) :], "")]
        else:
            cells.append((text, style))
        cells.append((" " * column.gap, ""))
    return cells[:-1]


def row_cells(fitted: Sequence[tuple[Column[Row], int]], row: Row) -> Cells:
    """One row in its columns: text is clipped with an ellipsis, numbers keep their right edge."""
    cells: Cells = []
    for column, width in fitted:
        text, style = column.cell(row, width)
        length = len(text) if text.isascii() else cell_len(text)
        if length > width:
            text = set_cell_size(text, max(0, width - 1)) + "…"
        elif column.right:
            text = " " * (width - length) + text
        else:
            text += " " * (width - length)
        cells.append((text, style))
        cells.append((" " * column.gap, ""))
    return cells[:-1]
