"""A hub and engines that keep a profile of each of their threads. A cluster takes this module for its hub's.

Imported in the template, it puts the engines' main function behind the profiler too; so import it nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

import tuiparallel.engine.main
import tuiparallel.hub.main
from tests.bench.recorder import Recorder


def _recorded(side: str, call: Callable[[], int]) -> int:
    recorder = Recorder()
    recorder.follow_threads()
    try:
        return int(recorder.run(call))
    finally:
        recorder.write(side)


def main(config_path: str, ready_fd: int) -> int:
    """The hub."""
    return _recorded("hub", lambda: tuiparallel.hub.main.main(config_path, ready_fd))


_engine = tuiparallel.engine.main.main


def _engine_main(config_path: str, uuid: str, was: int | None = None, error_file: int | None = None) -> int:
    return _recorded("engines", lambda: _engine(config_path, uuid, was, error_file))


tuiparallel.engine.main.main = _engine_main
