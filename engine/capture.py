"""What tasks print: by Python, by C code and by child processes, per task and as a live stream.

Descriptors 1 and 2 are files in memory that are only appended to, and that this process reads behind the writers.
Unlike a pipe such a file is never full: C code that prints a lot while it holds the GIL cannot lock the engine up. What
was read is given back to the system, so the memory stays small.
"""

from __future__ import annotations

import codecs
import fcntl
import io
import os
import sys
import tempfile
import threading
from collections import deque

from tuiparallel.link.clock import Clock
from tuiparallel.wire.messages import Chunk

PIECE = 256 << 10  # bytes read, and sent as one chunk, at a time
TAIL = 8192  # bytes that stay readable for a last word after a crash
WAITING = 2000  # chunks that wait to be sent; the oldest ones are dropped, their offsets show it


class Recorder:
    """One of the two streams: its file, how far it was read, and what the running task has printed to it."""

    def __init__(self, name: str, number: int, limit: int, handle: int | None = None) -> None:
        self.name = name
        self.number = number
        self.handle = memory_file(name) if handle is None else handle
        self.limit = limit
        self.position = os.lseek(self.handle, 0, os.SEEK_END)
        self.offset = 0  # characters sent live so far
        self.parts: list[str] = []
        self.taken = self.left_out = 0  # bytes of the running task
        self._freed = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.writer = self._new_writer()

    def pending(self) -> int:
        """Bytes written and not yet read."""
        return os.lseek(self.handle, 0, os.SEEK_END) - self.position

    def read(self) -> list[str]:
        """What is new, in pieces; beyond the limit it is only counted."""
        pieces: list[str] = []
        ends = self.position + self.pending()
        while self.position < ends:
            room = self.limit - self.taken
            if room <= 0:
                self.left_out += ends - self.position
                self.position = ends
                break
            data = os.pread(self.handle, min(PIECE, room, ends - self.position), self.position)
            if not data:
                self.position = ends  # somebody has truncated the file
                break
            self.taken += len(data)  # first: end() looks at both without a lock, at the position before
            self.position += len(data)
            if text := self._decoder.decode(data):
                pieces.append(text)
        if self.position - self._freed > 4 * PIECE:
            keep = (self.position - TAIL) & ~4095
            if give_back(self.handle, self._freed, keep - self._freed):
                self._freed = keep
        return pieces

    def finish(self) -> str:
        """What is still to be said at the end of a task: an unfinished character, and how much was left out."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        if self.left_out:
            rest += f"\n… {self.left_out:,} bytes left out\n"
        self.taken = self.left_out = 0
        return rest

    def repair(self) -> None:
        """Give the descriptor back what belongs there, if a task has closed it; one that it has replaced is its own."""
        if self.writer.closed:
            self.writer = self._new_writer()
        try:
            fcntl.fcntl(self.number, fcntl.F_GETFD)
        except OSError:
            self.attach()

    def attach(self) -> None:
        os.dup2(self.handle, self.number)

    def _new_writer(self) -> io.TextIOWrapper:
        # Unbuffered, so that Python's and C's text keep their order and a crash leaves nothing behind unwritten.
        raw = _Appender(self.handle, self.number)
        return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class _Appender(io.FileIO):
    """A file that writes to one descriptor and calls itself by the number of another: a task may close that one."""

    def __init__(self, handle: int, number: int) -> None:
        super().__init__(handle, "w", closefd=False)
        self._number = number

    def fileno(self) -> int:
        return self._number


class Capture:
    """Both streams of this process. begin() and end() belong to the main thread, poll() to any other one.

    limit: bytes kept per task and stream. error: the file that is to be stderr, if somebody else reads it as well.
    """

    def __init__(self, limit: int, clock: Clock, error: int | None = None) -> None:
        self.engine = -1
        self._clock = clock
        self._lock = threading.Lock()
        self._task: int | None = None
        self._out = Recorder("stdout", 1, limit)
        self._err = Recorder("stderr", 2, limit, error)
        self._streams = (self._out, self._err)
        self._chunks: deque[Chunk] = deque(maxlen=WAITING)
        self._seek = os.lseek

    def install(self) -> None:
        """Put the streams in place: sys.stdout and sys.stderr, descriptors 1 and 2; stdin is empty."""
        null = os.open(os.devnull, os.O_RDONLY)
        if null != 0:
            os.dup2(null, 0)
            os.close(null)
        for stream in self._streams:
            stream.attach()
        sys.stdin = open(0, closefd=False)
        vars(sys)["__stdin__"] = sys.stdin
        self.restore()

    def restore(self) -> None:
        """Make sys.stdout and sys.stderr the captured ones again, whatever tasks have done to them."""
        for stream in self._streams:
            stream.repair()
        sys.stdout = vars(sys)["__stdout__"] = self._out.writer
        sys.stderr = vars(sys)["__stderr__"] = self._err.writer

    def begin(self, task: int) -> None:
        """What is printed from now on is this task's."""
        self._task = task

    def end(self) -> tuple[str, str] | None:
        """The task has ended: all it printed, or None when that is nothing."""
        out, err = self._out, self._err
        # poll() may read in between, in another thread: whatever it has moved out of the files is counted as taken.
        if (
            self._seek(out.handle, 0, 2) == out.position
            and self._seek(err.handle, 0, 2) == err.position
            and not out.taken
            and not err.taken
        ):
            self._task = None
            return None
        with self._lock:
            self._read()
            for stream in self._streams:
                if rest := stream.finish():
                    self._add(stream, rest)
            printed = ("".join(out.parts), "".join(err.parts))
            out.parts, err.parts = [], []
            self._task = None
        return printed

    def poll(self) -> None:
        """Read what was printed since the last time, for those who watch live."""
        if not (self._out.pending() or self._err.pending()):
            return
        with self._lock:
            self._read()
            if self._task is None:
                self._close_interval()

    def repair(self) -> None:
        """Between two tasks: streams that the last one closed are opened again."""
        for stream in self._streams:
            closed = stream.writer.closed
            stream.repair()
            if closed:
                self.restore()
        try:
            fcntl.fcntl(0, fcntl.F_GETFD)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest free number: 0

    @property
    def waiting(self) -> bool:
        """Whether there is live text to be sent."""
        return bool(self._chunks)

    def take_chunks(self) -> list[Chunk]:
        """Live text that was not sent yet."""
        chunks: list[Chunk] = []
        while self._chunks:
            chunks.append(self._chunks.popleft())
        return chunks

    def _read(self) -> None:
        for stream in self._streams:
            for text in stream.read():
                self._add(stream, text)

    def _add(self, stream: Recorder, text: str) -> None:
        if self._task is not None:
            stream.parts.append(text)
        at = self._clock.time()
        self._chunks.append(Chunk(self.engine, self._task, stream.name, text, at, stream.offset))
        stream.offset += len(text)

    def _close_interval(self) -> None:
        """Between tasks the limit counts anew at each look."""
        for stream in self._streams:
            if rest := stream.finish():
                self._add(stream, rest)


def memory_file(name: str) -> int:
    """A file without a name that is only appended to; the descriptor is closed at exec."""
    if sys.platform == "linux":
        handle = os.memfd_create(name)
    else:
        handle, path = tempfile.mkstemp(name)
        os.unlink(path)
    fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_APPEND)
    if handle < 10:  # out of the reach of code that closes 0 to 2, or expects low numbers
        high = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(handle)
        handle = high
    return handle


def tail(handle: int, size: int = 4096) -> bytes:
    """The last bytes of such a file, also after its writer has died."""
    ends = os.lseek(handle, 0, os.SEEK_END)
    begins = max(0, ends - size)
    return os.pread(handle, ends - begins, begins).lstrip(b"\0")


def give_back(handle: int, start: int, size: int) -> bool:
    """Free the memory of a part of a file that was read; its length stays. Whether the system can do that."""
    if sys.platform != "linux" or size <= 0:
        return False
    import ctypes  # costs milliseconds, and few tasks print that much

    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    keep_size, punch_hole = 1, 2
    return bool(fallocate(handle, keep_size | punch_hole, ctypes.c_longlong(start), ctypes.c_longlong(size)) == 0)
