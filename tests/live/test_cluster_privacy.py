"""What others on the machine can see and reach of a cluster: nothing."""

from __future__ import annotations

import os
import pickle
import pty
import re
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import zmq

from tests.conftest import PATIENCE
from tests.live.conftest import PrivateCluster
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import processes_of
from tuiparallel.wire.messages import Kind, Ran, Results, Submit, Work

AT_A_TERMINAL = """
import fcntl, os, sys, termios
from tuiparallel import Cluster

def opened():
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return "no terminal"
    return "a terminal"

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
with Cluster(n=1) as rc:
    print(opened(), rc[0].apply_sync(opened), sep=", ", flush=True)
    print(os.tcgetpgrp(0) == os.getpgrp() != rc[0].apply_sync(os.getpgrp), flush=True)
    try:
        rc[0].apply_sync(input)  # ends at once: there is nothing to read
    except EOFError:
        print("nothing to read", flush=True)
    answer = rc[0].apply_async(__import__("time").sleep, 600)
    try:
        print("interrupt", flush=True)
        answer.get()
    except KeyboardInterrupt:
        print("interrupted, and the task goes on:", not answer.ready(), flush=True)
"""
LISTEN = "0A"  # state column of /proc/net/tcp


def modes_below(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode)
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink()
    }


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_f36_everything_is_private_whatever_the_umask(private_cluster: PrivateCluster, umask: int) -> None:
    before = os.umask(umask)
    try:
        cluster = private_cluster(2)
        with cluster as client:
            client.load_balanced_view().map_sync(abs, range(100))
            client[0].apply_sync(print, "a line")
            client[0].push({"a": bytes(3_000_000)}, block=True)
            assert stat.S_IMODE(cluster.directory.stat().st_mode) == 0o700
            found = modes_below(cluster.directory)
            blobs = Path(cluster.config.blobs)
            assert stat.S_IMODE(blobs.stat().st_mode) == 0o700
            found |= {f"blobs/{name}": mode for name, mode in modes_below(blobs).items()}
            sockets = {name for name in found if name.endswith(".ipc")}
            assert sockets == {"c.ipc", "e.ipc"}
            assert any(name.startswith("blobs/") for name in found)
            wrong = {name: oct(mode) for name, mode in found.items() if name not in sockets and mode & 0o077}
            assert not wrong
    finally:
        os.umask(before)


def listening_inodes() -> set[str]:
    """Inodes of all listening TCP sockets of this machine."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            fields = line.split()
            if fields[3] == LISTEN:
                found.add(fields[9])
    return found


def test_p8_no_network_port_is_open(cluster: Cluster) -> None:
    inodes = listening_inodes()
    pids = processes_of(cluster.directory)
    assert len(pids) >= 7
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(entry)
            if found := re.fullmatch(r"socket:\[(\d+)\]", target):
                assert found[1] not in inodes, f"process {pid} listens on TCP"


def test_p9_d39_no_key_and_no_pickle_in_logs_arguments_or_environment(private_cluster: PrivateCluster) -> None:
    secret = "kept-from-every-log"
    cluster = private_cluster(1, log_level="DEBUG")
    with cluster as client:
        client[0].apply_sync(len, secret)
        client[0].apply_async(int, secret).wait(PATIENCE)
        pids = processes_of(cluster.directory)
        keys = [
            value
            for name in ("client.json", "engine.json")
            for value in re.findall(r'_key": "([^"]+)"', (cluster.directory / name).read_text())
        ]
        for pid in pids:
            for what in ("cmdline", "environ"):
                content = Path(f"/proc/{pid}/{what}").read_bytes()
                assert not any(key.encode() in content for key in keys)
                assert secret.encode() not in content
    logs = b"".join(log.read_bytes() for log in (cluster.directory / "log").iterdir())
    assert not any(key.encode() in logs for key in keys)
    assert secret.encode() not in logs
    assert b"\x80\x05" not in logs and b"\\x80\\x05" not in logs  # how a pickle begins


class Trap:
    """An object whose unpickling leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_p7_what_a_stranger_sends_reaches_no_python(private_cluster: PrivateCluster, tmp_path: Path) -> None:
    trap = tmp_path / "trapped"
    pickled = pickle.dumps(Trap(trap))
    frames = [pickled, b"\0\0\0\0" + pickled, b"", b"\xc1" * 100, b"GET / HTTP/1.1\r\n\r\n", os.urandom(1000)]
    number = (0).to_bytes(4, "little")
    submit = Submit(0, 1, Work(Kind.APPLY, "f", True, 0.0), b"h" * 16, pickled, [pickled])
    results = Results(1, [Ran(1, 1, True, 0.0, 0.0, pickled, None)])
    frames += [number + msgspec.msgpack.encode(message) for message in (submit, results)]
    cluster = private_cluster(1)
    with cluster as client, zmq.Context() as context:
        for name in ("c.ipc", "e.ipc"):
            with context.socket(zmq.DEALER) as socket:
                socket.linger = 1000
                socket.connect(f"ipc://{cluster.config.sockets}/{name}")
                for frame in frames * 20:
                    socket.send(frame)
        assert client[0].apply_sync(abs, -1) == 1
        assert client.queue_status()["unassigned"] == 0
        pid = cluster.pids["hub"]
    assert not trap.exists()
    log = (cluster.directory / "log" / "hub.log").read_text()
    assert f"hub {pid} serves" in log and log.count("serves") == 1  # it was not started again
    assert "Traceback" not in log


def test_p10_the_terminal_of_the_starter_is_its_own(empty_home: Path) -> None:
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL],
            stdin=slave,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            said = process.stdout.readline
            assert said() == "a terminal, no terminal\n"
            assert said() == "True\n", "in a process group of its own"
            assert said() == "nothing to read\n"
            assert said() == "interrupt\n"
            os.write(master, b"\x03")
            assert said() == "interrupted, and the task goes on: True\n"
            assert process.wait(PATIENCE) == 0
    finally:
        os.close(master)
        os.close(slave)
