"""What can be asked for and sorted by: the fields of tasks, engines, failures, functions and clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from tuiparallel.monitor.rows import FAILED_PHASES, OPEN_PHASES, Phase
from tuiparallel.wire.states import EngineState


class Kind(Enum):
    """How the values of a field are written and compared."""

    TEXT = "text"  # equal, or a glob
    PROSE = "prose"  # contained in, or a glob
    CHOICE = "choice"  # one of a few words
    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"
    TIME = "time"


@dataclass(frozen=True)
class Field:
    """A named property of a row. read takes the row; searched: a word without a field is looked for here."""

    name: str
    kind: Kind
    read: Callable[[Any], object] = field(compare=False)
    help: str = ""
    aliases: tuple[str, ...] = ()
    searched: bool = False
    choices: tuple[str, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False)

    @property
    def example(self) -> str:
        """A value as one would write it."""
        if self.choices:
            return self.choices[0]
        return _EXAMPLES[self.kind]


_EXAMPLES = {
    Kind.TEXT: "fit*",
    Kind.PROSE: "timeout",
    Kind.CHOICE: "",
    Kind.NUMBER: "0-3,7",
    Kind.DURATION: ">2s",
    Kind.SIZE: ">1M",
    Kind.TIME: ">2026-01-31T10:00",
}


@dataclass(frozen=True)
class Nouns:
    """The fields of one kind of row."""

    noun: str
    fields: tuple[Field, ...]

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {name: item for item in self.fields for name in (item.name, *item.aliases)}

    def get(self, name: str) -> Field | None:
        """The field with this name or alias."""
        return self._by_name.get(name)

    @property
    def names(self) -> list[str]:
        """All names and aliases."""
        return list(self._by_name)

    @property
    def shown(self) -> list[str]:
        """The names without the aliases."""
        return [item.name for item in self.fields]

    @cached_property
    def searched(self) -> tuple[Field, ...]:
        """Where words without a field are looked for."""
        return tuple(item for item in self.fields if item.searched)


def field_named(nouns: Nouns, name: str) -> Field:
    """The field with this name or alias. Raises KeyError with the names there are."""
    found = nouns.get(name)
    if found is None:
        raise KeyError(f"{nouns.noun} have no field {name!r}; there are {', '.join(nouns.shown)}")
    return found


Row = TypeVar("Row")


def sorted_by(rows: Iterable[Row], key: Callable[[Row], object], reverse: bool = False) -> list[Row]:
    """Rows by a value that may be unknown: those come last in either direction; equal ones keep their order."""
    known: list[tuple[Any, Row]] = []
    unknown: list[Row] = []
    for row in rows:
        value = key(row)
        if value is None:
            unknown.append(row)
        else:
            known.append((value if isinstance(value, int | float | str) else str(value), row))
    known.sort(key=lambda item: item[0], reverse=reverse)
    return [row for _, row in known] + unknown


_PHASES = tuple(phase.value for phase in Phase)
_PHASE_GROUPS = {
    "open": frozenset(phase.value for phase in OPEN_PHASES),
    "ended": frozenset(phase.value for phase in Phase if phase not in OPEN_PHASES),
    "failed": frozenset(phase.value for phase in FAILED_PHASES),
    "assigned": frozenset({Phase.HELD.value, Phase.RUNNING.value}),
}


def _error(row: Any) -> str:
    return f"{row.ename}: {row.evalue}" if row.evalue else str(row.ename)


TASK_FIELDS = Nouns(
    "tasks",
    (
        Field("state", Kind.CHOICE, attrgetter("phase"), "queued … expired", choices=_PHASES, groups=_PHASE_GROUPS),
        Field("fn", Kind.TEXT, attrgetter("name"), "the function's name", ("function", "name"), searched=True),
        Field("label", Kind.TEXT, attrgetter("label"), "the view's label", searched=True),
        Field("engine", Kind.NUMBER, attrgetter("engine"), "ids and ranges of engines", ("e",)),
        Field("client", Kind.TEXT, attrgetter("client"), "a session, or me"),
        Field("id", Kind.TEXT, attrgetter("msg_id"), "the msg_id", ("msg_id",)),
        Field("submitted", Kind.TIME, attrgetter("submitted"), "when it was submitted"),
        Field("started", Kind.TIME, attrgetter("started"), "when it started"),
        Field("completed", Kind.TIME, attrgetter("completed"), "when it ended"),
        Field("wait", Kind.DURATION, attrgetter("wait"), "seconds from submission to start"),
        Field("run", Kind.DURATION, attrgetter("run"), "seconds of execution"),
        Field("return", Kind.DURATION, attrgetter("back"), "seconds from end to the hub", ("back",)),
        Field("size", Kind.SIZE, attrgetter("size"), "bytes in", ("in",)),
        Field("result", Kind.SIZE, attrgetter("result_size"), "bytes out", ("out", "result_size")),
        Field("attempt", Kind.NUMBER, attrgetter("attempt"), "which attempt", ("attempts",)),
        Field("error", Kind.PROSE, _error, "type and message of its error", ("ename",), searched=True),
        Field("batch", Kind.NUMBER, attrgetter("batch"), "id of its submission"),
        Field("count", Kind.NUMBER, attrgetter("count"), "tasks in a merged row"),
    ),
)

ENGINE_FIELDS = Nouns(
    "engines",
    (
        Field("id", Kind.NUMBER, attrgetter("row.id"), "ids and ranges", ("engine", "e")),
        Field(
            "state",
            Kind.CHOICE,
            lambda row: row.state.name.lower(),
            "idle, busy …",
            choices=tuple(state.name.lower() for state in EngineState),
            groups={"up": frozenset({"idle", "busy", "unresponsive", "limbo", "leaving"})},
        ),
        Field("q", Kind.NUMBER, attrgetter("queue"), "tasks queued for it and held by it", ("queue",)),
        Field("age", Kind.DURATION, attrgetter("age"), "seconds its task has run"),
        Field("fn", Kind.TEXT, lambda row: row.row.name or None, "what it runs", ("now", "function"), searched=True),
        Field("label", Kind.TEXT, attrgetter("row.label"), "label of what it runs", searched=True),
        Field("cpu", Kind.NUMBER, attrgetter("cpu"), "cores used: 0.9 or 90%"),
        Field("mem", Kind.NUMBER, attrgetter("memory"), "part of the memory limit: 0.9 or 90%", ("memory",)),
        Field("rss", Kind.SIZE, lambda row: row.vital.rss if row.vital else None, "resident memory"),
        Field("est", Kind.DURATION, attrgetter("est"), "seconds of work queued"),
        Field("done", Kind.NUMBER, attrgetter("row.done"), "tasks done"),
        Field("err", Kind.NUMBER, attrgetter("row.errors"), "tasks failed", ("errors",)),
        Field("host", Kind.TEXT, attrgetter("row.host"), "its host", searched=True),
        Field("pid", Kind.NUMBER, attrgetter("row.pid"), "its process"),
        Field("silent", Kind.DURATION, attrgetter("silent"), "seconds since it was heard", ("heard",)),
        Field("since", Kind.TIME, attrgetter("row.since"), "when it registered"),
        Field("uuid", Kind.TEXT, attrgetter("row.uuid"), "its unique name"),
        Field("reason", Kind.PROSE, attrgetter("row.reason"), "why it is dead", searched=True),
        Field("warning", Kind.TEXT, attrgetter("warnings"), "ids of the warnings about it"),
    ),
)

FAILURE_FIELDS = Nouns(
    "failures",
    (
        Field("error", Kind.TEXT, attrgetter("ename"), "the exception's type", ("ename", "type"), searched=True),
        Field("message", Kind.PROSE, attrgetter("message"), "the normalised message", ("evalue",), searched=True),
        Field("frame", Kind.PROSE, attrgetter("frame"), "where it was raised", searched=True),
        Field("fn", Kind.TEXT, attrgetter("names"), "functions that failed so", ("function", "name"), searched=True),
        Field("engine", Kind.NUMBER, attrgetter("engines"), "engines where", ("e", "engines")),
        Field("count", Kind.NUMBER, attrgetter("count"), "how often"),
        Field("first", Kind.TIME, attrgetter("first"), "when first"),
        Field("last", Kind.TIME, attrgetter("last"), "when last"),
    ),
)

FUNCTION_FIELDS = Nouns(
    "functions",
    (
        Field("fn", Kind.TEXT, attrgetter("name"), "its name", ("function", "name"), searched=True),
        Field("count", Kind.NUMBER, attrgetter("count"), "tasks ended", ("n",)),
        Field("queued", Kind.NUMBER, attrgetter("queued"), "tasks that wait"),
        Field("running", Kind.NUMBER, attrgetter("running"), "tasks that run"),
        Field("done", Kind.NUMBER, attrgetter("done"), "tasks done"),
        Field("failed", Kind.NUMBER, attrgetter("failed"), "tasks failed", ("errors", "err")),
        Field("total", Kind.DURATION, attrgetter("total"), "seconds of execution"),
        Field("mean", Kind.DURATION, attrgetter("mean"), "mean run time"),
        Field("p50", Kind.DURATION, attrgetter("p50"), "median run time"),
        Field("p95", Kind.DURATION, attrgetter("p95"), "run time of the 95th percentile"),
        Field("max", Kind.DURATION, attrgetter("slowest"), "longest run time", ("slowest",)),
        Field("wait", Kind.DURATION, attrgetter("wait"), "seconds waited"),
        Field("return", Kind.DURATION, attrgetter("back"), "seconds on the way back", ("back",)),
    ),
)

CLIENT_FIELDS = Nouns(
    "clients",
    (
        Field("client", Kind.TEXT, attrgetter("hex"), "the session", ("session", "id")),
        Field("name", Kind.TEXT, attrgetter("name"), "its name", searched=True),
        Field("host", Kind.TEXT, attrgetter("host"), "its host", searched=True),
        Field("pid", Kind.NUMBER, attrgetter("pid"), "its process"),
        Field("open", Kind.NUMBER, attrgetter("outstanding"), "tasks still open", ("outstanding",)),
        Field("since", Kind.TIME, attrgetter("since"), "when it came"),
    ),
)
