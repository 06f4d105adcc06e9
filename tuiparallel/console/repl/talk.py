"""What the console and its child process say to each other over a socket pair: MessagePack, four bytes of length first."""

from __future__ import annotations

import socket
import struct
import threading

import msgspec

from tuiparallel.console.repl.outcomes import Part

MAX_MESSAGE = 64 << 20


class Said(msgspec.Struct, array_like=True, tag=True):
    """One message; its tag is the name of its class."""


# Console -> child -----------------------------------------------------------------------------------------------------


class Begin(Said):
    """Which cluster `rc` is connected to: a name or the path of a connection file; empty: to none."""

    cluster: str


class RunCell(Said):
    """Run this. targets: what `dview` and `lview` are made for (None: all).

    With `each` it is a map: `source` for every element of the expression `over`, bound to the name(s) in `each`.
    """

    number: int
    source: str
    targets: list[int] | None = None
    each: str = ""
    over: str = ""
    chunk: int = 0  # elements per task, 0: chosen by their number
    filename: str = ""  # run this file instead


class KnowCell(Said):
    """A cell that went to the engines: its text and msg_ids, for In, Out and cell(n)."""

    number: int
    source: str
    msg_ids: list[str]


class StopCell(Said):
    """Interrupt this cell if it runs; else abort what it submitted and is still open."""

    number: int


class AskChild(Said):
    """what: "complete" (a list of names), "inspect" (text), "names" (a list of [name, type, length])."""

    request: int
    what: str
    text: str = ""
    cursor: int = 0


class Quit(Said):
    """Leave."""


# Child -> console -----------------------------------------------------------------------------------------------------


class Ready(Said):
    """The child lives. trouble: why there is no `rc`, empty when there is."""

    pid: int
    trouble: str = ""


class Printed(Said):
    """Text that a cell printed; stream is "stdout" or "stderr"."""

    number: int
    stream: str
    text: str


class CellRan(Said):
    """The cell's code has ended. value: text of its last expression. open: tasks it submitted that go on."""

    number: int
    part: Part
    seconds: float
    interrupted: bool = False
    open: int = 0


class CellProgress(Said):
    """How far the tasks that a cell submitted are."""

    number: int
    done: int
    total: int
    failed: int = 0


class CellEnded(Said):
    """All tasks of a cell have ended; parts are a map's values and all failures, already folded to a bounded number.

    aborted: of the failures, those that were aborted or interrupted.
    """

    number: int
    done: int
    total: int
    failed: int = 0
    parts: list[Part] = []
    aborted: int = 0


class ChildAnswer(Said):
    """The answer to AskChild; error is set when it failed."""

    request: int
    body: object = None
    error: str = ""


ToChild = Begin | RunCell | KnowCell | StopCell | AskChild | Quit
FromChild = Ready | Printed | CellRan | CellProgress | CellEnded | ChildAnswer

_LENGTH = struct.Struct("<I")


class Pipe:
    """One end of the socket pair: sends from any thread, received from one."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self._encoder = msgspec.msgpack.Encoder()
        self._sending = threading.Lock()

    def send(self, message: Said) -> None:
        """Sends a message whole. Raises OSError when the other end is gone."""
        with self._sending:
            data = self._encoder.encode(message)
            self.end.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> bytes | None:
        """The bytes of the next message; None when the other end is gone."""
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        (length,) = _LENGTH.unpack(head)
        if length > MAX_MESSAGE:
            raise ValueError(f"a message of {length:,} bytes is larger than {MAX_MESSAGE:,}")
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes | None:
        pieces = bytearray()
        while len(pieces) < count:
            try:
                piece = self.end.recv(min(count - len(pieces), 1 << 20))
            except OSError:
                return None
            if not piece:
                return None
            pieces += piece
        return bytes(pieces)

    def close(self) -> None:
        """Closes this end; a blocked receive returns None."""
        try:
            self.end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.end.close()
