"""Timeouts as people give them."""

from __future__ import annotations

import math
from typing import Any


def seconds(name: str, value: Any) -> float | None:
    """A wait's timeout: None for ever, else seconds >= 0.

    None and -1 mean for ever, other negative numbers 0, so that what is left of a deadline never turns into for ever.
    Raises TypeError and ValueError.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        try:
            value = value.__float__() if not isinstance(value, (str, bytes, bool)) else None
        except AttributeError:
            value = None
        if value is None:
            raise TypeError(f"{name} is a number of seconds, or None or -1 to wait for ever")
    if math.isnan(value):
        raise ValueError(f"{name}=nan: it is a number of seconds, or None or -1 to wait for ever")
    if value == -1 or value == math.inf:
        return None
    return max(0.0, float(value))


def positive(name: str, value: Any) -> float:
    """A limit in seconds above 0. Raises TypeError and ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds, not {value!r}")
    if not value > 0:
        raise ValueError(f"{name}={value!r}: it must be > 0 seconds")
    return float(value)
