"""What a view knows of the tasks that were submitted through it, and who else can submit through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.client.executor import ViewExecutor
    from tuiparallel.client.history import History
    from tuiparallel.client.session import Session
    from tuiparallel.client.view import View


class OwnTasks:
    """A part of View."""

    _client: Client
    _session: Session
    _history: History

    if TYPE_CHECKING:

        def _flag(self, name: str) -> Any: ...

    @property
    def history(self) -> History:
        """The msg_ids of this view's tasks, in the order of submission: a sequence of str, each once."""
        return self._history

    @property
    def outstanding(self) -> set[str]:
        """The msg_ids of this view's tasks that have not ended: a set of str, a copy."""
        ledger = self._session.ledger
        mine = self._history.counters()
        return {
            f"{self._session.hex}-{counter}"
            for counter in ledger.open_counters()
            if any(counter in counters for counters in mine)
        }

    @property
    def results(self) -> Any:
        """The client's results: see Client.results."""
        return self._client.results

    @property
    def metadata(self) -> Any:
        """The client's metadata: see Client.metadata."""
        return self._client.metadata

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Wait for tasks, as Client.wait.

        jobs: as for Client.wait; None: all of this view that are outstanding. timeout: seconds; None and -1: for
        ever.
        Returns True when they have ended, False when it is late.
        Raises HubUnreachable, TypeError, IndexError, ValueError.
        """
        return self._client.wait(self.outstanding if jobs is None else jobs, timeout)

    def abort(
        self,
        jobs: Any = None,
        targets: Any = None,
        block: bool | None = None,
        *,
        running: bool = False,
        grace: float = 5.0,
    ) -> Any:
        """End tasks that have not started, as Client.abort.

        jobs: as for Client.abort; None: all of this view that are outstanding. targets: without jobs, all open tasks
        of these engines. running: end also those that run, after `grace` seconds by killing their engine.
        Returns, or without block an AsyncResult of, {'aborted': [...], 'running': [...], 'done': [...], 'unknown':
        [...]}, lists of msg_ids.
        Raises TypeError for what stands for no task, ValueError for a negative grace, NoSuchEngine.
        """
        if jobs is None and targets is None:
            jobs = self.outstanding
        return self._client.abort(
            jobs, targets, self._flag("block") if block is None else block, running=running, grace=grace
        )

    def get_result(self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = True) -> Any:
        """The AsyncResult of tasks that were submitted before, as Client.get_result.

        indices_or_msg_ids: as there, but an index is one into this view's `history`. block, owner: as there.
        Returns an AsyncResult, with block its result.
        Raises IndexError, TypeError; through the result NoSuchTask, ResultExpired.
        """
        return self._client._get_result(
            indices_or_msg_ids, self._flag("block") if block is None else block, owner, self._history
        )

    def queue_status(self, targets: Any = None, verbose: bool = False) -> Any:
        """How many tasks this view's engines have before and behind them, as Client.queue_status.

        targets: None: the view's. verbose: lists of msg_ids instead of numbers.
        Returns a dict by engine id with 'unassigned', for an int target its inner dict alone.
        Raises NoSuchEngine, HubUnreachable.
        """
        return self._client.queue_status(self._status_targets() if targets is None else targets, verbose)

    def _status_targets(self) -> Any:
        return "all"

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget results here and in the hub, as Client.purge_results.

        jobs, targets: as there.
        Returns None.
        Raises ValueError when nothing is named, RuntimeError for tasks that are outstanding, IndexError (a
        RemoteError) for tasks that are pending in the hub.
        """
        self._client.purge_results(jobs, targets)

    def shutdown(
        self, targets: Any = None, restart: bool = False, hub: bool = False, block: bool | None = None
    ) -> Any:
        """End this view's engines, or with hub the whole cluster, as Client.shutdown.

        targets: None: the view's. restart: start new ones in their places. hub: end every process of the cluster.
        block: default the client's.
        Returns, or without block an AsyncResult of, the list of ids that were ended, with restart {old id: new id}.
        Raises NoSuchEngine, HubUnreachable.
        """
        return self._client.shutdown(self._status_targets() if targets is None else targets, restart, hub, block)

    def spin(self) -> None:
        """Handle what has arrived, without a request to the hub. Never needed.
        Raises ClientClosed.
        """
        self._client.spin()

    @property
    def executor(self) -> ViewExecutor:
        """A ViewExecutor that submits to this view: a concurrent.futures.Executor."""
        from tuiparallel.client.executor import ViewExecutor

        view: View = self  # type: ignore[assignment]
        return ViewExecutor(view)

    def register_joblib_backend(self, name: str = "tuiparallel", make_default: bool = False) -> None:
        """Let joblib run its calls on this view, inside of `with joblib.parallel_backend(name)`.

        name: how the backend is called; 'ipyparallel' is registered too. make_default: whether joblib uses it from
        now on without being told.
        Returns None.
        Raises ImportError when joblib is not installed.
        """
        from tuiparallel.client.joblib import register

        view: View = self  # type: ignore[assignment]
        register(view, name, make_default)
