"""What an engine has to know before it can start: where the hub is, where it may leave things, its limits."""

from __future__ import annotations

import os
import socket
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path

from tuiparallel.wire.config import ClusterConfig
from tuiparallel.wire.connection import Connection, Keys, read_connection


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One engine process. Durations are seconds, sizes bytes. mark is None where no supervisor reads it."""

    uuid: str
    address: str
    keys: Keys | None
    cluster: str
    host: str
    blobs: Path | None
    directory: str | None = None  # the cluster's, when it is on this host
    mark: Path | None = None
    was: int | None = None
    work_dir: str | None = None
    sys_path: tuple[str, ...] = ()
    output_per_task: int = 1 << 20
    unkept_bytes: int = 256 << 20
    blob_bytes: int | None = None
    orphan_timeout: float = 3600.0
    heartbeat: tuple[float, float] = (2.0, 10.0)
    resend_interval: float = 5.0


def hub_of(config: ClusterConfig) -> tuple[str, Keys | None]:
    """Where the hub of a local cluster listens for engines, and the keys for it.

    Of a hub on the network both are in engine.json, which is there as soon as the hub was ready once.
    """
    if config.ip is None:
        return f"ipc://{config.sockets}/e.ipc", None
    connection = read_connection(Path(config.directory) / "engine.json")
    return connection.address, connection.keys


def from_config(config: ClusterConfig, uuid: str, was: int | None = None) -> EngineSettings:
    """An engine of a local cluster, which its supervisor watches. The hub need not be there now."""
    directory = Path(config.directory)
    address, keys = hub_of(config)
    return EngineSettings(
        uuid=uuid,
        address=address,
        keys=keys,
        cluster=config.cluster,
        host=socket.gethostname(),
        blobs=Path(config.blobs),
        directory=config.directory,
        mark=directory / "marks" / uuid,
        was=was,
        work_dir=config.work_dir,
        sys_path=tuple(config.sys_path),
        output_per_task=config.output_per_task,
        unkept_bytes=config.unkept_bytes,
        blob_bytes=config.blob_bytes or None,
        orphan_timeout=config.orphan_timeout,
        heartbeat=(config.heartbeat_interval, config.heartbeat_timeout),
        resend_interval=config.resend_interval,
    )


def from_connection(connection: Connection) -> EngineSettings:
    """An engine that somebody has started by hand, or with mpiexec or srun: all it has is the connection file."""
    here = socket.gethostname() == connection.host
    return EngineSettings(
        uuid=new_uuid(),
        address=connection.address,
        keys=connection.keys,
        cluster=connection.cluster,
        host=socket.gethostname(),
        blobs=Path(connection.blobs) if here and os.path.isdir(connection.blobs) else None,
        directory=connection.directory if here else None,
    )


def new_uuid() -> str:
    """A name for an engine process that no other one has."""
    return uuids.uuid4().hex
