"""The main screen: places the panes, hands keys to actions, lets what is visible pull. It knows no task and no engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from tuiparallel.console.actions import Here, Key
from tuiparallel.console.catalogue import PANES
from tuiparallel.console.desk import Desk
from tuiparallel.console.hints import Hints, state_file
from tuiparallel.console.keys import Keys, Pending, key_of
from tuiparallel.console.lineview import LineView
from tuiparallel.console.panes import BOX_OF, BOXES, ZOOMS, arrange, layout_of
from tuiparallel.console.private import waiting_writes
from tuiparallel.console.prompt import Prompt
from tuiparallel.console.pulls import Pulls
from tuiparallel.console.repl.pane import ReplPane
from tuiparallel.console.screens.arranging import draw_joints, show
from tuiparallel.console.trail import Place, Trail
from tuiparallel.console.views.engines import EnginesView
from tuiparallel.console.views.errors import ErrorsView
from tuiparallel.console.views.events import EventsView
from tuiparallel.console.views.footer import Footer, Message, ViewBar
from tuiparallel.console.views.functions import FunctionsView
from tuiparallel.console.views.header import Header
from tuiparallel.console.views.inspector import InspectorView
from tuiparallel.console.views.line import OneLine
from tuiparallel.console.views.now import NowView
from tuiparallel.console.views.output import OutputView
from tuiparallel.console.views.rule import Rule, Tab
from tuiparallel.console.views.tasks import TasksView
from tuiparallel.console.views.timeline import TimelineView
from tuiparallel.monitor.rows import LinkState

INSPECTED = ("engine", "task", "function", "batch", "client")


class MainScreen(Screen[None], inherit_bindings=False):
    """The panes of CONSOLE's layouts, the header over them and the footer under them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.keys = Keys(desk.registry)
        self.engines = EnginesView(desk)
        self.now = NowView(desk)
        self.timeline = TimelineView(desk, lambda: self.engines.ids)
        self.tasks = TasksView(desk)
        self.errors = ErrorsView(desk)
        self.functions = FunctionsView(desk)
        self.output = OutputView(desk)
        self.events = EventsView(desk)
        self.inspector = InspectorView(desk)
        self.repl = ReplPane(desk)
        self.lists: dict[str, LineView] = {
            view.pane: view
            for view in (self.engines, self.now, self.timeline, self.tasks, self.errors, self.functions, self.output,
                         self.events, self.inspector)
        }  # fmt: skip
        self.header = Header(desk, "header")
        self.footer = Footer(desk)
        self.message = Message(desk)
        self.viewbar = ViewBar(desk)
        self.prompt = Prompt()
        self.rules: dict[str, Rule] = {}
        self.layout_name = "stack"
        self.current = "engines"
        self.last = "engines"  # the pane before the REPL was entered
        self.left = "engines"  # of engines and now, which was used last
        self.tab = {box: panes[0] for box, panes in BOXES.items()}
        self.zoom: dict[str, str] = {}
        self.trail = Trail()
        self.hints = Hints(state_file()) if desk.options.hints else None
        self.pulls_now: Pulls | None = None

    # Making -----------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.header
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self._box("engines")
                yield self._box("now")
            with Vertical(id="right"):
                yield self._box("upper")
                yield self._box("lower")
            with Vertical(id="side"):
                yield self._box("inspector")
        yield self._box("repl")
        yield self.viewbar
        yield Static("", id="small", markup=False)
        yield self.message
        yield self.footer
        yield self.prompt

    def _box(self, box: str) -> Vertical:
        rule = Rule(
            self.desk, f"rule-{box}", lambda: self.tabs_of(box), lambda: self.tab[box], lambda: self.title_of(box)
        )
        self.rules[box] = rule
        return Vertical(rule, *(self.pane_of(name) for name in BOXES[box]), id=f"box-{box}", classes="box")

    def pane_of(self, name: str) -> Widget:
        """The widget of a pane."""
        return self.repl if name == "repl" else self.lists[name]

    def on_mount(self) -> None:
        app = self.app
        self.pulls_now = Pulls(self.visible_panes, asyncio.get_running_loop(), lambda: waiting_writes(app))
        self.set_interval(1.0, self.second)
        self.rearrange()
        self.go(self.current)

    def tabs_of(self, box: str) -> list[Tab]:
        """The panes a rule names: all that share its box, or in a stack only the one that shows."""
        failed = self.desk.store.header(self.desk.clock.time()).failed
        names = BOXES[box] if self.layout_name not in ("stack", "tiny") else (self.tab[box],)
        return [Tab(name, f"{failed:,}" if name == "errors" and failed else "") for name in names]

    def title_of(self, box: str) -> list[tuple[str, str]]:
        """What the pane on top of a box says in its rule."""
        name = self.tab[box]
        if name == "repl":
            return list(self.repl.title())
        view = self.lists[name]
        if view.frozen_since is not None:
            frozen = int(self.desk.clock.monotonic() - view.frozen_since)
            return [*view.title(), (f"  {self.desk.glyphs.frozen} frozen {frozen}s, z goes on", "key")]
        return view.title()

    # Layout -----------------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        self.rearrange(event.size)

    def rearrange(self, size: Size | None = None) -> None:
        """Shows what the layout, the current pane and its zoom ask for."""
        size = size or self.size
        if not size.width:
            return
        self.layout_name = layout_of(size.width, size.height)
        zoom = self.zoom.get(self.current, "normal")
        shown = arrange(self.layout_name, self.current, zoom, self.left, self.last)
        show(self, shown, zoom)
        self.call_after_refresh(self._arranged)
        self.set_timer(0.05, self._arranged)  # what was hidden has its place only after another layout

    def _arranged(self) -> None:
        draw_joints(self)
        self.refresh_lines()
        if self.pulls_now is not None and self.app.screen is self:
            self.pulls_now.all()
            if self.inspector.subject is None and self.view is not None:
                self._show_beside(self.view)

    def visible_panes(self) -> Iterable[LineView]:
        """The lists that are on screen, none while a dialog is over them."""
        if not self.is_attached or self.app.screen is not self:
            return []
        found = []
        for view in self.lists.values():
            box = BOX_OF[view.pane]
            if (
                self.tab[box] == view.pane
                and view.is_attached
                and not self.query_one(f"#box-{box}").has_class("-hidden")
            ):
                found.append(view)
        return found

    # Going ------------------------------------------------------------------------------------------------------

    def go(self, name: str, *, remember: bool = True) -> None:
        """Shows a pane and gives it the keyboard."""
        if remember and name != self.current:
            self.trail.left(self.place())
        if name != "repl":
            self.last = name
        if name in ("engines", "now"):
            self.left = name
        self.current = name
        self.tab[BOX_OF[name]] = name
        self.rearrange()
        if name == "repl":
            self.repl.take_focus()
        else:
            self.lists[name].take_focus()
        self.refresh_lines()

    def place(self) -> Place:
        """Where the user is: pane, cursor, filter, and the inspector's subject."""
        view = self.lists.get(self.current)
        subject = self.inspector.subject if self.current == "inspector" else None
        return Place(self.current, view.cursor if view else None, view.filter_text if view else "", subject)

    def return_to(self, place: Place | None) -> None:
        """Restores a place: pane, filter and cursor."""
        if place is None:
            self.desk.say("there is no place to go to", "information")
            return
        view = self.lists.get(place.pane)
        if view is not None and view.filter_text != place.filter and place.pane != "output":
            view.filter_by(place.filter)
        if place.subject is not None:
            self.inspector.look_at(place.subject.kind, place.subject.key, keep=False)
        self.go(place.pane, remember=False)
        if view is not None and place.cursor is not None:
            view.go_to(place.cursor)

    def neighbour(self, step: int) -> None:
        """The next pane on screen."""
        names = [name for name in PANES if self._on_screen(name)]
        if self.layout_name in ("stack", "tiny"):
            names = list(PANES)
        if not names:
            return
        here = names.index(self.current) if self.current in names else 0
        self.go(names[(here + step) % len(names)])

    def _on_screen(self, name: str) -> bool:
        box = BOX_OF[name]
        return self.tab[box] == name and not self.query_one(f"#box-{box}").has_class("-hidden")

    def cycle_zoom(self) -> None:
        """Normal, half, full, and back."""
        zooms = ZOOMS if self.layout_name not in ("stack", "tiny") else ("normal", "full")
        now = self.zoom.get(self.current, "normal")
        self.zoom[self.current] = zooms[(zooms.index(now) + 1) % len(zooms)] if now in zooms else "normal"
        self.rearrange()

    def inspect(self, kind: str, key: Key) -> None:
        """Opens the inspector on an id."""
        if self.current != "inspector":
            self.go("inspector")
        self.inspector.look_at(kind, key)

    @property
    def view(self) -> LineView | None:
        """The list that has the keyboard."""
        return self.lists.get(self.current)

    def here(self) -> Here:
        """Where an action is asked for now."""
        view = self.view
        here = view.here() if view is not None else Here("repl")
        header = self.desk.store.header(self.desk.clock.time())
        return Here(
            here.pane, here.kind, here.ids, here.hidden, self.desk.options.readonly,
            self.desk.client is not None and header.link.state is not LinkState.LOST, header.up,
        )  # fmt: skip

    def marked_engines(self) -> tuple[int, ...]:
        """The engines that are marked, ascending."""
        return tuple(sorted(id for id in self.engines.marks if isinstance(id, int)))

    # Drawing ----------------------------------------------------------------------------------------------------

    def refresh_lines(self) -> None:
        """Header, rules, bars and footer, each drawn only where it looks different."""
        self.footer.here = self.here()
        self.footer.pending = self.keys.pending
        self.viewbar.current = self.current
        for box, rule in self.rules.items():
            rule.focused = self.tab[box] == self.current
        for line in (self.header, self.footer, self.viewbar, *self.rules.values()):
            if line.display and line.size.width:
                line.update()

    def news(self) -> None:
        """The store has changed."""
        if self.pulls_now is not None and self.is_attached:
            self.pulls_now.news()
            if self.app.screen is self:
                self.header.update()

    def second(self) -> None:
        """Once a second: clock and ages, also when nothing comes."""
        self.message.tick()
        if self.hints is not None and self.message.said is None and self.app.screen is self:
            if (hint := self.hints.due(self.desk.clock.monotonic())) is not None:
                self.desk.say(hint, "information")
        if self.app.screen is not self or self.pulls_now is None:
            return
        self.pulls_now.all()
        draw_joints(self)
        self.refresh_lines()

    # Events -----------------------------------------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget is not self.focused:
            return  # the keyboard has gone on meanwhile
        for node in event.widget.ancestors_with_self:
            name = node.id or ""
            if name in BOX_OF and name != self.current:
                if self.current != "repl":
                    self.last = self.current
                self.current = name
                if name in ("engines", "now"):
                    self.left = name
                self.rearrange()
        self.refresh_lines()

    @on(LineView.Moved)
    def _moved(self, event: LineView.Moved) -> None:
        event.stop()
        if event.view is self.engines:
            if self.timeline.cursor != self.engines.cursor and self.engines.cursor is not None:
                self._follow(self.timeline, self.engines.cursor)
        elif event.view is self.timeline and self.timeline.cursor is not None:
            self._follow(self.engines, self.timeline.cursor)
        if event.view is self.view:
            self._show_beside(event.view)
        self.refresh_lines()

    def _show_beside(self, view: LineView) -> None:
        """Where the inspector is docked it shows what is under the cursor."""
        here = view.here()
        if self.layout_name == "wide" and view is not self.inspector and here.kind in INSPECTED and here.ids:
            self.inspector.look_at(here.kind, here.ids[0], keep=False)

    def _follow(self, view: LineView, key: Key) -> None:
        """Two panes share their cursor: the other goes along without an answer of its own."""
        index = view.find(key)
        if index is not None and view.cursor != key:
            with self.prevent(LineView.Moved):
                view.move_to(index)

    @on(LineView.Opened)
    def _opened(self, event: LineView.Opened) -> None:
        event.stop()
        self.perform("inspect")

    def on_print(self, event: events.Print) -> None:
        """What user code in this process prints must not reach the terminal we draw on."""
        event.stop()
        if event.text.strip():
            self.desk.printed(event.text)

    @on(Prompt.Typed)
    def _prompt_typed(self, event: Prompt.Typed) -> None:
        event.stop()
        self.desk.typed(event.mode, event.text)

    @on(Prompt.Closed)
    def _prompt_closed(self, event: Prompt.Closed) -> None:
        event.stop()
        self.desk.closed(event.mode, event.text)

    @on(OneLine.Chosen)
    def _chosen(self, event: OneLine.Chosen) -> None:
        event.stop()
        self.perform(event.action)

    def on_key(self, event: events.Key) -> None:
        """Keys no pane took: a question first, then the table of actions."""
        if self.desk.answer(event.key):
            event.stop()
            return
        if isinstance(self.focused, Input | TextArea):
            return  # what is typed is text; the keys that work there are the widget's own and the app's
        if self.layout_name == "small" and event.key not in ("q", "ctrl+q"):
            return
        view = self.view
        places = (self.current, "lists", "everywhere") if view is not None else (self.current, "everywhere")
        pending = self.keys.pending
        found = self.keys.press(key_of(event), places)
        if found is None and pending is None:
            return
        event.stop()
        event.prevent_default()
        if found is not None and not isinstance(found, Pending):
            self.perform(found.id)
        self.refresh_lines()

    def perform(self, id: str) -> None:
        """Does an action, or says why it cannot be done."""
        reason = self.desk.registry.perform(id, self.here())
        if reason is not None:
            self.desk.say(reason, "warning")
