"""Turns an arrangement into classes on widgets, and draws the joints where the lines between panes meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

from tuiparallel.console.panes import BOXES, LAYOUTS, Arrangement

if TYPE_CHECKING:
    from tuiparallel.console.screens.main import MainScreen

HOLDERS = {"left": ("engines", "now"), "right": ("upper", "lower"), "side": ("inspector",)}


def show(screen: MainScreen, shown: Arrangement, zoom: str) -> None:
    """Shows the boxes of an arrangement and hides the others."""
    for name, _, _ in LAYOUTS:
        screen.set_class(screen.layout_name == name, f"-{name}")
    screen.set_class(screen.layout_name == "small", "-small")
    screen.set_class(zoom == "half" and screen.layout_name not in ("stack", "tiny"), "-half")
    screen.set_class(screen.current == "repl", "-typing")
    screen.set_class(screen.desk.glyphs.name == "ascii", "-ascii")
    body = [box for box in shown.boxes if box != "repl"]
    screen.set_class(len(body) <= 1, "-single")
    screen.set_class(len(shown.boxes) <= 1, "-alone")
    for box in BOXES:
        screen.query_one(f"#box-{box}").set_class(box not in shown.boxes, "-hidden")
        for pane in BOXES[box]:
            screen.pane_of(pane).set_class(screen.tab[box] != pane, "-hidden")
    for holder, boxes in HOLDERS.items():
        screen.query_one(f"#{holder}").set_class(not shown.boxes.intersection(boxes), "-hidden")
    screen.query_one("#body").set_class(not body, "-hidden")
    screen.viewbar.set_class(not shown.viewbar, "-hidden")
    if screen.layout_name == "small":
        _say_small(screen)


def _say_small(screen: MainScreen) -> None:
    header = screen.desk.store.header(screen.desk.clock.time())
    counters = header.counters
    screen.query_one("#small", Static).update(
        f"40 x 10 cells are needed; this is {screen.size.width} x {screen.size.height}.\n"
        f"{header.up} engines  run {counters.running:,}  queue {counters.queued:,}  failed {header.failed:,}"
    )


def draw_joints(screen: MainScreen) -> None:
    """Rules end in a tee or a cross where a vertical line meets them."""
    glyphs = screen.desk.glyphs
    for rule in screen.rules.values():
        rule.first, rule.joints = "", {}
    if screen.has_class("-portrait") or screen.has_class("-single"):
        return
    vertical: list[int] = []
    for holder in ("right", "side"):
        part = screen.query_one(f"#{holder}")
        if part.has_class("-hidden") or not part.region.width:
            continue
        vertical.append(part.region.x)
        first = True
        for box in HOLDERS[holder]:
            if screen.query_one(f"#box-{box}").has_class("-hidden"):
                continue
            rule = screen.rules[box]
            meets = any(
                other.region.y == rule.region.y and other is not rule and other.region.x < rule.region.x
                for other in screen.rules.values()
            )
            rule.first = glyphs.tee_down if first else glyphs.cross if meets else "├"
            if rule.first == "├" and glyphs.name == "ascii":
                rule.first = "+"
            first = False
    repl = screen.query_one("#box-repl")
    if not repl.has_class("-hidden") and not repl.region.x and repl.region.y:
        screen.rules["repl"].joints = {x: glyphs.tee_up for x in vertical}
    for rule in screen.rules.values():
        rule.update()
