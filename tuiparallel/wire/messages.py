"""Every message that crosses a socket, one class each, and the unions that say who may send what to whom.

Messages are batches by design: one Submit, Run or Results carries many tasks. Fields are positional (array_like), so
a new field goes to the end and has a default. Bodies (arguments, results, functions) stay bytes: the hub passes them
on and stores them, and never looks inside.

One file, long as it is: whoever asks what crosses a socket reads it here, from top to bottom.

A message is one frame: four bytes, the sender's running number on this connection (little-endian), then MessagePack.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from tuiparallel.wire.ids import IdRange, Span

PROTOCOL = 1
MAX_FRAME = 8 << 20  # the largest frame an honest peer sends, in bytes
COUNTED = 4096  # bytes of a body above which an outcome counts as under way until its client has Got it
MAX_BATCH = 1000  # tasks in one Submit, Run or Results


class Message(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=True):
    """One message; its tag is the name of its class."""


class Kind(IntEnum):
    """How an engine reads the body of a call."""

    APPLY = 0  # function, arguments -> value
    EXECUTE = 1  # source code and flags -> ExecuteReply parts
    PUSH = 2  # names and values
    PULL = 3  # expressions -> values
    MAP = 4  # function, a list of argument tuples -> list of values
    CLEAR = 5  # empties the namespace, in the order of the engine's queue


# Parts of messages ------------------------------------------------------------------------------------------------


class Part(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What stands inside a message."""


class Need(Part, frozen=True):
    """What `after` or `follow` waits for: tasks, all or any of them, and which outcomes count."""

    tasks: list[IdRange]
    all: bool = True
    success: bool = True
    failure: bool = False


class Work(Part, frozen=True):
    """What all tasks of one Submit share.

    targets: for direct work one engine id per task; for balanced work the engines it may run on (None: any).
    Durations are seconds; None means no limit. submitted is seconds since the epoch, by the client's clock.
    """

    kind: int
    name: str  # the function's name, for people
    balanced: bool
    submitted: float
    targets: list[int] | None = None
    label: str | None = None
    after: Need | None = None
    follow: Need | None = None
    timeout: float | None = None
    time_limit: float | None = None
    retries: int = 0
    retry_on: str = "any"
    priority: int = 0
    resubmit_of: list[str] | None = None


class BlobUse(Part, frozen=True):
    """A large buffer that task number `index` of this batch needs (or made)."""

    index: int
    name: str
    size: int


class ErrorText(Part, frozen=True):
    """An exception as text, with the pickled one as an optional extra that only clients open."""

    ename: str
    evalue: str
    traceback: str
    engine: int | None = None
    engine_uuid: str = ""
    method: str = "apply"
    pickled: bytes | None = None
    facts: dict[str, Any] = {}  # of a hub error: pid, signal, exitcode, peak_rss, stderr_tail, attempts, ...


class Attempt(Part, frozen=True):
    """One start of a task that was not its last."""

    engine: int
    started: float | None
    ended: float | None
    outcome: str


class Extras(Part, frozen=True):
    """What a task leaves beside its value: absent for the many tasks that print and show nothing."""

    stdout: str = ""
    stderr: str = ""
    outputs: list[Any] = []  # mime bundles: {"data": {mime: ...}, "metadata": {...}}
    execute_result: Any = None
    data: bytes | None = None  # what the task published, packed
    peak_rss: int | None = None
    error: ErrorText | None = None


Place = tuple[str, str]  # an engine's uuid and host
Buffer = tuple[str, int]  # a blob's name and size


class Outcome(Part, frozen=True):
    """How a task ended, as its client gets it. Times are seconds since the epoch, None when it never started.

    body is the packed value, empty when the state is not DONE (the error then stands in extras.error).
    """

    task: int  # the counter within the session that Done names
    state: int
    engine: int | None
    started: float | None
    completed: float | None
    attempt: int
    body: bytes
    extras: Extras | None = None
    attempts: tuple[Attempt, ...] = ()  # empty tuples are all one object, a list would be one for each outcome
    blobs: tuple[Buffer, ...] = ()
    received: float | None = None  # when the hub had it, where it was read from the history
    place: int = -1  # the engine's in Done.places; -1: there was none, or the hub no longer knows it


class Lease(Part, frozen=True):
    """One assignment of a task to an engine: its TaskId and a number that only grows."""

    task: int
    lease: int


