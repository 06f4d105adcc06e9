"""One engine process: `main()` in a child that the template has forked, or `python -m tuiparallel.engine.main FILE`.

The second form takes the engines' connection file, and is what mpiexec, srun or a person starts.
"""

from __future__ import annotations

import argparse
import atexit
import faulthandler
import os
import signal
import sys
from pathlib import Path

from tuiparallel.engine.capture import memory_file
from tuiparallel.engine.engine import Engine
from tuiparallel.engine.settings import EngineSettings, from_config, from_connection
from tuiparallel.wire.config import read_config
from tuiparallel.wire.connection import read_connection


def main(config_path: str, uuid: str, was: int | None = None, error_file: int | None = None) -> int:
    """Be an engine of a local cluster, in a process of its own; returns the exit code.

    error_file: a descriptor that becomes stderr, and that the parent can read after a crash.
    """
    config = read_config(Path(config_path))
    log = os.open(
        Path(config.directory) / "log" / f"engine-{uuid}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    return serve(from_config(config, uuid, was), error_file)


def serve(settings: EngineSettings, error_file: int | None = None) -> int:
    """Run an engine in this process's main thread until it is told to leave; returns the exit code."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if settings.work_dir is not None:
        os.chdir(settings.work_dir)
    sys.argv[:] = [""]
    places = [place for place in settings.sys_path if place not in sys.path]
    sys.path[:] = [*places, *sys.path]
    if "" not in sys.path:
        sys.path.insert(0, "")
    if error_file is None:
        error_file = memory_file("stderr")
    faulthandler.enable(error_file)
    return Engine(settings, error_file=error_file).run()


def end(code: int) -> None:
    """Leave a process whose exit was asked for: what was registered for the exit runs, threads are not waited for."""
    try:
        atexit._run_exitfuncs()
    except BaseException as failure:
        sys.excepthook(type(failure), failure, failure.__traceback__)
    os._exit(code)


def _by_hand() -> None:
    parser = argparse.ArgumentParser(prog="python -m tuiparallel.engine.main", description=__doc__)
    parser.add_argument("file", type=Path, help="the cluster's engine.json")
    end(serve(from_connection(read_connection(parser.parse_args().file))))


if __name__ == "__main__":
    _by_hand()
