"""A bare 0MQ echo through a broker: what a message costs here when nobody looks at it. Only measurements use it.

`python -m tuiparallel.link.echo broker FRONT BACK` and `... echo BACK` are its two processes; both end with their stdin.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import zmq

WINDOW = 500  # messages under way in stream()
_HEADER, _BODY = b"h" * 40, b"x"
_PATIENCE = 30_000  # milliseconds without an answer that mean that a process is gone


class BareEcho:
    """A broker process and an echoing one, one message per call; a context manager.

    Raises zmq.Again when no answer comes for 30 seconds.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tp-echo-"))
        front, back = f"ipc://{self._folder}/f", f"ipc://{self._folder}/b"
        self._processes = [_start("broker", front, back), _start("echo", back)]
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, _PATIENCE)
        self._socket.connect(front)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self) -> bytes:
        """One message there and back; returns its body."""
        self._socket.send_multipart([_HEADER, _BODY])
        return self._socket.recv_multipart()[-1]

    def stream(self, messages: int) -> int:
        """So many messages there and back, up to WINDOW under way at a time; returns how many came back."""
        sent = back = 0
        while back < messages:
            while sent < messages and sent - back < WINDOW:
                self._socket.send_multipart([_HEADER, _BODY])
                sent += 1
            self._socket.recv_multipart()
            back += 1
        return back

    def close(self) -> None:
        """End both processes and remove the sockets."""
        self._socket.close()
        self._context.term()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tuiparallel.link.echo", *arguments], stdin=subprocess.PIPE)


def _end_with_stdin() -> None:
    """A thread of its own waits for the end of stdin, so that nothing is added to the path of a message."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _broker(front: str, back: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client, engine = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    client.bind(front)
    engine.bind(back)
    poller = zmq.Poller()
    poller.register(client, zmq.POLLIN)
    poller.register(engine, zmq.POLLIN)
    while True:
        for source, _ in poller.poll():
            target = engine if source is client else client
            while True:
                try:
                    frames = source.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                target.send_multipart(frames)


def _echo(back: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(back)
    while True:
        socket.send_multipart(socket.recv_multipart())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["broker", front, back]:
            _end_with_stdin()
            _broker(front, back)
        case ["echo", back]:
            _end_with_stdin()
            _echo(back)
        case _:
            raise SystemExit(f"usage: {sys.argv[0]} broker FRONT BACK | echo BACK")