class Ran(Part, frozen=True):
    """How one leased task ended on an engine."""

    task: int
    lease: int
    ok: bool
    started: float
    completed: float
    body: bytes
    extras: Extras | None = None
    blobs: tuple[Buffer, ...] = ()


class RunBatch(Part, frozen=True):
    """Tasks of one Submit for one engine. calls holds one body per task, or a single one that all share."""

    kind: int
    name: str
    session: str
    function: bytes  # the hash; empty where the kind needs no function
    tasks: list[int]
    leases: list[int]
    calls: list[bytes]
    attempt: int = 1
    label: str | None = None
    time_limit: float | None = None


class Chunk(Part, frozen=True):
    """Text that a task (or, task None, an engine between tasks) has just printed.

    offset counts the characters this engine has sent on this stream before, so a reader sees exactly what it missed.
    """

    engine: int
    task: int | None
    stream: str  # "stdout", "stderr" or "display"
    text: str
    at: float
    offset: int


class Vital(Part, frozen=True):
    """What a supervisor measured of one engine's process. cpu is a fraction of one core, sizes are bytes."""

    uuid: str
    pid: int
    cpu: float
    rss: int
    limit: int
    state: str = ""  # the kernel's letter: R, S, D, T, Z


# Client -> hub ----------------------------------------------------------------------------------------------------


class ClientHello(Message, frozen=True):
    """First message of a client's connection. waits: counters of this session whose outcome is still wanted."""

    protocol: int
    session: str
    cluster: str
    boot: str
    host: str
    pid: int
    name: str
    waits: list[Span] = []
    observer: bool = False  # a console's feed: it submits nothing


class Submit(Message, frozen=True):
    """New tasks, counters first .. first + count - 1. calls: one body per task, or one that all share.

    code is None when this connection has carried the function before (see wire.known).
    """

    first: int
    count: int
    work: Work
    function: bytes
    code: bytes | None
    calls: list[bytes]
    blobs: list[BlobUse] = []


class Got(Message, frozen=True):
    """These outcomes have arrived, so there is room for more.

    Only those with bodies above COUNTED bytes, or with blobs, are named; the client has opened their blobs.
    """

    tasks: list[IdRange]


class Abort(Message, frozen=True):
    """End queued tasks as aborted; with running also started ones (interrupt, then after grace seconds a kill).

    tasks None: everything of this session that is open, or, with targets, everything open on these engines.
    everyone: tasks of all sessions (the operator's abort) where tasks is None.
    """

    request: int
    tasks: list[IdRange] | None
    targets: list[int] | None = None
    running: bool = False
    grace: float = 5.0
    everyone: bool = False


class Clear(Message, frozen=True):
    """Empty the namespaces of these engines (None: all), each between two tasks."""

    request: int
    targets: list[int] | None


class Signal(Message, frozen=True):
    """Send a signal to engines (None: all); with task only if that engine is running this very task."""

    request: int
    targets: list[int] | None
    signum: int
    task: IdRange | None = None


class Shutdown(Message, frozen=True):
    """End engines (None: all), or with hub the whole cluster. restart: start a new engine for each."""

    request: int
    targets: list[int] | None
    hub: bool = False
    restart: bool = False


class Scale(Message, frozen=True):
    """Start `add` more engines, or bring their number to `total`."""

    request: int
    add: int = 0
    total: int | None = None


class Ask(Message, frozen=True):
    """A question for one engine's I/O thread, answered while user code runs.

    what: "stack" (text), "names" (list of [name, type, size]), "complete" (text, cursor -> list), "inspect" (text).
    """

    request: int
    engine: int
    what: str
    text: str = ""
    cursor: int = 0


class Query(Message, frozen=True):
    """A question to the hub. what names it, arguments are its parameters; the Reply's body has the answer.

    queue_status(targets, verbose) result_status(tasks) get_result(tasks) history(limit) db_query(query, keys)
    purge(tasks, targets, all) resubmit(tasks) engines() status() page(before, limit, where) why(tasks) task(task)
    """

    request: int
    what: str
    arguments: dict[str, Any] = {}


class Observe(Message, frozen=True):
    """Start (or stop) sending this connection a Snapshot and then Deltas."""

    on: bool = True


class Seen(Message, frozen=True):
    """The observer has read the Snapshot or Delta of this number, which asked for it, and all before it."""

    number: int


