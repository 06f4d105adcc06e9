"""What a read of the store returns: small frozen rows, safe to keep, already free of foreign control bytes.

Times are seconds since the epoch by the hub's clock; durations are seconds, sizes bytes. None means unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tuiparallel.wire.messages import Counters, EngineRow, LimitRow, Vital
from tuiparallel.wire.states import EngineState, State


class Section(StrEnum):
    """A part of the store with a version of its own, which changes exactly when its content does."""

    HEADER = "header"  # counters, link, rate, expected engines, limits
    ENGINES = "engines"
    TASKS = "tasks"
    TIMELINE = "timeline"  # spans, failures, unknown time
    BATCHES = "batches"
    CLIENTS = "clients"
    FUNCTIONS = "functions"
    FAILURES = "failures"
    OUTPUT = "output"
    EVENTS = "events"
    VITALS = "vitals"
    WARNINGS = "warnings"


class LinkState(StrEnum):
    """How the observer stands to the hub."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"  # connected, but silent for longer than it should be, or waiting for a new snapshot
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class LinkView:
    """The observer's link. since: local time at which this state began; tries: attempts since it was lost."""

    state: LinkState
    since: float
    tries: int = 0
    reason: str = ""


class Phase(StrEnum):
    """A task's state as people see it: `assigned` split in two, `queued` in two."""

    QUEUED = "queued"
    WAITING = "waiting"  # queued, on a dependency
    HELD = "held"  # assigned, not started
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    LOST = "lost"
    ABORTED = "aborted"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Eta:
    """When something is done: seconds from the time of the read, and half the width of its interval."""

    seconds: float
    spread: float


@dataclass(frozen=True, slots=True)
class HeaderView:
    """Everything the header shows.

    rate: ended tasks per second over the last few seconds; rates: one value per second, oldest first, up to 60.
    eta: the latest known one of all submissions, and eta_partial says that one of them is unknown.
    lag: seconds by which messages reach the store late; late: copies of outcomes the hub dropped.
    full: names of the hub's bounded stores that are above 95 % of their limit.
    """

    cluster: str
    boot: str
    link: LinkView
    at: float  # hub time of the read
    started: float
    up: int
    expected: int
    busy: int
    counters: Counters
    rate: float
    rates: tuple[float, ...]
    eta: Eta | None
    eta_partial: bool
    warnings: int
    skipped: int
    lag: float
    late: int
    full: tuple[str, ...]
    clients: int
    pid: int
    durability: str
    boots: int

    @property
    def failed(self) -> int:
        """Tasks that ended in an error or were lost."""
        return self.counters.error + self.counters.lost

    @property
    def ended(self) -> int:
        """Tasks in any terminal state."""
        c = self.counters
        return c.done + c.error + c.lost + c.aborted + c.expired


