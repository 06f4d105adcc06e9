"""Client: a connection to a cluster, and where views come from."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NoReturn, Self

from tuiparallel.client import discovery
from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.control import Control
from tuiparallel.client.directview import DirectView
from tuiparallel.client.durations import positive
from tuiparallel.client.flags import meant
from tuiparallel.client.history import History
from tuiparallel.client.kept import Kept, KeptMetadata, KeptResults
from tuiparallel.client.queries import Queries
from tuiparallel.client.session import Session
from tuiparallel.client.targets import chosen
from tuiparallel.client.waiting import Waiting
from tuiparallel.errors import NoEnginesRegistered

if TYPE_CHECKING:
    from tuiparallel.client.balancedview import LoadBalancedView
    from tuiparallel.client.broadcastview import BroadcastView
    from tuiparallel.client.executor import ViewExecutor

_OPTIONS = (
    "connection_info", "cluster", "timeout", "hub_timeout", "query_timeout", "block", "cluster_id", "profile",
    "url_file",
)  # fmt: skip
_IGNORED = ("context", "debug", "profile_dir", "ipython_dir")  # of ipyparallel
_MISSING = ("sshserver", "sshkey", "password", "paramiko")


class Client(Queries, Control, Waiting):
    """A connection to a running cluster, and where views come from. Safe to use from several threads.

        >>> rc = tp.Client()                             # the only cluster that runs; or Client("name")
        >>> rc.ids                                       # the engines there are
        [0, 1, 2, 3]
        >>> rc[0].apply_sync(pow, 2, 10), rc[:2].apply_sync(abs, -1)
        (1024, [1, 1])
        >>> rc.close()

    connection_info: the name of a cluster (str), the path of a connection file (it has a separator or ends in
    `.json`), a dict with the file's contents, or None for $TUIPAR_CLUSTER, an engine's own cluster, or the only one
    running. cluster: a Cluster, or a name. timeout: seconds that connecting may take, query_timeout: seconds for an
    answer of the hub, hub_timeout: seconds that a wait goes on while the hub is gone; each > 0. block: the default of
    the views' flag. Of **ipyparallel's other arguments cluster_id, profile and url_file are other ways to say which
    cluster; context, debug, profile_dir and ipython_dir are ignored with a DeprecationWarning.

    As a context manager, `with` and `async with`, it is closed at the end; the cluster runs on. len() is the number
    of engines, iteration gives a DirectView of each one, rc[key] a DirectView: an int (negative ones count from the
    end of `ids`), a slice of `ids`, a list of ints, or 'all'.

    Raises ClusterNotFound (no such name or file; it names what runs), InsecureFile (the file is readable by others),
    ConnectTimeout (no answer in `timeout`), AuthenticationError (wrong key), ProtocolMismatch (another version),
    ValueError and TypeError for arguments that mean nothing, NotImplementedError for those about ssh. rc[key] raises
    NoSuchEngine (an IndexError), NoEnginesRegistered, TypeError. Every method raises ClientClosed after close(), and
    in a forked child; what asks the hub raises HubUnreachable without an answer in query_timeout. After
    IPython.parallel's Client.
    """

    def __init__(
        self,
        connection_info: Any = None,
        *,
        cluster: Any = None,
        timeout: float = 10.0,
        hub_timeout: float = 120.0,
        query_timeout: float = 10.0,
        block: bool = False,
        **ipyparallel: Any,
    ) -> None:
        connection_info = _older(connection_info, ipyparallel)
        positive("timeout", timeout)
        positive("hub_timeout", hub_timeout)
        positive("query_timeout", query_timeout)
        if not isinstance(block, bool):
            raise TypeError(f"block is True or False, not {block!r}")
        self.block = block
        self.cluster = cluster if cluster is not None and not isinstance(cluster, str) else None
        if connection_info is None and cluster is not None:
            connection_info = cluster if isinstance(cluster, str) else str(cluster.connection_file)
        connection = discovery.find(connection_info)
        self._session = Session(connection, hub_timeout=hub_timeout, query_timeout=query_timeout)
        self._kept = Kept(self._session)
        weakref.finalize(self, _dropped, self._session).atexit = False
        try:
            self._session.connect(timeout)
        except BaseException:
            self._session.close(0.0)
            raise

    def __repr__(self) -> str:
        state = "closed" if self._session.closed else f"{len(self._session.engines or ())} engines"
        return f"<Client of {self.name!r}: {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} belongs to this process and cannot be sent: make a Client() in the task")

    # Facts ------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The cluster's name, a str."""
        return self._session.connection.name

    @property
    def session(self) -> str:
        """This client's session, 16 hex digits: the part of its msg_ids before the dash."""
        return self._session.hex

    @property
    def ids(self) -> list[int]:
        """The ids of the living engines: a list of ints, ascending; a copy. Ids are never used again within a
        cluster.
        """
        self._session.check()
        return list(self._session.engines or ())

    def __len__(self) -> int:
        return len(self._session.engines or ())

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[DirectView]:
        for engine in self.ids:
            yield DirectView(self, engine, block=self.block)

    @property
    def closed(self) -> bool:
        """Whether close() was called: a bool."""
        return self._session.closed

    @property
    def history(self) -> History:
        """The msg_ids of all tasks of this client, in the order of submission: a sequence of str that is kept as
        ranges.
        """
        found = History(self._session.hex)
        found.add(0, self._session.submitter.next)
        return found

    @property
    def outstanding(self) -> set[str]:
        """The msg_ids of this client's tasks that have not ended: a set of str, a copy."""
        return {f"{self._session.hex}-{counter}" for counter in self._session.ledger.open_counters()}

    @property
    def results(self) -> KeptResults:
        """The results that this client holds, a mapping of msg_id to value (or to the exception of a task that
        failed).

        `in`, len and iteration cover what the client keeps itself, by get_result(..., owner=False); results[msg_id]
        finds what a living AsyncResult holds as well. It raises KeyError for what is not here, or has not ended.
        """
        return KeptResults(self._kept)

    @property
    def metadata(self) -> KeptMetadata:
        """What this client knows of tasks, a mapping of msg_id to Metadata; covers the same tasks as `results`.

        metadata[msg_id] also works for tasks that have not ended, and raises KeyError for what is not here.
        """
        return KeptMetadata(self._kept)

    # Views ------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> DirectView:
        """A DirectView of an engine (int), or of several (slice, tuple or list of ints, 'all').

        Raises TypeError, NoSuchEngine (an IndexError), NoEnginesRegistered.
        """
        self._session.check()
        if key is None:
            raise TypeError("None names no engines: give an int, a slice, a list of ints, or 'all'")
        ids, single = chosen(self._session, key)
        return DirectView(self, ids[0] if single else ids, block=self.block)

    def view(self, targets: Any = None, balanced: bool | None = None) -> DirectView | LoadBalancedView:
        """A view of some engines: direct or balanced.

            >>> rc.view(), rc.view([0, 1]), rc.view([0, 1], balanced=True)
            (<LoadBalancedView None>, <DirectView [0,1]>, <LoadBalancedView [0, 1]>)

        targets: as for direct_view or load_balanced_view. balanced: None (balanced when there are no targets, direct
        otherwise), or a bool.
        Returns a LoadBalancedView or a DirectView.
        Raises NoSuchEngine, NoEnginesRegistered and TypeError for targets that name no engines.
        """
        if balanced is None:
            balanced = targets is None
        return (
            self.load_balanced_view(targets) if balanced else self.direct_view("all" if targets is None else targets)
        )

    def direct_view(self, targets: Any = "all", **flags: Any) -> DirectView:
        """A view whose calls run on each of its engines.

        targets: an int (results are bare values then), a slice, a list of ints (results are lists in its order), or
        'all' and None: all engines there are at each call. Other targets are looked up now. flags: block, track,
        label, time_limit, see View.set_flags.
        Returns a DirectView.
        Raises NoSuchEngine, NoEnginesRegistered and TypeError for targets that name no engines, KeyError, TypeError
        and ValueError for flags.
        """
        self._session.check()
        flags.setdefault("block", self.block)
        return DirectView(self, self._view_targets(targets), **flags)

    def _view_targets(self, targets: Any) -> Any:
        if targets is None or (isinstance(targets, str) and targets == "all"):
            return "all"
        ids, single = chosen(self._session, targets)
        return ids[0] if single else ids

    def load_balanced_view(self, targets: Any = None, **flags: Any) -> LoadBalancedView:
        """A view that runs each call on one engine, which the hub chooses.

        targets: None or 'all' for any engine, also ones that come later; an int, a slice or a list of ints restricts
        where calls run. flags: those of LoadBalancedView, see View.set_flags.
        Returns a LoadBalancedView.
        Raises NoSuchEngine, NoEnginesRegistered and TypeError for targets that name no engines, KeyError, TypeError
        and ValueError for flags.
        """
        from tuiparallel.client.balancedview import LoadBalancedView

        self._session.check()
        flags.setdefault("block", self.block)
        return LoadBalancedView(self, targets=targets, **flags)

    def broadcast_view(self, targets: Any = "all", is_coalescing: bool = False, **flags: Any) -> BroadcastView:
        """A DirectView whose calls go to the hub as one message, however many engines they are for.

        targets and flags: as for direct_view. is_coalescing: accepted for ipyparallel's sake, changes nothing.
        Returns a BroadcastView.
        Raises NoSuchEngine, NoEnginesRegistered and TypeError for targets that name no engines, KeyError, TypeError
        and ValueError for flags.
        """
        from tuiparallel.client.broadcastview import BroadcastView

        self._session.check()
        flags.setdefault("block", self.block)
        return BroadcastView(self, self._view_targets(targets), is_coalescing, **flags)

    def executor(self, targets: Any = None) -> ViewExecutor:
        """A concurrent.futures.Executor whose calls run on engines.

            >>> with rc.executor() as pool:
            ...     pool.submit(pow, 2, 5).result(timeout=10), list(pool.map(abs, [-1, -2]))
            (32, [1, 2])

        targets: as for load_balanced_view.
        Returns a ViewExecutor on a new balanced view.
        Raises what load_balanced_view raises: NoSuchEngine, NoEnginesRegistered, TypeError.
        """
        return self.load_balanced_view(targets).executor

    def activate(self, targets: Any = "all", suffix: str = "") -> DirectView:
        """In IPython: %px and its family work on a new blocking DirectView.

        targets: as for direct_view. suffix: a str that is put behind the magics' names, as in %px1, so that several
        views can have their own.
        Returns the DirectView.
        Raises RuntimeError outside of IPython, and what direct_view raises.
        """
        view = self.direct_view(targets)
        view.block = True
        view.activate(suffix)
        return view

    # Submitting without a view ------------------------------------------------------------------------------------

    def send_apply_message(
        self,
        socket: Any,
        f: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        subheader: dict[str, Any] | None = None,
        track: bool = False,
        ident: Any = None,
    ) -> AsyncResult:
        """Submit one call without a view; what all methods of the views come down to.

            >>> rc.send_apply_message(None, pow, (2,), {"exp": 3}, ident=0).get(timeout=10)
            8

        socket: ignored, here for ipyparallel's sake. f: what to call, with args (a tuple or a list, None: none) and
        kwargs (a dict, None: none). subheader: flags of the call, a dict as for View.set_flags. track: whether `sent`
        and wait_on_send of the result tell when arrays may be changed. ident: the id of an engine, or None for any,
        which the hub chooses.
        Returns an AsyncResult of f's value.
        Raises TypeError when f cannot be called, args is neither tuple nor list, or kwargs no dict;
        SerializationError naming what cannot be sent; MessageTooLarge; NoSuchEngine. send_apply_request is the same.
        """
        if not callable(f):
            raise TypeError(f"f must be callable, not {type(f).__name__}: {f!r:.200}")
        if args is not None and not isinstance(args, (tuple, list)):
            raise TypeError(f"args is a tuple or a list of arguments, not {args!r:.200}")
        if kwargs is not None and not isinstance(kwargs, dict):
            raise TypeError(f"kwargs is a dict of arguments, not {kwargs!r:.200}")
        view: Any = self.load_balanced_view() if ident is None else self.direct_view(ident)
        view.set_flags(**{"track": track, **(subheader or {})})
        return view.apply_async(f, *(args or ()), **(kwargs or {}))  # type: ignore[no-any-return]

    send_apply_request = send_apply_message

    def send_execute_request(
        self, socket: Any, code: str, silent: bool = True, metadata: dict[str, Any] | None = None, ident: Any = None
    ) -> AsyncResult:
        """Execute source code on one engine, without a view.

        socket: ignored. code: a str. silent: False displays the value of the last expression. metadata: flags of the
        call, a dict as for View.set_flags. ident: the engine's id, None: the first one.
        Returns an AsyncResult of an ExecuteReply.
        Raises TypeError when code is no str, NoEnginesRegistered when there is no engine, NoSuchEngine.
        """
        if ident is None:
            ids = self.ids
            if not ids:
                raise NoEnginesRegistered("there is no engine: wait_for_engines(n)")
            ident = ids[0]
        view = self.direct_view(ident).set_flags(**(metadata or {}))
        return view.execute(code, silent=silent, block=False)

    # Ending -----------------------------------------------------------------------------------------------------

    def spin(self) -> None:
        """Handle what has arrived, without a request to the hub. Never needed: a thread of the client does it.

        Raises ClientClosed.
        """
        self._session.check()
        self._session.receiver.poll()

    def close(self, linger: float | None = None) -> None:
        """Leave the hub; tasks go on, and their results can be had by another client. A second call does nothing.

        linger: seconds that what was submitted may take to go out; None: 1 second.
        Raises nothing.
        """
        self._session.close(1.0 if linger is None or linger < 0 else float(linger))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        import asyncio

        await asyncio.to_thread(self.close)

    def _future(self, function: Callable[[], Any]) -> Future[Any]:
        """A Future of what function returns in a thread of its own; for waits that should not block."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, name="tuiparallel-wait", daemon=True).start()
        return future


def _dropped(session: Session) -> None:
    """Nobody holds the client, a view or a result of it any more: leave, in a thread, since this may be in any."""
    if not session.closed:
        threading.Thread(target=session.close, args=(1.0,), name="tuiparallel-leaving", daemon=True).start()


def _older(connection_info: Any, options: dict[str, Any]) -> Any:
    """The connection that ipyparallel's arguments name. Raises TypeError for unknown ones, naming the nearest."""
    for name in options:
        if name in _IGNORED:
            warnings.warn(f"Client({name}=...) has no meaning here and is ignored", DeprecationWarning, stacklevel=3)
        elif name in _MISSING:
            raise NotImplementedError(
                f"Client({name}=...): a connection by ssh is not there yet; copy the connection file and use "
                "`ssh -L`, or run the client on the cluster's host"
            )
        elif name == "url_file":
            connection_info = os.fspath(options[name])
            if os.sep not in connection_info and not connection_info.endswith(".json"):
                connection_info = os.path.join(".", connection_info)
        elif name in ("cluster_id", "profile"):
            if options[name] and options[name] != "default":
                connection_info = options[name]
        else:
            raise TypeError(f"Client() takes no argument {name!r}: {meant(name, _OPTIONS)}")
    return connection_info
