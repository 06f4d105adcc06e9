"""An engine: the main thread runs tasks, the I/O thread speaks with the hub, a line of tasks stands between them.

The I/O thread reads at once whatever arrives, so control never waits behind work. Results leave from the main thread
itself when it has nothing else to do, so that a lone call has no change of threads on its way back.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

from tuiparallel.engine import forks, inquiries
from tuiparallel.engine.capture import Capture
from tuiparallel.engine.helm import Helm
from tuiparallel.engine.interrupts import Interrupts
from tuiparallel.engine.marks import MarkWriter
from tuiparallel.engine.queue import Assignment, TaskQueue
from tuiparallel.engine.runner import Runner
from tuiparallel.engine.settings import EngineSettings
from tuiparallel.engine.shelf import Shelf
from tuiparallel.link.clock import Clock, SystemClock
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire import current, pages
from tuiparallel.wire.blobs import BlobStore
from tuiparallel.wire.messages import (
    MAX_BATCH,
    MAX_FRAME,
    PROTOCOL,
    Answer,
    Beat,
    Began,
    Chunk,
    ClearNamespace,
    EngineBye,
    EngineHello,
    EngineWelcome,
    Fenced,
    Inquiry,
    Interrupt,
    Kept,
    Leave,
    Message,
    Output,
    Probe,
    Ran,
    Refused,
    Results,
    Returned,
    Revoke,
    Run,
    ToEngine,
)

GATHER = 0.002  # seconds that a result may wait for others while more tasks are there
LONG = 0.005  # seconds after which the hub is told that a task has begun
BUSY_TURN = 0.003  # seconds between looks while tasks are short
LONG_TURN = 0.020  # ... and while one runs for long: this is how live its output is
IDLE_TURN = 0.5  # ... and while none runs: background threads may print
BATCH_BYTES = MAX_FRAME // 2
OUTPUT_BYTES = 1 << 20
MOST_CLEARED = 100  # requests to clear that are remembered, to know copies of them
LAST_WORDS = 0.5  # seconds for the last results to leave
BRIEFLY = 0.05  # seconds for what matters less


class Engine:
    """One engine. run() is called in the main thread and returns the exit code when the engine is to leave.

    exit ends the process at once, from any thread, when user code stands in the way.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        clock: Clock | None = None,
        error_file: int | None = None,
        exit: Callable[[int], None] = os._exit,
    ) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._exit = exit
        self._mutex = threading.Lock()  # over the queue, the results and what follows them
        self._waiting = False  # the main thread has nothing to do
        self._leaving: str | None = None
        self._code = 0
        self._asked = False  # the hub itself wants it to leave
        self._queue = TaskQueue(settings.unkept_bytes)
        self._results: list[Ran] = []
        self._results_bytes = 0
        self._oldest = 0.0  # when the first of them ended
        self._kept_lately: list[int] = []  # acknowledgements that came with work, which goes first
        self._clears: list[int] = []  # requests to clear the namespace, not yet carried out
        self._cleared: dict[int, None] = {}  # those that were, lately: a copy is answered, not carried out again
        self._boot = ""  # the hub's life that their numbers are of
        self._reported: Assignment | None = None  # the running task, once the hub knows that it has begun
        self._capture = Capture(settings.output_per_task, self._clock, error_file)
        self._interrupts = Interrupts()
        store = None if settings.blobs is None else BlobStore(settings.blobs, settings.blob_bytes)
        self._runner = Runner(settings.uuid, self._clock, self._capture, self._interrupts, store)
        current.live_in(settings.directory)
        self._shelf = Shelf(self._runner.functions)
        self._mark = None if settings.mark is None else MarkWriter(settings.mark)
        self._main = threading.get_ident()
        self._link = Link(
            settings.address,
            ToEngine,
            self._hello,
            welcomed=self._welcomed,
            clock=self._clock,
            heartbeat=settings.heartbeat,
            resend_interval=settings.resend_interval,
            keys=settings.keys,
        )
        self._helm = Helm(self._clock, self._link.wake)
        self._thread = threading.Thread(target=self._communicate, name="tuiparallel-io", daemon=True)

    # The main thread --------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run tasks until it is time to leave."""
        forks.watch(self._in_child)
        self._capture.install()
        self._interrupts.install()
        self._thread.start()
        mark = self._mark
        run = self._runner.run
        while (assignment := self._next()) is not None:
            if mark is not None:
                mark.start(assignment[0], assignment[1])
            self._ended(run(assignment))
        self._close()
        return self._code

    def _next(self) -> Assignment | None:
        """The next task, waiting for it; None when it is time to leave."""
        idle = False
        while True:
            with self._mutex:
                if self._leaving is not None:
                    return None
                if not self._clears:
                    assignment = self._queue.start()
                    if assignment is not None:
                        break
                    self._waiting = idle
                clears, self._clears = self._clears, []
            if clears:
                self._clear(clears)
                continue
            if not idle:
                # First all that others wait for, then a second look, then the wait.
                self._flush()
                self._capture.repair()
                idle = True
                continue
            self._listen()
        if idle:
            self._capture.poll()  # what was printed in the pause is nobody's
        return assignment

    def _listen(self) -> None:
        """Turn the link until there is something to do."""
        turn, handle = self._link.turn, self._handle
        self._helm.claim()
        try:
            timeout = BUSY_TURN  # all has been looked at just now, and the next task may come at once
            while self._waiting and self._leaving is None:
                for message in turn(timeout):
                    handle(message)
                if self._waiting:  # else there is work, and what time brings can wait for it
                    timeout = self._look()
        finally:
            self._helm.leave()

    def _ended(self, ran: Ran) -> None:
        size = _size(ran)
        with self._mutex:
            if self._queue.finish(size):
                results = self._results
                if not results:
                    self._oldest = ran.completed
                results.append(ran)
                self._results_bytes += size
            flush = (
                ran.completed - self._oldest > GATHER
                or len(self._results) >= MAX_BATCH
                or self._results_bytes > BATCH_BYTES
            )
        if flush:
            self._flush()

    def _clear(self, requests: list[int]) -> None:
        self._runner.clear()
        self._cleared.update(dict.fromkeys(requests))
        while len(self._cleared) > MOST_CLEARED:
            del self._cleared[next(iter(self._cleared))]
        for request in requests:
            self._link.send(Answer(request, True))

    def _flush(self) -> None:
        """Send what has been gathered, from whichever thread."""
        if self._capture.waiting:
            self._send_output()
        with self._mutex:
            results = self._results
            if results:
                size = self._results_bytes
                self._results, self._results_bytes = [], 0
                number = self._queue.send(results, size)
        if results:
            self._link.post(number, Results(number, results), size)
        if self._kept_lately:
            self._keep_lately()

    def _send_output(self) -> None:
        size = 0
        part: list[Chunk] = []
        for chunk in self._capture.take_chunks():
            part.append(chunk)
            size += len(chunk.text)
            if size > OUTPUT_BYTES:
                self._link.send(Output(part))
                size, part = 0, []
        if part:
            self._link.send(Output(part))

    def _in_child(self) -> None:
        """In a process that user code has forked: it is no engine, and an interrupt means there what it usually does.

        There is no handler for SIGTERM at all: one that comes just after a fork would be lost (Python drops what is
        pending then), and multiprocessing would wait for ever for the child that it has ended so.
        """
        self._link.abandon()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _close(self) -> None:
        if self._thread.is_alive():
            self._helm.end()
            self._link.wake()
            self._thread.join(LAST_WORDS)
        self._say_goodbye()
        if self._mark is not None:
            self._mark.close()

    def _say_goodbye(self) -> None:
        self._flush()
        if not self._asked:
            self._link.send(EngineBye(self._leaving or ""))
        # A hub that ends the cluster may be gone already: do not wait for it longer than the results deserve.
        self._link.close(LAST_WORDS if len(self._link.outbox) else BRIEFLY)

    # The I/O thread ---------------------------------------------------------------------------------------------

    def _communicate(self) -> None:
        turn, handle = self._link.turn, self._handle
        try:
            timeout = 0.0
            while self._leaving is None:
                if self._helm.stand_by():
                    timeout = 0.0  # what was found out before is not true any more
                    continue
                with self._helm.turn() as ours:
                    for message in turn(timeout) if ours else ():
                        handle(message)
                timeout = self._look()
        except BaseException as failure:  # an engine that nobody can reach must not stay
            sys.excepthook(type(failure), failure, failure.__traceback__)
            self._exit(70)

    def _kept(self, numbers: list[int]) -> None:
        with self._mutex:
            self._queue.kept(numbers)
            self._rouse()
        self._link.ack(numbers)

    def _keep_lately(self) -> None:
        numbers, self._kept_lately = self._kept_lately, []
        self._kept(numbers)

    def _handle(self, message: Message) -> None:
        match message:
            case Run():
                self._kept_lately += message.kept
                self._run(message)
            case Kept(numbers):
                self._kept(numbers)
            case Revoke(leases):
                with self._mutex:
                    back, refused = self._queue.revoke(leases)
                    number = self._queue.send(back, 0)
                self._link.post(number, Returned(number, back, refused))
            case Interrupt(signum, task):
                self._interrupts.send(signum, task)
            case Inquiry(request=request):
                body, error = inquiries.answer(message, self._runner.namespace.names, self._main)
                self._link.send(Answer(request, body, error))
            case Probe():
                running = self._queue.running
                started = None if running is None else self._runner.started_of(running)
                task = None if running is None or started is None else running[0]
                self._link.send(Beat(task, started, len(self._queue)))
                pages.drop_nameless()
            case ClearNamespace(request):
                if request in self._cleared:
                    self._link.send(Answer(request, True))
                    return
                with self._mutex:
                    self._clears.append(request)
                    self._rouse()
            case Leave(reason):
                self._asked = True
                self._leave(reason)
            case Fenced():
                self._leave("another process has taken this engine's place", now=True)
            case Refused(kind, text):
                print(f"the hub refuses this engine: {kind}: {text}", file=sys.__stderr__)
                self._leave(text, code=76)
            case _:
                pass  # greetings were handled by the link; the rest is a supervisor's

    def _run(self, message: Run) -> None:
        self._shelf.receive(message)
        with self._mutex:
            self._queue.run(message.batches)
            self._rouse()
        if self._shelf.full:
            with self._mutex:
                self._shelf.forget(self._queue.functions())

    def _rouse(self) -> None:
        self._waiting = False

    def _look(self) -> float:
        """What time brings; returns the seconds until the next look."""
        queue = self._queue
        if self._kept_lately:
            self._keep_lately()
        self._capture.poll()
        waiting = len(queue)  # looked at before the running one: a task is always seen in one of the two places
        running = queue.running
        if running is None:
            if self._capture.waiting or self._results:
                self._flush()
            self._check_hub()
            return BUSY_TURN if waiting and queue.startable else IDLE_TURN
        now = self._clock.time()
        if self._capture.waiting or self._results and now - self._oldest > GATHER:
            self._flush()
        if self._reported is not running:
            started = self._runner.started_of(running)
            if started is None or now - started <= LONG:
                return BUSY_TURN
            if self._link.send(Began(running[0], running[1], started, len(queue))):
                self._reported = running
        self._check_hub()
        return LONG_TURN

    def _check_hub(self) -> None:
        link = self._link
        if link.state in (LinkState.LOST, LinkState.CONNECTING):
            away = self._clock.monotonic() - link.changed_at
            if away > self.settings.orphan_timeout:
                print(f"no hub for {away:.0f} s: this engine leaves", file=sys.__stderr__)
                self._leave("no hub")

    def _leave(self, reason: str, *, code: int = 0, now: bool = False) -> None:
        """Let the main thread close everything if it is free, else end the process from here."""
        with self._mutex:
            self._leaving = reason
            self._code = code
            busy = self._queue.running is not None
            self._rouse()
        if self._mark is not None:
            self._mark.leave()
        if busy or now:
            self._say_goodbye()
            self._exit(code)

    def _hello(self, boot: str) -> Message:
        with self._mutex:
            running, queued, holding, returned = self._queue.hello()
        settings = self.settings
        version = ".".join(map(str, sys.version_info[:3]))
        return EngineHello(
            PROTOCOL,
            settings.uuid,
            settings.cluster,
            boot,
            settings.host,
            os.getpid(),
            settings.mark is not None,
            running,
            queued,
            holding,
            returned,
            {"python": version},
            settings.was,
        )

    def _welcomed(self, message: Message) -> None:
        assert isinstance(message, EngineWelcome)
        self._capture.engine = message.engine
        self._runner.welcome(message.engine, self.settings.host)
        if self._mark is not None:
            self._mark.welcome(message.engine)
        self._shelf.greet()
        if message.boot != self._boot:
            self._boot = message.boot
            self._cleared.clear()
        self._reported = None  # a hub that was away has to be told again
        with self._mutex:
            numbers = self._queue.welcomed(message)
            self._rouse()
        self._link.ack(numbers)


def _size(ran: Ran) -> int:
    """Bytes of a result in a message, about."""
    size = len(ran.body) + 64
    extras = ran.extras
    if extras is not None:
        size += 4 * (len(extras.stdout) + len(extras.stderr)) + len(extras.data or b"")
        if extras.error is not None:
            size += len(extras.error.traceback) + len(extras.error.pickled or b"") + 1000
        size += sum(_weight(part) for part in extras.outputs) + _weight(extras.execute_result)
    return size


def _weight(bundle: object) -> int:
    """Bytes of a mime bundle, about."""
    if isinstance(bundle, dict):
        return sum(_weight(part) for part in bundle.values())
    return 4 * len(bundle) if isinstance(bundle, str) else 64
