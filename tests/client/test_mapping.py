"""Sequences in parts, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.client.mapping import partition_of


@given(st.lists(st.integers(), max_size=40), st.integers(1, 9), st.sampled_from("br"), st.booleans())
def test_what_was_split_is_joined_again(items: list[int], parts: int, dist: str, as_array: bool) -> None:
    how = partition_of(dist)
    whole: Any = np.array([item % 1000 for item in items], dtype="i4") if as_array else items
    pieces = how.split(whole, parts)
    sizes = [len(piece) for piece in pieces]
    assert len(pieces) == parts and sizes == sorted(sizes, reverse=True) and max(sizes) - min(sizes) <= 1
    joined = how.join(pieces)
    assert np.array_equal(joined, whole)
    if as_array:
        assert joined.dtype == whole.dtype and not joined.flags.writeable
        assert all(np.shares_memory(piece, whole) for piece in pieces if len(piece))


@pytest.mark.parametrize("seq", ["abcdef", b"abcdef", (1, 2, 3), bytearray(b"ab")])
def test_sequences_keep_their_type(seq: Any) -> None:
    assert all(type(piece) is type(seq) for piece in partition_of("b").split(seq, 3))


def test_everything_else_comes_in_lists() -> None:
    for seq in (range(5), (x for x in range(5)), dict.fromkeys(range(5)).keys()):
        assert partition_of("b").split(seq, 2) == [[0, 1, 2], [3, 4]]


def test_strings_stay_apart() -> None:
    assert partition_of("b").join(["ab", "cd"]) == ["ab", "cd"]
    assert partition_of("r").join(["ab", "cd"]) == ["ab", "cd"]


def test_flattened_rows_and_empty_parts() -> None:
    rows = np.arange(6.0).reshape(3, 2)
    joined = partition_of("b").join([rows[0], rows[1:2], rows[2:]])
    assert np.array_equal(joined, rows)
    assert partition_of("b").join([np.float32(1), np.float32(2)]) == [1, 2]


def test_what_is_no_sequence() -> None:
    with pytest.raises(TypeError, match="not a sequence"):
        partition_of("b").split(5, 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="without dimensions"):
        partition_of("b").split(np.array(5), 2)
    with pytest.raises(ValueError, match="'b'"):
        partition_of("x")
