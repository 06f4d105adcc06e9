"""An engine's settings, from a cluster's configuration and from a connection file."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.engine.scripted import make_config
from tuiparallel.engine.settings import from_config, from_connection, new_uuid
from tuiparallel.wire.connection import Connection
from tuiparallel.wire.messages import PROTOCOL


def connection(folder: Path, host: str) -> Connection:
    directory = str(folder)
    return Connection(
        PROTOCOL, "engine", "test", "c1", f"ipc://{folder}/e.ipc", directory, f"{folder}/blobs", host, None
    )


def test_of_a_local_cluster(folder: Path) -> None:
    settings = from_config(make_config(folder, output_per_task=5), "e1", 3)
    assert settings.address == f"ipc://{folder}/e.ipc"
    assert (settings.uuid, settings.was, settings.output_per_task) == ("e1", 3, 5)
    assert settings.mark == folder / "marks" / "e1"


def test_by_hand(folder: Path) -> None:
    make_config(folder)
    here = from_connection(connection(folder, socket.gethostname()))
    assert here.blobs == folder / "blobs" and here.mark is None and here.directory == str(folder)
    away = from_connection(connection(folder, "elsewhere"))
    assert away.blobs is None and away.directory is None
    assert len({here.uuid, away.uuid, new_uuid()}) == 3