class Blocked(Message, frozen=True):
    """This client runs inside a task, which waits without a limit for these; none when it waits no more.

    Said again about once a second, with what is still awaited.
    """

    inside: IdRange
    tasks: list[IdRange] = []


class ClientBye(Message, frozen=True):
    """This client is leaving; what it left open goes on."""


# Hub -> client ----------------------------------------------------------------------------------------------------


class Welcome(Message, frozen=True):
    """The hub knows this session now: number is its session number here, next the first counter not yet accepted."""

    protocol: int
    boot: str
    cluster: str
    number: int
    next: int
    away: float = 0.0  # seconds the hub was away, when it has restarted
    taken_over: int = 0


class Refused(Message, frozen=True):
    """The connection is turned away. kind names an exception class of tuiparallel.errors."""

    kind: str
    text: str


class SayHello(Message, frozen=True):
    """The hub does not know this connection, or has missed a message of it: say Hello and send again what is open."""


class Accepted(Message, frozen=True):
    """These Submits (by their first counter) are on record."""

    firsts: list[int]


class Rejected(Message, frozen=True):
    """This Submit was not stored, and will not be: all its tasks fail with this error."""

    first: int
    error: ErrorText


class Done(Message, frozen=True):
    """Outcomes of tasks of one session (the receiver's own, or one it asked for)."""

    session: str
    outcomes: list[Outcome]
    accepted: list[int] = []  # the receiver's Submits that are on record, as in Accepted
    places: list[Place] = []  # of the engines: once, since many outcomes come from few


class Reply(Message, frozen=True):
    """The answer to a request; error is set instead of the body when it failed."""

    request: int
    body: Any = None
    error: ErrorText | None = None


class Notice(Message, frozen=True):
    """Something a person at this client should know: the hub came back, an engine died, storage is full."""

    kind: str
    text: str
    engines: list[int] = []  # the ids there are now, for the kinds "engines" and "welcome"


# Hub -> observer --------------------------------------------------------------------------------------------------


class Counters(Part, frozen=True):
    """How many tasks are in each state, counted since the cluster's history began; forgotten ones stay counted."""

    queued: int = 0
    waiting: int = 0  # of the queued: on a dependency
    assigned: int = 0  # held by engines, running ones included
    running: int = 0
    done: int = 0
    error: int = 0
    lost: int = 0
    aborted: int = 0
    expired: int = 0
    late: int = 0  # copies of outcomes that were dropped


class EngineRow(Part, frozen=True):
    """An engine as the hub sees it now. Times are seconds since the epoch."""

    id: int
    uuid: str
    host: str
    pid: int
    state: int  # EngineState
    since: float
    heard: float
    queue: int  # direct tasks waiting in the hub
    held: int  # tasks leased to it
    done: int
    errors: int
    task: int | None = None  # TaskId of the running one
    name: str = ""
    label: str | None = None
    started: float | None = None
    window: int = 0
    reason: str = ""  # why it is dead, or leaving
    was: int | None = None  # the id it had before a restart
    successor: int | None = None


class TaskRow(Part, frozen=True):
    """A task as an observer sees it; times are seconds since the epoch."""

    id: int
    state: int
    engine: int | None
    name: str
    label: str | None
    batch: int  # TaskId of the first task of its Submit
    submitted: float
    started: float | None = None
    completed: float | None = None
    received: float | None = None  # when the hub had the outcome
    attempt: int = 1
    size: int = 0
    result_size: int | None = None
    ename: str = ""
    evalue: str = ""
    waiting: bool = False  # queued, on a dependency
    running: bool = False  # assigned, and started


class MergedRow(Part, frozen=True):
    """Many ended tasks of one function, engine and outcome, when they come faster than a person can see."""

    engine: int
    name: str
    state: int
    count: int
    busy: float  # seconds of execution, all together
    start: float
    end: float
    first: int  # TaskId of one of them
    wait: float = 0.0  # seconds between submission and start, all together
    back: float = 0.0  # seconds between completion and the hub's having it, all together
    size: int = 0
    result_size: int = 0


class BatchRow(Part, frozen=True):
    """A submission's progress: a run of Submits of one session with the same function and label.

    failed: all that ended otherwise than done; aborted: those of them that somebody ended.
    """

    id: int  # TaskId of its first task
    name: str
    label: str | None
    session: int
    total: int
    done: int
    failed: int
    running: int
    submitted: float
    last: float  # when one of its tasks ended last
    balanced: bool = True
    aborted: int = 0


