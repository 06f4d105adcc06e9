"""The first line: is it alive, am I connected, how much runs, waits and failed. Every number is a link to its rows."""

from __future__ import annotations

from dataclasses import dataclass

from tuiparallel.console import figures
from tuiparallel.console.glyphs import spark
from tuiparallel.console.paint import Cells, width_of
from tuiparallel.console.views.line import OneLine, place
from tuiparallel.monitor.rows import HeaderView, LinkState

SPARK = 8
SHOWN_LAG = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of the header. rank 0 is dropped last; an empty short form means: not in the short header."""

    long: Cells
    short: Cells
    rank: int
    action: str = ""


class Header(OneLine):
    """One line that fits: long forms, else short ones, else fewer."""

    def line(self, width: int) -> Cells:
        return self._fitted(width)[0]

    def links(self, width: int) -> list[tuple[int, int, str]]:
        return self._fitted(width)[1]

    def _fitted(self, width: int) -> tuple[Cells, list[tuple[int, int, str]]]:
        view = self.desk.store.header(self.desk.clock.time())
        items = self._items(view)
        clock = figures.clock(view.at if view.at else self.desk.clock.time())
        tail = len(clock) + 2
        for gap in (3, 2):
            line, links = place([(item.long, item.action) for item in items], gap)
            if (used := width_of(line)) <= width - tail:
                return [*line, (" " * (width - tail - used + 1), ""), (clock, "dim"), (" ", "")], links
        for most in range(max(item.rank for item in items), -1, -1):
            pieces = [(item.short, item.action) for item in items if item.short and item.rank <= most]
            line, links = place(pieces, 2)
            if width_of(line) <= width + 2:
                break
        return line, links

    def _items(self, view: HeaderView) -> list[Item]:
        counters, glyphs = view.counters, self.desk.glyphs
        name: Cells = [(view.cluster or "no cluster", "bold strong")]
        if self.desk.options.badge:
            name.append((f" {self.desk.options.badge} ", "bold strong on badge"))
        link = self._link(view)
        missing = view.up < view.expected
        engines = f"{view.up}/{max(view.expected, view.up)}"
        style = "warn" if missing else ""
        queued = counters.queued + max(0, counters.assigned - counters.running)
        failed: Cells = [
            (f"{glyphs.failure} {figures.short_count(view.failed)}", "failure" if view.failed else "dim")
        ]
        items = [
            Item([*name, (" ", ""), *link], [*name, (" ", ""), *link], 0, "health"),
            Item([(engines, style or "strong"), (" engines", "dim")], [(engines, style or "strong"), (" eng", "dim")], 1,
                 "pane.engines"),
            Item([("run ", "dim"), (figures.count(counters.running), "strong")],
                 [("run ", "dim"), (figures.short_count(counters.running), "strong")], 4, "pane.now"),
            Item([("queue ", "dim"), (figures.count(queued), "strong")],
                 [("q ", "dim"), (figures.short_count(queued), "strong")], 5, "pane.tasks"),
            Item([("done ", "dim"), (figures.count(counters.done), "strong")], [], 8, "pane.functions"),
            Item(failed, failed, 2, "pane.errors"),
        ]  # fmt: skip
        if self._connected(view):
            rate = figures.rate(view.rate)
            line = spark(glyphs, _eighths(view.rates), SPARK)
            items.append(Item([(rate, "strong"), (" ", ""), (line, "trend")], [(rate, "strong")], 6, "pane.timeline"))
            if view.eta is not None or view.eta_partial:
                sign = ">" if view.eta_partial else ""
                eta = f"{sign}{figures.duration(view.eta.seconds)}" if view.eta is not None else "unknown"
                items.append(
                    Item([("ETA ", "dim"), (eta, "strong")], [("ETA ", "dim"), (eta, "strong")], 7, "pane.now")
                )
        if view.warnings:
            warned: Cells = [(f"{glyphs.warning} {view.warnings}", "bold warn")]
            items.append(Item(warned, warned, 3, "problem.next"))
        return [*items, *self._when_so(view)]

    def _when_so(self, view: HeaderView) -> list[Item]:
        """What is shown only when it is so."""
        texts: list[tuple[str, str]] = []
        if self.desk.options.readonly:
            texts.append(("read-only", "key"))
        if view.skipped:
            texts.append((f"skipped {view.skipped:,}", "warn"))
        if view.lag > SHOWN_LAG:
            texts.append((f"lag {figures.duration(view.lag)}", "warn"))
        texts += [(f"hub: {name} full", "failure") for name in view.full]
        if view.late:
            texts.append((f"late {view.late:,}", "dim"))
        return [Item([text], [text], 3, "health") for text in texts]

    def _connected(self, view: HeaderView) -> bool:
        return view.link.state in (LinkState.LIVE, LinkState.STALE)

    def _link(self, view: HeaderView) -> Cells:
        glyphs = self.desk.glyphs
        since = max(0.0, self.desk.clock.time() - view.link.since)
        match view.link.state:
            case LinkState.LIVE:
                return [(f"{glyphs.live} live", "ok")]
            case LinkState.CONNECTING:
                return [(f"{glyphs.connecting} connecting", "warn")]
            case LinkState.STALE:
                return [(f"{glyphs.stale} stale {int(since)}s", "warn")]
            case LinkState.LOST:
                tries = f", try {view.link.tries}" if view.link.tries else ""
                return [(f"{glyphs.lost} lost {int(since)}s{tries}", "bold failure")]


def _eighths(rates: tuple[float, ...]) -> list[float]:
    """60 s of history as means of SPARK equal parts."""
    if not rates:
        return []
    step = max(1, len(rates) // SPARK)
    parts = [rates[max(0, end - step) : end] for end in range(len(rates), 0, -step)][:SPARK]
    return [sum(part) / len(part) for part in reversed(parts)]
