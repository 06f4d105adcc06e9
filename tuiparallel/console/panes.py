"""Which layout fits, and which panes it shows. Pure: sizes and names in, names out."""

from __future__ import annotations

from dataclasses import dataclass

BOXES: dict[str, tuple[str, ...]] = {
    "engines": ("engines",),
    "now": ("now",),
    "upper": ("timeline", "tasks", "errors", "functions"),
    "lower": ("output", "events"),
    "repl": ("repl",),
    "inspector": ("inspector",),
}
"""The frames of the screen, and the panes that share each."""

BOX_OF = {pane: box for box, panes in BOXES.items() for pane in panes}

LAYOUTS: tuple[tuple[str, int, int], ...] = (
    ("wide", 200, 36),
    ("cockpit", 120, 36),
    ("low", 120, 24),
    ("portrait", 80, 40),
    ("stack", 60, 16),
    ("tiny", 40, 10),
)
"""Name, columns and rows it needs; the first that fits is taken."""

ZOOMS = ("normal", "half", "full")


def layout_of(columns: int, rows: int) -> str:
    """The layout of a terminal's size; `small` when none fits."""
    for name, least_columns, least_rows in LAYOUTS:
        if columns >= least_columns and rows >= least_rows:
            return name
    return "small"


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is on screen: boxes, in each the pane that shows, and whether there is a bar of views."""

    boxes: frozenset[str]
    viewbar: bool
    inspector: bool
    tabs: bool  # whether a rule names the panes that share its box


def arrange(layout: str, current: str, zoom: str, left: str, last: str) -> Arrangement:
    """What shows in a layout.

    current is the pane with the focus, zoom its size; left says which of engines and now was last used, last which
    pane was before the REPL was entered.
    """
    box = BOX_OF.get(current, "engines")
    if layout == "small":
        return Arrangement(frozenset(), False, False, False)
    if layout == "tiny":
        return Arrangement(frozenset({box}), False, False, False)
    if layout == "stack":
        if zoom == "full":
            return Arrangement(frozenset({box}), True, box == "inspector", False)
        shown = box if box != "repl" else BOX_OF.get(last, "engines")
        return Arrangement(frozenset({shown, "repl"}), True, shown == "inspector", False)
    if zoom == "full":
        return Arrangement(frozenset({box}), False, box == "inspector", True)
    if zoom == "half":
        return Arrangement(frozenset({box, "repl"}), False, box == "inspector", True)
    if layout == "wide":
        return Arrangement(frozenset(BOXES), False, True, True)
    column = {"engines", "now"} if layout == "cockpit" else {left}
    right = {"inspector"} if current == "inspector" else {"upper", "lower"}
    return Arrangement(frozenset({*column, *right, "repl"}), False, current == "inspector", True)
