"""A hub that says what a test tells it to, over a real socket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuiparallel.client.client import Client
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.link.doors import Doors, Peer, Role
from tuiparallel.wire.connection import Connection
from tuiparallel.wire.messages import (
    PROTOCOL,
    Accepted,
    ClientHello,
    Done,
    Message,
    Notice,
    Outcome,
    Submit,
    Welcome,
)
from tuiparallel.wire.objects import pack, unpack_call
from tuiparallel.wire.states import State

Answer = Callable[["ScriptedHub", Message], list[Message]]


class ScriptedHub:
    """Welcomes every client and notes what it says; `answer` makes the messages that each message gets."""

    def __init__(self, folder: Path, engines: list[int], answer: Answer) -> None:
        self.folder = folder
        self.engines = engines
        self.answer = answer
        self.heard: list[Message] = []
        self.hellos: list[ClientHello] = []
        self.next = 0
        self.peer: Peer | None = None
        self.session = ""
        self._outgoing: list[Message] = []
        self._again = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def connection(self) -> Connection:
        blobs = self.folder / "blobs"
        blobs.mkdir(exist_ok=True)
        return Connection(
            PROTOCOL, "client", "scripted", "c1", f"ipc://{self.folder}/c", str(self.folder), str(blobs), "here"
        )

    def say(self, *messages: Message) -> None:
        """Send these soon."""
        self._outgoing += messages

    def lose_the_connection(self) -> None:
        """Have the client say Hello again, as after a restart of the hub."""
        self._again = True

    def submits(self) -> list[Submit]:
        return [message for message in self.heard if isinstance(message, Submit)]

    def done(self, submit: Submit, make: Callable[..., Any] = lambda *args: args) -> Done:
        """Outcomes of all tasks of a Submit: make(*args) of each."""
        outcomes = []
        for index in range(submit.count):
            args, _ = unpack_call(submit.calls[index if len(submit.calls) > 1 else 0])
            targets = submit.work.targets
            engine = targets[index] if not submit.work.balanced and targets else 0
            body = pack(make(*args)).body
            outcomes.append(Outcome(submit.first + index, State.DONE, engine, 1.0, 2.0, 1, body))
        return Done(self.session, outcomes)

    def _run(self) -> None:
        doors = Doors({Role.CLIENT: f"ipc://{self.folder}/c", Role.ENGINE: f"ipc://{self.folder}/e"})
        try:
            while not self._stop.is_set():
                doors.wait(0.002)
                for _, peer, message in doors.drain():
                    self._take(doors, peer, message)
                if self._again and self.peer is not None:
                    self._again = False
                    doors._say_hello(Role.CLIENT, self.peer)
                outgoing, self._outgoing = self._outgoing, []
                for message in outgoing:
                    assert self.peer is not None
                    doors.send(Role.CLIENT, self.peer, message)
        finally:
            doors.close()

    def _take(self, doors: Doors, peer: Peer, message: Message) -> None:
        if isinstance(message, ClientHello):
            self.hellos.append(message)
            self.peer, self.session = peer, message.session
            replies = self.answer(self, message) or [
                Welcome(PROTOCOL, "b1", "c1", 1, self.next), Notice("engines", "", self.engines)
            ]  # fmt: skip
        else:
            self.heard.append(message)
            replies = self.answer(self, message)
        for reply in replies:
            doors.send(Role.CLIENT, peer, reply)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def silent(hub: ScriptedHub, message: Message) -> list[Message]:
    """Says nothing but Welcome."""
    return []


def accepting(hub: ScriptedHub, message: Message) -> list[Message]:
    """Takes every Submit, and runs nothing."""
    return [Accepted([message.first])] if isinstance(message, Submit) else []


def echoing(hub: ScriptedHub, message: Message) -> list[Message]:
    """Takes every Submit; the value of a task is the tuple of its arguments."""
    return [Accepted([message.first]), hub.done(message)] if isinstance(message, Submit) else []


@contextmanager
def scripted(folder: Path, answer: Answer = echoing, engines: tuple[int, ...] = (0, 1)) -> Iterator[ScriptedHub]:
    """A ScriptedHub for a block."""
    hub = ScriptedHub(folder, list(engines), answer)
    try:
        yield hub
    finally:
        hub.close()


@contextmanager
def connected(hub: ScriptedHub, **options: Any) -> Iterator[Client]:
    """A client of it for a block."""
    client = Client(hub.connection, **options)  # type: ignore[arg-type, unused-ignore]
    try:
        yield client
    finally:
        client.close(0.0)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, ten seconds at most."""
    deadline, pause = Deadline(SystemClock(), 10), threading.Event()
    while not condition():
        assert not deadline.passed()
        pause.wait(0.002)
