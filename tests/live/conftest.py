"""Real clusters: one of four engines that all live tests share, and private ones for tests that break things."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import wait_until
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import processes_of

if TYPE_CHECKING:
    from tuiparallel.client.client import Client

HERE = Path(__file__).parent
SHARED_ENGINES = 4
STAYING = {"lock", "alive", "starting", "start.json"}  # of a stopped cluster, beside its history and logs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts processes."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def session_home() -> Iterator[Path]:
    """The private directory that the shared cluster lives in."""
    place = Path(tempfile.mkdtemp(prefix="tp-"))
    for name in ("state", "config", "runtime"):
        (place / name).mkdir(mode=0o700)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def home(session_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Live tests share one home, so that they find the shared cluster by its name."""
    _enter(session_home, monkeypatch)
    return session_home


def _enter(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place / "runtime"))
    for variable in ("TUIPAR_CLUSTER", "TUIPAR_FAIL"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def empty_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without the shared cluster, for tests on what happens when none (or just one) runs."""
    for name in ("state", "config", "runtime"):
        (tmp_path / name).mkdir(mode=0o700)
    _enter(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture(scope="session")
def cluster(session_home: Path) -> Iterator[Cluster]:
    """The shared cluster; a test that ends or kills engines takes a private one."""
    with pytest.MonkeyPatch.context() as patch:
        _enter(session_home, patch)
        cluster = Cluster(n=SHARED_ENGINES, name="shared")
        cluster.start_and_connect_sync().close()
    yield cluster
    cluster.stop()
    _assert_gone(cluster)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of the shared cluster, whose engines' namespaces are empty."""
    with cluster.connect() as client:
        client.clear(block=True)
        yield client


@pytest.fixture
def rc(cluster: Cluster, _no_leaks: None) -> Iterator[Client]:
    """A client of one test's own: what it starts must have ended with the test."""
    with cluster.connect(hub_timeout=30.0) as client:
        client.abort(targets="all", block=True)
        client.clear(block=True)
        yield client


@pytest.fixture
def here() -> Iterator[Callable[[str], dict[str, Any]]]:
    """here(code) runs code in this process's `__main__`, as a script or a notebook would; it is emptied afterwards."""
    names = vars(sys.modules["__main__"])
    before = dict(names)

    def run(code: str) -> dict[str, Any]:
        exec(compile(code, "<here>", "exec"), names)
        return names

    yield run
    names.clear()
    names.update(before)


Occupy = Callable[[Any, float], Any]


@pytest.fixture
def occupy(tmp_path: Path) -> Occupy:
    """occupy(view, seconds): a task that keeps an engine busy for so long, and that runs already."""
    numbers = itertools.count()

    def occupy(view: Any, seconds: float) -> Any:
        begun = tmp_path / f"begun-{next(numbers)}"
        result = view.execute(f"import time; open({str(begun)!r}, 'w').close(); time.sleep({seconds})", block=False)
        wait_until(begun.exists)
        return result

    return occupy


PrivateCluster = Callable[..., Cluster]


@pytest.fixture
def private_cluster(_no_leaks: None, home: Path) -> Iterator[PrivateCluster]:
    """private_cluster(n=2, **options): a cluster of one's own (not started); ended with the test, to the last process."""
    made: list[Cluster] = []

    def make(n: int = 2, **options: Any) -> Cluster:
        made.append(Cluster(n=n, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()
    for cluster in made:
        _assert_gone(cluster)


def _assert_gone(cluster: Cluster) -> None:
    left = processes_of(cluster.directory)
    assert not left, f"{cluster.name} leaves processes {left}; its logs:\n{logs_of(cluster)}"
    files = {str(path.relative_to(cluster.directory)) for path in cluster.directory.rglob("*") if not path.is_dir()}
    stale = {name for name in files if not name.startswith(("log/", "history.", "console/")) and name not in STAYING}
    assert not stale, f"{cluster.name} leaves files {sorted(stale)}"


def logs_of(cluster: Cluster) -> str:
    """All logs of a cluster, for the message of a test that fails."""
    parts = []
    for log in sorted((cluster.directory / "log").glob("*.log")):
        text = log.read_text(errors="replace").strip()
        if text:
            parts.append(f"--- {log.name}\n{text[-4000:]}")
    return "\n".join(parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A live test that fails shows the logs of its clusters."""
    report = yield
    if report.failed and item.path.is_relative_to(HERE):  # type: ignore[attr-defined]
        for name in ("cluster", "private_cluster"):
            value = getattr(item, "funcargs", {}).get(name)
            if isinstance(value, Cluster):
                report.sections.append((f"logs of {value.name}", logs_of(value)))  # type: ignore[attr-defined]
    return report
