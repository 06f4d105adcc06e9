"""What this console did to a cluster, on disk: a private file of JSON lines beside the cluster's history of cells."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tuiparallel.wire.connection import private_directory

FULL = 1 << 20  # bytes; then the file is kept as `.old`, instead of the one before, and begun anew


class ActionLog:
    """Appends; several consoles may write the same file, since a line is one write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, at: float, kind: str, outcome: str, python: str) -> None:
        """Keeps one action: seconds since the epoch, the action's id, what became of it, the Python that does the same.

        Raises OSError, InsecureFile where nothing can be written.
        """
        private_directory(self.path.parent)
        line = json.dumps({"at": round(at, 3), "action": kind, "outcome": outcome, "python": python}) + "\n"
        try:
            if os.stat(self.path).st_size >= FULL:
                os.replace(self.path, self.path.with_name(f"{self.path.name}.old"))
        except FileNotFoundError:
            pass
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