class ClientRow(Part, frozen=True):
    """A client session."""

    session: int
    hex: str
    host: str
    pid: int
    name: str
    since: float
    connected: bool
    outstanding: int


class FunctionRow(Part, frozen=True):
    """Totals of one function; seconds all together. buckets: run times by bucket of RUN_BUCKETS_PER_DOUBLING."""

    name: str
    done: int
    failed: int
    run: float
    wait: float
    back: float
    slowest: float
    buckets: dict[int, int] = {}


class FailureRow(Part, frozen=True):
    """A task that failed, with its text."""

    task: int
    engine: int | None
    name: str
    ename: str
    evalue: str
    traceback: str
    at: float
    state: int


class EventRow(Part, frozen=True):
    """Something that happened to the cluster."""

    at: float
    kind: str  # "joined", "died", "restarted", "hub", "storage", "abort", "clear", "late", "client"
    text: str
    engine: int | None = None


class LimitRow(Part, frozen=True):
    """A bounded store of the hub: how much of it is used."""

    name: str
    used: int
    limit: int


class Snapshot(Message, frozen=True):
    """All an observer needs to begin; Deltas with number + 1, + 2, ... follow.

    skipped: tasks that ended while it did not read. It is to be confirmed with Seen.
    """

    number: int
    at: float
    boot: str
    cluster: str
    started: float
    counters: Counters
    engines: list[EngineRow]
    tasks: list[TaskRow]  # running ones, and the newest of the others up to a bound
    batches: list[BatchRow]
    clients: list[ClientRow]
    functions: list[FunctionRow]
    failures: list[FailureRow]
    limits: list[LimitRow]
    vitals: list[Vital]
    expected: int = 0  # engines the cluster was asked for
    skipped: int = 0
    pid: int = 0
    durability: str = "process"
    boots: int = 1


class Delta(Message, frozen=True):
    """What changed since the message before. Rows replace the ones with the same id. confirm: it wants a Seen."""

    number: int
    at: float
    counters: Counters
    engines: list[EngineRow] = []
    tasks: list[TaskRow] = []
    merged: list[MergedRow] = []
    batches: list[BatchRow] = []
    clients: list[ClientRow] = []
    functions: list[FunctionRow] = []
    failures: list[FailureRow] = []
    output: list[Chunk] = []
    events: list[EventRow] = []
    vitals: list[Vital] = []
    limits: list[LimitRow] = []
    expected: int = 0
    confirm: bool = False


# Engine -> hub ----------------------------------------------------------------------------------------------------


class EngineHello(Message, frozen=True):
    """First message of an engine's connection: who it is, and each (task, lease) it still has to do with."""

    protocol: int
    uuid: str
    cluster: str
    boot: str
    host: str
    pid: int
    supervised: bool
    running: list[Lease] = []
    queued: list[Lease] = []
    holding: list[Lease] = []  # ended, result not yet kept by the hub
    returned: list[Lease] = []
    versions: dict[str, str] = {}
    was: int | None = None  # the engine id this process replaces, after a restart


class Results(Message, frozen=True):
    """Outcomes, in the order in which they happened. number is the outbox's; Kept names it."""

    number: int
    ran: list[Ran]


class Returned(Message, frozen=True):
    """Unstarted leases given back, on Revoke; number is the outbox's. refused: leases that had started."""

    number: int
    leases: list[Lease]
    refused: list[Lease] = []


class Began(Message, frozen=True):
    """The engine has started this task (sent only when it runs for longer than a few milliseconds)."""

    task: int
    lease: int
    started: float
    queued: int


class Output(Message, frozen=True):
    """Fresh text, for whoever watches; the outcome carries all of it again."""

    chunks: list[Chunk]


class Answer(Message, frozen=True):
    """An engine's answer to an Inquiry or a control request."""

    request: int
    body: Any = None
    error: ErrorText | None = None


class Beat(Message, frozen=True):
    """Answer to a Probe: the I/O thread lives."""

    task: int | None
    started: float | None
    queued: int


class EngineBye(Message, frozen=True):
    """This engine leaves by itself, with its reason."""

    reason: str


# Supervisor -> hub ------------------------------------------------------------------------------------------------


