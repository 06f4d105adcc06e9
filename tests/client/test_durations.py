"""Timeouts as people give them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tuiparallel.client.durations import positive, seconds


@pytest.mark.parametrize(
    ("value", "meaning"),
    [(None, None), (-1, None), (-1.0, None), (math.inf, None), (0, 0.0), (2, 2.0), (-0.5, 0.0), (-7, 0.0)],
)
def test_minus_one_is_for_ever_and_other_negatives_are_now(value: Any, meaning: float | None) -> None:
    assert seconds("timeout", value) == meaning


def test_numbers_of_numpy_are_numbers() -> None:
    assert seconds("timeout", np.float32(1.5)) == 1.5


@pytest.mark.parametrize("value", ["1", b"1", True, [1], object()])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(TypeError, match="seconds, or None or -1"):
        seconds("timeout", value)


def test_nan_is_no_duration() -> None:
    with pytest.raises(ValueError, match="nan"):
        seconds("timeout", math.nan)


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_limits_are_above_zero(value: float) -> None:
    with pytest.raises(ValueError, match="> 0"):
        positive("timeout", value)
