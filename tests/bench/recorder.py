"""CPU profiles of the threads of one process."""

from __future__ import annotations

import cProfile
import marshal
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = "TUIPARALLEL_BENCH_PROFILES"  # the environment variable that names the folder of the profiles


class Recorder:
    """Profiles of the calls handed to run, and of every thread started after follow_threads."""

    def __init__(self) -> None:
        self._profiles: list[cProfile.Profile] = []
        self._plain = threading.Thread.run

    def run(self, call: Callable[[], Any]) -> Any:
        """Call it under a profile of its own. Time in which the thread waits does not count."""
        profile = cProfile.Profile(time.thread_time)
        self._profiles.append(profile)
        profile.enable()
        try:
            return call()
        finally:
            profile.disable()

    def follow_threads(self) -> None:
        """Put every thread that this process starts from now on under a profile, until leave_threads."""
        plain = self._plain

        def run(thread: threading.Thread) -> None:
            self.run(lambda: plain(thread))

        setattr(threading.Thread, "run", run)  # noqa: B010 — a method is put in the place of another

    def leave_threads(self) -> None:
        """Start threads as ever again."""
        setattr(threading.Thread, "run", self._plain)  # noqa: B010

    def write(self, side: str) -> None:
        """Write what there is to FOLDER, a file per thread: side-pid-number.prof.

        Threads may still run: only the calls they have returned from are counted.
        """
        for number, profile in enumerate(self._profiles):
            profile.snapshot_stats()
            path = Path(os.environ[FOLDER]) / f"{side}-{os.getpid()}-{number}.prof"
            path.write_bytes(marshal.dumps(profile.stats))
