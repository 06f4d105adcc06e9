"""Processes that are killed while a thousand tasks are open: each task ends, once, in a way one sees."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, on_time
from tests.live.conftest import PrivateCluster
from tuiparallel.client.client import Client
from tuiparallel.errors import EngineError

TASKS = 1000


def noted(folder: str, index: int) -> int:
    """Append a line per start, so that a second start is seen."""
    import os

    handle = os.open(os.path.join(folder, str(index)), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(handle, b"start\n")
    os.close(handle)
    return index


def starts(folder: Path) -> dict[int, int]:
    """How often each task has started."""
    return {int(path.name): path.read_text().count("start") for path in folder.iterdir()}


def submit(client: Client, folder: Path, retries: int = 0) -> list[object]:
    view = client.load_balanced_view(retries=retries)
    return [view.apply_async(noted, str(folder), index) for index in range(TASKS)]


@pytest.mark.parametrize("round", range(10))
def test_p1_p4_an_engine_is_killed(private_cluster: PrivateCluster, tmp_path: Path, round: int) -> None:
    cluster = private_cluster(2)
    with cluster as client:
        pid = client[round % 2].apply_sync(os.getpid)
        answers = submit(client, tmp_path)
        answers[20 * round].get(PATIENCE)  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)
        lost = set()
        for index, answer in enumerate(answers):
            try:
                assert answer.get(PATIENCE) == index  # type: ignore[attr-defined]
            except EngineError as error:
                lost.add(index)
                assert error.signal == signal.SIGKILL and error.pid == pid
        found = starts(tmp_path)
        assert max(found.values()) == 1
        # Lost are those alone that had started and whose results had not left yet; of the last one only the mark says so.
        assert len(lost - found.keys()) <= 1
        assert len(found) >= TASKS - 1
        assert not client.outstanding


@on_time
@pytest.mark.parametrize("round", range(10))
def test_p2_p3_p4_the_hub_is_killed(
    private_cluster: PrivateCluster, tmp_path: Path, round: int, slack: float
) -> None:
    cluster = private_cluster(2)
    with cluster as client:
        hub = cluster.pids["hub"]
        answers = submit(client, tmp_path)
        answers[20 * round].get(PATIENCE)  # type: ignore[attr-defined]
        os.kill(hub, signal.SIGKILL)
        begin = time.monotonic()
        assert [answer.get(PATIENCE) for answer in answers] == list(range(TASKS))  # type: ignore[attr-defined]
        assert time.monotonic() - begin < 10 * slack
        found = starts(tmp_path)
        assert len(found) == TASKS and set(found.values()) == {1}
        assert cluster.pids["hub"] != hub
        assert client.ids == [0, 1]


def test_f43_the_supervisor_is_killed(private_cluster: PrivateCluster, tmp_path: Path) -> None:
    cluster = private_cluster(2)
    with cluster as client:
        answers = submit(client, tmp_path)
        os.kill(cluster.pids["supervisor"], signal.SIGKILL)
        assert [answer.get(PATIENCE) for answer in answers] == list(range(TASKS))  # type: ignore[attr-defined]
        assert set(starts(tmp_path).values()) == {1}
        assert client.ids == [0, 1]


def test_f3_all_engines_are_killed(private_cluster: PrivateCluster, tmp_path: Path) -> None:
    cluster = private_cluster(2)
    with cluster as client:
        pids = client[:].apply_sync(os.getpid)
        held = client[:].apply_async(signal.pause)
        answers = submit(client, tmp_path)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(Exception) as caught:
            held.get(PATIENCE)
        assert [error.ename for error in caught.value.errors] == ["EngineError"] * 2  # type: ignore[attr-defined]
        cluster.scale(2)
        values = [answer.get(PATIENCE) for answer in answers]  # type: ignore[attr-defined]
        assert values == list(range(TASKS))


def test_retries_carry_tasks_over_a_death(private_cluster: PrivateCluster, tmp_path: Path) -> None:
    cluster = private_cluster(2)
    with cluster as client:
        pid = client[0].apply_sync(os.getpid)
        answers = submit(client, tmp_path, retries=1)
        os.kill(pid, signal.SIGKILL)
        assert [answer.get(PATIENCE) for answer in answers] == list(range(TASKS))  # type: ignore[attr-defined]
        assert max(starts(tmp_path).values()) <= 2
