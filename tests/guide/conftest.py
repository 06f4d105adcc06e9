"""One cluster of four engines for all pages that do not start their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuiparallel.cluster.cluster import Cluster

ENGINES = 4
ROOMS = {"XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "XDG_RUNTIME_DIR": "runtime"}


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Path]:
    """The private directory that the shared cluster lives in."""
    place = Path(tempfile.mkdtemp(prefix="tp-"))
    for room in ROOMS.values():
        (place / room).mkdir(mode=0o700)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(shared_home: Path) -> Iterator[Cluster]:
    """The cluster that a reader has started by `tuipar start -n 4`."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, room in ROOMS.items():
            patch.setenv(variable, str(shared_home / room))
        patch.delenv("TUIPAR_CLUSTER", raising=False)
        cluster = Cluster(n=ENGINES, name="shared")
        cluster.start_and_connect_sync().close()
    yield cluster
    cluster.stop()


@pytest.fixture
def in_shared_home(cluster: Cluster, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Client() finds the shared cluster, whose engines are idle and whose namespaces are empty."""
    for variable, room in ROOMS.items():
        monkeypatch.setenv(variable, str(shared_home / room))
    with cluster.connect() as client:
        client.abort(targets="all", block=True, running=True)
        client.clear(block=True)
