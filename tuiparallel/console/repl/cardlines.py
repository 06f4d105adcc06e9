"""A card as lines: the head with state and progress, and below it output and outcomes. No widget in this file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

from tuiparallel.console import figures
from tuiparallel.console.glyphs import Glyphs, meter
from tuiparallel.console.paint import Cells, spread, styled
from tuiparallel.console.repl.card import Card, State
from tuiparallel.console.repl.modes import Mode
from tuiparallel.console.repl.outcomes import (
    Folded,
    Group,
    Grouping,
    Part,
    by_engine,
    by_order,
    difference,
    places_text,
    usual_of,
)
from tuiparallel.console.repl.printed import Shown
from tuiparallel.monitor.rows import Run

BRIEF = 5  # lines of output, of a value, of outcomes while a card is not unfolded
MOST_LINES = 400  # of an unfolded card
MODE_STYLES = {Mode.PX: "fn-0", Mode.LB: "fn-3", Mode.LOCAL: "fn-2"}
STATE_STYLES = {
    State.SENT: "dim", State.WAITING: "warn", State.RUNNING: "task-running", State.DONE: "ok", State.ERRORS: "failure",
    State.INTERRUPTED: "warn", State.ABORTED: "warn", State.LOST: "failure",
}  # fmt: skip
Styles = tuple[tuple[tuple[Run, ...], ...], ...]
_CELL_FRAME = re.compile(r'File "<[^">]*>", line (\d+)')


def lines_of(card: Card, width: int, glyphs: Glyphs, now: float) -> list[Cells]:
    """All lines of a card."""
    indent = " " * (10 if width >= 100 else 6)
    lines = [head(card, width, glyphs, now)]
    room = max(20, width - len(indent))
    body: list[Cells] = []
    if card.unfolded:
        body += source_lines(card)
    body += [[(note, "warn")] for note in card.notes]
    body += [[(text, "")] for text in card.text]
    body += output_lines(card)
    body += outcome_lines(card, room)
    if card.waits:
        body.append([(card.waits, "dim")])
    if card.stubborn:
        which = figures.ranges(list(card.stubborn))
        body.append([(f"e{which} did not stop", "warn"), ("   ^C again asks to restart; or wait", "dim")])
    if len(body) > MOST_LINES:
        left = len(body) - MOST_LINES
        body = [*body[:MOST_LINES], [(f"… {left:,} lines more; %save FILE {card.number} writes the cell", "dim")]]
    lines += [[(indent, ""), *line] for line in body]
    return lines


def mark_of(card: Card, glyphs: Glyphs) -> str:
    """The sign of a state."""
    return {
        State.SENT: glyphs.faint, State.WAITING: glyphs.faint, State.RUNNING: glyphs.running, State.DONE: glyphs.done,
        State.ERRORS: glyphs.failure, State.INTERRUPTED: glyphs.failure, State.ABORTED: glyphs.failure,
        State.LOST: glyphs.lost,
    }[card.state]  # fmt: skip


def head(card: Card, width: int, glyphs: Glyphs, now: float) -> Cells:
    """Number, where, first line; state, n/m, bar, ETA or time."""
    first, _, rest = card.source.strip("\n").partition("\n")
    if rest.strip():
        first += " …"
    label = figures.clip(card.where, 8 if width < 56 else 14 if width < 100 else 24)
    pad = max(1, (9 if width >= 100 else 8) - len(label))
    left: Cells = [
        (f"[{card.number}]".ljust(6), "dim"),
        (label, MODE_STYLES[card.mode]),
        (" " * pad, ""),
        (first.strip(), "strong" if card.open else ""),
    ]
    return spread(left, _progress(card, width, glyphs, now), width)


def _progress(card: Card, width: int, glyphs: Glyphs, now: float) -> Cells:
    style = STATE_STYLES[card.state]
    words = {State.WAITING: "waiting", State.SENT: "sent", State.INTERRUPTED: "interrupted", State.ABORTED: "aborted",
             State.LOST: "lost"}  # fmt: skip
    mark = mark_of(card, glyphs)
    counted = f"{card.done:,}/{card.total:,}" if card.total > 1 or card.elements else ""
    count = " ".join(text for text in (counted, words.get(card.state, "")) if text)
    failed = f"{card.failed:,} {glyphs.failure}" if card.failed and card.total > 1 else ""
    left = card.pace.estimate(now, card.total) if card.open and card.total > FEW_PARTS else None
    seconds = figures.duration(card.seconds(now)) if card.open or card.ended is not None else ""
    if left is not None:
        seconds = f"ETA {figures.duration(left[0])} {glyphs.plus_minus}{figures.duration(left[1])}"
    if width < 56:  # the tiny layout
        share = figures.percent(card.done / card.total) if card.total > 1 else ""
        return [(f"{mark} ", style), (share, style), (f" {seconds:>6}", "dim")]
    if width < 100:
        return [
            (f"{mark} ", style),
            (count, style),
            (f" {failed}" if failed else "", "failure"),
            (f"  {seconds:>7}", "dim"),
        ]
    bar = ""
    if card.open and card.total > 1:
        bar = meter(glyphs, card.done / card.total, 10)
    if not counted and not bar:
        return [(f"{mark} ", style), (f"{count:<9} ", style), (" " * 16, ""), (f"{seconds:>8}", "dim")]
    return [
        (f"{mark} ", style),
        (f"{count:<9} ", style),
        (f"{bar:<10} ", "meter"),
        (f"{failed:<5}", "failure"),
        (f"{seconds:>8}", "dim"),
    ]


FEW_PARTS = 8  # below which nothing is estimated


def source_lines(card: Card) -> list[Cells]:
    """The whole text of a cell, when its head does not show it."""
    text = card.source.strip("\n")
    if "\n" not in text and len(text) < 40:
        return []
    return [[(f"{number:>3}  ", "dim"), (line, "")] for number, line in enumerate(text.split("\n"), 1)]


def output_lines(card: Card) -> list[Cells]:
    """What it printed: the newest lines, or all of them when unfolded."""
    lines: list[Shown] = []
    if card.live:
        lines = card.live
    elif len(card.printed):
        lines = card.printed.tail(MOST_LINES if card.unfolded else BRIEF)
    elif card.parts:
        lines = _printed_by_parts(card)
    hidden = 0
    if not card.unfolded and len(lines) > BRIEF:
        hidden, lines = len(lines) - BRIEF, lines[-BRIEF:]
    elif not card.live and not card.unfolded:
        hidden = max(0, len(card.printed) - BRIEF)
    shown = [styled(line.text, line.runs, "warn" if line.stream == "stderr" else "") for line in lines]
    if hidden:
        shown.insert(0, [(f"… {figures.plural(hidden, 'line')} above", "dim")])
    return shown


def _printed_by_parts(card: Card) -> list[Shown]:
    found: list[Shown] = []
    same: dict[tuple[str, str, Styles], list[int]] = {}
    for part in card.parts:
        if part.stdout or part.stderr:
            same.setdefault((part.stdout, part.stderr, part.runs), []).append(
                -1 if part.place is None else part.place
            )
    for (stdout, stderr, runs), places in same.items():
        prefix = ""
        if len(card.parts) > 1:
            prefix = f"{places_text([place for place in places if place >= 0], card.elements)}  "
        for at, (stream, text) in enumerate((("stdout", stdout), ("stderr", stderr))):
            styles = runs[at] if runs else ()
            for row, line in enumerate(text.rstrip("\n").split("\n") if text else ()):
                style = styles[row] if row < len(styles) else ()
                found.append(Shown(stream, line, style).behind(prefix))
                prefix = " " * len(prefix)
    return found


def outcome_lines(card: Card, room: int) -> list[Cells]:
    """What its parts gave: values grouped, failures by kind, and times when they were asked for."""
    if not card.parts:
        return []
    folded = card.folded()
    lines: list[Cells] = []
    one = len(card.parts) == 1 and card.parts[0].count == 1 and not card.elements
    if one:
        lines += _single(card, card.parts[0])
    elif card.grouping is Grouping.IDENTICAL:
        lines += _grouped(card, folded, room)
    else:
        ordered = by_engine(card.parts) if card.grouping is Grouping.ENGINE else by_order(card.parts)
        for part in ordered:
            lines += _labelled(card, part)
    failures: list[Cells] = []
    if not one and (card.grouping is Grouping.IDENTICAL):
        for group in folded.failures:
            failures += _failure(card, group, room)
    if not card.unfolded:  # failures are shown first of all: a few of them, before values fill the room
        failures = _brief(failures, 3)
        lines = _brief(lines, BRIEF - min(2, len(failures)))
    lines += failures
    if card.timed:
        lines.append(_times(card))
    return lines


def _brief(lines: list[Cells], most: int) -> list[Cells]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], [(f"… {figures.plural(len(lines) - most + 1, 'line')} more, enter shows all", "dim")]]


def _single(card: Card, part: Part) -> list[Cells]:
    if not part.ok:
        group = Group(
            f"{part.ename}: {part.evalue}" if part.evalue else part.ename, False, traceback=part.traceback, count=1
        )
        if part.place is not None:
            group.places.append(part.place)
        return _failure(card, group, 0)
    where: Cells = []
    if card.mode is Mode.LB and part.place is not None:
        where = [(f"on e{part.place}", "dim")]
    if not part.value:
        return [where] if where else []
    texts = part.value.split("\n")
    first: Cells = [(texts[0], "strong"), *([("   ", ""), *where] if where else [])]
    return [first, *([(text, "strong")] for text in texts[1:])]


def _grouped(card: Card, folded: Folded, room: int) -> list[Cells]:
    if folded.all_none:
        return []
    if len(folded.values) > 1 and usual_of(folded) is None and all(
        group.count == 1 and "\n" not in group.text and cell_len(group.text) <= 40 for group in folded.values
    ):  # fmt: skip
        return _side_by_side(card, folded, room)
    usual = usual_of(folded)
    lines: list[Cells] = []
    groups = [*folded.values, *folded.failures]
    total = max(card.total, sum(group.count for group in groups) + folded.nones + folded.left_out)
    for group in folded.values:
        where = places_text(group.places, card.elements, group.count) if group.count < total else ""
        lines += _value(group, usual, where, folded)
    if folded.nones:
        lines.append(
            [
                (f"{folded.nones:,} × ", "dim"),
                ("None", "dim"),
                ("   " + places_text(folded.none_places, card.elements), "dim"),
            ]
        )
    if folded.left_out:
        lines.append([(f"{folded.left_out:,} more, each different", "dim")])
    return lines


def _value(group: Group, usual: str | None, where: str, folded: Folded) -> list[Cells]:
    pieces = difference(group.text, usual) if usual is not None else None
    count: Cells = [(f"{group.count:,} × ", "dim")]
    tail: Cells = [("   " + where, "dim")] if where else []
    if "\n" in group.text:
        lines: list[Cells] = [[*count, *tail]]
        lines += [[(text, "strong")] for text in group.text.split("\n")]
        return lines
    if pieces is None or group.text == usual:
        return [[*count, (group.text, "strong"), *tail]]
    return [
        [*count, *((piece.text, "bold underline warn" if piece.differs else "strong") for piece in pieces), *tail]
    ]


def _side_by_side(card: Card, folded: Folded, room: int) -> list[Cells]:
    values = sorted(folded.values, key=lambda group: group.places[0] if group.places else 1 << 60)
    count = len(values) + folded.left_out
    lines: list[Cells] = []
    line: Cells = [] if card.elements else [(f"{count:,} different:   ", "dim")]
    used = sum(cell_len(text) for text, _ in line)
    for group in values:
        label = "" if not group.places else f"{group.places[0]}: " if card.elements else f"e{group.places[0]} "
        need = len(label) + cell_len(group.text) + 3
        if used and used + need > room:
            lines.append(line)
            line, used = [], 0
        line += [(label, "dim"), (group.text, "strong"), ("   ", "")]
        used += need
    lines.append(line)
    if folded.nones:
        lines.append([(f"{folded.nones:,} × None", "dim")])
    if folded.left_out:
        lines.append([(f"{folded.left_out:,} more", "dim")])
    return lines


def _labelled(card: Card, part: Part) -> list[Cells]:
    label = "" if part.place is None else f"[{part.place}]" if card.elements else f"e{part.place}"
    if not part.ok:
        return [
            [(f"{label:<5}", "dim"), (f"{part.ename}: {part.evalue}", "failure")],
            *_traceback(card, part.traceback),
        ]
    texts = part.value.split("\n") if part.value else ["None"]
    lines: list[Cells] = [[(f"{label:<5}", "dim"), (texts[0], "strong" if part.value else "dim")]]
    return lines + [[("     ", ""), (text, "strong")] for text in texts[1:]]


def _failure(card: Card, group: Group, room: int) -> list[Cells]:
    line: Cells = []
    if room and (group.count > 1 or card.total > 1):
        line.append((f"{group.count:,} × ", "dim"))
    line.append((group.text.replace("\n", " "), "failure"))
    if group.places and (card.mode is not Mode.LOCAL or card.elements):
        line.append(("   " + places_text(group.places, card.elements, group.count), "dim"))
    if (row := cell_line(group.traceback)) is not None:
        line.append((f"   line {row} of this cell", "dim"))
    return [line, *_traceback(card, group.traceback)]


def _traceback(card: Card, text: str) -> list[Cells]:
    if not card.unfolded or not text:
        return []
    return [[("  " + line, "failure" if _CELL_FRAME.search(line) else "dim")] for line in text.rstrip().split("\n")]


def cell_line(traceback: str) -> int | None:
    """The line of the cell that a traceback points at, from 1."""
    found = _CELL_FRAME.findall(traceback)
    return int(found[-1]) if found else None


def _times(card: Card) -> Cells:
    runs = sorted(part.seconds for part in card.parts if part.seconds is not None)
    wall = figures.duration(card.seconds(card.ended or card.began))
    if not runs:
        return [(f"wall {wall}", "dim")]
    spread_ = figures.duration(runs[0])
    if len(runs) > 1:
        spread_ += f" to {figures.duration(runs[-1])}, together {figures.duration(sum(runs))}"
    return [(f"wall {wall}, running {spread_}", "dim")]


def as_text(lines: Sequence[Cells]) -> str:
    """Lines as plain text."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)
