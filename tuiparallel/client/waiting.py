"""Client's methods that wait: for tasks, for engines."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tuiparallel.client.durations import seconds
from tuiparallel.client.jobs import Job, resolve
from tuiparallel.client.nesting import ranges_of
from tuiparallel.errors import EngineError, NoSuchTask
from tuiparallel.wire.ids import IdRange

if TYPE_CHECKING:
    from tuiparallel.client.asyncresult import AsyncResult
    from tuiparallel.client.history import History
    from tuiparallel.client.session import Session


class Waiting:
    """A part of Client."""

    _session: Session
    cluster: Any

    if TYPE_CHECKING:

        @property
        def history(self) -> History: ...

    get_result: Callable[..., Any]
    _future: Callable[[Callable[[], Any]], concurrent.futures.Future[Any]]

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Wait for tasks, whatever becomes of them.

            >>> ar = rc[:].apply_async(abs, -1)
            >>> rc.wait([ar, -1], timeout=10), rc.wait(timeout=10)
            (True, True)

        jobs: a msg_id, an index into `history`, an AsyncResult, a concurrent Future, or any collection of these;
        None: all outstanding tasks of this client. Ids that nobody knows count as done. timeout: seconds; None and
        -1: for ever, other negative numbers: 0.
        Returns True when all have ended, False when it is late.
        Raises HubUnreachable when the hub is gone for hub_timeout seconds, TypeError for what stands for no task,
        IndexError for an index outside of `history`, ValueError for a timeout of nan.
        """
        limit = seconds("timeout", timeout)
        return self._session.wait(self._all_ended(jobs), limit, lambda: self._open_of(jobs))

    def _open_of(self, jobs: Any) -> list[IdRange]:
        """Of the tasks that jobs stand for, this client's own that have not ended."""
        session = self._session
        if jobs is None:
            return [(session.hex, first, count) for first, count in session.ledger.awaited()]
        known = self._known_jobs(jobs, [])
        return ranges_of((hex, c) for hex, c in known if hex != session.hex or session.ledger.is_outstanding(c))

    def _all_ended(self, jobs: Any) -> Callable[[], bool]:
        session = self._session
        session.check()
        if jobs is None:
            return lambda: session.ledger.outstanding == 0
        futures: list[concurrent.futures.Future[Any]] = []
        own: list[int] = []
        foreign: list[Job] = []
        for job in self._known_jobs(jobs, futures):
            if job[0] == session.hex:
                own.append(job[1])
            else:
                foreign.append(job)
        result: AsyncResult | None = (
            self.get_result([f"{s}-{c}" for s, c in foreign], block=False) if foreign else None
        )
        for future in futures:
            future.add_done_callback(lambda _: session.receiver.look())
        left = [own]  # shrinks from look to look

        def ended() -> bool:
            left[0] = [counter for counter in left[0] if session.ledger.is_outstanding(counter)]
            return not left[0] and (result is None or result.ready()) and all(future.done() for future in futures)

        return ended

    def _known_jobs(self, jobs: Any, futures: list[concurrent.futures.Future[Any]]) -> list[Job]:
        """The tasks that jobs stand for, without texts that are no msg_ids: nothing is known of them."""
        if isinstance(jobs, Iterable) and not isinstance(jobs, (str, bytes)) and not hasattr(jobs, "msg_ids"):
            return [job for one in jobs for job in self._known_jobs(one, futures)]
        try:
            return resolve(jobs, self.history, futures)
        except NoSuchTask:
            return []

    def wait_interactive(self, jobs: Any = None, interval: float = 1.0, timeout: float | None = -1) -> bool:
        """As wait, with a progress bar on stderr.

        jobs: as for wait. interval: seconds between two drawings. timeout: seconds; None and -1: for ever.
        Returns a bool as wait does.
        Raises HubUnreachable, TypeError, IndexError and ValueError as wait does.
        """
        from tuiparallel.client.progress import wait_with_bar

        limit = seconds("timeout", timeout)
        ended = self._all_ended(jobs)
        ledger = self._session.ledger
        total = ledger.outstanding if jobs is None else len(self._known_jobs(jobs, []))
        mine = None if jobs is None else [c for s, c in self._known_jobs(jobs, []) if s == self._session.hex]

        def progress() -> tuple[int, int]:
            left = ledger.outstanding if mine is None else sum(map(ledger.is_outstanding, mine))
            return max(0, total - left), total

        return wait_with_bar(self._session, ended, progress, "tasks", interval, limit)

    def wait_for_engines(
        self,
        n: int | None = None,
        *,
        timeout: float | None = -1,
        block: bool = True,
        interactive: bool | None = None,
    ) -> Any:
        """Wait until there are at least n engines.

        n: a number; None: as many as the Cluster was made with that this client came from. timeout: seconds; None and
        -1: for ever. interactive: whether a progress bar is shown on stderr.
        Returns None; with block=False a concurrent Future of None at once.
        Raises TimeoutError saying how many there are ("3 of 4"), EngineError when an engine of the cluster dies
        meanwhile, HubUnreachable, TypeError when n is no int or not known, ValueError when it is negative.
        """
        if n is None:
            n = getattr(self.cluster, "n", None)
            if n is None:
                raise TypeError("wait_for_engines needs n: this client was not made by a Cluster that knows it")
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"n is a number of engines, not {n!r}")
        if n < 0:
            raise ValueError(f"n={n}: it must be >= 0")
        limit = seconds("timeout", timeout)
        self._session.check()
        if not block:
            wanted = n
            return self._future(lambda: self._wait_for(wanted, limit, False))
        return self._wait_for(n, limit, bool(interactive))

    def _wait_for(self, n: int, limit: float | None, interactive: bool) -> None:
        session = self._session
        deaths = session.deaths

        def enough() -> bool:
            return len(session.engines or ()) >= n or session.deaths != deaths

        if interactive:
            from tuiparallel.client.progress import wait_with_bar

            in_time = wait_with_bar(session, enough, lambda: (len(session.engines or ()), n), "engines", 0.1, limit)
        else:
            in_time = session.wait(enough, limit)
        there = len(session.engines or ())
        if there >= n:
            return
        if not in_time:
            raise TimeoutError(f"{there} of {n} engines after {limit:g} s")
        raise EngineError(f"{there} of {n} engines, and one has died meanwhile{session.last_words()}")
