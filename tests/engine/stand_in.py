"""A hub's process that only exists: the test that started it binds the sockets and answers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main(config_path: str, ready_fd: int) -> int:
    """Say that the hub is there, then wait for the end. A file `hub-exits` tells it to end with this code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.write(ready_fd, b"1")
    os.close(ready_fd)
    order = Path(config_path).parent / "hub-exits"
    if order.exists():
        code = int(order.read_text())
        order.unlink()
        return code
    while True:
        signal.pause()
