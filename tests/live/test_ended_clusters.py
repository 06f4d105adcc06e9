"""What has run can be looked at when its cluster has ended, whether somebody ended it or it was killed as a whole."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PATIENCE
from tests.live.conftest import PrivateCluster
from tests.live.jsonlines import rows
from tuiparallel.cli.app import run
from tuiparallel.cluster.archive import Archive
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.place import directory_of
from tuiparallel.cluster.processes import kill, processes_of, wait_gone
from tuiparallel.errors import AbortedTask, ClusterNotFound, EngineError, NoSuchTask, RemoteError, ResultExpired
from tuiparallel.link.clock import Deadline, SystemClock

Capture = pytest.CaptureFixture[str]
Until = Callable[..., None]


class Told:
    """What a cluster was given to do: msg_ids by how they ended, and the uuids of its engines by id."""

    def __init__(self, cluster: Cluster) -> None:
        with cluster.start_and_connect_sync() as rc:
            view = rc.load_balanced_view()
            done = view.map_async(abs, range(-20, 0))
            done.get(PATIENCE)
            printed = rc[1].apply_async(lambda: print("from engine 1") or 42)
            printed.get(PATIENCE)
            failed = rc[0].apply_async(lambda: 1 / 0)
            failed.exception(PATIENCE)
            large = rc[0].apply_async(np.ones, 1_000_000)
            large.get(PATIENCE)
            self.engines = {id: facts["uuid"] for id, facts in rc.engine_info().items()}
            self.busy = rc[0].execute("import time; time.sleep(600)", block=False)
            aborted = rc[0].apply_async(abs, 1)
            aborted.abort()
            with pytest.raises(AbortedTask):
                aborted.get(PATIENCE)
            self.behind = rc[0].apply_async(abs, 2)
            # Both are on record when something that was asked after them is.
            assert rc.queue_status()[0]["queue"] == 2
            self.done, self.printed, self.failed = done.msg_ids, printed.msg_ids[0], failed.msg_ids[0]
            self.aborted, self.large = aborted.msg_ids[0], large.msg_ids[0]
            self.open = [self.busy.msg_ids[0], self.behind.msg_ids[0]]
            self.all = [*self.done, self.printed, self.failed, self.large, self.open[0], self.aborted, self.open[1]]


def kill_all(cluster: Cluster) -> None:
    left = processes_of(cluster.directory)
    kill(left)
    wait_gone(left, Deadline(SystemClock(), PATIENCE))


@pytest.fixture(params=["stopped", "killed"])
def ended(request: pytest.FixtureRequest, private_cluster: PrivateCluster) -> tuple[Told, Cluster, str]:
    """A cluster that has run and ended, with what it was given to do."""
    cluster = private_cluster(2)
    told = Told(cluster)
    cluster.stop() if request.param == "stopped" else kill_all(cluster)
    assert not processes_of(cluster.directory)
    return told, cluster, request.param


@contextmanager
def handle_on(name: str) -> Iterator[Cluster]:
    handle = Cluster.from_name(name)
    try:
        yield handle
    finally:
        handle.close_history()


def test_ls_tasks_of_an_ended_cluster(ended: tuple[Told, Cluster, str], capsys: Capture) -> None:
    told, cluster, how = ended
    assert run(["ls", "tasks", "-c", cluster.name, "--json"]) == 0
    found = {row["msg_id"]: row for row in rows(capsys.readouterr().out, "task", cluster.name)}
    assert set(found) == set(told.all)
    assert {found[id]["state"] for id in told.done} == {"done"}
    states = [found[id]["state"] for id in (told.printed, told.failed, told.aborted, told.large)]
    assert states == ["done", "error", "aborted", "done"]
    assert (found[told.printed]["engine"], found[told.failed]["engine"]) == (1, 0)
    expected = {"lost", "aborted"} if how == "stopped" else {"assigned", "queued"}
    assert {found[id]["state"] for id in told.open} <= expected
    assert run(["ls", "tasks", "-c", cluster.name, "--where", "state:error"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert told.failed in line and "error" in line and "msg_id" in head
    assert run(["ls", "engines", "-c", cluster.name]) == 3
    assert f"`tuipar ls tasks -c {cluster.name}`" in capsys.readouterr().err
    assert not processes_of(cluster.directory)


def test_from_name_answers_from_the_history(ended: tuple[Told, Cluster, str]) -> None:
    told, cluster, how = ended
    with handle_on(cluster.name) as handle:
        assert (
            not handle.running and handle.n == 2 and repr(handle) == f"<Cluster {cluster.name!r} stopped, 2 engines>"
        )
        assert handle.hub_history() == told.all
        assert handle.hub_history(limit=3) == told.all[-3:]
        keys = ["state", "engine_id", "engine_uuid", "stdout", "error"]
        facts = {row["msg_id"]: row for row in handle.db_query({}, keys)}
        assert list(facts) == told.all
        assert facts[told.printed]["stdout"] == "from engine 1\n"
        assert facts[told.failed]["error"] == {"ename": "ZeroDivisionError", "evalue": "division by zero"}
        assert facts[told.failed]["engine_uuid"] == told.engines[0] != told.engines[1]
        (row,) = handle.db_query({"state": "aborted", "msg_id": told.aborted}, "name")
        assert row == {"msg_id": told.aborted, "name": "abs"}
        with pytest.raises(ValueError, match="did you mean 'state'"):
            handle.db_query({"stat": "done"})
        assert handle.result_status(told.done) == {"pending": [], "completed": told.done}

        assert handle.get_result(told.done, block=True) == list(range(20, 0, -1))
        printed = handle.get_result(told.printed)
        assert printed.get(PATIENCE) == 42 and printed.stdout == "from engine 1\n"
        assert (printed.metadata.engine_id, printed.metadata.engine_uuid) == (1, told.engines[1])
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            handle.get_result(told.failed).get(PATIENCE)
        with pytest.raises(AbortedTask):
            handle.get_result(told.aborted).get(PATIENCE)
        for id in told.open:
            with pytest.raises((EngineError, AbortedTask)):
                handle.get_result(id).get(PATIENCE)
        with pytest.raises(NoSuchTask, match="nope"):
            handle.get_result("nope").get(PATIENCE)
        large = handle.get_result(told.large)
        if how == "stopped":
            with pytest.raises(ResultExpired):
                large.get(PATIENCE)
        else:
            assert large.get(PATIENCE).sum() == 1_000_000
            del large
            gc.collect()


def test_a_clean_end_is_read_without_changing_anything(private_cluster: PrivateCluster, capsys: Capture) -> None:
    cluster = private_cluster(2, name="untouched")
    told = Told(cluster)
    cluster.stop()

    def files() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in cluster.directory.rglob("*")
            if path.is_file()
        }

    before = files()
    with handle_on(cluster.name) as handle:
        assert len(handle.hub_history()) == len(told.all)
        assert run(["ls", "tasks", "-c", cluster.name]) == 0  # two may read at once
        with Cluster(n=0, name=cluster.name) as rc:  # and neither hinders a start
            assert rc.hub_history(1) == told.all[-1:]
    capsys.readouterr()
    assert before.keys() == files().keys()
    before = files()
    with handle_on(cluster.name) as handle:
        handle.db_query({})
    assert before == files()


def test_what_a_killed_hub_had_in_its_log_alone_is_shown(private_cluster: PrivateCluster) -> None:
    """Small turns are in history.log, and nowhere else, for some milliseconds."""
    for _ in range(5):
        cluster = private_cluster(1)
        with cluster.start_and_connect_sync() as rc:
            hub = cluster.pids["hub"]
            ids = []
            for number in range(30):
                answer = rc[0].apply_async(abs, -number)
                answer.get(PATIENCE)
                ids += answer.msg_ids
            os.kill(hub, signal.SIGSTOP)
            log = cluster.directory / "history.log"
            in_the_log = log.stat().st_size
            kill_all(cluster)
        if in_the_log:
            break
    assert in_the_log > 0
    with handle_on(cluster.name) as handle:
        assert handle.hub_history() == ids
        assert handle.get_result(ids, block=True) == list(range(30))
    assert log.stat().st_size == 0
    assert not (cluster.directory / "history.db-wal").exists()


def test_a_running_cluster_of_that_name_is_connected_instead(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1, name="again")
    with cluster as rc:
        (first,) = rc[0].apply_async(abs, -1).msg_ids
        rc.wait()
    with handle_on("again") as handle:
        assert handle.hub_history() == [first]
        assert handle._archive is not None
        with private_cluster(1, name="again") as rc:
            (second,) = rc[0].apply_async(abs, -2).msg_ids
            rc.wait()
            assert handle.hub_history() == [first, second]
            assert handle._archive is None, "it asks the hub now"
            assert handle.get_result(second, block=True) == 2
            assert handle.running is False or handle.pids
        assert handle.hub_history() == [first, second]  # and the history again, when that run is over
        handle.start()  # a handle can also start it anew
        try:
            assert handle.running and len(handle.hub_history()) == 2
        finally:
            handle.stop()


def test_nothing_is_run_or_changed_in_the_past(private_cluster: PrivateCluster) -> None:
    with private_cluster(1, name="closed") as rc:
        (id,) = rc[0].apply_async(abs, -1).msg_ids
        rc.wait()
    with handle_on("closed") as handle:
        handle.hub_history()
        rc = handle._reader()
        assert rc.ids == []
        for refused in (
            lambda: rc.load_balanced_view().apply_sync(abs, 1),
            lambda: rc.purge_results("all"),
            lambda: rc.resubmit(id, block=True),
            lambda: rc.scale(2, block=True),
            lambda: rc.abort([id], block=True),
        ):
            with pytest.raises((RemoteError, ClusterNotFound), match="'closed' has ended.*start it anew"):
                refused()
        assert handle.hub_history() == [id]


def test_unknown_names_name_the_known_ones(private_cluster: PrivateCluster, capsys: Capture) -> None:
    with private_cluster(0, name="weather") as rc:
        assert rc.hub_history() == []
    with pytest.raises(ClusterNotFound, match=r"did you mean 'weather'\?.*ended, with their history: .*weather"):
        Cluster.from_name("wether")
    assert run(["ls", "tasks", "-c", "wether"]) == 3
    assert "did you mean 'weather'?" in capsys.readouterr().err
    assert run(["ls", "tasks", "-c", "weather", "--json"]) == 0
    assert capsys.readouterr().out == ""
    with pytest.raises(ClusterNotFound, match="has ended, and Cluster.from_name"):
        Cluster.from_name("weather").connect()
    assert run(["stop", "weather", "--yes"]) == 3
    assert "has ended" in capsys.readouterr().err


def test_a_history_that_cannot_be_read_is_said_to_be_so(private_cluster: PrivateCluster, capsys: Capture) -> None:
    with private_cluster(0, name="broken"):
        pass
    path = directory_of("broken") / "history.db"
    content = path.read_bytes()
    path.write_bytes(b"no database at all" + content[18:])
    assert run(["ls", "tasks", "-c", "broken"]) == 4
    assert str(path) in capsys.readouterr().err
    assert path.exists() and not list(path.parent.glob("history.corrupt*")), "reading moves nothing aside"
    path.write_bytes(content)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(ValueError, match="another version of tuiparallel"):
        Cluster.from_name("broken").hub_history()


def test_reading_ends_with_whoever_reads(private_cluster: PrivateCluster, until: Until) -> None:
    with private_cluster(0, name="short"):
        pass
    archive = Archive(directory_of("short"))
    place = Path(archive.connection.address.removeprefix("ipc://")).parent
    assert place.is_dir() and place.stat().st_mode & 0o777 == 0o700
    archive.close()
    assert archive.closed and not place.exists()
    archive.close()
    handle = Cluster.from_name("short")
    assert handle.hub_history() == []
    del handle
    gc.collect()  # the fixture finds a process that is left
