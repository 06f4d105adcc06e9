"""The process local cells run in: `python -m tuiparallel.console.repl.child DESCRIPTOR`.

The main thread runs cells, one after another, in the namespace of `__main__`. A second thread speaks with the console:
it answers questions and takes interrupts while a cell runs, and ends the process when the console is gone.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import msgspec

from tuiparallel.console.repl import inspecting, runner
from tuiparallel.console.repl.capture import Capture
from tuiparallel.console.repl.outcomes import Part, kind_of
from tuiparallel.console.repl.talk import (
    AskChild,
    Begin,
    CellEnded,
    CellProgress,
    CellRan,
    ChildAnswer,
    KnowCell,
    Pipe,
    Printed,
    Quit,
    Ready,
    RunCell,
    Said,
    StopCell,
    ToChild,
)
from tuiparallel.console.repl.tracking import Tracker, Watched
from tuiparallel.link.clock import SystemClock

MAX_PARTS = 400


class Outs(dict[int, Any]):
    """Out: values of local cells, and the AsyncResults of cells that went to the engines, fetched when asked for."""

    def __init__(self, child: Child) -> None:
        super().__init__()
        self._child = child

    def __missing__(self, number: int) -> Any:
        ids = self._child.sent.get(number)
        if ids is None:
            raise KeyError(f"cell {number} has no value")
        if self._child.client is None:
            raise KeyError(f"cell {number} ran on the cluster, and there is no rc: {self._child.trouble}")
        return self._child.client.get_result(ids)


_SIGNALS, _BETWEEN_SIGNALS = 50, 0.02  # how often a cell is told to stop, and the seconds between
_ROOM = str(Path(__file__).parent)


def _ours(frame: FrameType | None) -> bool:
    """Whether this room's code runs on behalf of the cell: an exception there could leave a lock held."""
    while frame is not None and not frame.f_code.co_filename.startswith("<cell"):
        if frame.f_code.co_filename.startswith(_ROOM):
            return True
        frame = frame.f_back
    return False


