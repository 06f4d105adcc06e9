"""The joblib backend, against the few names of joblib that it uses."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import connected, scripted
from tuiparallel.client.joblib import register


class ParallelBackendBase:
    def __init__(self, **options: Any) -> None:
        self.options = options


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """joblib.parallel, as far as it matters here; what is registered there."""
    known: dict[str, Any] = {}
    module = types.ModuleType("joblib.parallel")

    def register_parallel_backend(name: str, factory: Any, make_default: bool = False) -> None:
        known[name] = (factory, make_default)

    module.register_parallel_backend = register_parallel_backend  # type: ignore[attr-defined]
    module.ParallelBackendBase = ParallelBackendBase  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "joblib", types.ModuleType("joblib"))
    monkeypatch.setitem(sys.modules, "joblib.parallel", module)
    return known


def test_a_view_becomes_a_backend_under_both_names(home: Path, backends: dict[str, Any]) -> None:
    folder = home / "hub"
    folder.mkdir()
    with scripted(folder) as hub, connected(hub) as rc:
        register(rc.load_balanced_view(), "mine", True)
        assert {name: default for name, (_, default) in backends.items()} == {"mine": True, "ipyparallel": False}
        backend = backends["mine"][0](nesting_level=1)
        assert backend.options == {"nesting_level": 1}
        assert [backend.effective_n_jobs(n) for n in (None, -1, -2, 5, -99)] == [1, 2, 1, 5, 1]
        heard: list[Any] = []
        future = backend.submit(max, heard.append)
        assert backend.retrieve_result(future, 10) == ()
        assert heard == [future]
        backend.terminate()
        assert not rc.closed
