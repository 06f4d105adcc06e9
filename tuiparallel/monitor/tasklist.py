"""A list of tasks that match a query, in an order, kept up to date by looking only at what changed."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from tuiparallel.monitor.fields import TASK_FIELDS, field_named
from tuiparallel.monitor.query import Query
from tuiparallel.monitor.reads import TaskList
from tuiparallel.monitor.rows import TaskView
from tuiparallel.monitor.tasks import TaskTable

ROW_BY_ROW = 50_000  # rows; a larger table is queried through numpy


class Tasks:
    """Matching tasks of one table. Not locked: the store does that."""

    def __init__(self, table: TaskTable, where: Query | None, sort: str, reverse: bool) -> None:
        self._table = table
        self._where = where if where is not None and not where.empty else None
        self._field = field_named(TASK_FIELDS, sort)
        self._by_submission = self._field.name == "submitted"
        self.reverse = reverse
        # In the order of submission, ascending. Without a query the table's own order is read instead.
        self._ids = array("q")
        self._submitted = array("d")
        self._seen = -1
        self._direct = self._where is None and self._by_submission
        self._count = 0

    def __len__(self) -> int:
        return len(self._table.order) if self._direct else len(self._ids)

    def follow(self) -> bool:
        """Bring the list up to date; True when it changed."""
        journal = self._table.journal
        if self._seen == journal.end:
            return False
        changes = journal.since(self._seen) if self._seen >= 0 else None
        self._seen = journal.end
        if self._direct:
            return True
        if changes is None or not self._by_submission or len(changes) > len(self._ids) // 4 + 1000:
            self._build()
            return True
        changed = False
        for task, submitted in changes:
            changed = self._judge(task, submitted) or changed
        return changed

    def _build(self) -> None:
        table = self._table
        if self._where is None:
            slots: Sequence[int] = table.order.whole()
        elif len(table) > ROW_BY_ROW:
            from tuiparallel.monitor.masks import matching

            slots = matching(table, self._where)
        else:
            where = self._where
            slots = [slot for slot in table.order if where.matches(table.view(slot))]
        if not self._by_submission:
            slots = self._sorted(array("i", slots))
        self._ids = array("q", [table.ids[slot] for slot in slots])
        self._submitted = array("d", [table.submitted[slot] for slot in slots]) if self._by_submission else array("d")

    def _sorted(self, slots: array[int]) -> Sequence[int]:
        """Slots by the field, unknown values last in either direction."""
        table = self._table
        columns = {"run": table.run, "return": table.back, "size": table.size, "result": table.result}
        if len(slots) > ROW_BY_ROW and self._field.name in columns:
            from tuiparallel.monitor.masks import ascending

            first, last = ascending(table, slots, columns[self._field.name])
            return last + first if self.reverse else first + last
        key = self._key()
        values = [(key(slot), slot) for slot in slots]
        known = [(value, slot) for value, slot in values if value is not None]
        known.sort(key=lambda item: item[0])
        unknown = [slot for value, slot in values if value is None]
        found = [slot for _, slot in known]
        # reverse is applied when rows are read, so unknown ones stand first here then.
        return unknown + found if self.reverse else found + unknown

    def _key(self) -> Callable[[int], float | str | None]:
        table = self._table
        match self._field.name:
            case "run":
                return table.run.seconds
            case "return":
                return table.back.seconds
            case "size":
                return lambda slot: table.size.get(slot) or 0
            case "result":
                return table.result.get
            case "engine":
                return lambda slot: table.engines[slot] if table.engines[slot] >= 0 else None
            case "fn":
                return lambda slot: table.names.texts[table.functions[slot]]
            case "state":
                return lambda slot: table.phases[slot]
            case "id":
                return lambda slot: table.ids[slot]
        read = self._field.read

        def value(slot: int) -> float | str | None:
            found = read(table.view(slot))
            return found if found is None or isinstance(found, int | float) else str(found)

        return value

    def _judge(self, task: int, submitted: float) -> bool:
        """Put a changed task where it belongs now; `submitted` is where it stood."""
        slot = self._table.slot(task)
        passes = slot is not None and (self._where is None or self._where.matches(self._table.view(slot)))
        place = self._place(task, submitted)
        here = place < len(self._ids) and self._ids[place] == task
        if here:
            stays = passes and slot is not None and self._table.submitted[slot] == submitted
            if stays:
                return True
            del self._ids[place], self._submitted[place]
        if passes and slot is not None:
            new = self._table.submitted[slot]
            place = self._place(task, new)
            if place == len(self._ids) or self._ids[place] != task:
                self._ids.insert(place, task)
                self._submitted.insert(place, new)
        return here or passes

    def _place(self, task: int, submitted: float) -> int:
        # Tasks of one Submit share a stamp: among those the id decides.
        low = bisect_left(self._submitted, submitted)
        high = bisect_right(self._submitted, submitted, low)
        return bisect_left(self._ids, task, low, high)

    def slice(self, start: int, count: int) -> list[int]:
        """TaskIds at positions start .. start + count - 1, as the list is read."""
        size = len(self)
        start = max(start, 0)
        count = max(min(count, size - start), 0)
        first = size - start - count if self.reverse else start
        if self._direct:
            found = [self._table.ids[slot] for slot in self._table.order.slice(first, count)]
        else:
            found = list(self._ids[first : first + count])
        return found[::-1] if self.reverse else found

    def rows(self, start: int, count: int) -> list[TaskView]:
        """Rows of these positions."""
        slots = map(self._table.slot, self.slice(start, count))
        return [self._table.view(slot) for slot in slots if slot is not None]

    def index(self, task: int) -> int | None:
        """Where a task stands, as the list is read."""
        slot = self._table.slot(task)
        if self._direct:
            place = None if slot is None else self._table.order.position(slot)
        elif self._by_submission and slot is not None:
            place = self._place(task, self._table.submitted[slot])
            place = place if place < len(self._ids) and self._ids[place] == task else None
        else:
            try:
                place = self._ids.index(task)
            except ValueError:
                place = None
        if place is None:
            return None
        return len(self) - 1 - place if self.reverse else place


@dataclass(slots=True)
class LockedTasks(TaskList):
    """Tasks behind the store's lock."""

    _lock: Lock
    _tasks: Tasks

    def refresh(self) -> bool:
        with self._lock:
            return self._tasks.follow()

    def __len__(self) -> int:
        return len(self._tasks)

    def rows(self, start: int, count: int) -> list[TaskView]:
        with self._lock:
            return self._tasks.rows(start, count)

    def ids(self) -> Sequence[int]:
        with self._lock:
            return self._tasks.slice(0, len(self._tasks))

    def index(self, task: int) -> int | None:
        with self._lock:
            return self._tasks.index(task)
