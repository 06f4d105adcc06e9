"""Pane 0: what runs and how far it is, the warnings, and who else is here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from tuiparallel.console import figures
from tuiparallel.console.actions import Here
from tuiparallel.console.choosing import ours
from tuiparallel.console.desk import Desk
from tuiparallel.console.glyphs import meter
from tuiparallel.console.paint import Cells
from tuiparallel.console.themes import hue_of
from tuiparallel.console.views.listed import ListedView
from tuiparallel.monitor.lints import HELP
from tuiparallel.monitor.rows import BatchView, ClientView, Lint, Section

MOST_BATCHES = 200
MOST_WARNINGS = 50
FIRST = 2  # submissions that stand before the warnings, however many there are
FRESH = 60.0  # seconds for which a finished submission stays in sight


@dataclass(frozen=True, slots=True)
class Row:
    """A submission, a warning, a client, or a note of how many more there are."""

    key: str
    item: BatchView | Lint | ClientView | str


class NowView(ListedView[Row]):
    """Submissions, mine first; then warnings; then clients."""

    pane: ClassVar[str] = "now"
    number: ClassVar[int] = 0
    pulls: ClassVar[int] = 5

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.running = 0
        self.warned = 0
        self.names = 0  # characters of the longest name

    def version(self) -> Hashable:
        store = self.desk.store
        parts = (Section.BATCHES, Section.WARNINGS, Section.CLIENTS)
        return (*map(store.version, parts), int(self.desk.clock.time()))

    def pull(self) -> None:
        store, now = self.desk.store, self.desk.clock.time()
        mine = ours(self.desk)
        hub_now = store.hub_time(now)
        batches = [row for row in store.batches(now) if not row.finished or hub_now - row.last < FRESH]
        batches.sort(key=lambda row: (row.finished, row.client not in mine, row.ended - row.total))
        warnings = store.warnings()
        self.running = sum(1 for row in batches if not row.finished)
        self.warned = len(warnings)
        told = [Row(f"w{row.id}:{row.engine}:{row.task}:{row.name}", row) for row in warnings[:MOST_WARNINGS]]
        if len(warnings) > MOST_WARNINGS:
            told.append(Row("more-warnings", f"{len(warnings) - MOST_WARNINGS:,} more warnings"))
        rows = [Row(f"b{row.id}", row) for row in batches[:MOST_BATCHES]]
        if len(batches) > MOST_BATCHES:
            rows.append(Row("more-batches", f"{len(batches) - MOST_BATCHES:,} more submissions"))
        # Warnings stand behind what runs, but never below the edge for the sake of many submissions.
        place = min(self.running, MOST_BATCHES, max(FIRST, self.room - len(told)))
        rows[place:place] = told
        self.names = max((len(_name(row)) for row in batches[:MOST_BATCHES]), default=0)
        clients = [row for row in store.clients() if row.hex != self.desk.feed]
        rows += [Row(f"c{row.session}", row) for row in clients if row.outstanding or (rows and row.connected)]
        self.list_rows(rows)

    def here(self) -> Here:
        row = self.current()
        match row.item if row is not None else None:
            case BatchView(id=id):
                return Here(self.pane, "batch", (id,))
            case Lint(task=int(task)):
                return Here(self.pane, "task", (task,))
            case Lint(engine=int(engine)):
                return Here(self.pane, "engine", (engine,))
            case Lint(name=name) if name:
                return Here(self.pane, "function", (name,))
            case ClientView(hex=session):
                return Here(self.pane, "client", (session,))
            case _:
                return Here(self.pane)

    def cells(self, index: int, width: int) -> Cells:
        match self.rows[index].item:
            case BatchView() as batch:
                return self._batch(batch, width)
            case Lint(sentence=sentence):
                return [(self.desk.glyphs.warning + " ", "bold warn"), (sentence, "")]
            case ClientView() as client:
                return self._client(client)
            case str(text):
                return [(text, "dim")]

    def _batch(self, row: BatchView, width: int) -> Cells:
        glyphs = self.desk.glyphs
        hue = f"fn-{hue_of(row.name)}"
        name_width = max(8, min(self.names, 24 if width >= 72 else 12 if width >= 56 else 8))
        tiny = width < 42
        right = self._when(row, "" if tiny else " ")
        figure = figures.percent(row.fraction)
        if figure == "100%" and not row.finished:
            figure = "99%"
        speed = "" if row.finished else figures.rate(row.rate) if row.rate is not None else "?"
        narrow = width < 52
        bad = row.failed - row.aborted
        failed = f" {glyphs.failure}{figures.short_count(bad)}" if bad else ""
        counts = f"{figures.short_count(row.ended)}/{figures.short_count(row.total)}"
        tail = f"{figure:>5}  "
        if width >= 60:
            tail += f"{counts:>11}  "
        tail += f"{speed:>7}  {right:<{7 if tiny else 11}}"
        room = width - name_width - 1 - len(tail) - (0 if narrow else 5)
        bar = max(6, min(40, room))
        meter_cells = bar - 1 if narrow and bad else bar
        done = row.done / row.total if row.total else 1.0
        return [
            (figures.clip(_name(row), name_width).ljust(name_width) + " ", hue),
            (meter(glyphs, done if row.failed else row.fraction, meter_cells), hue if not row.finished else "dim"),
            (glyphs.failure if meter_cells < bar else "", "bold failure"),
            (tail, "" if not row.finished else "dim"),
            ("" if narrow else failed, "failure"),
        ]

    def _when(self, row: BatchView, gap: str) -> str:
        """When it was or will be done; without a gap there is no room for how sure that is."""
        if row.finished:
            return f"{self.desk.glyphs.done} {figures.duration(max(0.0, row.last - row.submitted))}"
        if row.eta is None:
            return "unknown"
        sure = not gap or row.eta.spread < 0.5
        spread = "" if sure else f"{gap}{self.desk.glyphs.plus_minus}{figures.duration(row.eta.spread)}"
        return f"{figures.duration(row.eta.seconds)}{spread}"

    def _client(self, row: ClientView) -> Cells:
        mine = self.desk.client is not None and self.desk.client.session == row.hex
        name = "this console" if mine else row.name or row.hex[:8]
        gone = "" if row.connected else ", gone"
        return [
            ("client ", "dim"),
            (name, "strong" if mine else ""),
            (f"  {row.outstanding:,} open{gone}", ""),
            (f"  since {figures.clock(row.since)}  {row.host} {row.pid}", "dim"),
        ]

    def title(self) -> Cells:
        title: Cells = [(f"{self.running:,} running", "dim")]
        if self.warned:
            title.append((f", {figures.plural(self.warned, 'warning')}", "warn"))
        return title

    def empty(self) -> list[str]:
        return ["Nothing runs. i, then type"]

    def sentence(self) -> Cells:
        match self.current():
            case Row(item=BatchView() as row):
                waiting = max(0, row.total - row.ended - row.running)
                mode = "balanced" if row.balanced else "direct"
                ended = f"{row.done:,} done, {row.failed - row.aborted:,} failed"
                ended += f", {row.aborted:,} aborted" if row.aborted else ""
                return [(f"{ended}, {row.running:,} running, {waiting:,} waiting; {mode}", "dim")]
            case Row(item=Lint() as row):
                return [(f"{row.id}: warns at {row.threshold}. {HELP[row.id]}", "dim")]
            case _:
                return []

    def problem(self, index: int) -> bool:
        return isinstance(self.rows[index].item, Lint)


def _name(row: BatchView) -> str:
    return f"{row.name} {row.label}" if row.label else row.name
