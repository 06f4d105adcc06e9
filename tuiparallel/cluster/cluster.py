"""Cluster: starts, resizes and ends the processes of one cluster, and connects clients to it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tuiparallel.client.client import Client
from tuiparallel.cluster.local import LocalProcesses, end_processes, launch, start_error
from tuiparallel.cluster.names import checked_name, new_name
from tuiparallel.cluster.past import Past
from tuiparallel.cluster.place import directory_of, has_history, known_names, remove_run_files
from tuiparallel.cluster.processes import kill
from tuiparallel.cluster.running import ClusterRecord, not_running, record_in
from tuiparallel.cluster.settings import Settings, gather
from tuiparallel.errors import ClusterExists, EngineError, ParallelError
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.link.ports import opened_at
from tuiparallel.wire.config import ClusterConfig, read_config
from tuiparallel.wire.connection import read_connection

_STOP_PATIENCE = 5.0  # seconds a hub has to answer the request to end


class Cluster(Past):
    """A cluster on this machine: one hub, one supervisor, n engines, one private directory. It has a name.

        >>> with tp.Cluster(n=1, env={"OMP_NUM_THREADS": "1"}) as rc2:      # start, connect, wait; stop at the end
        ...     rc2[0].apply_sync(os.getenv, "OMP_NUM_THREADS")
        '1'

    n: the number of engines, an int >= 0; None: one per core. name: 1 to 32 letters, digits, '.', '_' or '-',
    beginning with a letter or digit; None: a new one; cluster_id is the same. engines: the launcher, 'local';
    another one raises NotImplementedError.
    restart: 'never', or 'on-failure' to replace engines that die, at most max_restarts times each per minute. ip:
    where the hub listens on the network, an address of this machine or '*' for all of them, always encrypted and only
    for those who have the keys in its connection files; None: no port is opened. work_dir: where engines run; None:
    here. env: a dict of variables, added to the engines' environment. durability: 'process' (results survive the
    hub's death), 'full' (the machine's, too), or 'none'. engine_timeout: seconds without a sign of life until an
    engine's tasks are lost, 30. start_timeout: seconds the start may take, 60. shutdown_atexit: the cluster ends with
    this process, however that ends.

    Further keywords, **config, are other keys of the table [cluster] of the configuration file; an argument wins over
    the variable TUIPAR_<KEY> of the environment, which wins over the file. In seconds: orphan_timeout (3600; an
    engine without hub ends), probe_interval (2), heartbeat_interval (2), heartbeat_timeout (10), resend_interval (5),
    stop_grace (1, between SIGTERM and SIGKILL), window_seconds (0.01, how much work an engine holds ahead),
    history_age (a week). In bytes: history_bytes (1 GiB), open_bytes (4 GiB, of calls that have not ended), free_disk
    (256 MiB, which stay free), blob_bytes (of large buffers; 0: half of what is free), blob_keep (128 MiB of ended
    tasks'), spill_bytes (16 GiB of them on the disk when memory is full), output_per_task (1 MiB of text),
    output_bytes (128 MiB), unkept_bytes (256 MiB of results at an engine that the hub has not stored). Numbers:
    history_rows (1,000,000 tasks), hwm (tasks an engine holds ahead; 0: as many as window_seconds says),
    observer_rate (20 updates a second). Others: scheme ('leastload', 'lru', 'plainrandom', 'weighted', 'twobin':
    which engine gets a balanced task), keep_calls (True: calls stay on record for resubmit), log_level ('INFO').

    As a context manager, `with` and `async with`, it starts, gives a Client when all engines answer, and stops. Every
    method that is a coroutine has a twin whose name ends in _sync. cluster.name and cluster.directory (a Path) are
    attributes.

    Raises ValueError for a name, key or value that cannot be (for an unknown key it names the nearest one, with file
    and line), TypeError for a value of the wrong type; what starting raises is with start_cluster_sync. After
    ipyparallel's Cluster.
    """

    def __init__(
        self,
        n: int | None = None,
        *,
        name: str | None = None,
        engines: str | None = None,
        restart: str | None = None,
        max_restarts: int | None = None,
        ip: str | None = None,
        work_dir: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        durability: str | None = None,
        engine_timeout: float | None = None,
        start_timeout: float | None = None,
        shutdown_atexit: bool | None = None,
        cluster_id: str | None = None,
        **config: Any,
    ) -> None:
        Past.__init__(self)
        name = name if name is not None else cluster_id
        self._settings = gather(
            {
                "n": n,
                "engines": engines,
                "restart": restart,
                "max_restarts": max_restarts,
                "ip": ip,
                "work_dir": work_dir,
                "env": env,
                "durability": durability,
                "engine_timeout": engine_timeout,
                "start_timeout": start_timeout,
                "shutdown_atexit": shutdown_atexit,
                **config,
            }
        )
        self.name = checked_name(name) if name is not None else new_name(known_names())
        self.directory = directory_of(self.name)
        self._processes: LocalProcesses | None = None
        self._config: ClusterConfig | None = None  # of the run that this object stands for
        self._deadline = Deadline(SystemClock(), None)  # of the start
        self._session: Client | None = None  # what the context manager connected

    def __repr__(self) -> str:
        return f"<Cluster {self.name!r} {'running' if self.running else 'stopped'}, {self.n} engines>"

    @property
    def cluster_id(self) -> str:
        """The name, as ipyparallel calls it."""
        return self.name

    @property
    def n(self) -> int:
        """The number of engines that were asked for: an int."""
        return int(self._settings.values["n"])

    @property
    def connection_file(self) -> Path:
        """The file that clients connect with, a Path; it exists while the cluster runs."""
        return self.directory / "client.json"

    @property
    def running(self) -> bool:
        """Whether the cluster's processes live: a bool."""
        if self._processes is not None:
            return self._processes.alive()
        return self._config is not None and record_in(self.directory) is not None

    @property
    def config(self) -> ClusterConfig:
        """What the running cluster was told: a record with the keys of Cluster(...).
        Raises ClusterNotFound when it does not run.
        """
        if self._config is None:
            raise not_running(self.name)
        return self._config

    @property
    def record(self) -> ClusterRecord | None:
        """Facts about the running cluster (name, cluster, pids, since in seconds since the epoch, n); None when it
        does not run.
        """
        return record_in(self.directory) if self._config is not None else None

    @property
    def pids(self) -> dict[str, int]:
        """{'template': pid, 'supervisor': pid, 'hub': pid}; empty when nothing runs."""
        record = self.record
        return dict(record.pids) if record is not None else {}

    @property
    def addresses(self) -> dict[str, list[str]]:
        """The network addresses that are open, {'client': [...], 'engine': [...]}, lists of str; empty without `ip`,
        or when it is stopped.
        """
        if self._config is None or self._config.ip is None or not self.connection_file.exists():
            return {}
        return {
            role: opened_at(self._config.ip, read_connection(self.directory / f"{role}.json").address)
            for role in ("client", "engine")
        }

    # Starting -----------------------------------------------------------------------------------------------------

    def start_cluster_sync(self, n: int | None = None) -> None:
        """Start hub and engines; returns when the hub is ready, the engines follow.

        n: number of engines, in place of the one it was made with.
        Returns None.
        Raises ClusterExists when a cluster of this name runs, StartError when something cannot be started in
        start_timeout seconds (it has the end of the log), TypeError and ValueError for n.
        """
        if n is not None:
            self._settings = self._settings.with_engines(n)
        self._start(self._settings)
        self._let_go()

    def start_controller_sync(self) -> None:
        """Start the hub alone, without engines.
        Returns None.
        Raises ClusterExists and StartError as start_cluster_sync.
        """
        self._start(self._settings.with_engines(0))
        self._let_go()

    def _let_go(self) -> None:
        if self._processes is not None and not self._settings.shutdown_atexit:
            self._processes.let_go()

    def _start(self, settings: Settings) -> None:
        if self.running:
            raise ClusterExists(f"the cluster {self.name!r} is running: connect() gives a client of it")
        self.close_history()
        if self._processes is not None:  # it ended by itself
            self._processes.end()
            self._processes = None
        self._deadline = Deadline(SystemClock(), settings.start_timeout)
        self._processes = launch(
            self.name,
            self.directory,
            settings,
            detached=not settings.shutdown_atexit,
            deadline=self._deadline,
        )
        self._config = self._processes.config
        if settings.shutdown_atexit:
            _ending_with_us.add(self)

    def start_and_connect_sync(self, n: int | None = None) -> Client:
        """Start, connect, and wait until all engines answer.

            >>> cluster = tp.Cluster(n=2)
            >>> rc2 = cluster.start_and_connect_sync()
            >>> rc2.ids
            [0, 1]
            >>> rc2.close(); cluster.stop()

        n: number of engines, in place of the one it was made with.
        Returns a Client.
        Raises ClusterExists, StartError, TypeError and ValueError as start_cluster_sync; then nothing is left
        running.
        """
        if n is not None:
            self._settings = self._settings.with_engines(n)
        self._start(self._settings)
        try:
            client = self.connect_client_sync(timeout=max(0.1, self._deadline.left() or 0.0))
            try:
                self._wait_for_engines(client)
            except BaseException:
                client.close()
                raise
        except BaseException:
            self.stop_cluster_sync()
            raise
        self._let_go()
        return client

    def _wait_for_engines(self, client: Client) -> None:
        try:
            client.wait_for_engines(self.n, timeout=self._deadline.left() or 0.0)
        except (EngineError, TimeoutError) as error:
            failure = self._processes.failure() if self._processes is not None else None
            logs = sorted((self.directory / "log").glob("engine-*.log"), key=lambda path: path.stat().st_size)
            log = logs[-1] if logs else self.directory / "log" / "supervisor.log"
            raise failure or start_error(self.name, str(error), log) from error

    def connect_client_sync(self, **options: Any) -> Client:
        """Make a new Client of this cluster.

        options: keywords of Client, as block and hub_timeout.
        Returns a Client.
        Raises ClusterNotFound when it does not run, and what Client() raises.
        """
        if not self.connection_file.exists():
            raise not_running(self.name)
        return Client(str(self.connection_file), cluster=self, **options)

    # Ending -------------------------------------------------------------------------------------------------------

    def stop_cluster_sync(self) -> None:
        """End all processes; returns when none is left. Does nothing when it is stopped.

        Running tasks are not waited for. History and logs stay in the directory.
        Returns None.
        Raises nothing of its own.
        """
        _ending_with_us.discard(self)
        self._close_control()
        self.close_history()
        if self._processes is not None:
            if not self._settings.shutdown_atexit and self._processes.alive():
                self._ask_to_end(self._processes.process.pid)
            self._processes.end()
        elif self._config is not None and (record := record_in(self.directory)) is not None:
            if record.cluster == self._config.cluster:
                template = record.pids.get("template")
                self._ask_to_end(template)
                end_processes(self.directory, template, self._config.stop_grace)
                remove_run_files(self.directory, self._config.sockets, self._config.blobs)
        self._processes = None
        self._config = None

    def _ask_to_end(self, template: int | None) -> None:
        try:
            with Client(str(self.connection_file), timeout=_STOP_PATIENCE) as client:
                client.shutdown(hub=True, block=True)
        except (ParallelError, OSError, ValueError):  # no hub to ask
            kill([template] if template is not None else [], signal.SIGTERM)

    def stop_controller_sync(self) -> None:
        """End the hub; as engines cannot be without one for long, they end with it.
        Returns None.
        Raises nothing of its own.
        """
        self.stop_cluster_sync()

    # Connecting to one that runs ----------------------------------------------------------------------------------

    @classmethod
    def from_name(cls, name: str) -> Self:
        """A handle on the cluster of this name, a str; one that runs is not stopped at exit by it.

        One that has ended answers hub_history, db_query, result_status and get_result from its history, and start()
        starts it anew.
        Returns a Cluster.
        Raises ClusterNotFound, naming those that there are, when nothing has run under this name, ValueError and
        TypeError for what is no name.
        """
        directory = directory_of(checked_name(name))
        if record_in(directory) is None and has_history(directory):
            return cls._ended(directory)
        return cls._attached(directory, name)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """A handle on the cluster of a connection file, or of a cluster's directory; it does not stop it at exit.

        path: a str or Path.
        Returns a Cluster.
        Raises ClusterNotFound when it does not run, InsecureFile.
        """
        place = Path(path).expanduser().absolute()
        directory = place if place.is_dir() else place.parent
        return cls._attached(directory, directory.name)

    @classmethod
    def _attached(cls, directory: Path, name: str) -> Self:
        if record_in(directory) is None:
            raise not_running(name)
        config = read_config(directory / "start.json")
        self = cls._handle(config.name, directory, _settings_of(config))
        self._config = config
        return self

    @classmethod
    def _ended(cls, directory: Path) -> Self:
        try:
            settings = _settings_of(read_config(directory / "start.json"))
        except (OSError, ValueError):  # of another version, or gone: its history is there all the same
            settings = gather({})
        return cls._handle(directory.name, directory, settings)

    @classmethod
    def _handle(cls, name: str, directory: Path, settings: Settings) -> Self:
        self = cls.__new__(cls)
        Past.__init__(self)
        self._settings = settings
        self.name, self.directory = name, directory
        self._processes, self._config, self._session = None, None, None
        self._deadline = Deadline(SystemClock(), None)
        return self

    def to_dict(self) -> dict[str, Any]:
        """What another process needs for a handle on this cluster, for from_dict: plain values, no keys.

        Returns a dict with name, directory, connection_file and cluster (str or None), n (int) and pids.
        Raises nothing.
        """
        return {
            "name": self.name,
            "directory": str(self.directory),
            "connection_file": str(self.connection_file),
            "cluster": self._config.cluster if self._config is not None else None,
            "n": self.n,
            "pids": self.pids,
        }

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """A handle on a running cluster, from what to_dict returned, also in another process.

        d: the dict.
        Returns a Cluster that does not stop it at exit.
        Raises ClusterNotFound when that cluster does not run any more, ValueError when a key is missing.
        """
        try:
            directory, name = Path(d["directory"]), str(d["name"])
        except KeyError as error:
            raise ValueError(f"the key {error.args[0]!r} is missing: from_dict takes what to_dict returned") from None
        self = cls._attached(directory, name)
        if d.get("cluster") is not None and self._config is not None and d["cluster"] != self._config.cluster:
            raise not_running(name)
        return self

    # Plain names, coroutines, context managers --------------------------------------------------------------------

    def start(self, n: int | None = None) -> None:
        """Start hub and engines: start_cluster_sync. n: as there.
        Returns None.
        Raises ClusterExists, StartError, TypeError and ValueError.
        """
        self.start_cluster_sync(n)

    def connect(self, **options: Any) -> Client:
        """Make a new Client of this cluster: connect_client_sync. options: keywords of Client.
        Returns a Client.
        Raises ClusterNotFound when it does not run, and what Client() raises.
        """
        return self.connect_client_sync(**options)

    def stop(self) -> None:
        """End all processes; returns when none is left: stop_cluster_sync.
        Returns None.
        Raises nothing of its own.
        """
        self.stop_cluster_sync()

    async def start_cluster(self, n: int | None = None) -> None:
        """Coroutine of start_cluster_sync. n: as there.
        Returns None.
        Raises ClusterExists, StartError, TypeError, ValueError.
        """
        await asyncio.to_thread(self.start_cluster_sync, n)

    async def start_controller(self) -> None:
        """Coroutine of start_controller_sync.
        Returns None.
        Raises ClusterExists, StartError.
        """
        await asyncio.to_thread(self.start_controller_sync)

    async def start_and_connect(self, n: int | None = None) -> Client:
        """Coroutine of start_and_connect_sync. n: as there.
        Returns a Client.
        Raises ClusterExists, StartError, TypeError, ValueError.
        """
        return await asyncio.to_thread(self.start_and_connect_sync, n)

    async def connect_client(self, **options: Any) -> Client:
        """Coroutine of connect_client_sync. options: keywords of Client.
        Returns a Client.
        Raises ClusterNotFound, and what Client() raises.
        """
        return await asyncio.to_thread(lambda: self.connect_client_sync(**options))

    async def stop_cluster(self) -> None:
        """Coroutine of stop_cluster_sync.
        Returns None.
        Raises nothing of its own.
        """
        await asyncio.to_thread(self.stop_cluster_sync)

    async def stop_controller(self) -> None:
        """Coroutine of stop_controller_sync.
        Returns None.
        Raises nothing of its own.
        """
        await asyncio.to_thread(self.stop_controller_sync)

    def __enter__(self) -> Client:
        self._session = self.start_and_connect_sync()
        return self._session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        try:
            if session is not None:
                session.close()
        finally:
            self.stop_cluster_sync()

    async def __aenter__(self) -> Client:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, at)


def _settings_of(config: ClusterConfig) -> Settings:
    """What a cluster was told, but for its place."""
    places = ("name", "cluster", "directory", "sockets", "blobs", "sys_path", "detached")
    values = {key: getattr(config, key) for key in config.__struct_fields__ if key not in places}
    return Settings(values, shutdown_atexit=False)


_ending_with_us: set[Cluster] = set()  # a cluster whose object was dropped lives on until then, with its clients


def _at_exit() -> None:
    for cluster in list(_ending_with_us):
        with contextlib.suppress(Exception):  # the lifeline ends what this could not
            cluster.stop_cluster_sync()


atexit.register(_at_exit)
