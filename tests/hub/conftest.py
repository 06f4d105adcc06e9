"""A hub in this process for every test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.stage import Stage, stages


@pytest.fixture
def make_stage(home: Path) -> Iterator[Callable[..., Stage]]:
    """make_stage(**changes of the configuration): a Stage."""
    yield from stages(home)


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()
