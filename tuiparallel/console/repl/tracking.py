"""How far the tasks are that local cells have submitted: a thread of the child that looks five times a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

EVERY = 0.2  # seconds


@dataclass(slots=True)
class Watched:
    """One cell: the range of the client's history it made, and its AsyncResults as far as they have names."""

    number: int
    start: int
    end: int | None = None  # None: the cell still runs
    results: list[Any] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    last: tuple[int, int] = (0, 0)


class Tracker:
    """Tells progress of cells: `tell(number, done, total)`, and `ended(watched, done, total)` once all are done."""

    def __init__(
        self,
        names: dict[str, Any],
        tell: Callable[[int, int, int], None],
        ended: Callable[[Watched, int, int], None],
    ) -> None:
        self.client: Any = None
        self._names = names
        self._tell = tell
        self._ended = ended
        self._watched: dict[int, Watched] = {}
        self._fresh = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._look, name="progress", daemon=True).start()

    def begin(self, number: int) -> None:
        """A cell starts to run."""
        if self.client is not None:
            with self._lock:
                self._watched[number] = Watched(number, len(self.client.history))
            self._fresh.set()

    def finish(self, number: int, value: Any) -> int:
        """A cell's code has ended, with this value. Returns how many of its tasks are open."""
        watched = self._watched.get(number)
        if watched is None:
            return 0
        with self._lock:
            watched.end = len(self.client.history)
            if _is_result(value):
                self._know(watched, value)
            self._gather(watched)
            done, total = self._count(watched)
            if done >= total and not watched.results:
                del self._watched[number]
            told, watched.last = watched.last, (done, total)
        if total and told != (done, total):
            self._tell(number, done, total)  # before the cell is told to have ended: nobody looks at it after that
        self._fresh.set()
        return total - done

    def open_ids(self, number: int) -> list[str]:
        """The msg_ids of a cell that have not ended."""
        watched = self._watched.get(number)
        if watched is None or self.client is None:
            return []
        ids = set(self.client.history[watched.start : watched.end])
        return sorted(ids & self.client.outstanding)

    def _gather(self, watched: Watched) -> None:
        for value in list(self._names.values()):
            if _is_result(value) and id(value) not in watched.known:
                self._know(watched, value)

    def _know(self, watched: Watched, result: Any) -> None:
        if id(result) in watched.known:
            return
        mine = set(self.client.history[watched.start : watched.end])
        if any(msg_id in mine for msg_id in result.msg_ids[:1]):
            watched.known.add(id(result))
            watched.results.append(result)

    def _count(self, watched: Watched) -> tuple[int, int]:
        if watched.results:
            return sum(result.progress for result in watched.results), sum(len(result) for result in watched.results)
        ids = self.client.history[watched.start : watched.end]
        if not ids:
            return 0, 0
        return len(ids) - len(set(ids) & self.client.outstanding), len(ids)

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            self._fresh.wait()
            with self._lock:
                cells = list(self._watched.values())
            if not cells:
                self._fresh.clear()
                if not self._watched:
                    continue
            for watched in cells:
                try:
                    self._look_at(watched)
                except Exception:  # the client was closed, or user code has replaced it
                    with self._lock:
                        self._watched.pop(watched.number, None)
            pause.wait(EVERY)

    def _look_at(self, watched: Watched) -> None:
        with self._lock:
            if watched.end is None:
                self._gather(watched)
            done, total = self._count(watched)
        if (done, total) != watched.last and total:
            watched.last = (done, total)
            self._tell(watched.number, done, total)
        if watched.end is not None and done >= total:
            with self._lock:
                self._watched.pop(watched.number, None)
            self._ended(watched, done, total)


def _is_result(value: Any) -> bool:
    return type(value).__name__ in ("AsyncResult", "AsyncMapResult", "AsyncHubResult") and hasattr(
        type(value), "msg_ids"
    )