@dataclass(frozen=True, slots=True)
class EngineView:
    """An engine. row is the hub's; the rest is derived. A dead engine keeps row, reason and last task."""

    row: EngineRow
    vital: Vital | None
    age: float | None  # seconds the running task has run
    est: float | None  # seconds of work queued for it; None: fewer than 5 samples
    silent: float  # seconds since the hub heard of it
    warnings: tuple[str, ...]  # ids of the lints that name it
    msg_id: str | None  # of the running task
    last_task: int | None  # the running task, or the last one it ran
    last_name: str

    @property
    def id(self) -> int:
        """The engine's id."""
        return self.row.id

    @property
    def state(self) -> EngineState:
        """What it is doing."""
        return EngineState(self.row.state)

    @property
    def queue(self) -> int:
        """Tasks that wait for this engine: in the hub, and held by it (its running one among them)."""
        return self.row.queue + self.row.held

    @property
    def cpu(self) -> float | None:
        """Fraction of one core."""
        return self.vital.cpu if self.vital else None

    @property
    def memory(self) -> float | None:
        """Resident memory as a fraction of the limit."""
        return self.vital.rss / self.vital.limit if self.vital and self.vital.limit > 0 else None

    @property
    def now(self) -> str:
        """Function (and label) of what it runs; empty when it runs nothing."""
        if self.row.task is None:
            return ""
        return f"{self.row.name} {self.row.label}" if self.row.label else self.row.name


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task, or, with count > 1, as many ended tasks of one function, engine and outcome.

    wait, run and back are never negative; skew says that a stamp had to be corrected for that. For a merged row they
    are means, and started/completed its interval.
    """

    id: int
    msg_id: str
    phase: Phase
    name: str
    label: str | None
    engine: int | None
    session: int
    client: str  # the session's hex
    batch: int
    submitted: float
    started: float | None
    completed: float | None
    received: float | None
    wait: float | None
    run: float | None
    back: float | None
    size: int
    result_size: int | None
    attempt: int
    ename: str = ""
    evalue: str = ""
    count: int = 1
    skew: bool = False

    @property
    def state(self) -> State:
        """The state the hub knows."""
        return STATE_OF[self.phase]

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.phase in OPEN_PHASES


STATE_OF = {
    Phase.QUEUED: State.QUEUED,
    Phase.WAITING: State.QUEUED,
    Phase.HELD: State.ASSIGNED,
    Phase.RUNNING: State.ASSIGNED,
    Phase.DONE: State.DONE,
    Phase.ERROR: State.ERROR,
    Phase.LOST: State.LOST,
    Phase.ABORTED: State.ABORTED,
    Phase.EXPIRED: State.EXPIRED,
}
OPEN_PHASES = frozenset({Phase.QUEUED, Phase.WAITING, Phase.HELD, Phase.RUNNING})
FAILED_PHASES = frozenset({Phase.ERROR, Phase.LOST, Phase.EXPIRED})


class Cell(NamedTuple):
    """One cell of the timeline: a piece of one engine's time.

    busy is the exact fraction of the cell in which something ran; name and task are what took most of it.
    Where the cell holds less than one task, edge is a number and the cell is to be drawn as two parts: `name` (empty:
    idle) up to edge, `after` from there on; edge 1.0 is a cell that is all `name`. Where it holds one or more, edge is
    None, and busy is the height. failed wins over all; unknown says that nobody knows what the engine did then.
    """

    busy: float
    name: str
    task: int | None
    failed: bool
    unknown: bool
    edge: float | None
    after: str
    after_task: int | None


IDLE_CELL = Cell(0.0, "", None, False, False, 1.0, "", None)


@dataclass(frozen=True, slots=True)
class Lane:
    """One engine's row of the timeline: as many cells as columns were asked for."""

    engine: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A failure on the timeline."""

    engine: int
    at: float
    task: int


@dataclass(frozen=True, slots=True)
class BatchView:
    """A submission: a run of tasks of one session with one function and label."""

    id: int
    name: str
    label: str | None
    session: int
    client: str
    total: int
    done: int
    failed: int
    running: int
    submitted: float
    last: float
    balanced: bool
    rate: float | None  # ended tasks per second, None: unknown
    eta: Eta | None  # None: unknown, or finished
    aborted: int = 0  # of the failed

    @property
    def ended(self) -> int:
        """Tasks that have ended, well or not."""
        return self.done + self.failed

    @property
    def finished(self) -> bool:
        """Whether nothing of it is open."""
        return self.ended >= self.total

    @property
    def fraction(self) -> float:
        """Ended part, 0.0 to 1.0."""
        return self.ended / self.total if self.total else 1.0


@dataclass(frozen=True, slots=True)
class FunctionView:
    """Totals of one function; times are seconds. Quantiles are within 2.2 % of the true ones."""

    name: str
    count: int  # ended, well or not
    queued: int
    running: int
    done: int
    failed: int
    total: float
    mean: float
    p50: float
    p95: float
    slowest: float
    wait: float  # seconds all together, as total and back
    back: float
    size: int  # bytes in and out, of the tasks seen by this observer
    result_size: int
    histogram: tuple[int, ...]  # 16 counts over the range of run times, equal steps of the logarithm


@dataclass(frozen=True, slots=True)
class Failure:
    """One task that failed."""

    task: int
    msg_id: str
    engine: int | None
    name: str
    ename: str
    evalue: str
    traceback: str
    at: float
    state: State


@dataclass(frozen=True, slots=True)
class FailureKind:
    """All failures of one type, normalised message and last frame. key is stable while the store lives."""

    key: int
    ename: str
    message: str  # numbers, addresses and paths normalised
    frame: str  # file:line in function, empty when there is none
    count: int
    names: tuple[str, ...]
    engines: tuple[int, ...]
    first: float
    last: float
    history: tuple[int, ...]  # failures per second, oldest first, the last 60 s
    hidden: bool  # aborted tasks: shown on request only
    instances: tuple[Failure, ...]  # the 10 oldest and 100 newest, oldest first
    left_out: int  # between the two


class Style(NamedTuple):
    """What SGR sequences left: colours are None, 0-255 of the palette, or "#rrggbb"."""

    fg: int | str | None = None
    bg: int | str | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


class Run(NamedTuple):
    """Characters start (included) to end (excluded) of a line, in this style."""

    start: int
    end: int
    style: Style


class OutputLine(NamedTuple):
    """One line of output. number is absolute: it never changes, also when older lines go.

    lost > 0: no text but a note that so many lines (kind "lines") or characters ("characters") are not here.
    cut: cells left out at the end of a line longer than the limit. open: the line may still grow or be redrawn.
    """

    number: int
    at: float
    engine: int
    task: int | None
    stream: str
    text: str
    runs: tuple[Run, ...] = ()
    lost: int = 0
    unit: str = ""
    cut: int = 0
    open: bool = False


@dataclass(frozen=True, slots=True)
class OutputFilter:
    """Which lines to see; empty means all. text is searched in the line, as a regular expression with regex."""

    engines: frozenset[int] = frozenset()
    streams: frozenset[str] = frozenset()
    tasks: frozenset[int] = frozenset()
    sessions: frozenset[int] = frozenset()
    text: str = ""
    regex: bool = False
    case: bool = False


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client session."""

    session: int
    hex: str
    host: str
    pid: int
    name: str
    since: float
    connected: bool
    outstanding: int


@dataclass(frozen=True, slots=True)
class EventView:
    """Something that happened. number is absolute; source is "cluster", or "action" for what this console did."""

    number: int
    at: float
    kind: str
    text: str
    engine: int | None = None
    source: str = "cluster"
    python: str = ""  # the Python line of an action


@dataclass(frozen=True, slots=True)
class Lint:
    """One of the eight warnings: a sentence about an engine, a task, a function or the cluster."""

    id: str
    sentence: str
    threshold: str
    engine: int | None = None
    task: int | None = None
    name: str = ""
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """What `:health` shows of the monitor: how full each store is, ours and the hub's."""

    ours: tuple[LimitRow, ...]
    hub: tuple[LimitRow, ...]
    skipped: int
    lag: float
    messages: int
    dropped_controls: int  # escape sequences removed from foreign text
