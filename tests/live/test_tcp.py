"""A cluster that listens on the loopback: what is open, who gets in, and that it survives the loss of its hub."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from tests.conftest import PATIENCE, on_time
from tests.live.conftest import PrivateCluster
from tests.live.test_cluster_privacy import LISTEN
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import processes_of
from tuiparallel.errors import AuthenticationError, ConnectTimeout
from tuiparallel.link.clock import SystemClock
from tuiparallel.wire.connection import read_connection

BAR = 3.0  # seconds until a refused client knows
clock = SystemClock()


def listening(cluster: Cluster) -> list[str]:
    """Where the cluster's processes listen on TCP, as address:port."""
    inodes = {os.stat(entry).st_ino for pid in processes_of(cluster.directory) for entry in sockets_of(pid)}
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            fields = line.split()
            if fields[3] == LISTEN and int(fields[9]) in inodes:
                address, port = fields[1].split(":")
                found.append(f"{'.'.join(map(str, reversed(bytes.fromhex(address))))}:{int(port, 16)}")
    return sorted(found)


def sockets_of(pid: int) -> Iterator[Path]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(entry).startswith("socket:"):
                yield entry
        except FileNotFoundError:
            continue


def asked_for(cluster: Cluster, ip: str = "127.0.0.1") -> list[str]:
    files = ("client.json", "engine.json")
    ports = [read_connection(cluster.directory / name).address.rpartition(":")[2] for name in files]
    return sorted(f"{ip}:{port}" for port in ports)


