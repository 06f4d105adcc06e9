"""Failures by kind: type, normalised message and last frame; counts are exact, instances are the oldest and newest."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tuiparallel.monitor.rows import Failure, FailureKind
from tuiparallel.monitor.sanitize import clean_block, clean_line
from tuiparallel.wire.messages import FailureRow
from tuiparallel.wire.states import State

OLDEST, NEWEST = 10, 100
HISTORY = 60  # seconds
MAX_KINDS = 1_000
SEEN = 50_000  # task ids kept, so that a snapshot counts no failure twice
TEXT = 65_536  # characters of a traceback, the end of it
NAMES = 100  # functions of a kind that are listed

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b|\b(?=\w*\d)[0-9a-fA-F]{12,}\b")
_PATH = re.compile(r"(?:(?<=[\s'\"(=:,])|^)(?:[A-Za-z]:)?(?:[\\/][^\s\\/'\",:;)]+){2,}[\\/]?")
_NUMBER = re.compile(r"(?<![A-Za-z_])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d+)(?:, in (\S.*?))?\s*$', re.MULTILINE)

Key = tuple[str, str, str]


def normalised(message: str) -> str:
    """A message with what differs from one failure to the next replaced: addresses, ids, paths, numbers."""
    line = clean_line(message[:1000].strip().partition("\n")[0])
    line = _UUID.sub("<id>", _ADDRESS.sub("<addr>", line))
    return _NUMBER.sub("<n>", _PATH.sub("<path>", line))[:300]


def last_frame(traceback: str) -> str:
    """The place where it was raised, as `file.py:12 in function`; empty when the text shows none."""
    frames = deque(_FRAME.finditer(traceback[-TEXT:]), maxlen=1)
    if not frames:
        return ""
    found = frames[0]
    file = re.split(r"[\\/]", found[1])[-1]
    if file.startswith("<"):
        file = re.sub(r"\d+", "n", file)
    return clean_line(f"{file}:{found[2]}" + (f" in {found[3]}" if found[3] else ""))


@dataclass(slots=True)
class _Kind:
    key: int
    ename: str
    message: str
    frame: str
    hidden: bool
    count: int = 0
    first: float = float("inf")
    last: float = 0.0
    names: dict[str, None] = field(default_factory=dict)
    engines: set[int] = field(default_factory=set)
    seconds: dict[int, int] = field(default_factory=dict)
    oldest: list[FailureRow] = field(default_factory=list)
    newest: deque[FailureRow] = field(default_factory=lambda: deque(maxlen=NEWEST))


class Failures:
    """All failures an observer was told of."""

    def __init__(self, limit: int = MAX_KINDS) -> None:
        self._kinds: dict[Key, _Kind] = {}
        self._by_key: dict[int, _Kind] = {}
        self._seen: dict[int, None] = {}
        self._next = 1
        self._limit = limit
        self.total = 0
        self.total_shown = 0  # of tasks that failed, not merely were aborted
        self.forgotten_kinds = 0

    def __len__(self) -> int:
        return len(self._kinds)

    def put(self, row: FailureRow) -> bool:
        """Count a failure; False when it was counted before."""
        if row.task in self._seen:
            return False
        self._seen[row.task] = None
        if len(self._seen) > SEEN:
            del self._seen[next(iter(self._seen))]
        ename = clean_line(row.ename[:200])
        key = (ename, normalised(row.evalue), last_frame(row.traceback))
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._new(key, hidden=row.state == State.ABORTED)
        self.total += 1
        self.total_shown += not kind.hidden
        kind.count += 1
        kind.first, kind.last = min(kind.first, row.at), max(kind.last, row.at)
        if len(kind.names) < NAMES:
            kind.names[clean_line(row.name)] = None
        if row.engine is not None and len(kind.engines) < 10_000:
            kind.engines.add(row.engine)
        second = int(row.at)
        kind.seconds[second] = kind.seconds.get(second, 0) + 1
        if len(kind.seconds) > 2 * HISTORY:
            horizon = max(kind.seconds) - HISTORY
            kind.seconds = {at: count for at, count in kind.seconds.items() if at > horizon}
        self._keep(kind, row)
        return True

    def _keep(self, kind: _Kind, row: FailureRow) -> None:
        """Put an instance among the oldest or the newest, both in order of time."""
        if len(kind.oldest) < OLDEST:
            _insert(kind.oldest, row)
            return
        if row.at < kind.oldest[-1].at:
            _insert(kind.oldest, row)
            row = kind.oldest.pop()
        if kind.newest and row.at < kind.newest[-1].at:
            rows = list(kind.newest)
            _insert(rows, row)
            kind.newest = deque(rows, maxlen=NEWEST)
        else:
            kind.newest.append(row)

    def _new(self, key: Key, hidden: bool) -> _Kind:
        if len(self._kinds) >= self._limit:
            oldest = min(self._kinds, key=lambda item: self._kinds[item].last)
            self._by_key.pop(self._kinds.pop(oldest).key)
            self.forgotten_kinds += 1
        kind = _Kind(self._next, *key, hidden=hidden)
        self._kinds[key] = self._by_key[self._next] = kind
        self._next += 1
        return kind

    def kinds(self, now: float, msg_id: Callable[[int], str], hidden: bool = False) -> list[FailureKind]:
        """All kinds, most frequent first."""
        kinds = [kind for kind in self._kinds.values() if hidden or not kind.hidden]
        kinds.sort(key=lambda kind: (-kind.count, -kind.last, kind.key))
        return [_view(kind, now, msg_id) for kind in kinds]

    def kind(self, key: int, now: float, msg_id: Callable[[int], str]) -> FailureKind | None:
        """One kind."""
        kind = self._by_key.get(key)
        return _view(kind, now, msg_id) if kind else None

    def counts(self) -> dict[str, int]:
        """Failures by type."""
        found: dict[str, int] = {}
        for kind in self._kinds.values():
            found[kind.ename] = found.get(kind.ename, 0) + kind.count
        return found

    def key_of(self, task: int) -> int | None:
        """The kind that has this task among its instances."""
        for kind in self._kinds.values():
            if any(row.task == task for row in (*kind.newest, *kind.oldest)):
                return kind.key
        return None


def _insert(rows: list[FailureRow], row: FailureRow) -> None:
    at = len(rows)
    while at > 0 and rows[at - 1].at > row.at:
        at -= 1
    rows.insert(at, row)


def _view(kind: _Kind, now: float, msg_id: Callable[[int], str]) -> FailureKind:
    second = int(now)
    rows = [*kind.oldest, *kind.newest]
    return FailureKind(
        key=kind.key,
        ename=kind.ename,
        message=kind.message,
        frame=kind.frame,
        count=kind.count,
        names=tuple(kind.names),
        engines=tuple(sorted(kind.engines)),
        first=kind.first,
        last=kind.last,
        history=tuple(kind.seconds.get(at, 0) for at in range(second - HISTORY + 1, second + 1)),
        hidden=kind.hidden,
        instances=tuple(_failure(row, msg_id) for row in rows),
        left_out=kind.count - len(rows),
    )


def _failure(row: FailureRow, msg_id: Callable[[int], str]) -> Failure:
    return Failure(
        task=row.task,
        msg_id=msg_id(row.task),
        engine=row.engine,
        name=clean_line(row.name),
        ename=clean_line(row.ename),
        evalue=clean_block(row.evalue[:TEXT]),
        traceback=clean_block(row.traceback[-TEXT:]),
        at=row.at,
        state=State(row.state),
    )
