"""LineView: the base of every list, log and timeline. It draws lines, and holds no data.

A subclass says how many rows there are, and the id, version and cells of row i. The base does cursor, marks, range,
follow, scrolling, the sentence line and the empty state. Rows are addressed by id: the cursor stays on its engine
whatever is sorted above it. A line is drawn anew only when its version or its look has changed.
"""

from __future__ import annotations

import traceback
from collections.abc import Hashable
from textwrap import wrap
from typing import ClassVar

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tuiparallel.console.actions import Here, Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.paint import Cells, Paint

MAX_STRIPS = 4096
QUIET_AFTER_MOVE = 2.0  # seconds in which nothing is sorted anew after the cursor moved


class LineView(Widget, can_focus=True):
    """A list of lines with a cursor on an id."""

    pane: ClassVar[str] = ""
    number: ClassVar[int] = 0
    pulls: ClassVar[int] = 5  # a second, at most
    kind: ClassVar[str] = ""  # what an id of a row names
    newest_first: ClassVar[bool] = False
    ALLOW_SELECT = False  # rows are chosen here, not text; `y` copies

    keeps_cursor: ClassVar[bool] = False  # whether the cursor is drawn also while another pane has the keyboard

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, view: LineView) -> None:
            super().__init__()
            self.view = view

    class Opened(Message):
        """A row was opened with the mouse."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(id=self.pane, classes="pane")
        self.desk = desk
        self.cursor: Key | None = None
        self.top = 0
        self.marks: set[Key] = set()
        self.range_from: Key | None = None
        self.following = self.newest_first
        self.frozen_since: float | None = None
        self.moved_at = float("-inf")
        self.filter_text = ""
        self.failure = ""
        self.drawn: Hashable = None  # the version of the store that is on screen
        self._at = 0  # the row the cursor was on when it was last found
        self._strips: dict[Hashable, Strip] = {}
        self._looks: list[Hashable] = []
        self._stamps: dict[Key, Hashable] = {}
        self._paint: Paint | None = None

    # What a subclass says ---------------------------------------------------------------------------------------

    def version(self) -> Hashable:
        """Changes whenever a pull would draw something else."""
        raise AssertionError(f"{type(self).__name__} must say its version")

    def pull(self) -> None:
        """Takes what is to be drawn from the store."""

    def count(self) -> int:
        """How many rows there are."""
        return 0

    def key_at(self, index: int) -> Key:
        """The id of a row."""
        return index

    def find(self, key: Key) -> int | None:
        """The row of an id, or None when it is gone."""
        return key if isinstance(key, int) and 0 <= key < self.count() else None

    def stamp(self, index: int) -> Hashable:
        """The version of a row: the same stamp, the same cells. Where nothing is cheaper, the cells themselves."""
        key = self.key_at(index)
        stamp = self._stamps.get(key)
        if stamp is None:
            stamp = self._stamps[key] = tuple(self.cells(index, self.size.width - 2))
        return stamp

    def cells(self, index: int, width: int) -> Cells:
        """A row without its two leading cells, which are the cursor's and the mark's."""
        return []

    def heading(self, width: int) -> Cells | None:
        """The line above the rows."""
        return None

    def footing(self, width: int) -> Cells | None:
        """The line below the rows."""
        return None

    def sentence(self) -> Cells:
        """About the row under the cursor."""
        return []

    def empty(self) -> list[str]:
        """What to say when there is no row."""
        return ["Nothing here"]

    def title(self) -> Cells:
        """What the rule above the pane says after its name."""
        return []

    def filter_by(self, text: str) -> str | None:
        """Shows only what a query matches; an empty text shows all. Returns what is wrong with the query."""
        return "this pane has no filter"

    def problem(self, index: int) -> bool:
        """Whether `n` stops at this row."""
        return False

    def sort_next(self) -> str:
        """Sorts by the next column and says by which."""
        return ""

    def sort_reversed(self) -> str:
        """Turns the order round and says how it is."""
        return ""

    # Pulling ----------------------------------------------------------------------------------------------------

    def pull_now(self, *, force: bool = False) -> None:
        """Draws the store's newest version, unless it is on screen already or the view is frozen."""
        if self.frozen_since is not None and not force:
            return
        try:
            version = self.version()
            if version == self.drawn and not force:
                return
            self._stamps.clear()
            self.pull()
            self.drawn = version
            self.failure = ""
            self._settle()
        except Exception as error:  # L14: a pane that raises says so, and the app lives
            self._fail(error)
        self.repaint()

    def _fail(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1:]
        place = f" ({where[0].name}, line {where[0].lineno})" if where else ""
        self.failure = f"{type(error).__name__}: {error}{place}"

    def _settle(self) -> None:
        count = self.count()
        if not count:
            self.top = 0
            return
        if self.following or self.cursor is None:
            self._at = 0 if self.newest_first or not self.following else count - 1
            self.cursor = self.key_at(self._at)
        else:
            found = self.find(self.cursor)
            if found is None:
                self._at = min(self._at, count - 1)
                self.cursor = self.key_at(self._at)
            elif found != self._at:
                # The view keeps the distance between its top and the cursor, so what is looked at stays in place.
                self.top += found - self._at if self.top else 0
                self._at = found
        self._show_cursor()

    def _show_cursor(self) -> None:
        room = max(1, self.room)
        if self._at < self.top:
            self.top = self._at
        elif self._at >= self.top + room:
            self.top = self._at - room + 1
        self.top = max(0, min(self.top, self.count() - room))

    # Drawing ----------------------------------------------------------------------------------------------------

    @property
    def head_lines(self) -> int:
        return 0 if self.heading(self.size.width) is None or self.size.height < 3 else 1

    @property
    def foot_lines(self) -> int:
        return 0 if self.size.height < 4 or self.footing(self.size.width) is None else 1

    @property
    def shows_sentence(self) -> bool:
        """The last line is a sentence: while the pane has the focus, or when it is the only one."""
        return self.size.height >= 6 and self.has_focus

    @property
    def room(self) -> int:
        """How many rows fit."""
        return max(0, self.size.height - self.head_lines - self.foot_lines - (1 if self.shows_sentence else 0))

    def row_at(self, y: int) -> int:
        """The row that is drawn on this line of the widget; count() or more where there is none."""
        return self.top + y - self.head_lines

    def repaint(self) -> None:
        """Draws the lines that look different from what is on screen."""
        if not self.size.height:
            return
        paint = self.desk.paint
        if paint is not self._paint:
            self._paint = paint
            self._strips.clear()
            self._looks = []
        looks = [self._look(y) for y in range(self.size.height)]
        if self.failure:  # found at some line: then no line is to be trusted
            looks = [("failure", self.failure)] * len(looks)
        old = self._looks
        self._looks = looks
        if len(old) != len(looks):
            self.refresh()
            return
        changed = [y for y, look in enumerate(looks) if look != old[y]]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _look(self, y: int) -> Hashable:
        try:
            if self.failure:
                return ("failure", self.failure)
            head = self.head_lines
            if y < head:
                return ("head", tuple(self.heading(self.size.width) or ()))
            if self.shows_sentence and y == self.size.height - 1:
                return ("sentence", tuple(self.sentence()))
            if y >= head + self.room:
                return ("foot", tuple(self.footing(self.size.width) or ()))
            index = self.row_at(y)
            if not self.count():
                return ("empty", y, tuple(self.empty()))
            if index >= self.count():
                return None
            return self._row_look(index, y)
        except Exception as error:
            self._fail(error)
            return ("failure", self.failure)

    def _row_look(self, index: int, y: int) -> Hashable:
        key = self.key_at(index)
        state = (key == self.cursor, self.has_focus, key in self.marks, self._thumb(y))
        return (key, self.stamp(index), self.size.width, state)

    def render_line(self, y: int) -> Strip:
        look = self._look(y)
        strip = self._strips.get(look)
        if strip is None:
            try:
                strip = self._draw(y)
            except Exception as error:
                self._fail(error)
                strip = self._line([(" this pane failed: ", "bold failure"), (self.failure, "failure")])
            if len(self._strips) >= MAX_STRIPS:
                self._strips.clear()
            if isinstance(look, tuple) and not self.failure:
                self._strips[look] = strip
        return strip

    def _line(self, cells: Cells) -> Strip:
        return self.desk.paint.strip(cells, self.size.width, self.rich_style)

    def _draw(self, y: int) -> Strip:
        if self.failure:
            words = ["this pane failed:", *wrap(self.failure, max(10, self.size.width - 2))]
            return self._line([(f" {words[y]}", "failure" if y else "bold failure")] if y < len(words) else [])
        head = self.head_lines
        width = self.size.width
        if y < head:
            return self._line(self.heading(width) or [])
        if self.shows_sentence and y == self.size.height - 1:
            return self._line([(" ", ""), *((text, style or "dim") for text, style in self.sentence())])
        if y >= head + self.room:
            return self._line(self.footing(width) or [])
        if not self.count():
            lines = self.empty()
            line = y - head - 1
            return self._line([("  " + lines[line], "dim")] if 0 <= line < len(lines) else [])
        index = self.row_at(y)
        if index >= self.count():
            return self._line([])
        return self._draw_row(index, y)

    def _draw_row(self, index: int, y: int) -> Strip:
        glyphs = self.desk.glyphs
        key = self.key_at(index)
        here = key == self.cursor
        marked = key in self.marks
        thumb = self._thumb(y)
        width = self.size.width - 1
        behind = " on cursor" if here and self.has_focus else " on marked" if marked else ""
        points = here and (self.has_focus or self.keeps_cursor)
        line: Cells = [(glyphs.cursor if points else glyphs.mark if marked else " ", "strong" if points else "key")]
        line += self.cells(index, width - 1)
        if behind:
            line = [(text, style if " on " in f" {style}" else style + behind) for text, style in line]
        paint = self.desk.paint
        base = self.rich_style + paint.style(behind.strip()) if behind else self.rich_style
        body = paint.strip(line, width, base)
        edge = paint.strip([(glyphs.thumb if thumb else " ", "rule")], 1, base)
        return Strip([*body, *edge], width + 1)

    def _thumb(self, y: int) -> bool:
        count, room = self.count(), self.room
        if count <= room or not room:
            return False
        line = y - self.head_lines
        size = max(1, room * room // count)
        first = self.top * (room - size) // max(1, count - room)
        return first <= line < first + size

    # Moving -----------------------------------------------------------------------------------------------------

    def move_to(self, index: int, *, follow: bool = False) -> None:
        """Puts the cursor on a row and shows it."""
        count = self.count()
        if not count:
            return
        self._at = max(0, min(index, count - 1))
        self.cursor = self.key_at(self._at)
        self.following = follow
        self.moved_at = self.desk.clock.monotonic()
        self._show_cursor()
        self.repaint()
        self.post_message(self.Moved(self))

    def move(self, rows: int) -> None:
        """Moves the cursor by that many rows."""
        self.move_to(self._at + rows)

    def go_to(self, key: Key) -> bool:
        """Puts the cursor on an id; False when it has no row here."""
        index = self.find(key)
        if index is None:
            return False
        self.move_to(index)
        return True

    def next_problem(self, step: int) -> bool:
        """Goes to the next row (step 1) or the one before (-1) that has a problem, around the end."""
        count = self.count()
        for distance in range(1, count + 1):
            index = (self._at + step * distance) % count
            if self.problem(index):
                self.move_to(index)
                return True
        return False

    def toggle_mark(self) -> None:
        """Marks the row under the cursor, or unmarks it, and goes on."""
        if self.cursor is not None and self.count():
            self.marks ^= {self.cursor}
            self.move(1)
            self.repaint()

    def mark_range(self) -> None:
        """The first call remembers the row; the second marks all from there to the cursor."""
        start = self.find(self.range_from) if self.range_from is not None else None
        if start is None:
            self.range_from = self.cursor
            return
        low, high = sorted((start, self._at))
        self.marks |= {self.key_at(index) for index in range(low, high + 1)}
        self.range_from = None
        self.repaint()

    def mark_all(self) -> None:
        """Marks every row that is shown."""
        self.marks |= {self.key_at(index) for index in range(self.count())}
        self.repaint()

    def clear_marks(self) -> bool:
        """Unmarks all; False when nothing was marked."""
        had = bool(self.marks) or self.range_from is not None
        self.marks.clear()
        self.range_from = None
        self.repaint()
        return had

    def chosen(self) -> tuple[tuple[Key, ...], int]:
        """What an action takes: the marks, else the row under the cursor; and how many marks the filter hides."""
        if self.marks:
            hidden = sum(1 for key in self.marks if self.find(key) is None)
            return tuple(sorted(self.marks, key=lambda key: (isinstance(key, str), key))), hidden
        if self.cursor is None or not self.count():
            return (), 0
        return (self.cursor,), 0

    def here(self) -> Here:
        """Where an action is asked for; the screen adds what concerns the whole console."""
        ids, hidden = self.chosen()
        return Here(pane=self.pane, kind=self.kind, ids=ids, hidden=hidden)

    def take_focus(self) -> None:
        """Gives this pane the keyboard."""
        self.focus(scroll_visible=False)

    # Events -----------------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        self._looks = []
        self.pull_now(force=True)

    def on_focus(self) -> None:
        self._show_cursor()
        self.repaint()

    def on_blur(self) -> None:
        self.repaint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_rows(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_rows(-3)

    def scroll_rows(self, rows: int) -> None:
        """Moves the view, and the cursor only as far as it must to stay in view."""
        room = self.room
        self.top = max(0, min(self.top + rows, self.count() - room))
        self.move_to(max(self.top, min(self._at, self.top + room - 1)))

    def on_click(self, event: events.Click) -> None:
        index = self.row_at(event.y)
        if event.y >= self.head_lines and index < self.count():
            self.move_to(index)
            if event.chain == 2:
                self.post_message(self.Opened())
