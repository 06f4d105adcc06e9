"""Arrays and memoryviews as bytes: what is copied, and what can never be written to."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from tuiparallel.wire.arrays import array_from, array_parts, array_types, view_from, view_parts


def test_contiguous_arrays_are_not_copied() -> None:
    for value in (np.zeros((3, 4)), np.asfortranarray(np.zeros((3, 4))), np.zeros(5, "M8[s]"), np.zeros((3, 4))[1:]):
        raw, (_, shape, order) = array_parts(value)
        assert np.shares_memory(np.frombuffer(raw, "u1"), value)
        assert shape == value.shape and order == ("C" if value.flags.c_contiguous else "F")
        assert np.shares_memory(array_from(raw, ("<f8", value.shape, order)), value)


def test_strided_arrays_are_copied_once_into_their_own_order() -> None:
    value = np.asfortranarray(np.arange(24.0).reshape(4, 6))[::2]
    raw, meta = array_parts(value)
    assert meta == ("<f8", (2, 6), "F") and raw.nbytes == value.nbytes
    assert np.array_equal(array_from(bytes(raw), meta), value)


def test_simple_dtypes_are_text_and_others_are_pickled() -> None:
    assert array_parts(np.zeros(2, ">i4"))[1][0] == ">i4"
    assert array_parts(np.zeros(2, "M8[us]"))[1][0] == "<M8[us]"
    for dtype in ([("a", "i4")], np.dtype("f8", metadata={"unit": "m"}), np.dtype((np.record, [("a", "f8")]))):
        value = np.zeros(2, dtype)
        raw, meta = array_parts(value)
        assert isinstance(meta[0], bytes)
        assert array_from(bytes(raw), meta).dtype == value.dtype


def test_what_is_made_of_writable_bytes_is_read_only_too() -> None:
    raw = bytearray(16)
    array = array_from(raw, ("<f8", (2,), "C"))
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        array.flags.writeable = True
    doubles: Any = view_from(raw, "m", ("d", (2,)))
    with pytest.raises(TypeError, match="read-only"):
        doubles[0] = 1.0


def test_wrong_sizes_are_errors() -> None:
    with pytest.raises(ValueError):
        array_from(b"12345678", ("<f8", (2,), "C"))
    with pytest.raises(TypeError):
        view_from(b"12345678", "m", ("d", (3,)))


def test_views_of_other_formats() -> None:
    owners: list[Any] = [(ctypes.c_int * 3)(1, 2, 3), np.zeros(2, [("a", ">i2"), ("b", "f8")])]
    for owner in owners:
        view = memoryview(owner)
        raw, letter, meta = view_parts(view)
        there = view_from(bytes(raw), letter, meta)
        assert there.tobytes() == view.tobytes() and there.shape == view.shape and there.readonly


def test_the_types_that_are_plain_arrays() -> None:
    assert array_types() == (np.ndarray, np.memmap)
