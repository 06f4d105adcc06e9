"""What tests of functions and names need: a client's __main__, a process like an engine, modules that come and go."""

from __future__ import annotations

import importlib
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire.peer import Here, Peer
from tuiparallel.wire import sources


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    peer = Peer(tmp_path_factory.mktemp("peer"))
    yield peer
    peer.close()


@pytest.fixture
def there(process: Peer) -> Peer:
    """A process like an engine, with an empty namespace."""
    process.fresh()
    return process


@pytest.fixture
def here() -> Here:
    return Here()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """module(name, text) writes a module and imports it; both are gone afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(name: str, text: str, load: bool = True) -> types.ModuleType | None:
        path = tmp_path / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        made.append(name)
        known_as = name.removesuffix(".__init__")
        sys.modules.pop(known_as, None)
        return importlib.import_module(known_as) if load else None

    yield make
    for name in list(sys.modules):
        if any(name.partition(".")[0] == one.partition(".")[0] for one in made):
            del sys.modules[name]
    sources._registered.clear()
