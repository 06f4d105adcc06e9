"""Client's commands: abort, clear, signals, restart, scale, shutdown."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.durations import positive
from tuiparallel.client.flags import given, meant
from tuiparallel.client.jobs import ranges, resolve
from tuiparallel.client.metadata import expand
from tuiparallel.client.replyresult import AsyncReply
from tuiparallel.client.targets import chosen
from tuiparallel.errors import NoEnginesRegistered, NoSuchTask, ParallelError
from tuiparallel.link.clock import Deadline
from tuiparallel.wire.ids import IdRange
from tuiparallel.wire.messages import Abort, Clear, Message, Scale, Shutdown, Signal

if TYPE_CHECKING:
    from tuiparallel.client.history import History
    from tuiparallel.client.session import Session

_GONE = 10.0  # seconds for a cluster's processes to end after the hub has agreed


class Control:
    """A part of Client. With block (default: the client's) they return what was done, else an AsyncResult of it."""

    _session: Session
    block: bool
    cluster: Any

    if TYPE_CHECKING:

        @property
        def history(self) -> History: ...

    close: Callable[..., None]

    def abort(
        self,
        jobs: Any = None,
        targets: Any = None,
        block: bool | None = None,
        *,
        running: bool = False,
        grace: float = 5.0,
    ) -> Any:
        """End tasks that have not started: they never run, and their results raise AbortedTask at once.

            >>> busy = rc[0].apply_async(time.sleep, 0.5)
            >>> never = rc[0].apply_async(print, "never printed")
            >>> rc.abort(never, block=True)["aborted"] == never.msg_ids
            True

        jobs: a msg_id, an AsyncResult, or a collection of these; None: all outstanding tasks of this client. targets:
        without jobs, all open tasks of these engines, whoever submitted them. running: also those that run now; they
        get KeyboardInterrupt, and after `grace` seconds their engine is killed and restarted. Tasks that run are left
        alone otherwise.
        Returns, or without block an AsyncResult of, {'aborted': [...], 'running': [...], 'done': [...], 'unknown':
        [...]}, lists of msg_ids: what was ended, what runs on, what had ended before, and what nobody knows.
        Raises TypeError for what stands for no task, also an index; ValueError for a negative grace; NoSuchEngine.
        """
        positive("grace", grace) if grace else None
        given("block", running, None)
        unknown: list[str] = []
        tasks: list[IdRange] | None = None
        ids: list[int] | None = None
        if jobs is not None:
            tasks = ranges(self._jobs_or(jobs, unknown))
        elif targets is not None:
            ids = chosen(self._session, targets)[0]
        else:
            hex = self._session.hex
            tasks = ranges((hex, counter) for counter in self._session.ledger.open_counters())

        def shaped(body: Any) -> dict[str, list[str]]:
            answer = {key: expand(body.get(key, [])) for key in ("aborted", "running", "done", "unknown")}
            answer["unknown"] += unknown
            return answer

        return self._command("abort", lambda number: Abort(number, tasks, ids, running, float(grace)), shaped, block)

    def _jobs_or(self, jobs: Any, unknown: list[str]) -> list[tuple[str, int]]:
        """The tasks that jobs stand for; texts that are no msg_ids go to `unknown`."""
        if isinstance(jobs, str):
            try:
                return resolve(jobs, self.history)
            except NoSuchTask:
                unknown.append(jobs)
                return []
        if isinstance(jobs, AsyncResult):
            return resolve(jobs, ())
        if isinstance(jobs, Iterable) and not isinstance(jobs, (bytes, bytearray, Mapping)):
            return [job for one in jobs for job in self._jobs_or(one, unknown)]
        # No index into the history: what is aborted is named.
        raise TypeError(
            f"{jobs!r} stands for no task to abort: give a msg_id, an AsyncResult, or a collection of these"
        )

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empty the engines' namespaces: what push, execute and global statements put there is gone.

        On each engine between two tasks: at once, or when the running one ends, before all that is queued. targets:
        as for direct_view, None: all. block: wait until it is done.
        Returns None, or without block an AsyncResult of None.
        Raises NoSuchEngine, TypeError.
        """
        ids = self._ids(targets)
        return self._command("clear", lambda number: Clear(number, ids), lambda body: None, block)

    def send_signal(self, sig: Any, targets: Any = None, block: bool | None = None) -> Any:
        """Send a signal to the processes of engines.

        A task that is hit by SIGINT ends as RemoteError with the ename 'KeyboardInterrupt'. sig: a number, or a name
        as 'SIGINT' or 'INT'. targets: as for direct_view, None: all. block: wait until it was sent.
        Returns None, or without block an AsyncResult of None.
        Raises ValueError for an unknown signal (it names the nearest one), TypeError, NoSuchEngine.
        """
        number = signal_number(sig)
        ids = self._ids(targets)
        return self._command("signal", lambda request: Signal(request, ids, number), lambda body: None, block)

    def restart_engines(self, targets: Any = "all", block: bool | None = None) -> Any:
        """End engines and start new ones in their places. Nothing is waited for: what runs there ends as EngineError.

        targets: as for direct_view.
        Returns, or without block an AsyncResult of, {old id: new id}; ids are never used again.
        Raises NoSuchEngine, TypeError, HubUnreachable.
        """
        ids = self._ids(targets)
        return self._command(
            "restart",
            lambda number: Shutdown(number, ids, restart=True),
            lambda body: {int(old): new for old, new in body["restarted"].items()},
            block,
        )

    def scale(self, n: int, block: bool | None = None) -> Any:
        """Bring the number of engines to n: start new ones, or end idle ones first and then others as they finish.

        n: an int >= 0. block: wait until there are n.
        Returns, or without block an AsyncResult of, the list of the ids that are there then.
        Raises TypeError and ValueError for what is no such number, StartError when too many requests wait for a
        supervisor already.
        """
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"n is a number of engines, not {n!r}")
        if n < 0:
            raise ValueError(f"n={n}: it must be >= 0")
        result = self._command(
            "scale", lambda number: Scale(number, total=n), lambda body: list(body["engines"]), False
        )
        if not given("block", block, self.block):
            return result
        result.get()
        self._session.wait(lambda: len(self._session.engines or ()) == n, None)
        return list(self._session.engines or ())

    def shutdown(
        self, targets: Any = "all", restart: bool = False, hub: bool = False, block: bool | None = None
    ) -> Any:
        """End engines, or with hub the whole cluster. No task is waited for: what runs ends as EngineError.

        targets: as for direct_view. restart: start new engines in their places, as restart_engines. hub: end every
        process of the cluster; with block it returns when none is left, and this client is closed.
        Returns, or without block an AsyncResult of, the list of ids that were ended, with restart {old id: new id}.
        Raises NoSuchEngine, TypeError, HubUnreachable.
        """
        if restart and not hub:
            return self.restart_engines(targets, block)
        if hub:
            return self._shutdown_all(bool(given("block", block, self.block)))
        try:
            ids = self._ids(targets)
        except NoEnginesRegistered:
            ids = []
        return self._command(
            "shutdown", lambda number: Shutdown(number, ids), lambda body: list(body["stopped"]), block
        )

    def _shutdown_all(self, block: bool) -> Any:
        session = self._session
        directory = Path(session.connection.directory)
        result = self._command(
            "shutdown", lambda number: Shutdown(number, None, hub=True), lambda body: list(body["stopped"]), False
        )
        if not block:
            return result
        try:
            stopped = result.get(session.query_timeout)
        except ParallelError:
            if session.ended_because is None:
                raise
            stopped = []  # the hub was gone before its answer, and that is what was asked for
        self.close(0.0)
        # The last process of a cluster removes its record, and is gone a moment later: a Cluster sees that.
        started = self.cluster
        pause, deadline = threading.Event(), Deadline(session.clock, _GONE)
        while (directory / "cluster.json").exists() or (started is not None and started.running):
            if deadline.passed():
                break
            pause.wait(0.01)
        return stopped

    # What they share --------------------------------------------------------------------------------------------

    def _ids(self, targets: Any) -> list[int] | None:
        self._session.check()
        if targets is None or (isinstance(targets, str) and targets == "all"):
            return None
        return chosen(self._session, targets)[0]

    def _command(
        self, what: str, make: Callable[[int], Message], shaped: Callable[[Any], Any], block: bool | None
    ) -> Any:
        result = AsyncReply(self, self._session.ask(what, make), shaped)  # type: ignore[arg-type]
        return result.get() if given("block", block, self.block) else result


def signal_number(sig: Any) -> int:
    """A signal by number or name. Raises TypeError, and ValueError with the names there are."""
    if isinstance(sig, bool) or not isinstance(sig, (int, str)):
        raise TypeError(f"sig is a signal's number or its name, not {sig!r}")
    names = sorted(known.name for known in signal.Signals)
    if isinstance(sig, str):
        name = sig if sig.startswith("SIG") else f"SIG{sig}"
        if name not in names:
            raise ValueError(f"there is no signal {sig!r}: {meant(name, names)}")
        return int(signal.Signals[name])
    try:
        return int(signal.Signals(sig))
    except ValueError:
        if sig in signal.valid_signals():
            return int(sig)  # a real-time signal without a name
        raise ValueError(f"there is no signal {sig}: {', '.join(names)}") from None
