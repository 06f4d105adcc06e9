"""The console's side of the child process: starts it at first need, speaks with it, and sees it die.

Messages come back on the screen's loop. Everything that can wait (the start, sending) runs on the caller's threads.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import IO

import msgspec

from tuiparallel.console.repl.talk import FromChild, Pipe, Quit, Said

Hear = Callable[[Said], None]
Died = Callable[[str], None]


class Local:
    """One child process at a time. `hear` and `died` are called from a thread of this object.

    died(reason): the process has ended by itself; its names are gone and the next `send` starts another.
    """

    def __init__(self, hear: Hear, died: Died) -> None:
        self._hear = hear
        self._died = died
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._words: IO[bytes] | None = None
        self._starting = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        process = self._process
        return process.pid if process is not None and self._pipe is not None else None

    @property
    def alive(self) -> bool:
        """Whether there is a child that would lose its names."""
        return self._pipe is not None

    def send(self, message: Said, first: Callable[[], list[Said]] = list) -> None:
        """Says something to the child; when there is none yet, starts one and says `first()` to it before.

        Raises OSError when no process can be started.
        """
        for _ in range(2):
            with self._starting:
                if self._closed:
                    return
                pipe = self._pipe or self._start(first())
            try:
                pipe.send(message)
                return
            except OSError:  # it has died since; the thread that hears it says so
                with self._starting:
                    if self._pipe is pipe:
                        self._pipe = None
        raise OSError("the local process ends as soon as it has started")

    def tell(self, message: Said) -> bool:
        """Says something to the child if there is one."""
        pipe = self._pipe
        if pipe is None:
            return False
        try:
            pipe.send(message)
        except OSError:
            return False
        return True

    def _start(self, first: list[Said]) -> Pipe:
        ours, theirs = socket.socketpair()
        self._words = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tuiparallel.console.repl.child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            self._words.close()
            raise
        finally:
            theirs.close()
        pipe = self._pipe = Pipe(ours)
        threading.Thread(
            target=self._listen, args=(pipe, self._process, self._words), name="local-cells", daemon=True
        ).start()
        for message in first:
            pipe.send(message)
        return pipe

    def _listen(self, pipe: Pipe, process: subprocess.Popen[bytes], words: IO[bytes]) -> None:
        decoder = msgspec.msgpack.Decoder(FromChild)
        while (data := pipe.receive()) is not None:
            try:
                message = decoder.decode(data)
            except msgspec.MsgspecError:  # user code found the socket and wrote to it
                break
            self._hear(message)
        with self._starting:
            if self._pipe is pipe:
                self._pipe = None
        pipe.close()
        _end(process)
        reason = _reason(process.wait(), words)
        words.close()
        if not self._closed:
            self._died(reason)

    def interrupt_hard(self) -> None:
        """Ends the process, whatever it does: its names are lost."""
        process = self._process
        if process is not None and self._pipe is not None:
            _end(process)

    def close(self) -> None:
        """Ends the child and all it has started; does not wait for what it runs."""
        with self._starting:
            self._closed = True
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            try:
                pipe.end.setblocking(False)
                pipe.send(Quit())
            except OSError:
                pass
        if self._process is not None:
            _end(self._process)
            self._process.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills the child's session: a cell may have started processes of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _reason(code: int, words: IO[bytes]) -> str:
    words.seek(0)
    text = words.read(20_000).decode("utf-8", "replace").strip()
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        how = f"it was ended by {name}"
    else:
        how = f"it exited with status {code}"
    last = next((line for line in text.splitlines() if line.startswith("Fatal Python error")), "")
    return how + (f" ({last})" if last else "")
