"""Drives Textual's pilot at a finer grain: after each key it waits until the process is idle, in steps of this length."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from textual import _wait

GRAIN = 1 / 250  # seconds; Textual's own is 1/50, and a key costs two of them


@pytest.fixture(autouse=True, scope="session")
def _fine_grain() -> Iterator[None]:
    before = _wait.SLEEP_GRANULARITY, _wait.SLEEP_IDLE
    _wait.SLEEP_GRANULARITY, _wait.SLEEP_IDLE = GRAIN, GRAIN / 20
    yield
    _wait.SLEEP_GRANULARITY, _wait.SLEEP_IDLE = before
