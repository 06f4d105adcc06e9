"""A cluster's life: start, connect, resize, stop, and what becomes of it when its starter does not say goodbye."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, on_time
from tests.live.conftest import PrivateCluster
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import kill, processes_of, wait_gone
from tuiparallel.cluster.running import clusters
from tuiparallel.errors import ClusterExists, ClusterNotFound, StartError
from tuiparallel.link.clock import Deadline, SystemClock

Until = Callable[..., None]


def gone(cluster: Cluster) -> bool:
    """Whether all processes of a cluster end."""
    return not wait_gone(processes_of(cluster.directory), Deadline(SystemClock(), PATIENCE))


def test_context_manager(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(2)
    with cluster as client:
        assert client.ids == [0, 1]
        assert cluster.running
        assert cluster.name in clusters()
        assert sorted(cluster.pids) == ["hub", "supervisor", "template"]
        pids = client[:].apply_sync(os.getpid)
        assert len(set(pids)) == 2
        assert set(pids) <= set(processes_of(cluster.directory))
    assert client.closed
    assert not cluster.running
    assert cluster.name not in clusters()
    assert processes_of(cluster.directory) == []


async def test_async_context_manager(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1)
    async with cluster as client:
        assert await client[0].apply_async(pow, 2, 10) == 1024
    assert not cluster.running


def test_plain_names_and_stopping_twice(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1)
    cluster.stop()  # nothing runs: nothing happens
    cluster.start()
    with cluster.connect() as client:
        client.wait_for_engines(1, timeout=PATIENCE)
    cluster.stop()
    cluster.stop()
    with pytest.raises(ClusterNotFound):
        cluster.connect()
    cluster.start()  # again, in the same directory
    assert cluster.running


def test_b12_a_running_cluster_cannot_be_started_again(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(0)
    cluster.start()
    with pytest.raises(ClusterExists, match="is running"):
        cluster.start()
    with pytest.raises(ClusterExists, match=rf"since .*Client\('{cluster.name}'\)"):
        private_cluster(0, name=cluster.name).start()


def test_b13_what_cannot_start_shows_its_log(private_cluster: PrivateCluster, tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError('a broken msgspec')\n")
    cluster = private_cluster(1, env={"PYTHONPATH": str(tmp_path)})
    with pytest.raises(StartError, match=r"(?s)exit code 1.*template\.log.*a broken msgspec"):
        cluster.start()
    assert processes_of(cluster.directory) == []

    cluster = private_cluster(1)
    (cluster.directory / "history.db").mkdir(parents=True)
    for folder in (cluster.directory, *cluster.directory.parents[:1]):
        folder.chmod(0o700)
    with pytest.raises(StartError, match=r"(?s)hub could not be started.*hub\.log"):
        cluster.start()
    assert processes_of(cluster.directory) == []


def test_handles_on_a_running_cluster(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1)
    cluster.start_and_connect_sync().close()
    facts = cluster.to_dict()
    assert facts["name"] == cluster.name and facts["n"] == 1
    handles = [
        Cluster.from_name(cluster.name),
        Cluster.from_file(cluster.connection_file),
        Cluster.from_file(cluster.directory),
        Cluster.from_dict(facts),
    ]
    for handle in handles:
        assert (handle.name, handle.n, handle.running) == (cluster.name, 1, True)
        assert handle.pids == cluster.pids
        with handle.connect() as client:
            assert client.ids == [0]
    with pytest.raises(ValueError, match="'directory' is missing"):
        Cluster.from_dict({"name": "x"})
    with pytest.raises(ClusterNotFound):
        Cluster.from_dict(facts | {"cluster": "another run"})
    handles[0].stop()
    assert not cluster.running
    assert gone(cluster)
    with pytest.raises(ClusterNotFound):
        Cluster.from_dict(facts)


def test_where_engines_run_and_what_they_can_import(
    private_cluster: PrivateCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend("/no/such/place")
    (tmp_path / "only_here.py").write_text("answer = 42\n")
    place = tmp_path / "work"
    place.mkdir()
    with private_cluster(1, work_dir=place, env={"MY_SETTING": "yes"}) as client:
        client[0].execute(
            "import os, sys, only_here; found = (os.getcwd(), os.environ['MY_SETTING'], only_here.answer)", block=True
        )
        assert client[0]["found"] == (str(place), "yes", 42)
        client[0].execute("import sys; missing = '/no/such/place' in sys.path", block=True)
        assert client[0]["missing"] is False


def test_a_long_path_has_its_sockets_elsewhere(
    private_cluster: PrivateCluster, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = empty_home / ("long" * 20)
    state.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    cluster = private_cluster(1)
    with cluster as client:
        assert client[0].apply_sync(pow, 2, 3) == 8
        sockets = Path(cluster.config.sockets)
        assert not sockets.is_relative_to(cluster.directory)
    assert not sockets.exists()


STARTER = """
import os, sys
import tuiparallel as tp
cluster = tp.Cluster(n=2, name={name!r})
client = cluster.start_and_connect_sync()
{work}
print("up", flush=True)
sys.stdin.read()
"""


def start_elsewhere(name: str, work: str = "") -> subprocess.Popen[str]:
    """A process that starts a cluster and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER.format(name=name, work=work)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    return process


