"""What every pane is given: the client, the store, the registry, the painter, and ways to say and ask things.

The REPL's pane is made as `ReplPane(desk)` and is a Textual widget with `pane = "repl"`, `number = 8`, a `title()` of
Cells, `take_focus()`, and `interrupt() -> bool` for ctrl+c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tuiparallel.console.actions import Key, Registry
from tuiparallel.console.calls import Calls
from tuiparallel.console.glyphs import Glyphs
from tuiparallel.console.paint import Cells, Paint

if TYPE_CHECKING:
    from tuiparallel.client import Client
    from tuiparallel.monitor.store import ClusterStore


class Clock(Protocol):
    """What a pane may ask of a clock."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Options:
    """How this console was started."""

    readonly: bool = False
    danger: str = ""  # "high": every question is a dialog that wants the cluster's name
    badge: str = ""
    ascii: bool = False
    theme: str = "dark"
    started_here: bool = False  # this console started the cluster, so leaving asks what becomes of it
    hints: bool = False  # newcomers are told five things
    span: float = 60.0  # seconds on the timeline's axis at first
    ends_with_us: bool = False  # whoever started this console ends the cluster when it is left


@dataclass
class Desk:
    """Shared by all panes of one console; `paint` is replaced when the theme changes."""

    client: Client | None
    store: ClusterStore
    registry: Registry
    calls: Calls
    clock: Clock
    glyphs: Glyphs
    paint: Paint
    options: Options = field(default_factory=Options)
    cluster: str = ""  # its name, known before the client has connected
    feed: str = ""  # the session of this console's feed, which is no client of its own for people
    connection: str = ""  # the path of its connection file
    say: Callable[[str, str], None] = lambda text, severity: None  # text; "information", "warning" or "error"
    open: Callable[[str], None] = lambda pane: None  # goes to a pane by name
    inspect: Callable[[str, Key], None] = lambda kind, key: None  # opens the inspector on an id
    explain: Callable[[int], None] = lambda task: None  # asks the hub why a task waits; the inspector shows it
    marked_engines: Callable[[], tuple[int, ...]] = lambda: ()
    typed: Callable[[str, str], None] = lambda mode, text: None  # the prompt's text is another
    closed: Callable[[str, str | None], None] = lambda mode, text: None  # the prompt was left
    local_pid: Callable[[], int | None] = lambda: None  # of the process that local cells run in, while there is one
    answer: Callable[[str], bool] = lambda key: False  # whether a question in the footer takes this key
    printed: Callable[[str], None] = lambda text: None  # something in this process printed
    retitle: Callable[[], None] = lambda: None  # a pane's title has changed


class Pane(Protocol):
    """What the screen needs of a pane."""

    pane: str
    number: int
    pulls: int

    def title(self) -> Cells: ...

    def take_focus(self) -> None: ...
