"""Faults made on purpose, on private clusters: what all of these tests share."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ledger import Ledger
from tests.live.conftest import logs_of, private_cluster
from tuiparallel.cluster.cluster import Cluster

__all__ = ["private_cluster"]  # a fixture here as well

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts processes."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.live)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A new one each time, shown with the results; FAULT_SEED=n repeats a run."""
    import os

    return int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[object], None]:
    """Print a table or a figure, whether the test passes or not."""

    def show(what: object) -> None:
        with capsys.disabled():
            print(f"\n{what}", flush=True)

    return show


class _Watched:
    clusters: list[Cluster] = []


@pytest.fixture
def start(private_cluster: Callable[..., Cluster]) -> Iterator[Callable[..., Cluster]]:
    """start(n=2, **options): a private cluster; its logs are shown when the test fails."""
    _Watched.clusters = []

    def make(n: int = 2, **options: Any) -> Cluster:
        cluster = private_cluster(n, **options)
        _Watched.clusters.append(cluster)
        return cluster

    yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that fails shows the logs of its clusters."""
    report = yield
    if report.failed and item.path.is_relative_to(HERE):  # type: ignore[attr-defined]
        for cluster in _Watched.clusters[-1:]:
            report.sections.append((f"logs of {cluster.name}", logs_of(cluster)))  # type: ignore[attr-defined]
    return report