@on_time
@pytest.mark.parametrize("how", ["killed", "ends", "exits with a fork left"])
def test_d36_nothing_outlives_the_starter_by_a_second(how: str, home: Path, slack: float) -> None:
    name = f"starter-{how.split()[0]}"
    fork = "os.fork() or os.execlp('sleep', 'sleep', '10')" if "fork" in how else ""
    with start_elsewhere(name, fork) as process:
        cluster = Cluster.from_name(name)
        pids = processes_of(cluster.directory)
        assert len(pids) == 5
        assert process.stdin is not None
        if how == "ends":
            process.stdin.close()
        else:
            process.kill()
        process.wait()
        left = wait_gone(pids, Deadline(SystemClock(), min(1.0 * slack, 8.0)))  # before the fork ends
        kill(left)
        assert left == []


def test_what_a_murdered_cluster_leaves_is_no_hindrance(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1, name="murdered")
    with cluster.start_and_connect_sync() as client:
        client.load_balanced_view().map_sync(abs, range(10))
    blobs = Path(cluster.config.blobs)
    kill(processes_of(cluster.directory))
    assert gone(cluster)
    assert (cluster.directory / "c.ipc").exists()
    assert cluster.name not in clusters()
    with private_cluster(1, name="murdered") as client:
        assert client[-1].apply_sync(abs, -1) == 1
        assert len(client.hub_history()) == 11  # the history has stayed
    assert not blobs.exists()


def test_shared_memory_of_a_murdered_cluster_is_given_back_by_the_next_one(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1)
    cluster.start_and_connect_sync().close()
    blobs = Path(cluster.config.blobs)
    kill(processes_of(cluster.directory))
    assert gone(cluster)
    assert blobs.exists()
    other = private_cluster(0)
    other.start()
    assert not blobs.exists()
    assert Path(other.config.blobs).exists()


def test_engines_outlive_no_template(private_cluster: PrivateCluster, until: Until) -> None:
    """With the template killed nobody watches; everything ends, and nothing has to be told to."""
    cluster = private_cluster(2)
    cluster.start_and_connect_sync().close()
    os.kill(cluster.pids["template"], signal.SIGKILL)
    assert gone(cluster)
    cluster.stop()


def test_a_detached_cluster_outlives_its_starter(home: Path) -> None:
    code = (
        "import tuiparallel as tp; c = tp.Cluster(n=1, name='detached', shutdown_atexit=False); "
        "c.start_and_connect_sync().close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    cluster = Cluster.from_name("detached")
    try:
        with cluster.connect() as client:
            assert client[0].apply_sync(abs, -1) == 1
            assert client[0].apply_sync(os.getsid, 0) != os.getsid(0), "nor does it belong to the starter's session"
    finally:
        cluster.stop()
    assert processes_of(cluster.directory) == []
