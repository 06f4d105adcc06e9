"""A query over all task rows at once: numpy on the columns, without a copy of them.

numpy is imported here, at the first query over a table too large to be looked at row by row. While a mask is made the
columns must not grow: the caller holds the store's lock.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tuiparallel.monitor.query import TASK_FIELDS, Between, Either, Every, Missing, Node, Not, Query, Term, Test, Word
from tuiparallel.monitor.tasks import LARGE, MERGED, NO_LABEL, NONE, PHASES, UNSTARTED, Packed, TaskTable
from tuiparallel.wire.ids import COUNTER_BITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Numbers = NDArray[np.generic]


def matching(table: TaskTable, query: Query) -> array[int]:
    """Slots of the rows that match, in the order of submission."""
    import numpy as np

    order = np.frombuffer(table.order.whole(), dtype=np.int32)
    mask = _Masks(table).of(query.node)
    return array("i", order[mask[order]].astype(np.int32).tobytes())


def ascending(table: TaskTable, slots: array[int], column: Packed) -> tuple[array[int], array[int]]:
    """Slots sorted by a packed column, and those of which it is unknown; equal ones keep their order."""
    import numpy as np

    chosen = np.frombuffer(slots, dtype=np.int32)
    values = np.frombuffer(column.values, dtype=np.uint32)[chosen].astype(np.float64)
    known = values != NONE
    if column.large:
        for place in np.flatnonzero(values == LARGE):
            values[place] = column.large[int(chosen[place])]
    found = chosen[known][np.argsort(values[known], kind="stable")]
    return array("i", found.tobytes()), array("i", chosen[~known].tobytes())


class _Masks:
    """Makes one boolean per slot for each node of a query."""

    def __init__(self, table: TaskTable) -> None:
        import numpy

        self._np = numpy
        self._table = table
        self._size = len(table.ids)

    def of(self, node: Node) -> Mask:
        np = self._np
        match node:
            case Every(items):
                every: Mask = np.ones(self._size, dtype=np.bool_)
                for item in items:
                    every &= self.of(item)
                return every
            case Either(items):
                either: Mask = np.zeros(self._size, dtype=np.bool_)
                for item in items:
                    either |= self.of(item)
                return either
            case Not(item):
                return self._not(self.of(item))
            case Word(text):
                return self._word(text)
            case Term():
                return self._term(node)

    def _word(self, text: str) -> Mask:
        table = self._table

        def found(value: str) -> bool:
            return text in value.casefold()

        mask = self._by_text(table.functions, table.names.texts, found)
        mask |= self._by_text(table.label, table.labels.texts, found) & self._labelled()
        for slot, (ename, evalue) in table.errors.items():
            if found(f"{ename}: {evalue}" if evalue else ename):
                mask[slot] = True
        return mask

    def _term(self, term: Term) -> Mask:
        table, np = self._table, self._np

        def accepts(value: object) -> bool:
            return any(test.accepts(value) for test in term.tests)

        match term.field.name:
            case "state":
                phases = [number for number, phase in enumerate(PHASES) if accepts(phase)]
                return self._isin(self._column(table.phases), phases)
            case "fn":
                return self._by_text(table.functions, table.names.texts, accepts)
            case "label":
                labelled = self._labelled()
                mask = self._by_text(table.label, table.labels.texts, accepts) & labelled
                if accepts(None):
                    mask |= ~labelled
                return mask
            case "client":
                sessions = self._column(table.ids) >> COUNTER_BITS
                numbers = [int(session) for session in np.unique(sessions)]
                return self._isin(sessions, [session for session in numbers if accepts(table.client(session))])
            case "engine":
                engines = self._column(table.engines)
                return self._numbers(engines.astype(np.float64), engines >= 0, term.tests)
            case "attempt":
                return self._numbers(self._column(table.attempts).astype(np.float64), None, term.tests)
            case "submitted":
                return self._numbers(self._column(table.submitted), None, term.tests)
            case "error":
                failed: Mask = np.full(self._size, accepts(""))
                for slot, (ename, evalue) in table.errors.items():
                    failed[slot] = accepts(f"{ename}: {evalue}" if evalue else ename)
                return failed
            case "wait" | "run" | "return":
                return self._durations(term)
            case "size":
                values, known = self._packed(table.size, 1.0)
                return self._numbers(np.where(known, values, 0.0), None, term.tests)
            case "result":
                return self._numbers(*self._packed(table.result, 1.0), term.tests)
            case _:
                return self._by_row(term)

    def _labelled(self) -> Mask:
        """Rows with a label: merged ones keep something else in that column."""
        found: Mask = self._column(self._table.label) != NO_LABEL
        found &= (self._column(self._table.flags) & MERGED) == 0
        return found

    def _durations(self, term: Term) -> Mask:
        table = self._table
        column = {"wait": table.wait, "run": table.run, "return": table.back}[term.field.name]
        values, known = self._packed(column, 1e6)
        if term.field.name == "wait":
            known &= (self._column(table.flags) & UNSTARTED) == 0
        return self._numbers(values, known, term.tests)

    def _numbers(self, values: Any, known: Mask | None, tests: Sequence[Test]) -> Mask:
        mask: Mask = self._np.zeros(self._size, dtype=self._np.bool_)
        for test in tests:
            if isinstance(test, Missing):
                if known is not None:
                    mask |= ~known
                continue
            if isinstance(test, Between):
                hits = self._between(values, test)
                mask |= hits if known is None else hits & known
        return mask

    def _between(self, values: Any, test: Between) -> Mask:
        above = values >= test.low if test.low_in else values > test.low
        below = values <= test.high if test.high_in else values < test.high
        found: Mask = above & below
        return found

    def _packed(self, column: Packed, unit: float) -> tuple[Any, Mask]:
        """A packed column as floats in units, and where it is known."""
        np = self._np
        raw = np.frombuffer(column.values, dtype=np.uint32)
        values = raw / unit
        for slot, value in column.large.items():
            values[slot] = value / unit
        return values, raw != NONE

    def _by_text(self, column: array[int], texts: Sequence[str], accepts: Callable[[str], bool]) -> Mask:
        numbers = [number for number, text in enumerate(texts) if accepts(text)]
        return self._isin(self._column(column), numbers)

    def _by_row(self, term: Term) -> Mask:
        """The slow way, for the fields that are seldom asked for."""
        mask: Mask = self._np.zeros(self._size, dtype=self._np.bool_)
        table = self._table
        for slot in table.order:
            mask[slot] = term.matches(table.view(slot), TASK_FIELDS)
        return mask

    def _isin(self, values: Any, wanted: Sequence[int]) -> Mask:
        found: Mask = self._np.isin(values, wanted)
        return found

    def _not(self, mask: Mask) -> Mask:
        found: Mask = ~mask
        return found

    def _column(self, column: array[Any]) -> Any:
        np = self._np
        types = {"q": np.int64, "d": np.float64, "i": np.int32, "H": np.uint16, "B": np.uint8, "I": np.uint32}
        return np.frombuffer(column, dtype=types[column.typecode])
