"""The REPL's keys as actions, so that help, palette and docs know them; and their binding to a pane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuiparallel.console.actions import Action, Here, always

if TYPE_CHECKING:
    from tuiparallel.console.repl.pane import ReplPane


def _sends(here: Here) -> str | None:
    return "this console is read-only; start tuipar without --readonly" if here.readonly else None


REPL_ACTIONS: tuple[tuple[Action, str], ...] = (
    (Action("repl.run", "Run the cell", ("f5",), "repl", "Runs the text at the prompt; enter does when it is whole",
            _sends), "run"),
    (Action("repl.line", "New line", ("ctrl+j",), "repl", "Breaks the line, and never runs", always), "line"),
    (Action("repl.mode", "Next mode", ("ctrl+t",), "repl", "Cells go to px, lb or local: the prompt says where", always),
     "mode"),
    (Action("repl.targets", "Pick targets", ("ctrl+g",), "repl", "Engines by id, range, marks or a query", always),
     "targets"),
    (Action("repl.complete", "Complete", ("tab",), "repl", "Names of the namespace cells go to; magics and their words",
            always), "complete"),
    (Action("repl.signature", "Signature", ("shift+tab",), "repl", "How what is called at the cursor is called", always),
     "signature"),
    (Action("repl.search", "Search the history", ("ctrl+r",), "repl", "Cells that contain a text; up and down go by prefix",
            always), "search"),
    (Action("repl.editor", "Edit outside", ("f2",), "repl", "The text in $EDITOR", always), "edit"),
    (Action("repl.cards", "Walk the cells", ("ctrl+up",), "repl",
            "On a cell: enter unfolds, e takes its text back, T runs it again, A aborts, I interrupts, y copies", always),
     "cards.up"),
)  # fmt: skip
"""Each action, and what it asks of the pane."""


def register(pane: ReplPane) -> None:
    """Puts the actions into the console's registry, once."""
    registry = pane.desk.registry
    for action, what in REPL_ACTIONS:
        if action.id not in registry:
            registry.add(action, lambda what=what: pane.act(what))  # type: ignore[misc]
