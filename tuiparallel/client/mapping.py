"""Sequences in parts for engines, and back: 'b' contiguous, 'r' round robin."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any


class Partition:
    """Contiguous parts, the first ones longer by one where it does not come out even."""

    def split(self, seq: Iterable[Any], parts: int) -> list[Any]:
        """`parts` parts of a sequence: slices of arrays, lists, tuples, str and bytes; anything else in lists.

        Raises TypeError when it is no sequence.
        """
        whole = _sliceable(seq)
        return [self._part(whole, number, parts) for number in range(parts)]

    def _part(self, seq: Any, number: int, parts: int) -> Any:
        size, more = divmod(len(seq), parts)
        start = number * size + min(number, more)
        return seq[start : start + size + (number < more)]

    def join(self, parts: Sequence[Any]) -> Any:
        """What was split: one array for arrays, otherwise a flat list; str and bytes stay apart."""
        if arrays := _arrays(parts):
            return self._join_arrays(arrays)
        return self._join_lists(parts)

    def _join_arrays(self, arrays: list[Any]) -> Any:
        import numpy

        return _frozen(numpy.concatenate(arrays))

    def _join_lists(self, parts: Sequence[Any]) -> list[Any]:
        flat: list[Any] = []
        for part in parts:
            if isinstance(part, (list, tuple)):
                flat += part
            else:
                flat.append(part)
        return flat


class RoundRobin(Partition):
    """Part k has the elements k, k + n, k + 2n, ... of the whole."""

    def _part(self, seq: Any, number: int, parts: int) -> Any:
        return seq[number::parts]

    def _join_arrays(self, arrays: list[Any]) -> Any:
        import numpy

        joined = numpy.empty((sum(map(len, arrays)), *arrays[0].shape[1:]), numpy.result_type(*arrays))
        for number, array in enumerate(arrays):
            joined[number :: len(arrays)][: len(array)] = array
        return _frozen(joined)

    def _join_lists(self, parts: Sequence[Any]) -> list[Any]:
        if not all(isinstance(part, (list, tuple)) for part in parts):
            return super()._join_lists(parts)
        longest = max(map(len, parts), default=0)
        return [part[place] for place in range(longest) for part in parts if place < len(part)]


def partition_of(dist: Any) -> Partition:
    """The partition called 'b' or 'r'. Raises ValueError."""
    match dist:
        case "b":
            return Partition()
        case "r":
            return RoundRobin()
        case _:
            raise ValueError(f"dist={dist!r}: it must be 'b' (contiguous parts) or 'r' (round robin)")


def _sliceable(seq: Any) -> Any:
    if isinstance(seq, (list, tuple, str, bytes, bytearray)):
        return seq
    if _is_array(seq):
        if seq.ndim == 0:
            raise TypeError("an array without dimensions is not a sequence: there is nothing to split")
        return seq
    try:
        return list(seq)
    except TypeError:
        raise TypeError(f"{seq!r:.200} is not a sequence: there is nothing to split") from None


def _is_array(thing: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


def _arrays(parts: Sequence[Any]) -> list[Any]:
    """The parts that are arrays, when all are, but for elements of them that were sent for parts of length one."""
    if not parts or not any(_is_array(part) and part.ndim for part in parts):
        return []
    import numpy

    found = []
    for part in parts:
        if _is_array(part) and part.ndim:
            found.append(part)
        elif isinstance(part, (numpy.generic, numpy.ndarray)):
            found.append(numpy.asarray(part)[None])  # a flattened part
        else:
            return []
    shapes = {array.shape[1:] for array in found}
    if len(shapes) > 1:  # flattened rows: one dimension less than the others
        deepest = max(array.ndim for array in found)
        found = [array if array.ndim == deepest else array[None] for array in found]
    return found


def _frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array
