"""The console, on the cluster that is meant or on a new one; only here does the command line reach Textual."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import refused, usage
from tuiparallel.cli.observing import console_settings
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.running import clusters, not_running
from tuiparallel.wire.current import home_directory

DEMO_SPAN = 10.0  # seconds on the timeline: the demo's work takes about as long


def open_console(call: Call, n: int | None, readonly: bool) -> int:
    """Open the console: on the cluster that is named or runs, the picker when several run, else on a new cluster."""
    names = clusters()
    readonly = console_settings().readonly or readonly  # what is wrong in them is said before anything is started
    named = call.named or call.file or os.environ.get("TUIPAR_CLUSTER") or home_directory()
    if n is not None and (named or names):
        which = call.named or ", ".join(names)
        raise refused(
            f"{which} is running already: `tuipar engines scale {n}` gives it {n} engines, `tuipar start -n {n}` starts "
            "another cluster, and -n goes with a new one only"
        )
    if named or len(names) == 1:
        connection = call.connection()
        from tuiparallel.console.run import run_console

        return run_console(connection, readonly=readonly)
    if names:
        from tuiparallel.console.run import run_console

        return run_console(None, readonly=readonly)
    if readonly:
        raise not_running("")
    return _on_a_new_cluster(n)


def _on_a_new_cluster(n: int | None) -> int:
    try:
        cluster = Cluster(n, shutdown_atexit=False)
    except (ValueError, TypeError) as error:
        raise usage(str(error)) from error
    starting = _Starting(cluster)
    from tuiparallel.console.desk import Options  # Textual is imported while the cluster comes up
    from tuiparallel.console.run import run_console

    return run_console(starting.connection_file(), options=Options(started_here=True))


class _Starting:
    """A cluster that is being started on a thread of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._start, name="tuipar-start")
        self._thread.start()

    def _start(self) -> None:
        try:
            self._cluster.start()
        except BaseException as error:  # raised where the file is asked for
            self._error = error

    def connection_file(self) -> Path:
        """The connection file, as soon as the hub is ready. Raises what the start raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._cluster.connection_file


def show_demo(cluster: Cluster) -> int:
    """The demo in the console; its cluster ends with it."""
    from tuiparallel.cli.demo import survey
    from tuiparallel.console.desk import Options
    from tuiparallel.console.run import run_console

    def work(client: Client) -> str:
        client.wait_for_engines(cluster.n, timeout=60)
        return survey(client).table()

    cluster.start()
    try:
        return run_console(
            cluster.connection_file, options=Options(ends_with_us=True, span=DEMO_SPAN), background=work
        )
    finally:
        cluster.stop()
