"""F30, F31, F32, F34 to F37, F40: garbage, mutations, sizes at the limit, replays, strangers, second hubs."""

from __future__ import annotations

import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import zmq

from tests.conftest import on_time, wait_until
from tests.faults.chaos import PATIENCE
from tests.faults.ledger import Ledger
from tests.faults.tasks import pause
from tests.hub.stage import Stage, balanced
from tests.hub.test_hostile import OF_CLIENT, OF_ENGINE, OF_SUPERVISOR
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import InsecureFile, MessageTooLarge, StartError
from tuiparallel.link.clock import SystemClock
from tuiparallel.link.doors import Role
from tuiparallel.wire.messages import PROTOCOL, ClientHello, EngineHello, Message, Ran, Results, Submit, Work

Start = Callable[..., Cluster]
Show = Callable[[object], None]
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL" + bytes(16) + b"\x00" + bytes(31)


# F30, F35: bytes that are no 0MQ ------------------------------------------------------------------------------------


def garbage(dice: random.Random) -> bytes:
    """What a stranger may send: noise, a bent greeting, other protocols, half of something."""
    match dice.randrange(6):
        case 0:
            return dice.randbytes(dice.randrange(1, 300))
        case 1:
            bent = bytearray(GREETING)
            bent[dice.randrange(len(bent))] ^= 1 << dice.randrange(8)
            return bytes(bent) + dice.randbytes(dice.randrange(60))
        case 2:
            return b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
        case 3:
            return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(100)
        case 4:
            return GREETING[: dice.randrange(1, len(GREETING))]
        case _:  # a whole greeting, then frames of impossible lengths
            return GREETING + bytes([dice.choice((0, 1, 2, 4, 6, 255))]) + dice.randbytes(dice.randrange(1, 60))


