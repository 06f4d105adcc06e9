"""Client's questions to the hub: results, statuses, history, engines; and forgetting."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tuiparallel.client.asyncresult import AsyncResult, Part
from tuiparallel.client.call import Call
from tuiparallel.client.flags import given
from tuiparallel.client.hubresult import AsyncHubResult
from tuiparallel.client.jobs import Job, ranges, resolve
from tuiparallel.client.metadata import expand, moment
from tuiparallel.client.targets import chosen
from tuiparallel.client.works import nobodys, work_of
from tuiparallel.errors import CompositeError, NoSuchTask, RemoteError
from tuiparallel.wire.ids import parse_msg_id
from tuiparallel.wire.messages import MAX_BATCH, Ask, EngineRow, Query, Signal
from tuiparallel.wire.states import EngineState, State

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.client.history import History
    from tuiparallel.client.kept import Kept
    from tuiparallel.client.session import Session

_TIMES = ("submitted", "started", "completed", "received")


class Queries:
    """A part of Client: questions to the hub. HubUnreachable: no answer in query_timeout seconds."""

    _session: Session
    _kept: Kept
    block: bool

    if TYPE_CHECKING:

        @property
        def history(self) -> History: ...

    # Results ----------------------------------------------------------------------------------------------------

    def get_result(self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = True) -> Any:
        """The AsyncResult of tasks that were submitted before, by this client or any other.

            >>> ar = rc[0].apply_async(pow, 2, 3)
            >>> rc.get_result(ar.msg_ids[0]).get(timeout=10), rc.get_result([-1]).get(timeout=10)
            (8, [8])

        indices_or_msg_ids: an index into `history` (int), a msg_id (str), an AsyncResult, or a list of these, own and
        foreign mixed; None: the last task. owner: False lets the client keep the values in `results` until they are
        purged.
        Returns an AsyncResult, an AsyncHubResult when the hub was asked; for a list its result is a list in the same
        order, else a bare value. With block (default: the client's) returns that result itself, and raises as
        AsyncResult.get.
        Raises IndexError for an index outside of `history`, TypeError for what stands for no task. Through the
        result: NoSuchTask (a KeyError) for what nobody knows, ResultExpired for what was forgotten or purged.
        """
        return self._get_result(indices_or_msg_ids, bool(given("block", block, self.block)), owner, self.history)

    def _get_result(self, wanted: Any, block: bool, owner: bool, history: Sequence[str]) -> Any:
        self._session.check()
        if wanted is None:
            wanted = -1
        single = isinstance(wanted, (str, int)) or (isinstance(wanted, AsyncResult) and wanted._single)
        jobs, unknown = self._resolved(wanted, history)
        parts, asked = self._parts(jobs)
        for place, text in unknown:
            parts.insert(place, Part(nobodys(text), 0, 1))
        kind = AsyncHubResult if asked or unknown or any(part.call.foreign for part in parts) else AsyncResult
        client: Client = self  # type: ignore[assignment]
        name = next((part.call.work.name for part in parts if part.call.work is not None), "get_result")
        result = kind(client, parts, single=single, name=name, owner=owner)
        if not owner:
            for call, index in result._tasks():
                self._kept.tasks[f"{call.session}-{call.first + index}"] = (call, index)
        return result.get() if block else result

    def _resolved(self, wanted: Any, history: Sequence[str]) -> tuple[list[Job], list[tuple[int, str]]]:
        """The tasks, and texts that are no msg_ids with the places where they stand."""
        if isinstance(wanted, (str, int, AsyncResult)) or not isinstance(wanted, Iterable):
            items: list[Any] = [wanted]
        else:
            items = list(wanted)
        jobs: list[Job] = []
        unknown: list[tuple[int, str]] = []
        for item in items:
            try:
                jobs += resolve(item, history)
            except NoSuchTask:
                unknown.append((len(jobs) + len(unknown), item))
        return jobs, unknown

    def _parts(self, jobs: list[Job]) -> tuple[list[Part], bool]:
        """Parts for these tasks in order: of living Calls, or of new ones that the hub is asked for."""
        session = self._session
        parts: list[Part] = []
        missing: list[Call] = []
        for hex, counter in jobs:
            ledger = session.ledger_of(hex)
            found = ledger.find(counter)
            if found is None:
                call = Call(hex, counter, 1, None, None, session.handover.store)
                call.foreign = True
                ledger.add(call, awaited=False)
                missing.append(call)
                parts.append(Part(call, 0, 1))
            else:
                parts.append(Part(*found, 1))
        for start in range(0, len(missing), MAX_BATCH):
            session.fetch(missing[start : start + MAX_BATCH])
        return parts, bool(missing)

    def result_status(self, msg_ids: Any, status_only: bool = True) -> dict[str, Any]:
        """Which of these tasks have ended.

            >>> ar = rc[0].apply_async(abs, -1)
            >>> rc.wait(ar, timeout=10)
            True
            >>> rc.result_status(ar) == {"pending": [], "completed": ar.msg_ids}
            True

        msg_ids: a msg_id, an index into `history`, an AsyncResult, or a collection of these, of any client; each
        counts once.
        Returns {'pending': [...], 'completed': [...]}, lists of msg_ids in the order given; with status_only=False
        also {msg_id: value} for each completed one.
        Raises NoSuchTask (a KeyError) for an unknown one, ResultExpired; with status_only=False the RemoteError of
        one task that failed, a CompositeError of several.
        """
        jobs = resolve(msg_ids, self.history)
        names = list(dict.fromkeys(f"{session}-{counter}" for session, counter in jobs))
        here = {name for name in names if self._is_here(name)}
        rest = [job for job in dict.fromkeys(jobs) if f"{job[0]}-{job[1]}" not in here]
        done = set(here)
        if rest:
            body = self._query("result_status", tasks=ranges(sorted(rest)))
            if body["unknown"]:
                raise NoSuchTask(f"no task has the msg_id {expand(body['unknown'])[0]!r}")
            done |= set(expand(body["completed"]))
        status: dict[str, Any] = {
            "pending": [name for name in names if name not in done],
            "completed": [name for name in names if name in done],
        }
        if not status_only:
            status |= self._values_of(status["completed"])
        return status

    def _is_here(self, name: str) -> bool:
        try:
            call, index = self._kept.find(name)
        except KeyError:
            return False
        return call.outcomes[index] is not None

    def _values_of(self, names: list[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        errors: list[Exception] = []
        result = self._get_result(names, False, True, self.history)
        result.wait(self._session.query_timeout)
        for one in result.split():
            try:
                values[one.msg_ids[0]] = one.get(0)
            except RemoteError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise CompositeError(f"{len(errors)} of {len(names)} tasks failed", errors=errors)  # type: ignore[arg-type]
        return values

    def hub_history(self, limit: int | None = None) -> list[str]:
        """The msg_ids of all clients' tasks that the hub remembers.

        limit: only the last so many, an int; None: all.
        Returns a list of str in the order of submission.
        Raises HubUnreachable.
        """
        return expand(self._query("history", limit=limit))

    def resubmit(self, indices_or_msg_ids: Any = None, metadata: Any = None, block: bool | None = None) -> Any:
        """Submit tasks again as they were, under new msg_ids: same call, flags and targets, also of other clients.

        indices_or_msg_ids: as for get_result. metadata: ignored, here for ipyparallel's sake.
        Returns an AsyncHubResult of the new tasks, a list in the order given or for one task a bare value; with block
        its result.
        Raises IndexError, TypeError, and ResultExpired when the hub has forgotten a call. Through the result:
        NoSuchTask (a KeyError) for what nobody knows; then nothing was submitted.
        """
        wanted = -1 if indices_or_msg_ids is None else indices_or_msg_ids
        jobs, unknown = self._resolved(wanted, self.history)
        single = len(jobs) + len(unknown) == 1 and not isinstance(wanted, (list, tuple, set))
        if unknown:
            parts = [Part(nobodys(text), 0, 1) for _, text in unknown]
        else:
            try:
                new = self._query("resubmit", tasks=ranges(jobs))
            except NoSuchTask as error:
                parts = [Part(nobodys(error.evalue.rpartition(" ")[2]), 0, 1)]
            else:
                parts, _ = self._parts([(hex, c) for hex, first, count in new for c in range(first, first + count)])
        client: Client = self  # type: ignore[assignment]
        result = AsyncHubResult(client, parts, single=single, name="resubmit")
        return result.get() if given("block", block, self.block) else result

    # Status -----------------------------------------------------------------------------------------------------

    def queue_status(self, targets: Any = "all", verbose: bool = False) -> dict[Any, Any]:
        """How many tasks engines have before them and behind them.

            >>> sorted(rc.queue_status(0)), "unassigned" in rc.queue_status()
            (['completed', 'queue', 'tasks'], True)

        targets: as for direct_view. verbose: lists of msg_ids instead of numbers.
        Returns {id: {'queue': n, 'completed': n, 'tasks': n}, ..., 'unassigned': n}, for an int target its inner dict
        alone. queue: direct tasks that have not ended; completed: tasks that have; tasks: balanced ones assigned
        there; unassigned: balanced ones that wait in the hub. Dead engines are not in it.
        Raises NoSuchEngine, NoEnginesRegistered, TypeError.
        """
        self._session.check()
        ids: list[int] | None = None
        single = False
        if not (targets is None or (isinstance(targets, str) and targets == "all")):
            ids, single = chosen(self._session, targets)
        body = self._query("queue_status", targets=ids, verbose=verbose)

        def shown(value: Any) -> Any:
            return expand(value) if verbose else value

        status: dict[Any, Any] = {
            int(id): dict(zip(("queue", "completed", "tasks"), map(shown, counts), strict=True))
            for id, counts in body["engines"].items()
        }
        if single:
            assert ids is not None
            found: dict[Any, Any] = status[ids[0]]
            return found
        status["unassigned"] = shown(body["unassigned"])
        return status

    def engine_info(self, targets: Any = "all") -> dict[Any, Any]:
        """Facts about engines.

        targets: as for direct_view.
        Returns {id: facts}, for an int target its facts alone: a dict with uuid and host (str), pid, state (str:
        'starting', 'idle', 'busy', ...), since (a datetime), queue, tasks and completed (as queue_status), was (the
        id of the engine it replaced, or None).
        Raises NoSuchEngine, NoEnginesRegistered, TypeError.
        """
        ids, single = chosen(self._session, targets)
        rows = [msgspec.convert(row, EngineRow) for row in self._query("engines")]
        facts = {
            row.id: {
                "uuid": row.uuid, "host": row.host, "pid": row.pid, "state": EngineState(row.state).name.lower(),
                "since": moment(row.since), "queue": row.queue, "tasks": row.held, "completed": row.done + row.errors,
                "was": row.was,
            }
            for row in rows
            if row.id in ids
        }  # fmt: skip
        return facts[ids[0]] if single else {id: facts[id] for id in ids if id in facts}

    def db_query(self, query: dict[str, Any], keys: Any = None) -> list[dict[str, Any]]:
        """Records of tasks that match a query, from the hub's database.

            >>> ar = rc[0].apply_async(pow, 2, 3)
            >>> rc.wait(ar, timeout=10)
            True
            >>> rows = rc.db_query({"msg_id": ar.msg_ids[0], "completed": {"$ne": None}}, keys=["name", "engine_id"])
            >>> rows == [{"msg_id": ar.msg_ids[0], "name": "pow", "engine_id": 0}]
            True

        query: a dict; {key: value} is equality, {key: {operator: value, ...}} all of the operators, several keys all
        of them. Operators, after MongoDB's: $eq $ne $lt $lte $gt $gte $in $nin $exists $glob $mod $all $and $or $not.
        None equals a missing key and matches no order. Keys are those of Metadata, and client_uuid header content
        metadata result_header result_metadata result_content queue resubmitted. Datetimes compare as instants; sizes
        are bytes. keys: a list of keys, or one; None: all but buffers and result_buffers.
        Returns a list of dicts by submission, each with msg_id.
        Raises TypeError when query is no dict, ValueError naming the nearest operator or key.
        """
        if not isinstance(query, dict):
            raise TypeError(f"query is a dict, not {query!r:.200}")
        if keys is not None:
            keys = [keys] if isinstance(keys, str) else list(keys)
        rows = self._query("db_query", query=_plain(query), keys=keys)
        return [_timed(row) for row in rows]

    # Forgetting -------------------------------------------------------------------------------------------------

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget results, here and in the hub: rows, large buffers and memory are given back.

        jobs: a msg_id, an index into `history`, an AsyncResult, any iterable of these, or 'all'. targets: all ended
        tasks of these engines, living or dead: an int, a list of ints.
        Returns None.
        Raises ValueError when nothing is named, RuntimeError for tasks that are outstanding here, IndexError (a
        RemoteError) for tasks that are pending in the hub, NoSuchTask, TypeError.
        """
        jobs, targets = _listed(jobs), _listed(targets)
        if not _given(jobs) and not _given(targets):
            raise ValueError("nothing to purge: name jobs, or 'all', or targets")
        self.purge_local_results(jobs, targets)
        self.purge_hub_results(jobs, targets)

    def purge_local_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget results that this client keeps itself; the hub still has them.

        jobs, targets: as for purge_results.
        Returns None.
        Raises ValueError when nothing is named, RuntimeError for tasks that are outstanding here, NoSuchTask,
        TypeError.
        """
        jobs, targets = _listed(jobs), _listed(targets)
        if not _given(jobs) and not _given(targets):
            raise ValueError("nothing to purge: name jobs, or 'all', or targets")
        kept = self._kept.tasks
        if isinstance(jobs, str) and jobs == "all":
            if self._session.ledger.outstanding:
                raise RuntimeError(
                    f"{self._session.ledger.outstanding} tasks are outstanding: wait() or abort() first"
                )
            kept.clear()
            return
        if _given(jobs):
            found = resolve(jobs, self.history)
            for hex, counter in found:
                if hex == self._session.hex and self._session.ledger.is_outstanding(counter):
                    raise RuntimeError(f"task {hex}-{counter} is outstanding: wait for it or abort it first")
            for hex, counter in found:
                kept.pop(f"{hex}-{counter}", None)
        if _given(targets):
            ids = set(self._purge_targets(targets))
            for name, (call, index) in list(kept.items()):
                outcome = call.outcomes[index]
                if outcome is not None and outcome.engine in ids:
                    del kept[name]

    def purge_hub_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget results in the hub: rows, large buffers and memory are given back.

        jobs, targets: as for purge_results.
        Returns None.
        Raises ValueError when nothing is named, IndexError (a RemoteError) for tasks that are pending, NoSuchTask,
        TypeError.
        """
        jobs, targets = _listed(jobs), _listed(targets)
        if not _given(jobs) and not _given(targets):
            raise ValueError("nothing to purge: name jobs, or 'all', or targets")
        everything = isinstance(jobs, str) and jobs == "all"
        tasks = ranges(resolve(jobs, self.history)) if _given(jobs) and not everything else []
        ids = self._purge_targets(targets) if _given(targets) else []
        self._query("purge", tasks=tasks, targets=ids, all=everything)

    def purge_everything(self) -> None:
        """Forget all results, here and in the hub.
        Returns None.
        Raises RuntimeError while tasks are outstanding here.
        """
        self.purge_results("all")

    def _purge_targets(self, targets: Any) -> list[int]:
        if isinstance(targets, list) and all(isinstance(one, int) for one in targets):
            return targets  # dead engines have results too
        return chosen(self._session, targets)[0]

    # Asking -----------------------------------------------------------------------------------------------------

    def ask_engine(
        self, engine: int, what: str, text: str = "", cursor: int = 0, timeout: float | None = None
    ) -> Any:
        """Ask one engine something that it answers while user code runs there; nothing of the user's code runs for
        it.

        engine: its id. what: 'stack' (returns text: where the running task is), 'names' (returns a list of [name,
        type, size in bytes] of the namespace), 'complete' (returns names that fit `text` at `cursor`, a position in
        it), 'inspect' (returns signature and docstring of what `text` names). timeout: seconds; None: the client's
        query_timeout.
        Raises NoSuchEngine, HubUnreachable.
        """
        self._session.check()
        request = self._session.ask("ask", lambda number: Ask(number, engine, what, text, cursor))
        return self._session.answer(request) if timeout is None else self._session.answer(request, timeout)

    def interrupt(self, msg_id: str, timeout: float | None = None) -> list[int]:
        """Send SIGINT to the engine that runs this very task now; to none when it has not started, or has ended.

        msg_id: a str. timeout: seconds; None: the client's query_timeout.
        Returns the ids of the engines that were told: a list of one, or empty.
        Raises ValueError for what is no msg_id, HubUnreachable.
        """
        self._session.check()
        task = (*parse_msg_id(msg_id), 1)
        request = self._session.ask("signal", lambda number: Signal(number, None, int(signal.SIGINT), task))
        body = self._session.answer(request) if timeout is None else self._session.answer(request, timeout)
        return list(body["signalled"])

    def task_facts(self, msg_id: str, timeout: float | None = None) -> dict[str, Any]:
        """What the hub knows of one task, of this client or any other: all but its arguments and its result.

        msg_id: a str. timeout: seconds; None: the client's query_timeout.
        Returns a dict. state: 'queued', 'assigned', 'done', ...; engine: an id or None; attempt: from 1; why: why it
        waits, in a sentence, or ''; after, follow: lists of the msg_ids it depends on; attempts: a dict for each one
        before the last, with attempt, engine, began, ended (seconds since the epoch) and outcome.
        Raises ValueError for what is no msg_id, KeyError (a RemoteError) for an unknown task, ResultExpired for a
        forgotten one, HubUnreachable.
        """
        self._session.check()
        task = (*parse_msg_id(msg_id), 1)
        request = self._session.ask("task", lambda number: Query(number, "task", {"task": task}))
        body = self._session.answer(request) if timeout is None else self._session.answer(request, timeout)
        work = work_of(body["work"])
        names = ("attempt", "engine", "began", "ended", "outcome")
        return {
            "state": State(body["state"]).name.lower(), "engine": body["engine"], "attempt": body["attempt"],
            "why": body.get("why", ""), "after": expand(work.after.tasks) if work.after is not None else [],
            "follow": expand(work.follow.tasks) if work.follow is not None else [],
            "attempts": [dict(zip(names, row, strict=True)) for row in body["attempts"]],
        }  # fmt: skip

    def _query(self, what: str, **arguments: Any) -> Any:
        self._session.check()
        request = self._session.ask(what, lambda number: Query(number, what, arguments))
        return self._session.answer(request)


def _listed(things: Any) -> Any:
    """Iterators can be read only once: as lists."""
    if things is None:
        return []
    if isinstance(things, (str, int, AsyncResult, list)):
        return things
    return list(things) if isinstance(things, Iterable) else things


def _given(things: Any) -> bool:
    return not (isinstance(things, list) and not things)


def _plain(value: Any) -> Any:
    """Datetimes as seconds since the epoch, sets as lists, as the wire has them."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.astimezone()).timestamp()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return value


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    for key in _TIMES:
        if isinstance(row.get(key), (int, float)):
            row[key] = moment(row[key])
    return row