class SupervisorHello(Message, frozen=True):
    """First message of a supervisor: its host, and the engines (uuid, pid) that it watches there."""

    protocol: int
    uuid: str
    cluster: str
    boot: str
    host: str
    pid: int
    engines: list[tuple[str, int]] = []


class Started(Message, frozen=True):
    """Engine processes that exist now and will say Hello: (uuid, pid, the engine id it replaces or None)."""

    engines: list[tuple[str, int, int | None]]


class Exited(Message, frozen=True):
    """An engine's process ended. mark: the (task, lease) it started last, None when unknown."""

    number: int
    uuid: str
    pid: int
    exitcode: int | None
    signum: int | None
    peak_rss: int
    stderr_tail: str
    mark: Lease | None
    at: float
    marked: bool = True  # False: the start mark could not be read, so anything leased may have started


class GaveUp(Message, frozen=True):
    """The supervisor stopped restarting an engine, and why."""

    uuid: str
    text: str


class Vitals(Message, frozen=True):
    """Measurements of this host's engines, about once a second."""

    vitals: list[Vital]


# Hub -> engine and supervisor -------------------------------------------------------------------------------------


class EngineWelcome(Message, frozen=True):
    """The engine is registered under this id. drop: leases it must forget; kept: results it need not send again."""

    protocol: int
    boot: str
    cluster: str
    engine: int
    drop: list[Lease] = []
    kept: list[Lease] = []


class SupervisorWelcome(Message, frozen=True):
    """The supervisor is registered. unknown: uuids the hub has no engine for (yet)."""

    protocol: int
    boot: str
    cluster: str


class Run(Message, frozen=True):
    """Tasks to run, in this order. functions: code the engine lacks, by hash. forget: hashes to drop from its table."""

    batches: list[RunBatch]
    functions: dict[bytes, bytes] = {}
    kept: list[int] = []  # as in Kept


class Kept(Message, frozen=True):
    """These Results and Returned (by number) are on record."""

    numbers: list[int]


class Revoke(Message, frozen=True):
    """Give these back if they have not started."""

    leases: list[Lease]


class Interrupt(Message, frozen=True):
    """Send yourself this signal; with a task only while that task runs."""

    signum: int
    task: int | None = None


class ClearNamespace(Message, frozen=True):
    """Empty the namespace between two tasks, then Answer."""

    request: int


class Inquiry(Message, frozen=True):
    """A question for the I/O thread: see Ask."""

    request: int
    what: str
    text: str = ""
    cursor: int = 0


class Probe(Message, frozen=True):
    """Are you there? Engines answer with Beat; clients need not answer, sending it shows whether they are reachable."""


class Leave(Message, frozen=True):
    """Exit now."""

    reason: str = ""


class Fenced(Message, frozen=True):
    """A newer connection has this engine's uuid: exit."""


class Spawn(Message, frozen=True):
    """Start engines on this host; replaces names the engine each of them follows, or is empty."""

    count: int
    replaces: list[int] = []


class SignalEngine(Message, frozen=True):
    """Send a signal to an engine's process."""

    uuid: str
    signum: int


class EndCluster(Message, frozen=True):
    """The cluster ends: stop every engine, then the hub's restarts, then yourself."""

    reason: str = ""


class ExitKept(Message, frozen=True):
    """These Exited messages (by number) are on record."""

    numbers: list[int]


FromClient = (
    ClientHello
    | Submit
    | Got
    | Abort
    | Clear
    | Signal
    | Shutdown
    | Scale
    | Ask
    | Query
    | Observe
    | Seen
    | Blocked
    | ClientBye
)
ToClient = Welcome | Refused | SayHello | Accepted | Rejected | Done | Reply | Notice | Snapshot | Delta | Probe
FromEngine = (
    EngineHello
    | Results
    | Returned
    | Began
    | Output
    | Answer
    | Beat
    | EngineBye
    | SupervisorHello
    | Started
    | Exited
    | GaveUp
    | Vitals
)
ToEngine = (
    EngineWelcome
    | SupervisorWelcome
    | Refused
    | SayHello
    | Run
    | Kept
    | Revoke
    | Interrupt
    | ClearNamespace
    | Inquiry
    | Probe
    | Leave
    | Fenced
    | Spawn
    | SignalEngine
    | EndCluster
    | ExitKept
)

RUN_BUCKETS_PER_DOUBLING = 16
"""Run times are counted in logarithmic buckets: bucket b holds times around 2 ** (b / 16) microseconds, within 2.2 %."""
