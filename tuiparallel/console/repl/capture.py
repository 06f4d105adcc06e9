"""What the child process prints, from Python, C code and its own children, handed on in order and bounded.

`sys.stdout` and `sys.stderr` write into a buffer; file descriptors 1 and 2 are pipes that a thread reads into the same
buffer. A thread hands the buffer on about twenty times a second; what a flood leaves no room for is counted.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import threading
from collections.abc import Callable

MOST = 128 << 10  # characters between two hand-overs; the newest are kept
EVERY = 0.05  # seconds between two hand-overs

_MARK = b"\0tuiparallel end "

Take = Callable[[int, str, str], None]
"""number of the cell, stream, text"""


class Capture:
    """Both streams of this process. `number` is the cell that what is printed now belongs to."""

    def __init__(self, take: Take) -> None:
        self.number = 0
        self._take = take
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pending: list[tuple[int, str, str]] = []
        self._size = 0
        self._lost = 0
        self._fresh = threading.Event()
        self._taking = threading.Lock()
        self._marks = 0
        self._seen: dict[bytes, threading.Event] = {}  # marks under way through the pipes

    def install(self) -> None:
        """Puts the streams and descriptors of this process in place, and starts the threads."""
        for descriptor, stream in ((1, "stdout"), (2, "stderr")):
            reading, writing = os.pipe()
            os.dup2(writing, descriptor)
            os.close(writing)
            threading.Thread(target=self._read, args=(reading, stream), name=f"read-{stream}", daemon=True).start()
        sys.stdout = Stream(self, "stdout", 1)
        sys.stderr = Stream(self, "stderr", 2)
        threading.Thread(target=self._hand_over, name="hand-over", daemon=True).start()

    @property
    def forked(self) -> bool:
        """This is a fork of the process that captures: its prints go through the pipes."""
        return os.getpid() != self._pid

    def write(self, stream: str, text: str) -> None:
        """Takes text; the oldest of a flood is dropped and counted."""
        with self._lock:
            self._pending.append((self.number, stream, text))
            self._size += len(text)
            while self._size > MOST:
                number, kind, oldest = self._pending[0]
                over = self._size - MOST
                if len(oldest) <= over and len(self._pending) > 1:
                    self._pending.pop(0)
                    cut = len(oldest)
                else:
                    self._pending[0] = (number, kind, oldest[over:])
                    cut = min(over, len(oldest))
                self._size -= cut
                self._lost += cut
        self._fresh.set()

    def drain(self) -> None:
        """Hands on all that has been printed so far, by this process also through its descriptors."""
        waits: list[threading.Event] = []
        for descriptor in (1, 2):
            self._marks += 1
            key = b"%d" % self._marks
            event = self._seen[key] = threading.Event()
            try:
                os.write(descriptor, _MARK + key + b"\0")
                waits.append(event)
            except OSError:  # user code has closed it
                pass
        for event in waits:
            event.wait(1.0)
        self._seen.clear()
        self._pass_on()

    def _read(self, reading: int, stream: str) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = b""
        while data := os.read(reading, 1 << 16):
            rest = self._split(stream, rest + data, decoder)

    def _split(self, stream: str, data: bytes, decoder: codecs.IncrementalDecoder) -> bytes:
        """Takes the text before, between and after marks; returns what may be the beginning of one."""
        while (start := data.find(_MARK)) >= 0:
            end = data.find(b"\0", start + 1)
            if end < 0:
                break
            self._take_bytes(stream, data[:start], decoder)
            if (event := self._seen.get(data[start + len(_MARK) : end])) is not None:
                event.set()
            data = data[end + 1 :]
        last = data.rfind(b"\0") if start < 0 else start
        if last < 0 or not (data[last:].startswith(_MARK) or _MARK.startswith(data[last:])):
            last = len(data)
        self._take_bytes(stream, data[:last], decoder)
        return data[last:]

    def _take_bytes(self, stream: str, data: bytes, decoder: codecs.IncrementalDecoder) -> None:
        if text := decoder.decode(data):
            self.write(stream, text)

    def _hand_over(self) -> None:
        pause = threading.Event()
        while True:
            self._fresh.wait()
            self._fresh.clear()
            self._pass_on()
            pause.wait(EVERY)

    def _pass_on(self) -> None:
        with self._taking:
            with self._lock:
                pending, self._pending = self._pending, []
                lost, self._lost = self._lost, 0
                self._size = 0
            if lost and pending:
                self._take(pending[0][0], pending[0][1], f"\n… {lost:,} characters not shown\n")
            at = 0
            while at < len(pending):
                number, stream, _ = pending[at]
                end = at
                while end < len(pending) and pending[end][:2] == (number, stream):
                    end += 1
                self._take(number, stream, "".join(text for _, _, text in pending[at:end]))
                at = end


class Stream(io.TextIOBase):
    """sys.stdout or sys.stderr of the child."""

    def __init__(self, capture: Capture, stream: str, descriptor: int) -> None:
        self._capture = capture
        self._stream = stream
        self._descriptor = descriptor

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            if self._capture.forked:
                os.write(self._descriptor, text.encode("utf-8", "replace"))
            else:
                self._capture.write(self._stream, text)
        return len(text)
