"""A scripted hub with one real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scripted import ScriptedHub


@pytest.fixture
def folder(home: Path) -> Path:
    place = home / "c"
    place.mkdir(mode=0o700)
    return place


@pytest.fixture
def hub(folder: Path) -> Iterator[ScriptedHub]:
    hub = ScriptedHub(folder)
    hub.start_engine()
    yield hub
    hub.close()