class Child:
    """The state of the process: namespace, client, and which cell runs."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.clock = SystemClock()
        self.client: Any = None
        self.cluster = ""
        self.trouble = "no cluster was named"
        self.sent: dict[int, list[str]] = {}
        self.running: int | None = None
        self.interruptible = False
        self.taken = threading.Event()  # the signal for the running cell has become its KeyboardInterrupt
        self.targets: list[int] | None = None
        self.maps: dict[int, Any] = {}
        self.cancelled: set[int] = set()  # cells that were stopped before they ran
        self.work: queue.SimpleQueue[Said] = queue.SimpleQueue()
        module = ModuleType("__main__")
        self.names = module.__dict__
        self.names["__builtins__"] = __builtins__
        sys.modules["__main__"] = module
        self.ins: dict[int, str] = {}
        self.outs = Outs(self)
        self.names.update(In=self.ins, Out=self.outs, px=self.px, cell=self.cell)
        self.own = set(self.names) | {"rc", "dview", "lview"}
        self.capture = Capture(lambda number, stream, text: self.tell(Printed(number, stream, text)))
        self.tracker = Tracker(
            self.names, lambda number, done, total: self.tell(CellProgress(number, done, total)), self.ended
        )

    # What cells call --------------------------------------------------------------------------------------------

    def px(self, code: str, targets: Any = None) -> Any:
        """Runs code on the prompt's targets (or these), waits, shows what it printed and gave; an AsyncResult."""
        if self.client is None:
            raise RuntimeError(f"there is no cluster to run on: {self.trouble}")
        where = targets if targets is not None else self.targets if self.targets is not None else "all"
        result = self.client.direct_view(where).execute(code, silent=False, block=False)
        result.wait()
        result.display_outputs()
        result.get()
        return result

    def cell(self, number: int) -> Any:
        """The value of a local cell, or the AsyncResult of one that went to the engines."""
        return self.outs[number]

    # Speaking ---------------------------------------------------------------------------------------------------

    def tell(self, message: Said) -> None:
        """Says something to the console; when it is gone there is nobody to live for."""
        try:
            self.pipe.send(message)
        except OSError:
            os._exit(0)

    def listen(self) -> None:
        """The second thread: everything the console says."""
        decoder = msgspec.msgpack.Decoder(ToChild)
        while (data := self.pipe.receive()) is not None:
            message = decoder.decode(data)
            match message:
                case AskChild():
                    self.answer(message)
                case StopCell(number):
                    self.stop(number)
                case KnowCell(number, source, ids):
                    self.ins[number] = source
                    self.sent[number] = ids
                case Quit():
                    break
                case _:
                    self.work.put(message)
        os._exit(0)

    def answer(self, question: AskChild) -> None:
        """Answers without running user code."""
        try:
            body: object
            match question.what:
                case "complete":
                    body = inspecting.complete(question.text, question.cursor, self.names)
                case "inspect":
                    name = question.text.rstrip("?")
                    body = inspecting.describe(name, self.names, source=question.text.endswith("??"))
                case "signature":
                    body = inspecting.signature(question.text, self.names) or ""
                case "names":
                    body = [row for row in runner.names_in(self.names) if row[0] not in self.own]
                case _:
                    raise ValueError(f"no question is called {question.what!r}")
        except Exception as error:
            self.tell(ChildAnswer(question.request, error=f"{type(error).__name__}: {error}"))
        else:
            self.tell(ChildAnswer(question.request, body))

    def stop(self, number: int) -> None:
        """Interrupts the cell's code, or aborts what it left open."""
        if self.running == number:
            # Again until it is taken: the signal may fall into our own code, or just before a call that sleeps.
            self.taken.clear()
            for _ in range(_SIGNALS):
                if self.running != number or self.taken.is_set():
                    break
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                self.taken.wait(_BETWEEN_SIGNALS)
        elif ids := self.tracker.open_ids(number):
            threading.Thread(target=self._abort, args=(ids,), name="abort", daemon=True).start()
        elif number not in self.ins:
            self.cancelled.add(number)

    def _abort(self, ids: list[str]) -> None:
        from tuiparallel.console.repl.dispatch import stop_ids

        stop_ids(self.client, ids)

    # Running ----------------------------------------------------------------------------------------------------

    def on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        """SIGINT: a KeyboardInterrupt in a cell, and nothing between cells or while we pass on what it prints."""
        if self.interruptible and not _ours(frame):
            self.taken.set()
            raise KeyboardInterrupt

    def serve(self) -> None:
        """The main thread: cells in order, for ever."""
        while True:
            message = self.work.get()
            match message:
                case Begin(cluster):
                    self.cluster = cluster
                    self.connect()
                    self.tell(Ready(os.getpid(), self.trouble))
                case RunCell():
                    self.run(message)

    def connect(self) -> None:
        """Makes `rc`, `dview` and `lview`, or says in `trouble` why there are none."""
        if not self.cluster:
            return
        try:
            from tuiparallel.client import Client

            sys.argv[:] = ["local cells"]  # what the cluster's list of clients calls this process
            self.client = self.names["rc"] = self.tracker.client = Client(self.cluster)
            self.trouble = ""
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
            return
        self.aim(None, force=True)

    def aim(self, targets: list[int] | None, *, force: bool = False) -> None:
        """Lets `dview` and `lview` have these targets."""
        if self.client is None or (targets == self.targets and not force and "dview" in self.names):
            return
        try:
            self.names["dview"] = self.client.direct_view("all" if targets is None else targets)
            self.names["lview"] = self.client.load_balanced_view(targets)
            self.targets = targets
        except Exception as error:
            print(f"dview keeps its targets: {error}", file=sys.stderr)

    def run(self, cell: RunCell) -> None:
        """Runs one cell and tells what became of it."""
        self.capture.number = cell.number
        self.ins[cell.number] = cell.source
        if self.client is None:
            self.connect()
        self.aim(cell.targets)
        self.tracker.begin(cell.number)
        began = self.clock.monotonic()
        value: Any = None
        part: Part
        interrupted = False
        self.running = cell.number
        try:
            try:
                self.interruptible = True
                if cell.number in self.cancelled:
                    self.cancelled.discard(cell.number)
                    raise KeyboardInterrupt("before it began")
                value = self.submit(cell) if cell.each else self.execute(cell)
                text = "" if value is None or cell.each else runner.shown(value)
            finally:
                self.interruptible = False
            part = Part(None, True, text)
        except BaseException as error:  # whatever user code raises is an outcome; the process goes on
            self.interruptible = False
            interrupted = isinstance(error, KeyboardInterrupt)
            part = failed(error)
        self.running = None
        if value is not None:
            self.outs[cell.number] = self.names["_"] = value
        seconds = self.clock.monotonic() - began
        left = self.tracker.finish(cell.number, value)
        self.capture.drain()
        self.tell(CellRan(cell.number, part, seconds, interrupted, left))
        if value is not None and cell.number in self.maps and not len(value):
            self.ended(Watched(cell.number, 0, 0), 0, 0)

    def filename(self, cell: RunCell) -> str:
        """The name tracebacks give a cell."""
        return f"<cell {cell.number}>"

    def execute(self, cell: RunCell) -> Any:
        """A cell's text, or the file it names."""
        if not cell.filename:
            return runner.run(cell.source, self.filename(cell), self.names)
        path = Path(cell.filename).expanduser()
        return runner.run(path.read_text(encoding="utf-8"), str(path), self.names)

    def submit(self, cell: RunCell) -> Any:
        """`%%map`: the expression here, its elements on the engines."""
        if self.client is None:
            raise RuntimeError(f"there is no cluster to run on: {self.trouble}")
        runner.body_function(
            cell.source, cell.each, self.filename(cell)
        )  # a syntax error is told before anything is sent
        elements = runner.run(cell.over, f"<over of cell {cell.number}>", self.names)
        elements = list(elements)
        chunk = cell.chunk or max(1, len(elements) // (64 * max(1, len(self.client.ids))))
        body = runner.EachElement(cell.source, cell.each, self.filename(cell))
        view = self.client.load_balanced_view(cell.targets)
        with view.temp_flags(label=f"cell {cell.number}"):
            result = view.map(body, elements, block=False, chunksize=chunk, return_exceptions=True)
        self.maps[cell.number] = result
        return result

    def ended(self, watched: Watched, done: int, total: int) -> None:
        """All tasks of a cell are there: a map's values, and failures of whatever it submitted, are told folded."""
        result = self.maps.pop(watched.number, None)
        parts: list[Part] = []
        if result is not None:
            for place, value in enumerate(result.get(return_exceptions=True)):
                if isinstance(value, BaseException):
                    parts.append(remote_failure(place, value))
                else:
                    parts.append(Part(place, True, "" if value is None else runner.shown(value)[:4096]))
        else:
            for known in watched.results:
                facts = known.metadata
                for fact in facts if isinstance(facts, list) else [facts]:
                    if fact["status"] == "error":
                        parts.append(remote_failure(None, fact["error"]))
        failures = [part for part in parts if not part.ok]
        stopped = sum(part.ename in ("AbortedTask", "KeyboardInterrupt") for part in failures)
        self.tell(CellEnded(watched.number, done, total, len(failures), bounded(parts), stopped))


def bounded(parts: Sequence[Part]) -> list[Part]:
    """At most MAX_PARTS of them: failures by kind, equal neighbours as one, both with counts; then the first values."""
    kinds: dict[str, Part] = {}
    values: list[Part] = []
    for part in parts:
        if not part.ok:
            kind = kind_of(part)
            if kind not in kinds and len(kinds) >= MAX_PARTS // 2:
                kind = next(reversed(kinds))  # the last kind stands for all further ones
            first = kinds.get(kind)
            kinds[kind] = part if first is None else msgspec.structs.replace(first, count=first.count + 1)
        elif values and values[-1].value == part.value and values[-1].place == (part.place or 0) - values[-1].count:
            values[-1] = msgspec.structs.replace(values[-1], count=values[-1].count + 1)
        else:
            values.append(part)
    room = MAX_PARTS - len(kinds)
    rest = sum(part.count for part in values[room:])
    values = values[:room]
    if rest:
        values.append(Part(None, True, "…", count=rest))
    return [*values, *kinds.values()]


def failed(error: BaseException) -> Part:
    """An exception of a cell, with the frames of the cell and below it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    first = next((at for at, frame in enumerate(frames) if frame.filename.startswith("<")), len(frames))
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames[first:])]
    lines += traceback.format_exception_only(error)
    return Part(
        None, False, ename=type(error).__name__, evalue=_text_of(error), traceback="".join(lines[1:] if not frames[first:] else lines)
    )  # fmt: skip


def remote_failure(place: int | None, error: BaseException) -> Part:
    """An exception of a task: of one element of a map, or of anything a cell has submitted."""
    ename = getattr(error, "ename", type(error).__name__)
    evalue = getattr(error, "evalue", None)
    return Part(
        place, False, ename=str(ename), evalue=_text_of(error) if evalue is None else str(evalue),
        traceback=str(getattr(error, "traceback", "") or ""),
    )  # fmt: skip


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as again:
        return f"<its str raised {type(again).__name__}>"


def main(descriptor: int) -> None:
    """Serves the console at the other end of this socket until it goes away."""
    os.set_inheritable(descriptor, False)
    last_words = os.dup(2)  # a crash is told there, past the capture
    faulthandler.enable(last_words)
    child = Child(Pipe(socket.socket(fileno=descriptor)))
    child.capture.install()
    signal.signal(signal.SIGINT, child.on_interrupt)
    threading.Thread(target=child.listen, name="console", daemon=True).start()
    child.serve()


if __name__ == "__main__":
    from tuiparallel.console.repl.child import (
        main as serve,
    )  # this file's own module: `__main__` belongs to the cells

    serve(int(sys.argv[1]))
