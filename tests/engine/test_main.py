"""An engine that is started by hand, with a connection file."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.engine.scripted import ScriptedHub
from tuiparallel.wire.connection import Connection, write_connection
from tuiparallel.wire.messages import PROTOCOL, EngineHello


def test_started_with_a_connection_file(folder: Path) -> None:
    hub = ScriptedHub(folder)
    try:
        path = folder / "engine.json"
        config = hub.config
        write_connection(
            path,
            Connection(
                PROTOCOL,
                "engine",
                "test",
                "c1",
                f"ipc://{config.sockets}/e.ipc",
                config.directory,
                config.blobs,
                socket.gethostname(),
            ),
        )
        command = [sys.executable, "-m", "tuiparallel.engine.main", str(path)]
        hub.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=folder / "work"))
        hello = hub.wait_for(EngineHello)
        assert not hello.supervised and hello.pid == hub.processes[0].pid
        assert hub.call(lambda: __import__("os").getcwd()) == str(folder / "work")
        assert hub.leave() == 0
    finally:
        hub.close()
