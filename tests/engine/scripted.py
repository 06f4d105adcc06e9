"""A hub that does what a test says, and a real engine process that speaks with it over real sockets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tuiparallel.errors import RemoteError
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.link.doors import Doors, Peer, Role, Sent
from tuiparallel.wire import failures
from tuiparallel.wire.blobs import BlobStore
from tuiparallel.wire.config import ClusterConfig, write_config
from tuiparallel.wire.functions import pack_function
from tuiparallel.wire.messages import (
    PROTOCOL,
    EngineHello,
    EngineWelcome,
    Exited,
    ExitKept,
    Kept,
    Kind,
    Lease,
    Leave,
    Message,
    Ran,
    Results,
    Returned,
    Run,
    RunBatch,
    SupervisorHello,
    SupervisorWelcome,
)
from tuiparallel.wire.objects import pack_call, unpack

T = TypeVar("T", bound=Message)
PATIENCE = 30.0

_START = "import sys; from tuiparallel.engine import main; main.end(main.main(sys.argv[1], sys.argv[2], None, None))"


def make_config(folder: Path, **changes: Any) -> ClusterConfig:
    """start.json of a cluster whose hub the test plays."""
    for part in ("log", "marks", "blobs", "work"):
        (folder / part).mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    values: dict[str, Any] = {
        "name": "test",
        "cluster": "c1",
        "directory": str(folder),
        "sockets": str(folder),
        "blobs": str(folder / "blobs"),
        "n": 1,
        "work_dir": str(folder / "work"),
        "heartbeat_interval": 0.5,
        "heartbeat_timeout": 2.0,
    }
    config = ClusterConfig(**(values | changes))
    write_config(folder / "start.json", config)
    return config


class ScriptedHub:
    """The hub's end. Everything an engine says is kept in `heard`, results are kept and acknowledged at once."""

    def __init__(self, folder: Path, *, keep: bool = True, boot: str = "b1", **changes: Any) -> None:
        self.folder = folder
        self.config = make_config(folder, **changes)
        self.keep = keep
        self.boot = boot
        self.heard: list[Message] = []
        self.ran: dict[int, Ran] = {}
        self.copies = 0
        self.peer: Peer = b""  # the engine that has connected last
        self.ids: dict[str, int] = {}  # engine ids by uuid
        self.supervisor: Peer = b""
        self.welcome: Callable[[EngineHello], EngineWelcome] = lambda hello: EngineWelcome(
            PROTOCOL, self.boot, self.config.cluster, self.ids.setdefault(hello.uuid, len(self.ids))
        )
        self.store = BlobStore(Path(self.config.blobs))
        self.processes: list[subprocess.Popen[bytes]] = []
        self._task = 1000
        self._lease = 0
        self._known: set[bytes] = set()
        self.doors = self._open()

    def _open(self) -> Doors:
        return Doors(
            {Role.CLIENT: f"ipc://{self.folder}/c.ipc", Role.ENGINE: f"ipc://{self.folder}/e.ipc"},
            heartbeat=(self.config.heartbeat_interval, self.config.heartbeat_timeout),
        )

    def start_cluster(
        self, *arguments: str, n: int = 2, hub: str = "tests.engine.stand_in"
    ) -> subprocess.Popen[bytes]:
        """A template with its children; the hub it starts does nothing, this one answers."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tuiparallel.engine.template", str(self.folder / "start.json"), "--hub", hub]
            + list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.processes.append(process)
        self.until(lambda: n == 0 or len(self.ids) >= n and self.supervisor)
        return process

    def start_engine(self, uuid: str = "e1") -> subprocess.Popen[bytes]:
        """A new engine process, greeted."""
        seen = self.count(EngineHello)
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(self.folder / "start.json"), uuid], stdin=subprocess.DEVNULL
        )
        self.processes.append(process)
        self.until(lambda: self.count(EngineHello) > seen)
        return process

    def reopen(self, boot: str) -> None:
        """Die and come back."""
        self.doors.close()
        self.boot = boot
        self.doors = self._open()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        self.doors.close()

    # Talking ----------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        assert self.doors.send(Role.ENGINE, self.peer, message) is Sent.OK

    def tell(self, message: Message) -> None:
        """To the supervisor."""
        assert self.doors.send(Role.ENGINE, self.supervisor, message) is Sent.OK

    def listen(self, timeout: float = 0.02) -> None:
        self.doors.wait(timeout)
        numbers: list[int] = []
        for _, peer, message in self.doors.drain():
            self.heard.append(message)
            match message:
                case EngineHello():
                    self.peer = peer
                    self._known.clear()
                    self.send(self.welcome(message))
                case SupervisorHello():
                    self.supervisor = peer
                    welcome = SupervisorWelcome(PROTOCOL, self.boot, self.config.cluster)
                    self.doors.send(Role.ENGINE, peer, welcome)  # it may have gone
                case Exited(number):
                    self.doors.send(Role.ENGINE, self.supervisor, ExitKept([number]))
                case Results(number, ran):
                    numbers.append(number)
                    for one in ran:
                        self.copies += one.task in self.ran
                        self.ran[one.task] = one
                case Returned(number):
                    numbers.append(number)
        if numbers and self.keep:
            self.send(Kept(numbers))

    def until(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:
        deadline = Deadline(SystemClock(), timeout)
        while not condition():
            assert not deadline.passed(), f"{self.heard[-5:]}\n{self.log()}"
            self.listen()

    def wait_for(self, kind: type[T], test: Callable[[T], object] = lambda message: True) -> T:
        """The first message of this kind (that passes the test) heard so far or from now on."""
        found: list[T] = []

        def heard() -> bool:
            found[:] = [message for message in self.heard if isinstance(message, kind) and test(message)]
            return bool(found)

        self.until(heard)
        return found[0]

    def count(self, kind: type[Message]) -> int:
        return sum(isinstance(message, kind) for message in self.heard)

    def log(self) -> str:
        return "\n".join(path.read_text() for path in (self.folder / "log").iterdir())

    # Tasks ------------------------------------------------------------------------------------------------------

    def batch(
        self,
        kind: Kind,
        calls: Sequence[tuple[Any, ...]],
        function: Callable[..., Any] | None = None,
        count: int | None = None,
        **kwargs: Any,
    ) -> tuple[RunBatch, dict[bytes, bytes]]:
        """A new batch, with one task per call, or `count` tasks that share the only call; and code to go with it."""
        bodies = [pack_call(args, kwargs, self.store).body for args in calls]
        number = len(bodies) if count is None else count
        tasks = list(range(self._task, self._task + number))
        self._task += number
        self._lease += 1
        hash, functions = b"", {}
        if function is not None:
            code = pack_function(function)
            hash = code.hash
            if hash not in self._known:
                self._known.add(hash)
                functions[hash] = code.code
        name = "" if function is None else getattr(function, "__name__", "")
        return RunBatch(kind, name, "ab12", hash, tasks, [self._lease] * number, bodies), functions

    def submit(
        self, kind: Kind, calls: Sequence[tuple[Any, ...]], function: Callable[..., Any] | None = None, **kwargs: Any
    ) -> RunBatch:
        batch, functions = self.batch(kind, calls, function, **kwargs)
        self.send(Run([batch], functions))
        return batch

    def apply(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
        """Submit one call; returns its task."""
        return self.submit(Kind.APPLY, [args], function, **kwargs).tasks[0]

    def outcome(self, task: int) -> Ran:
        self.until(lambda: task in self.ran)
        return self.ran[task]

    def value(self, task: int) -> Any:
        """The value of a task; raises what its client would."""
        ran = self.outcome(task)
        if not ran.ok:
            raise self.error(task)
        return unpack(ran.body, self.store)

    def error(self, task: int) -> RemoteError:
        ran = self.outcome(task)
        assert not ran.ok and ran.extras is not None and ran.extras.error is not None
        return failures.to_exception(ran.extras.error)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.value(self.apply(function, *args, **kwargs))

    def execute(self, code: str, filename: str | None = None, silent: bool = True) -> Any:
        return self.value(self.submit(Kind.EXECUTE, [(code, filename, silent)]).tasks[0])

    def push(self, **values: Any) -> None:
        self.value(self.submit(Kind.PUSH, [(values,)]).tasks[0])

    def pull(self, *expressions: str) -> Any:
        return self.value(self.submit(Kind.PULL, [(list(expressions), False)]).tasks[0])

    def leave(self, timeout: float = PATIENCE) -> int:
        """Ask the engine to leave; returns its exit code."""
        self.send(Leave("test"))
        self.until(lambda: self.processes[-1].poll() is not None, timeout)
        code = self.processes[-1].returncode
        assert isinstance(code, int)
        return code


def lease(task: int, number: int) -> Lease:
    return Lease(task, number)
