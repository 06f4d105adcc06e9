"""A scripted cluster: joins, runs, prints, dies, goes away. It sends real Snapshots and Deltas to a real store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tuiparallel.link.clock import FakeClock
from tuiparallel.monitor.rows import LinkState, LinkView
from tuiparallel.monitor.store import ClusterStore
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import (
    BatchRow,
    Chunk,
    ClientRow,
    Counters,
    Delta,
    EngineRow,
    EventRow,
    FailureRow,
    FunctionRow,
    LimitRow,
    MergedRow,
    Snapshot,
    TaskRow,
    Vital,
)
from tuiparallel.wire.states import EngineState, State

SESSION = 1
MINE = "3f9c0a12"
OTHER = "77aa41bb"
START = 1_769_853_600.0
GIB = 1 << 30


class FakeCluster:
    """Keeps what a hub would know, and tells the store what changed when `tell` is called."""

    def __init__(self, name: str = "lab", clock: FakeClock | None = None) -> None:
        self.name = name
        self.clock = clock or FakeClock(1000.0, START)
        self.store = ClusterStore()
        self.number = 0
        self.boot = "b1"
        self.engines: dict[int, EngineRow] = {}
        self.vitals: dict[int, Vital] = {}
        self.tasks: dict[int, TaskRow] = {}
        self.batches: dict[int, BatchRow] = {}
        self.functions: dict[str, FunctionRow] = {}
        self.clients = [ClientRow(SESSION, MINE, "node0", 901, "tuipar", START, True, 0)]
        self.counters: dict[str, int] = dict.fromkeys(Counters.__struct_fields__, 0)
        self.counter = 0
        self.expected = 0
        self.offsets: dict[tuple[int, str], int] = {}
        self.started = self.clock.time()
        self.told = 0
        self.session = "feed0001"
        self.asked_older = 0
        self.resyncs = 0
        self.wake: Callable[[], None] = lambda: None
        self._fresh: dict[str, Any] = {}

    # What a feed does -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """As a feed: the news come when the test says so."""

    def stop(self, timeout: float = 2.0) -> None:
        """As a feed: nothing to end."""

    def seen(self) -> None:
        """As a feed: the alarm was heard."""

    def resync(self) -> None:
        """As a feed: a new snapshot is asked for."""
        self.resyncs += 1

    def load_older(self) -> None:
        """As a feed: there is nothing older."""
        self.asked_older += 1

    def attach(self) -> FakeCluster:
        """Sends the snapshot and goes live."""
        now = self.clock.time()
        self._fresh.clear()
        self.number += 1
        snapshot = Snapshot(
            self.number, now, self.boot, self.name, self.started, self._counters(), list(self.engines.values()),
            list(self.tasks.values()), list(self.batches.values()), self.clients, list(self.functions.values()), [],
            [LimitRow("tasks", len(self.tasks), 1_000_000), LimitRow("output", 10, 1000)], list(self.vitals.values()),
            self.expected, 0, 811,
        )  # fmt: skip
        self.store.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot), now)
        self.store.set_link(LinkView(LinkState.LIVE, now))
        self.store.tick(now)
        self.wake()
        return self

    def tell(self) -> None:
        """Sends a delta with everything that has changed."""
        now = self.clock.time()
        self.number += 1
        fresh, self._fresh = self._fresh, {}
        delta = Delta(self.number, now, self._counters(), expected=self.expected, **fresh)
        self.store.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(delta), type=Delta), now)
        self.store.tick(now)
        self.told += 1
        self.wake()

    def later(self, seconds: float) -> None:
        """Lets time pass, a second at a time, with a delta each."""
        while seconds > 0:
            step = min(1.0, seconds)
            self.clock.advance(step)
            seconds -= step
            for row in self.engines.values():
                if EngineState(row.state) in (EngineState.IDLE, EngineState.BUSY):
                    self._engine(msgspec.structs.replace(row, heard=self.clock.time()))
            self.tell()

    def _counters(self) -> Counters:
        return Counters(**self.counters)

    def _changed(self, part: str, row: Any, same: Callable[[Any], bool] = lambda row: False) -> None:
        rows = [old for old in self._fresh.get(part, []) if not same(old)]
        self._fresh[part] = [*rows, row]

    def _engine(self, row: EngineRow) -> None:
        self.engines[row.id] = row
        self._changed("engines", row, lambda old: old.id == row.id)

    def _task(self, row: TaskRow) -> None:
        self.tasks[row.id] = row
        self._changed("tasks", row, lambda old: old.id == row.id)

    # What happens -----------------------------------------------------------------------------------------------

    def joins(self, id: int, host: str = "node0", was: int | None = None) -> None:
        """An engine registers."""
        now = self.clock.time()
        self.expected = max(self.expected, len(self.engines) + 1)
        self._engine(EngineRow(id, f"u{id}", host, 4000 + id, EngineState.IDLE, now, now, 0, 0, 0, 0, was=was))
        self._changed("events", EventRow(now, "joined", f"engine {id} joined", id))
        self.measures(id)

    def measures(self, id: int, cpu: float = 0.02, memory: float = 0.4) -> None:
        """A supervisor's measurement."""
        self.vitals[id] = Vital(f"u{id}", 4000 + id, cpu, int(memory * 2 * GIB), 2 * GIB, "R")
        self._changed("vitals", self.vitals[id])

    def submits(self, name: str, count: int = 1, engine: int | None = None, label: str | None = None,
                session: int = SESSION, rows: int | None = None) -> list[int]:  # fmt: skip
        """A submission; its tasks wait. rows: of how many of them the hub sends rows."""
        now = self.clock.time()
        first = task_id(session, self.counter)
        ids = [task_id(session, self.counter + index) for index in range(count)]
        self.counter += count
        for id in ids[: count if rows is None else rows]:
            self._task(TaskRow(id, State.QUEUED, engine, name, label, first, now, size=812))
        self._batch(BatchRow(first, name, label, session, count, 0, 0, 0, now, now, engine is None))
        self.counters["queued"] += count
        if engine is not None:
            row = self.engines[engine]
            self._engine(msgspec.structs.replace(row, queue=row.queue + count))
        return [int(id) for id in ids]

    def _batch(self, row: BatchRow) -> None:
        self.batches[row.id] = row
        self._changed("batches", row, lambda old: old.id == row.id)

    def _of_batch(self, task: TaskRow, **changes: int) -> None:
        row = self.batches[task.batch]
        added = {name: getattr(row, name) + by for name, by in changes.items()}
        self._batch(msgspec.structs.replace(row, last=self.clock.time(), **added))

    def starts(self, id: int, engine: int) -> None:
        """A waiting task starts on an engine."""
        now = self.clock.time()
        task = self.tasks[id]
        direct = task.engine is not None
        task = msgspec.structs.replace(task, state=State.ASSIGNED, engine=engine, started=now, running=True)
        self._task(task)
        self.counters["queued"] -= 1
        self.counters["assigned"] += 1
        self.counters["running"] += 1
        self._of_batch(task, running=1)
        row = self.engines[engine]
        self._engine(msgspec.structs.replace(
            row, state=EngineState.BUSY, task=id, name=task.name, label=task.label, started=now, held=row.held + 1,
            queue=row.queue - direct, heard=now))  # fmt: skip

    def runs(self, engine: int, name: str, label: str | None = None) -> int:
        """Submits a task and starts it there."""
        (id,) = self.submits(name, 1, label=label)
        self.starts(id, engine)
        return id

    def ends(
        self, id: int, state: State = State.DONE, ename: str = "", evalue: str = "", traceback: str = ""
    ) -> None:
        """A running task ends."""
        now = self.clock.time()
        task = self.tasks[id]
        self._task(msgspec.structs.replace(
            task, state=state, completed=now, received=now + 0.002, running=False, result_size=96, ename=ename,
            evalue=evalue))  # fmt: skip
        self.counters["assigned"] -= 1
        self.counters["running"] -= 1
        self.counters[state.name.lower()] += 1
        failed = state is not State.DONE
        self._of_batch(task, running=-1, **({"failed": 1} if failed else {"done": 1}))
        assert task.engine is not None and task.started is not None
        row = self.engines[task.engine]
        self._engine(msgspec.structs.replace(
            row, state=EngineState.IDLE, task=None, name="", label=None, started=None, held=max(0, row.held - 1),
            done=row.done + (not failed), errors=row.errors + failed, since=now, heard=now))  # fmt: skip
        self._function(task.name, now - task.started, failed)
        if failed:
            text = (
                traceback
                or f'Traceback (most recent call last):\n  File "job.py", line 7, in {task.name}\n{ename}: {evalue}'
            )
            self._changed("failures", FailureRow(id, task.engine, task.name, ename, evalue, text, now, state))

    def fails(self, id: int, ename: str = "ValueError", evalue: str = "shapes (4,) (3,)") -> None:
        """A running task raises."""
        self.ends(id, State.ERROR, ename, evalue)

    def aborts(self, id: int) -> None:
        """A task that waits is aborted."""
        now = self.clock.time()
        task = self.tasks[id]
        self._task(msgspec.structs.replace(task, state=State.ABORTED, completed=now, received=now))
        self.counters["queued"] -= 1
        self.counters["aborted"] += 1
        self._of_batch(task, failed=1, aborted=1)

    def _function(self, name: str, run: float, failed: bool) -> None:
        import math

        old = self.functions.get(name) or FunctionRow(name, 0, 0, 0.0, 0.0, 0.0, 0.0, {})
        bucket = round(16 * math.log2(max(run * 1e6, 1.0)))
        buckets = dict(old.buckets)
        buckets[bucket] = buckets.get(bucket, 0) + 1
        row = FunctionRow(name, old.done + (not failed), old.failed + failed, old.run + run, old.wait + 0.01,
                          old.back + 0.002, max(old.slowest, run), buckets)  # fmt: skip
        self.functions[name] = row
        self._changed("functions", row, lambda known: known.name == name)

    def merges(self, engine: int, name: str, count: int, start: float, end: float, busy: float) -> None:
        """Many short tasks ended, faster than rows are sent."""
        first = task_id(SESSION, self.counter)
        self.counter += count
        self.counters["done"] += count
        self._changed("merged", MergedRow(engine, name, State.DONE, count, busy, start, end, int(first)))

    def prints(self, engine: int, text: str, stream: str = "stdout", task: int | None = None) -> None:
        """An engine prints."""
        place = (engine, stream)
        offset = self.offsets.get(place, 0)
        self.offsets[place] = offset + len(text)
        self._changed("output", Chunk(engine, task, stream, text, self.clock.time(), offset))

    def falls_silent(self, engine: int) -> None:
        """An engine is not heard of any more."""
        self._engine(msgspec.structs.replace(self.engines[engine], state=EngineState.UNRESPONSIVE))

    def dies(self, engine: int, reason: str = "killed by SIGKILL, peak 1.9 GB", successor: int | None = None) -> None:
        """An engine's process ends; what it ran is lost."""
        now = self.clock.time()
        row = self.engines[engine]
        if row.task is not None:
            self.ends(row.task, State.LOST, "EngineError", f"engine {engine} died: {reason}")
            row = self.engines[engine]
        self._engine(
            msgspec.structs.replace(row, state=EngineState.DEAD, reason=reason, since=now, successor=successor)
        )
        self._changed("events", EventRow(now, "died", f"engine {engine}: {reason}", engine))

    def goes_away(self, tries: int = 1) -> None:
        """The hub is gone."""
        self.store.set_link(LinkView(LinkState.LOST, self.clock.time(), tries, "connection refused"))
        self.wake()

    def comes_back(self) -> None:
        """The hub is back, with a new boot id."""
        self.boot += "+"
        self.attach()

    def other_client(self, outstanding: int = 40) -> None:
        """Somebody else connects."""
        row = ClientRow(2, OTHER, "node7", 77, "analysis.py", self.clock.time(), True, outstanding)
        self.clients.append(row)
        self._changed("clients", row)