@pytest.mark.parametrize("count", [1000, pytest.param(100_000, marks=pytest.mark.long)])
def test_f30_garbage_on_the_sockets(start: Start, ledger: Ledger, seed: int, show: Show, count: int) -> None:
    dice = random.Random(seed)
    cluster = start(1)
    with cluster as rc:
        pid = cluster.pids["hub"]
        hub = psutil.Process(pid)

        def calls(number: int = 200) -> float:
            times = []
            for _ in range(number):
                begun = SystemClock.monotonic()
                rc[0].apply_sync(abs, -1)
                times.append(SystemClock.monotonic() - begun)
            return sorted(times)[number * 99 // 100]

        calls()
        quiet, before, most = calls(), hub.memory_info().rss, 0.0
        for number in range(count):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(f"{cluster.config.sockets}/{dice.choice('ce')}.ipc")
                try:
                    stranger.sendall(garbage(dice))
                except BrokenPipeError:
                    pass
            if number % (count // 5) == count // 10:
                most = max(most, calls())
        after = hub.memory_info().rss
        ledger.collect([ledger.submit(rc.load_balanced_view()) for _ in range(100)], PATIENCE)
        assert cluster.pids["hub"] == pid
    assert ledger.check("").clean
    show(
        f"F30: {count:,} × garbage, seed {seed}: hub + {(after - before) / 1e6:.1f} MB, "
        f"p99 of a call {1000 * quiet:.2f} → {1000 * most:.2f} ms"
    )
    assert after - before < 10e6


def test_f35_silent_connections_are_closed_and_others_served(start: Start, show: Show) -> None:
    cluster = start(1)
    with cluster as rc:
        strangers = []
        for number in range(400):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect(f"{cluster.config.sockets}/{'ce'[number % 2]}.ipc")
            stranger.setblocking(False)
            strangers.append(stranger)
        try:
            assert rc[0].apply_sync(abs, -1) == 1
            open_ones = set(strangers)

            def all_closed() -> bool:
                for stranger in list(open_ones):
                    try:
                        while received := stranger.recv(4096):
                            assert received
                        open_ones.discard(stranger)
                    except BlockingIOError:
                        pass
                    except ConnectionError:
                        open_ones.discard(stranger)
                return not open_ones

            wait_until(all_closed, PATIENCE, "all silent connections are closed")
            assert rc[0].apply_sync(abs, -2) == 2
        finally:
            for stranger in strangers:
                stranger.close()


# F31: mutated bytes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_f31_mutated_bytes_of_every_message(seed: int, show: Show, count: int) -> None:
    """Recorded messages of each role, with bytes flipped, cut, repeated: counted, or handled; nothing raises."""
    dice = random.Random(seed)
    sent = decoded = 0
    while sent < count:
        folder = Path(tempfile.mkdtemp(prefix="tp-"))
        stage = Stage(folder)
        try:
            more, understood = bombard(stage, dice, min(5000, count - sent))
        finally:
            stage.close()
            shutil.rmtree(folder)
        assert more
        sent += more
        decoded += understood
    assert decoded > count // 50
    show(f"F31: {count:,} mutations, seed {seed}: {decoded:,} were still messages, and were handled")


def bombard(stage: Stage, dice: random.Random, count: int) -> tuple[int, int]:
    """Send so many mutations into a hub, until one of its peers has been put out; how many, and how many it understood."""
    client, engine = stage.client("aa"), stage.engine("e1")
    supervisor = stage.supervisor(engine)
    client.submit(balanced(), 3)
    stage.rounds(5)
    connections = stage.doors._connections
    [at_client], [at_engine, at_supervisor] = (list(connections[role]) for role in Role)
    recorded = [
        (role, peer, msgspec.msgpack.encode(message))
        for role, peer, messages in (
            (Role.CLIENT, at_client, OF_CLIENT),
            (Role.ENGINE, at_engine, OF_ENGINE),
            (Role.ENGINE, at_supervisor, OF_SUPERVISOR),
        )
        for message in messages
    ]
    assert supervisor in stage.peers
    decoded = 0
    for number in range(count):
        role, peer, body = dice.choice(recorded)
        connection = connections[role].get(peer)
        if connection is None:
            return number, decoded
        frame = connection.expected.to_bytes(4, "little") + mutated(dice, body)
        message = stage.doors._admit(role, peer, frame)
        if message is not None:
            decoded += 1
            try:
                desk: Any = stage.loop.clients if role is Role.CLIENT else stage.loop.engines
                desk.receive(peer, message)
            except (ArithmeticError, LookupError, TypeError, ValueError):  # as the loop does
                stage.loop.clients.apologise(role, peer, message)
        if number % 50 == 0:
            stage.loop.turn(0)
            stage.book.stopping = False
    return count, decoded


def mutated(dice: random.Random, body: bytes) -> bytes:
    found = bytearray(body)
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        at = dice.randrange(len(found)) if found else 0
        match dice.randrange(5):
            case 0 | 1 if found:
                found[at] ^= 1 << dice.randrange(8)
            case 2 if found:
                found[at] = dice.randrange(256)
            case 3:
                del found[at : at + dice.randrange(1, 4)]
            case _:
                found[at:at] = dice.randbytes(dice.randrange(1, 4))
    return bytes(found)


# F32: sizes ---------------------------------------------------------------------------------------------------------


def test_f32_sizes_around_the_limits(start: Start) -> None:
    """Whatever its size, an argument arrives whole or is refused where it was given."""
    with start(1) as rc:
        view = rc[0]
        for limit in (32 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20):
            for size in (limit - 1, limit, limit + 1):
                assert view.apply_sync(len, bytes(size)) == size
                assert len(view.apply_sync(bytes, size)) == size
        for size in ((8 << 20) - 200, (8 << 20) + 1, (16 << 20) + 1):
            text = "x" * size  # no buffer: it has to fit into the message, or becomes one
            try:
                assert view.apply_async(len, text).get(PATIENCE) == size
            except MessageTooLarge:
                assert size > 4 << 20
        many = [bytes(40_000) for _ in range(500)]
        assert view.apply_sync(len, many) == 500
        assert view.apply_sync(abs, -1) == 1


@pytest.mark.long
def test_f32_three_gigabytes_and_a_hundred_thousand_buffers(start: Start) -> None:
    with start(1) as rc:
        view = rc[0]
        try:
            assert view.apply_async(len, [bytes(40_000) for _ in range(5_000)]).get(120) == 5_000
        except MessageTooLarge:
            pass
        try:
            assert view.apply_async(len, bytes(3_000_000_000)).get(120) == 3_000_000_000
        except Exception as error:
            assert type(error).__name__ in ("MessageTooLarge", "StorageFull"), error
        assert view.apply_sync(abs, -1) == 1


# F34: replays -------------------------------------------------------------------------------------------------------


class Raw:
    """A DEALER that sends what it is told, numbered as a link would."""

    def __init__(self, context: zmq.Context[Any], address: str) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 1000
        self.socket.connect(address)
        self.number = 0

    def send(self, message: Message) -> None:
        self.socket.send(self.number.to_bytes(4, "little") + msgspec.msgpack.encode(message))
        self.number += 1

    def hear(self, timeout: float = PATIENCE) -> list[Any]:
        """What comes, until nothing comes for a while."""
        heard = []
        while self.socket.poll(timeout * 1000):
            heard.append(msgspec.msgpack.decode(self.socket.recv()[4:]))
            timeout = 1.0
        return heard


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as context:
        yield context


def test_f34_a_replayed_submission_runs_once(start: Start, ledger: Ledger, context: zmq.Context[Any]) -> None:
    cluster = start(1)
    with cluster as rc:
        path, session = ledger.at_engines, "ab" * 8
        name, first = ledger.submit(rc[0])
        ledger.collect([(name, first)], PATIENCE)
        body = msgspec.msgpack.encode([path])
        submit = Submit(0, 1, Work(1, "execute", True, 1.0), b"", None, [body])
        raw = Raw(context, f"ipc://{cluster.config.sockets}/c.ipc")
        raw.send(ClientHello(PROTOCOL, session, cluster.config.cluster, "", "here", 1, "replay", [(0, 1)]))
        for _ in range(5):
            raw.send(submit)
        heard = raw.hear()
        with raw.socket:
            done = [message for message in heard if message[0] == "Done"]
            assert len(done) >= 1 and all(len(message[2]) == 1 for message in done)
        rows = rc.db_query({"msg_id": f"{session}-0"})
        assert len(rows) == 1


def test_f34_results_of_an_old_lease_are_dropped(start: Start, context: zmq.Context[Any]) -> None:
    """A second engine repeats what it never had: nobody's outcome changes."""
    cluster = start(1)
    with cluster as rc:
        answer = rc[0].apply_async(abs, -5)
        assert answer.get(PATIENCE) == 5
        raw = Raw(context, f"ipc://{cluster.config.sockets}/e.ipc")
        raw.send(EngineHello(PROTOCOL, "cd" * 8, cluster.config.cluster, "", "here", 999_999, False))
        running = rc[0].apply_async(pause, 0.5)
        for task in range(1 << 40, (1 << 40) + 5):
            for lease in range(5):
                raw.send(Results(task * 10 + lease, [Ran(task, lease, True, 1.0, 2.0, b"\x05wrong")]))
        raw.hear(1.0)
        with raw.socket:
            assert running.get(PATIENCE) is None
            with cluster.connect() as other:
                assert other.get_result(answer.msg_ids[0]).get(PATIENCE) == 5


# F36, F37: files and strangers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["open to others", "a link", "a file"])
def test_f36_a_hostile_directory_is_refused(home: Path, how: str) -> None:
    clusters = home / "state" / "tuiparallel" / "clusters"
    clusters.mkdir(parents=True, mode=0o700)
    place = clusters / "mine"
    if how == "open to others":
        place.mkdir()
        place.chmod(0o777)
    elif how == "a link":
        elsewhere = home / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        place.symlink_to(elsewhere)
    else:
        place.write_text("")
    with pytest.raises((InsecureFile, StartError, OSError)) as caught:
        Cluster(n=1, name="mine").start()
    assert "mine" in str(caught.value)


LOOKING = """
import os, socket, sys
directory, sockets, blobs, *pids = sys.argv[1:]
done = []
for place in (directory, sockets, blobs):
    try:
        done += os.listdir(place)
    except PermissionError:
        pass
for name in ("client.json", "engine.json", "start.json", "history.db", "history.log", "cluster.json", "log/hub.log"):
    for mode in ("rb", "r+b"):
        try:
            done.append(open(os.path.join(directory, name), mode).name)
        except PermissionError:
            pass
for name in ("c.ipc", "e.ipc"):
    try:
        socket.socket(socket.AF_UNIX).connect(os.path.join(sockets, name))
        done.append(name)
    except PermissionError:
        pass
for pid in pids:
    for name in ("environ", "fd", "maps", "mem"):
        try:
            path = f"/proc/{pid}/{name}"
            done.append(os.listdir(path) if name == "fd" else open(path, "rb").read(1) + path.encode())
        except PermissionError:
            pass
    try:
        os.kill(int(pid), 0)
        done.append(pid)
    except PermissionError:
        pass
print(done)
"""


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="becoming somebody else needs root")
def test_f37_another_user_reaches_nothing(start: Start, home: Path) -> None:
    home.chmod(0o755)  # what others cannot even enter proves nothing
    for name in ("state", "state/tuiparallel", "state/tuiparallel/clusters"):
        (home / name).mkdir(exist_ok=True)
        (home / name).chmod(0o755)
    cluster = start(2)
    with cluster as rc:
        rc[:].push({"a": bytes(3_000_000)}, block=True)
        processes = [psutil.Process(pid) for pid in cluster.pids.values()]
        pids = {str(one.pid) for process in processes for one in (process, *process.children(recursive=True))}
        python = os.path.realpath(sys.executable)
        done = subprocess.run(
            [
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-I", "-S", "-c", LOOKING,
                str(cluster.directory), cluster.config.sockets, cluster.config.blobs, *sorted(pids),
            ],
            capture_output=True, text=True, cwd="/", timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "[]"
        assert stat.S_IMODE(cluster.directory.stat().st_mode) == 0o700


# F40: two of a kind -------------------------------------------------------------------------------------------------


def test_f40_a_second_hub_on_a_directory_refuses(start: Start, ledger: Ledger) -> None:
    cluster = start(1)
    with cluster as rc:
        answers = [ledger.submit(rc.load_balanced_view(), 0.002) for _ in range(200)]
        code = (
            "import os, sys; from tuiparallel.hub.main import main;r, w = os.pipe(); sys.exit(main(sys.argv[1], w))"
        )
        config = str(cluster.directory / "start.json")
        done = subprocess.run([sys.executable, "-c", code, config], capture_output=True, timeout=PATIENCE)
        assert done.returncode == 78
        ledger.collect(answers, PATIENCE)
        assert connects(cluster) == rc.ids
    assert ledger.check("F40").clean
    assert "another hub serves" in (cluster.directory / "log" / "hub.log").read_text()


def connects(cluster: Cluster) -> list[int]:
    with Client(str(cluster.connection_file)) as other:
        return other.ids


@on_time
def test_f40_f41_strangers_with_an_engines_name_or_another_protocol(
    start: Start, ledger: Ledger, context: zmq.Context[Any], slack: float
) -> None:
    cluster = start(1)
    with cluster as rc:
        raw = Raw(context, f"ipc://{cluster.config.sockets}/c.ipc")
        raw.send(ClientHello(PROTOCOL + 1, "ef" * 8, cluster.config.cluster, "", "here", 1, "newer"))
        begun = SystemClock.monotonic()
        with raw.socket:
            [refused] = [message for message in raw.hear() if message[0] == "Refused"]
        assert SystemClock.monotonic() - begun < 3.0 * slack
        assert refused[1] == "ProtocolMismatch" and str(PROTOCOL) in refused[2] and str(PROTOCOL + 1) in refused[2]
        row = rc.db_query({})
        assert isinstance(row, list)
        answers = [ledger.submit(rc[0], 0.001) for _ in range(50)]
        ledger.collect(answers, PATIENCE)
    assert ledger.check("F41").clean