def test_p8_the_basics_and_exactly_two_ports(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(2, ip="127.0.0.1")
    with cluster as client:
        assert listening(cluster) == asked_for(cluster) and len(listening(cluster)) == 2
        assert not list(cluster.directory.glob("*.ipc"))
        assert client[:].apply_sync(abs, -1) == [1, 1]
        assert client.load_balanced_view().map_sync(abs, range(-500, 0)) == list(range(500, 0, -1))
        client[0].push({"a": bytes(3_000_000)}, block=True)
        assert client[0].apply_sync(len, bytes(5_000_000)) == 5_000_000
        assert len(client[0]["a"]) == 3_000_000
        with Client(str(cluster.connection_file)) as other:
            assert other.ids == client.ids
        assert cluster.addresses == {
            role: [read_connection(cluster.directory / f"{role}.json").address] for role in ("client", "engine")
        }


def test_p8_everywhere_means_two_ports_too(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1, ip="*")
    with cluster as client:
        assert listening(cluster) == asked_for(cluster, "0.0.0.0")
        assert client[0].apply_sync(abs, -1) == 1
        client_port = read_connection(cluster.connection_file).address.rpartition(":")[2]
        assert f"tcp://127.0.0.1:{client_port}" in cluster.addresses["client"]


def test_p8_none_by_default(cluster: Cluster) -> None:
    assert listening(cluster) == []
    assert cluster.addresses == {}


def test_a_hub_that_is_killed_comes_back_with_its_ports_and_keys(
    private_cluster: PrivateCluster, until: Callable[..., None]
) -> None:
    cluster = private_cluster(2, ip="127.0.0.1")
    with cluster as client:
        before = [(cluster.directory / name).read_bytes() for name in ("client.json", "engine.json", "keys.json")]
        ports, view = listening(cluster), client.load_balanced_view()
        for _ in range(2):
            pid = cluster.pids["hub"]
            result = view.map_async(abs, range(2000))
            os.kill(pid, signal.SIGKILL)
            assert result.get(PATIENCE) == list(range(2000))
            until(lambda pid=pid: cluster.pids.get("hub") not in (None, pid))
        assert listening(cluster) == ports
        after = [(cluster.directory / name).read_bytes() for name in ("client.json", "engine.json", "keys.json")]
        assert after == before
        os.kill(cluster.pids["supervisor"], signal.SIGKILL)
        os.kill(client[0].apply_sync(os.getpid), signal.SIGKILL)
        until(lambda: len(client.ids) == 1)
        assert view.apply_sync(abs, -3) == 3


@on_time
@pytest.mark.parametrize("case", ["no key", "wrong server key", "unknown key", "engine's key at the clients' port"])
def test_f33_b7_wrong_keys(private_cluster: PrivateCluster, case: str, slack: float) -> None:
    cluster = private_cluster(1, ip="127.0.0.1")
    with cluster as client:
        good = json.loads(cluster.connection_file.read_text())
        engine = json.loads((cluster.directory / "engine.json").read_text())
        public, secret = (key.decode() for key in zmq.curve_keypair())
        cases: dict[str, dict[str, str | None]] = {
            "no key": {"server_key": None, "public_key": None, "secret_key": None},
            "wrong server key": {"server_key": public},
            "unknown key": {"public_key": public, "secret_key": secret},
            "engine's key at the clients' port": {key: engine[key] for key in ("public_key", "secret_key")},
        }
        changed = cases[case]
        sessions = client.queue_status()
        began = clock.monotonic()
        with pytest.raises(AuthenticationError) as raised:
            Client(good | changed, timeout=100)
        assert clock.monotonic() - began < BAR * slack
        text = str(raised.value)
        assert str(cluster.connection_file) in text and "restarted since" in text
        assert not any(
            key in text for key in (*filter(None, changed.values()), good["secret_key"], good["public_key"])
        )
        assert client.queue_status() == sessions
        assert client[0].apply_sync(abs, -1) == 1
    log = (cluster.directory / "log" / "hub.log").read_text()
    assert "Traceback" not in log


@pytest.mark.parametrize("mechanism", ["NULL", "PLAIN"])
def test_f33_no_other_mechanism_gets_anything_in(private_cluster: PrivateCluster, mechanism: str) -> None:
    cluster = private_cluster(1, ip="127.0.0.1")
    with cluster as client, zmq.Context() as context:
        for name in ("client.json", "engine.json"):
            with context.socket(zmq.DEALER) as socket:
                socket.linger = 0
                if mechanism == "PLAIN":
                    socket.plain_username, socket.plain_password = b"a", b"b"
                monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
                socket.connect(read_connection(cluster.directory / name).address)
                socket.send(b"\0\0\0\0" + b"x" * 50)
                assert monitor.poll(int(PATIENCE * 1000))
                assert int.from_bytes(monitor.recv_multipart()[0][:2], "little") == zmq.EVENT_DISCONNECTED
                socket.disable_monitor()
                monitor.close(0)
        assert client[0].apply_sync(abs, -1) == 1


def test_an_old_file_of_a_stopped_cluster_times_out(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1, ip="127.0.0.1")
    with cluster:
        old = json.loads(cluster.connection_file.read_text())
    with pytest.raises(ConnectTimeout, match="is it alive"):
        Client(old, timeout=0.5)


@on_time
def test_a_restarted_cluster_has_new_keys(private_cluster: PrivateCluster, slack: float) -> None:
    cluster = private_cluster(1, ip="127.0.0.1", name="again")
    with cluster:
        old = json.loads(cluster.connection_file.read_text())
    with cluster as client:
        new = json.loads(cluster.connection_file.read_text())
        assert all(old[key] != new[key] for key in ("server_key", "public_key", "secret_key"))
        assert client[0].apply_sync(abs, -1) == 1
        began = clock.monotonic()
        with pytest.raises(AuthenticationError, match="restarted since"):
            Client(old | {"address": new["address"]}, timeout=100)
        assert clock.monotonic() - began < BAR * slack


def test_f38_keys_are_in_their_files_only(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(2, ip="127.0.0.1", log_level="DEBUG")
    with cluster as client:
        client.load_balanced_view().map_sync(abs, range(50))
        client[0].apply_async(int, "no number").wait(PATIENCE)
        with pytest.raises(AuthenticationError):
            public, secret = (key.decode() for key in zmq.curve_keypair())
            given = json.loads(cluster.connection_file.read_text())
            Client(given | {"public_key": public, "secret_key": secret})
        os.kill(cluster.pids["hub"], signal.SIGKILL)
        assert client[:].apply_sync(abs, -1) == [1, 1]
        kept = json.loads((cluster.directory / "keys.json").read_text())
        pairs = [kept["server"], *kept["roles"].values()]
        keys = [pair[kind] for pair in pairs for kind in ("public", "secret")]
        assert len({*keys, public, secret}) == 8
        forms = [form for key in (*keys, secret) for form in written(key)]
        seen = {}
        pids = [*processes_of(cluster.directory), os.getpid()]
        for pid in pids:
            for what in ("cmdline", "environ"):
                seen[f"{what} of {pid}"] = Path(f"/proc/{pid}/{what}").read_bytes()
        seen |= private_files(cluster, but=("client.json", "engine.json", "keys.json"))
        seen["environment in a task"] = repr(client[0].apply_sync(lambda: dict(__import__("os").environ))).encode()
        seen["connection"] = repr(read_connection(cluster.connection_file)).encode()
    seen |= private_files(cluster, but=())  # what stays
    assert {"history.db", "log/hub.log"} <= set(seen)
    hits = [name for name, content in seen.items() if any(form in content for form in forms)]
    assert not hits, hits


def written(key: str) -> list[bytes]:
    """A key as Z85, raw, hex and base64."""
    raw = z85.decode(key)
    return [key.encode(), raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw).rstrip(b"=")]


def private_files(cluster: Cluster, but: tuple[str, ...]) -> dict[str, bytes]:
    return {
        str(path.relative_to(cluster.directory)): path.read_bytes()
        for path in cluster.directory.rglob("*")
        if path.is_file() and path.name not in but
    }
