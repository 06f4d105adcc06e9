"""How a cluster is set up: what its starter writes and hub, supervisor and engines read.

One frozen record in the cluster's directory (start.json, 0600). Durations are seconds, sizes bytes.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import msgspec

from tuiparallel.wire.connection import read_private, write_private


class ClusterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a cluster's processes are told. The first part is set by the starter, the rest has defaults."""

    name: str
    cluster: str  # id of this run, random hex
    directory: str
    sockets: str  # directory of the two ipc sockets; the cluster's own unless its path is too long for a socket
    blobs: str
    n: int
    work_dir: str
    sys_path: list[str] = []
    env: dict[str, str] = {}
    ip: str | None = None  # where the hub listens on the network, '*' for everywhere; None: on no port at all
    detached: bool = False  # lives on when its starter has gone
    restart: str = "never"  # or "on-failure"
    max_restarts: int = 5  # per engine and minute
    durability: str = "process"  # or "full", "none"
    engine_timeout: float = 30.0
    orphan_timeout: float = 3600.0
    probe_interval: float = 2.0
    heartbeat_interval: float = 2.0
    heartbeat_timeout: float = 10.0
    resend_interval: float = 5.0
    stop_grace: float = 1.0  # between SIGTERM and SIGKILL
    window_seconds: float = 0.010  # how much work an engine holds ahead
    hwm: int = 0  # tasks an engine may hold; 0: adaptive
    scheme: str = "leastload"  # which engine gets a task that several may have; see CHOICES
    history_rows: int = 1_000_000
    history_bytes: int = 1 << 30
    history_age: float = 7 * 86400.0
    keep_calls: bool = (
        True  # arguments stay in the history with their tasks, for resubmit; off: until those have ended
    )
    open_bytes: int = 4 << 30
    free_disk: int = 256 << 20
    blob_keep: int = 128 << 20  # of ended tasks' large buffers, kept after everyone who waited has them
    spill_bytes: int = 16 << 30  # of large buffers that find no room in shared memory, on the history's disk; 0: none
    blob_bytes: int = 0  # 0: half of what is free at the start
    output_per_task: int = 1 << 20
    output_bytes: int = 128 << 20
    unkept_bytes: int = 256 << 20
    observer_rate: float = 20.0  # batches a second
    log_level: str = "INFO"


CHOICES = {
    "restart": ("never", "on-failure"),
    "durability": ("process", "full", "none"),
    "scheme": ("leastload", "lru", "plainrandom", "weighted", "twobin"),
}


def checked(config: ClusterConfig) -> ClusterConfig:
    """The same record, after its values were looked at. Raises ValueError naming key, value and what is allowed."""
    for key, allowed in CHOICES.items():
        if getattr(config, key) not in allowed:
            raise ValueError(f"{key}={getattr(config, key)!r}: it must be one of {', '.join(map(repr, allowed))}")
    for field in msgspec.structs.fields(ClusterConfig):
        value = getattr(config, field.name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not value >= 0:
            raise ValueError(f"{field.name}={value!r}: it must be 0 or more")
    return config


def unknown_key(key: str) -> ValueError:
    """The error for a key that ClusterConfig does not have; it names the nearest one."""
    names = [field.name for field in msgspec.structs.fields(ClusterConfig)]
    near = difflib.get_close_matches(key, names, n=1)
    hint = f": did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"
    return ValueError(f"unknown configuration key {key!r}{hint}")


def write_config(path: Path, config: ClusterConfig) -> None:
    """Write start.json."""
    write_private(path, msgspec.json.format(msgspec.json.encode(config), indent=1) + b"\n")


def read_config(path: Path) -> ClusterConfig:
    """Read start.json. Raises FileNotFoundError, InsecureFile, or ValueError with the key that is wrong."""
    content = read_private(path)
    try:
        return checked(msgspec.json.decode(content, type=ClusterConfig))
    except msgspec.DecodeError as error:
        try:
            parsed: Any = msgspec.json.decode(content)
        except msgspec.DecodeError:
            raise ValueError(f"{path} is not JSON: {error}") from error
        known = {field.name for field in msgspec.structs.fields(ClusterConfig)}
        for key in parsed if isinstance(parsed, dict) else ():
            if key not in known:
                raise unknown_key(key) from error
        raise ValueError(f"{path}: {error}") from error
