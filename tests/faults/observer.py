"""A console's feed without a console, and engines without user code: processes that a test starts.

python -m tests.faults.observer observe CLIENT.JSON
python -m tests.faults.observer engines ENGINE.JSON COUNT
"""

from __future__ import annotations

import os
import resource
import select
import sys
from pathlib import Path

from tuiparallel.link.clock import SystemClock
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire.connection import Connection, read_connection
from tuiparallel.wire.messages import (
    PROTOCOL,
    Beat,
    ClientHello,
    Delta,
    EngineHello,
    Message,
    Observe,
    Probe,
    Seen,
    Snapshot,
    ToClient,
    ToEngine,
    Welcome,
)


def observe(connection: Connection) -> None:
    """Print a line per snapshot; nothing for deltas."""
    session = os.urandom(8).hex()

    def hello(boot: str) -> Message:
        return ClientHello(PROTOCOL, session, connection.cluster, boot, "here", os.getpid(), "observer", [], True)

    link = Link(connection.address, ToClient, hello)
    while True:
        for message in link.turn(1.0):
            match message:
                case Welcome():
                    link.send(Observe())
                case Snapshot():
                    print("snapshot", message.skipped, message.counters.done, flush=True)
                    link.send(Seen(message.number))
                case Delta(number, confirm=True):
                    link.send(Seen(number))


def engines(connection: Connection, count: int) -> None:
    """Be so many engines that never run anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def made() -> Link:
        uuid = os.urandom(16).hex()

        def hello(boot: str) -> Message:
            return EngineHello(PROTOCOL, uuid, connection.cluster, boot, "here", os.getpid(), False)

        return Link(connection.address, ToEngine, hello)

    poll = select.poll()
    links: dict[int, Link] = {}
    everyone = [made() for _ in range(count)]
    for link in everyone:
        for handle in (link._socket_fd, link._monitor_fd, link._wakeup.fileno()):
            links[handle] = link
            poll.register(handle, select.POLLIN)
    told = False
    look = 0.0
    while True:
        ready = {id(links[handle]): links[handle] for handle, _ in poll.poll(200)}
        if SystemClock.monotonic() > look:
            look = SystemClock.monotonic() + 1.0
            ready = {id(link): link for link in everyone}
        for link in ready.values():
            for message in link.turn(0.0):
                if isinstance(message, Probe):
                    link.send(Beat(None, None, 0))
        if not told and all(link.state is LinkState.LIVE for link in everyone):
            told = True
            print("live", flush=True)


if __name__ == "__main__":
    found = read_connection(Path(sys.argv[2]))
    if sys.argv[1] == "observe":
        observe(found)
    else:
        engines(found, int(sys.argv[3]))
