"""The hub as a process: it says when it is ready, is alone in its directory, and leaves in order."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.stage import make_config
from tuiparallel.hub.main import EX_CONFIG
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire.config import write_config
from tuiparallel.wire.connection import read_connection
from tuiparallel.wire.messages import PROTOCOL, ClientHello, Message, Notice, Reply, Shutdown, ToClient, Welcome

_RUN = "import sys; from tuiparallel.hub.main import main; sys.exit(main(sys.argv[1], int(sys.argv[2])))"


class Process:
    """One hub process; ready() waits for its byte."""

    def __init__(self, folder: Path) -> None:
        self._reader, writer = os.pipe()
        command = [sys.executable, "-c", _RUN, str(folder / "start.json"), str(writer)]
        self.process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.PIPE)
        os.close(writer)

    def ready(self) -> bytes:
        return os.read(self._reader, 1)

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors.decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._reader)


@pytest.fixture
def folder(home: Path) -> Path:
    place = home / "c"
    place.mkdir(mode=0o700)
    write_config(place / "start.json", make_config(place))
    return place


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], Process]]:
    made: list[Process] = []

    def begin() -> Process:
        made.append(Process(folder))
        return made[-1]

    yield begin
    for process in made:
        process.close()


def connected(folder: Path) -> Link:
    connection = read_connection(folder / "client.json")

    def hello(boot: str) -> Message:
        return ClientHello(PROTOCOL, "aa", connection.cluster, boot, "here", 1, "test")

    return Link(connection.address, ToClient, hello)


def heard(link: Link, kind: type[Message], about: str = "") -> Message:
    """The first message of a kind, or the first Notice of a kind, that comes from now on."""
    deadline = Deadline(SystemClock(), 10)
    while not deadline.passed():
        for message in link.turn(0.1):
            if isinstance(message, kind) and (not isinstance(message, Notice) or message.kind == about):
                return message
    raise AssertionError(f"no {kind.__name__} {about}, the link is {link.state}")


def test_ready_serving_and_ended_by_a_client(folder: Path, start: Callable[[], Process]) -> None:
    hub = start()
    assert hub.ready() == b"1"
    link = connected(folder)
    try:
        heard(link, Welcome)
        assert link.send(Shutdown(1, None, hub=True))
        assert heard(link, Reply) is not None
        assert hub.end() == (0, "")
    finally:
        link.close()
    for file in folder.iterdir():
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_sigterm_ends_it_in_order_and_sigint_does_not(folder: Path, start: Callable[[], Process]) -> None:
    hub = start()
    assert hub.ready() == b"1"
    link = connected(folder)
    try:
        heard(link, Welcome)
        hub.process.send_signal(signal.SIGINT)
        hub.process.send_signal(signal.SIGTERM)
        notice = heard(link, Notice, "ended")
        assert isinstance(notice, Notice) and "SIGTERM" in notice.text
        assert hub.end()[0] == 0
    finally:
        link.close()


def test_f40_a_second_hub_refuses_and_harms_nobody(folder: Path, start: Callable[[], Process]) -> None:
    first = start()
    assert first.ready() == b"1"
    second = start()
    assert second.ready() == b""
    assert second.end()[0] == EX_CONFIG
    link = connected(folder)
    try:
        heard(link, Welcome)
        assert link.state is LinkState.LIVE
    finally:
        link.close()
    assert first.process.poll() is None


def test_p2_a_killed_hub_is_followed_by_one_that_goes_on(folder: Path, start: Callable[[], Process]) -> None:
    first = start()
    assert first.ready() == b"1"
    link = connected(folder)
    try:
        before = heard(link, Welcome)
        assert isinstance(before, Welcome)
        first.process.kill()
        first.process.wait()
        assert start().ready() == b"1"
        after = heard(link, Welcome)
        assert isinstance(after, Welcome)
        assert after.boot != before.boot and after.number == before.number and 0 < after.away < 10
    finally:
        link.close()
