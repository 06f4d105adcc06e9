"""Which clusters run, judged by their records and processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.place import directory_of, make_directory
from tuiparallel.cluster.processes import is_alive, kill, processes_of, wait_gone
from tuiparallel.cluster.running import ClusterRecord, clusters, not_running, record_in
from tuiparallel.errors import ClusterNotFound, InsecureFile
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.wire.connection import write_private

WAITER = "import sys; print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like one of the cluster 'lab' and ends when its input does."""
    sign = str(directory_of("lab") / "start.json")
    with subprocess.Popen(
        [sys.executable, "-c", WAITER, sign], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        yield process
        process.kill()


def write_record(name: str, pid: int) -> Path:
    directory = directory_of(name)
    make_directory(directory)
    record = ClusterRecord(name, "0123456789abcdef", {"template": pid}, 1_700_000_000.0, 2)
    write_private(directory / "cluster.json", msgspec.json.encode(record))
    return directory


def test_a_cluster_runs_while_its_process_lives(process: subprocess.Popen[bytes]) -> None:
    directory = write_record("lab", process.pid)
    assert clusters() == ["lab"]
    record = record_in(directory)
    assert record is not None and record.name == "lab"
    process.kill()
    process.wait()
    assert clusters() == []


def test_a_used_again_pid_is_not_believed(process: subprocess.Popen[bytes]) -> None:
    write_record("other", process.pid)  # that process belongs to 'lab'
    assert clusters() == []


def test_damaged_and_foreign_records() -> None:
    directory = write_record("lab", 1)
    write_private(directory / "cluster.json", b"{")
    assert record_in(directory) is None
    (directory / "cluster.json").chmod(0o644)
    with pytest.raises(InsecureFile, match="chmod 600"):
        record_in(directory)


def test_processes_are_found_by_their_directory_and_ended(process: subprocess.Popen[bytes]) -> None:
    directory = directory_of("lab")
    assert processes_of(directory) == [process.pid]
    assert is_alive(process.pid, directory)
    clock = SystemClock()
    assert wait_gone([process.pid], Deadline(clock, 0.01)) == [process.pid]
    kill([process.pid])
    assert wait_gone([process.pid], Deadline(clock, 30.0)) == []
    kill([process.pid])  # a zombie, or nobody: no error
    assert processes_of(directory) == []
    assert not is_alive(process.pid, directory)


def test_b1_b2_what_is_said_of_a_cluster_that_does_not_run(process: subprocess.Popen[bytes]) -> None:
    assert "tuipar start" in str(not_running("lab"))
    write_record("lab", process.pid)
    text = str(not_running("lba"))
    assert "did you mean 'lab'?" in text and "running are lab" in text
    with pytest.raises(ClusterNotFound, match="did you mean 'lab'"):
        Cluster.from_name("lba")