class FakeClient:
    """Notes what the console asks of a Client, and answers as one would."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.session = MINE
        self.name = self.cluster_name = cluster.name
        self.connection_path = ""
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.error: Exception | None = None
        self.facts: dict[str, Any] = {"why": "", "after": [], "follow": [], "attempts": []}
        self.stack = 'File "job.py", line 3, in fit\n    while True: pass'

    def _note(self, name: str, *args: Any, **named: Any) -> None:
        self.calls.append((name, args, named))
        if self.error is not None:
            raise self.error

    @property
    def ids(self) -> list[int]:
        return sorted(self.cluster.engines)

    def abort(self, jobs: Any = None, targets: Any = None, **named: Any) -> dict[str, list[str]]:
        self._note("abort", jobs, targets=targets, **named)
        return {"aborted": list(jobs or []), "running": [], "done": [], "unknown": []}

    def clear(self, targets: Any = None, **named: Any) -> None:
        self._note("clear", targets, **named)

    def send_signal(self, sig: Any, targets: Any = None, **named: Any) -> None:
        self._note("send_signal", sig, targets, **named)

    def interrupt(self, msg_id: str, timeout: float | None = None) -> list[int]:
        self._note("interrupt", msg_id)
        rows = (row for row in self.cluster.engines.values() if row.task is not None)
        return [row.id for row in rows if self.cluster.store.msg_id(row.task or 0) == msg_id]

    def restart_engines(self, targets: Any = "all", **named: Any) -> dict[int, int]:
        self._note("restart_engines", targets, **named)
        return {id: id + 100 for id in (targets if isinstance(targets, list) else self.ids)}

    def shutdown(self, targets: Any = "all", **named: Any) -> None:
        self._note("shutdown", targets, **named)

    def scale(self, n: int, **named: Any) -> None:
        self._note("scale", n, **named)

    def resubmit(self, ids: Any = None, **named: Any) -> list[str]:
        self._note("resubmit", ids, **named)
        return list(ids)

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        self._note("purge_results", jobs)

    def task_facts(self, msg_id: str, timeout: float | None = None) -> dict[str, Any]:
        self._note("task_facts", msg_id)
        return self.facts

    def ask_engine(self, engine: int, what: str, text: str = "", cursor: int = 0, timeout: float = 2.0) -> Any:
        self._note("ask_engine", engine, what)
        return self.stack if what == "stack" else [["np", "module", 72], ["x", "ndarray", 8_000_000]]


def busy_cluster() -> FakeCluster:
    """The cluster of the pictures: twelve engines, three functions, four warnings, some failures and output."""
    import random

    luck = random.Random(7)
    cluster = FakeCluster()
    for id in range(12):
        cluster.joins(id, f"node{id // 4}")
    cluster.attach()
    cluster.submits("mc_step", 60_000, rows=50)
    cluster.submits("fit", 9)
    cluster.submits("read_io", 3, engine=7)
    waiting = {
        name: [id for id, row in cluster.tasks.items() if row.name == name] for name in ("mc_step", "fit", "read_io")
    }
    cluster.starts(waiting["read_io"].pop(0), 7)
    running: dict[int, int] = {}
    for second in range(70):
        for _ in range(4):
            cluster.clock.advance(0.25)
            now = cluster.clock.time()
            for id in range(12):
                if id in (7, 8, 9):
                    continue
                busy = 0.25 * luck.uniform(0.7, 1.0)
                if id == 10 and second > 55:
                    continue
                cluster.merges(id, "mc_step", luck.randint(14, 20), now - 0.25, now, busy)
        if second % 12 == 0:
            if 9 in running:
                cluster.ends(running[9]) if second != 36 else cluster.fails(running[9])
            running[9] = waiting["fit"].pop(0)
            cluster.starts(running[9], 9)
        if second == 20:
            for _ in range(9):
                one = cluster.runs(4, "mc_step")
                cluster.clock.advance(0.001)
                cluster.fails(one, "ZeroDivisionError", f"division by zero at 0x7f{luck.randint(100, 999)}")
        for id, row in cluster.engines.items():
            high = 0.01 if id in (7, 8, 10) else luck.uniform(0.9, 1.0)
            cluster.measures(id, high, 0.6 + second * 0.0047 if id == 9 else 0.38 + id * 0.003)
            if id != 10 or second < 55:
                cluster._engine(msgspec.structs.replace(row, heard=cluster.clock.time()))
        _print_in(cluster, second)
        for batch in list(cluster.batches.values()):
            if batch.name == "mc_step" and batch.total > 1:
                done = min(batch.total, batch.done + 590)
                cluster._batch(msgspec.structs.replace(batch, done=done, running=9, last=cluster.clock.time()))
                cluster.counters["queued"] = batch.total - done
        cluster.tell()
    for id in (0, 1, 2, 3, 4, 5, 6, 11):
        one = cluster.runs(id, "mc_step")
        row = cluster.engines[id]
        cluster._engine(msgspec.structs.replace(row, held=3, done=4000 + id * 7))
        del one
    cluster.falls_silent(10)
    cluster.clock.advance(0.012)
    cluster.tell()
    cluster.store.tick(cluster.clock.time())
    return cluster


def _print_in(cluster: FakeCluster, second: int) -> None:
    if second % 6 == 0:
        cluster.prints(9, f"epoch {100 + second // 6} loss {0.3 - second * 0.001:.4f}\n")
    if second % 15 == 4:
        cluster.prints(7, f"retrying nfs ({second // 15 + 1}/5)\n", "stderr")
    if second == 40:
        cluster.prints(4, "RuntimeWarning: \x1b[1moverflow\x1b[0m encountered in \x1b[36mexp\x1b[0m\n", "stderr")
