"""What the systems are made to do: the same few functions everywhere."""

from __future__ import annotations

from typing import Any

ENGINES = 2
CALLS = 300  # blocking calls whose median is taken
TASKS = 20_000  # tasks of the throughput rows
ARRAY_MB = 100  # of 2**20 bytes
ARRAY_REPEATS = 5


def echo(x: object = None) -> object:
    """The no-op."""
    return x


def nbytes(array: Any) -> int:
    """Makes an array cross without a large answer."""
    return int(array.nbytes)
