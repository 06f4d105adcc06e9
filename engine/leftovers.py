"""What a cluster that has ended leaves in its directory: history and logs, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tuiparallel.wire.config import ClusterConfig

FILES = ("client.json", "engine.json", "cluster.json", "keys.json")
SOCKETS = ("c.ipc", "e.ipc")


def remove(config: ClusterConfig) -> None:
    """Remove sockets, connection files, marks and blobs of this run."""
    directory, sockets = Path(config.directory), Path(config.sockets)
    for path in [
        *(directory / name for name in FILES),
        *(sockets / name for name in SOCKETS),
        *_unfinished(directory),
    ]:
        path.unlink(missing_ok=True)
    for folder in (directory / "marks", directory / "spill", Path(config.blobs)):
        shutil.rmtree(folder, ignore_errors=True)
    if sockets != directory:
        try:
            os.rmdir(sockets)
        except OSError:
            pass  # somebody keeps something there


def _unfinished(directory: Path) -> list[Path]:
    """What was to become one of the files when its writer was killed: `.engine.json.4711`."""
    return [path for name in FILES for path in directory.glob(f".{name}.*")]
