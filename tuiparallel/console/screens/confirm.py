"""The dialog for what costs: what, how many, whose, five names, the Python line; the focus is on Cancel."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from tuiparallel.console.deeds import Deed
from tuiparallel.console.desk import Clock
from tuiparallel.console.figures import clip
from tuiparallel.console.ladder import DEAF
from tuiparallel.console.screens.tick import Tick

BUTTONS = {"shutdown": "Shut down", "again": "Try again"}  # where the title's first word alone would not say it
LONGEST = 300  # characters of the Python line; Events and the log have all of it
SHORT, TINY = 28, 16  # rows of a screen below which the dialog has less air, and below which less in it
LEAST = 19  # rows the dialog needs without examples
RECOUNT = 0.5  # seconds between two counts of what has moved on


class ConfirmScreen(ModalScreen[tuple[bool, bool]], inherit_bindings=False):
    """Returns (do it, with the extra). At level 3 the cluster's name must be typed."""

    def __init__(self, deed: Deed, cluster: str, clock: Clock) -> None:
        super().__init__()
        self.deed = deed
        self.cluster = cluster
        self.clock = clock
        self.painted: float | None = None
        self.counted = float("-inf")

    def compose(self) -> ComposeResult:
        deed, height = self.deed, self.app.size.height
        short, tiny = height < SHORT, height < TINY
        few = len(deed.examples) if not short else max(0, height - LEAST)
        with Vertical(classes=f"dialog{' -short' if short else ''}{' -tiny' if tiny else ''}", id="question"):
            yield Static(f"{deed.question[:1].upper()}{deed.question[1:]}?", classes="title", markup=False)
            for fact in deed.facts[: 1 if tiny else None]:
                yield Static(fact, classes="fact", markup=False)
            if deed.live is not None and not tiny:
                yield Static(deed.live(), classes="live", id="live", markup=False)
            for example in deed.examples[:few]:
                yield Static(f"  {example}", classes="example", markup=False)
            if not tiny:
                yield Static(
                    clip(deed.python, LONGEST if not short else LONGEST // 3), classes="python", markup=False
                )
            if deed.extra:
                yield Tick(deed.extra, id="extra")
            if deed.level >= 3:
                if not tiny:
                    yield Static(f"Type the cluster's name, {self.cluster}, to go on", classes="ask", markup=False)
                yield Input(
                    select_on_focus=False,
                    id="name",
                    placeholder=f"type {self.cluster} to go on" if tiny else self.cluster,
                )
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=tiny)
                yield Button(
                    BUTTONS.get(deed.action.id, deed.action.title.split()[0]),
                    id="do",
                    classes="-danger",
                    disabled=deed.level >= 3,
                    compact=tiny,
                )

    def on_mount(self) -> None:
        self.query_one("#cancel", Button).focus()
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        self.painted = self.clock.monotonic()

    def news(self) -> None:
        """The store has changed: the ids stay, but what has become of them is counted anew."""
        now = self.clock.monotonic()
        if self.deed.live is None or not self.is_mounted or now - self.counted < RECOUNT:
            return
        self.counted = now
        for line in self.query("#live").results(Static):
            line.update(self.deed.live())

    @property
    def deaf(self) -> bool:
        """Whether a key pressed now was pressed before anyone could have read the question."""
        return self.painted is None or self.clock.monotonic() - self.painted < DEAF

    def _order(self) -> Iterable[Widget]:
        for selector in ("#cancel", "#do", "#extra", "#name"):
            for widget in self.query(selector):
                if not widget.disabled:
                    yield widget

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and self.deaf:
            event.stop()
            return
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.dismiss((False, False))
        elif event.key in ("tab", "right", "down", "shift+tab", "left", "up"):
            event.stop()
            places = list(self._order())
            here = places.index(self.focused) if self.focused in places else 0
            step = 1 if event.key in ("tab", "right", "down") else -1
            places[(here + step) % len(places)].focus()
        elif event.is_printable and event.character and event.character != " " and self.deed.level >= 3:
            # Who begins to type the name means the field for it; enter alone is still Cancel.
            event.stop()
            name = self.query_one("#name", Input)
            name.focus()
            name.insert_text_at_cursor(event.character)

    @on(Input.Changed, "#name")
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#do", Button).disabled = event.value != self.cluster

    @on(Input.Submitted, "#name")
    def _entered(self, event: Input.Submitted) -> None:
        if event.value == self.cluster:
            self._done()

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss((False, False))

    @on(Button.Pressed, "#do")
    def _do(self) -> None:
        self._done()

    def _done(self) -> None:
        if self.deaf or (self.deed.level >= 3 and self.query_one("#name", Input).value != self.cluster):
            return
        extra = bool(self.deed.extra) and self.query_one("#extra", Tick).ticked
        self.dismiss((True, extra))
