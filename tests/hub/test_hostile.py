"""Messages of peers that hold a key and say nonsense: the hub counts, refuses or answers, and lives."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest

from tests.hub.stage import Stage, balanced, direct
from tuiparallel.link.link import LinkState
from tuiparallel.wire import messages
from tuiparallel.wire.messages import (
    Abort,
    Answer,
    Ask,
    Beat,
    Began,
    BlobUse,
    Blocked,
    Chunk,
    Clear,
    EngineBye,
    ErrorText,
    Exited,
    Extras,
    FromClient,
    FromEngine,
    GaveUp,
    Got,
    Lease,
    Message,
    Need,
    Observe,
    Output,
    Query,
    Ran,
    Results,
    Returned,
    Scale,
    Seen,
    Signal,
    Started,
    Submit,
    Vital,
    Vitals,
)

NUMBERS = (0, 1, -1, 2, 5, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63))
FLOATS = (0.0, -1.0, 1e308, -1e308, math.nan, math.inf, -math.inf)
TEXTS = (
    "",
    "aa",
    "zz",
    "any",
    "$gt",
    "\x00",
    "\udcff".encode("utf-8", "replace").decode(),
    "x" * 5000,
    "[click=quit]",
)

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("queue_status", {"targets": [0], "verbose": True}),
    ("result_status", {"tasks": [("aa", 0, 1)]}),
    ("get_result", {"tasks": [("aa", 0, 1)]}),
    ("history", {"limit": 3}),
    ("page", {"before": [3, 1], "limit": 5}),
    ("task", {"task": ("aa", 0, 1)}),
    ("why", {"task": ("aa", 0, 1)}),
    ("output", {"limit": 3}),
    ("purge", {"tasks": [("aa", 0, 1)], "targets": [1], "all": False}),
    ("resubmit", {"tasks": [("aa", 0, 1)]}),
    ("db_query", {"query": {"name": {"$glob": "f*"}, "size": {"$gt": 3}}, "keys": ["name"]}),
    ("status", {}),
    ("engines", {}),
]
OF_CLIENT: list[Message] = [
    Submit(
        0, 2, balanced(after=Need([("aa", 0, 1)]), timeout=1.0), b"h", b"code", [b"a", b"b"], [BlobUse(0, "n", 3)]
    ),
    Submit(0, 1, direct([0], time_limit=2.0, retries=1, label="l"), b"", None, [b"a"]),
    Got([("aa", 0, 2)]),
    Abort(1, [("aa", 0, 3)], None, True, 0.5),
    Abort(2, None, [0]),
    Clear(3, [0]),
    Signal(4, [0], 15, ("aa", 0, 1)),
    Scale(5, 1),
    Ask(6, 0, "stack", "t", 1),
    Observe(True),
    Seen(1),
    Blocked(("aa", 0, 1), [("aa", 1, 1)]),
    *(Query(number, what, arguments) for number, (what, arguments) in enumerate(QUESTIONS, start=10)),
]
RAN = Ran(
    1 << 40, 1, False, 1.0, 2.0, b"v", Extras("o", "e", [], None, None, 5, ErrorText("E", "v", "t")), (("n", 5),)
)
OF_ENGINE: list[Message] = [
    Results(1, [RAN, Ran((1 << 40) + 1, 2, True, 1.0, 2.0, b"v")]),
    Returned(2, [Lease(1 << 40, 1)], [Lease((1 << 40) + 1, 1)]),
    Began(1 << 40, 1, 5.0, 2),
    Output([Chunk(0, 1 << 40, "stdout", "text", 1.0, 0)]),
    Answer(1, "body"),
    Beat(1 << 40, 1.0, 3),
    EngineBye("why"),
]
OF_SUPERVISOR: list[Message] = [
    Started([("u9", 5, None)]),
    Exited(1, "u8", 5, 1, None, 5, "tail", Lease(1, 1), 1.0, True),
    GaveUp("u9", "why"),
    Vitals([Vital("u9", 5, 0.5, 100, 1000, "R")]),
]


def bent(dice: random.Random, value: Any) -> Any:
    """The same structure, with some of its leaves replaced."""
    if isinstance(value, list):
        kept = [bent(dice, one) for one in value]
        if kept and dice.random() < 0.05:
            kept = kept[: dice.randrange(len(kept))] if dice.random() < 0.5 else kept + kept[-1:]
        return kept
    if isinstance(value, dict):
        return {key: bent(dice, one) for key, one in value.items()}
    if dice.random() > 0.2:
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return dice.choice(NUMBERS)
    if isinstance(value, float):
        return dice.choice(FLOATS)
    if isinstance(value, str):
        return dice.choice(TEXTS)
    return dice.choice([None, value, 0, "x", [], {}])


def variants(dice: random.Random, templates: list[Message], union: Any, count: int) -> list[Message]:
    """That many messages which the hub would take for honest ones."""
    found: list[Message] = []
    while len(found) < count:
        plain = msgspec.to_builtins(dice.choice(templates), builtin_types=(bytes,))
        changed = [plain[0], *bent(dice, plain[1:])]
        try:
            found.append(msgspec.msgpack.decode(msgspec.msgpack.encode(changed), type=union))
        except (msgspec.MsgspecError, OverflowError):
            continue
    return found


@pytest.mark.parametrize("seed", range(4))
def test_f31_p6_bent_messages_of_every_role_end_nothing(stage: Stage, seed: int) -> None:
    dice = random.Random(seed)
    honest, client, engine = stage.client("honest"), stage.client("aa"), stage.engine("u1")
    supervisor = stage.supervisor(engine)
    for number, message in enumerate(variants(dice, OF_CLIENT, FromClient, 600)):
        client.link.send(message)
        if isinstance(message, Submit) and dice.random() < 0.7:
            next = stage.book.registry.session_of_hex["aa"].next
            client.link.send(msgspec.structs.replace(message, first=next))
        if number % 20 == 0:
            stage.rounds(2)
    for number, message in enumerate(variants(dice, OF_ENGINE, FromEngine, 600)):
        engine.link.send(_addressed(dice, stage, message))
        if number % 20 == 0:
            stage.rounds(2)
    for message in variants(dice, OF_SUPERVISOR, FromEngine, 200):
        supervisor.link.send(message)
    stage.rounds(30)
    assert stage.loop.doors.malformed == 0, "every one of them reached a handler that knew what to do"
    stage.restart()
    stage.until(lambda: honest.link.boot == stage.book.boot)
    helper = stage.engine("u2", auto=True)
    honest.submit(direct([helper.id]))
    assert honest.outcome(0).state is not None and helper.starts
    assert honest.link.state is LinkState.LIVE


def _addressed(dice: random.Random, stage: Stage, message: Message) -> Message:
    """Some of what an engine says is about tasks that it really has."""
    held = [Lease(task.id, task.lease) for seat in stage.book.scheduler.seats.values() for task in seat.held.values()]
    if not held or dice.random() < 0.3:
        return message
    lease = dice.choice(held)
    match message:
        case Results(number, ran):
            real = [msgspec.structs.replace(one, task=lease.task, lease=lease.lease) for one in ran]
            return Results(number, real)
        case Returned(number):
            return Returned(number, [lease], [dice.choice(held)])
        case Began(_, _, started, queued):
            return Began(lease.task, lease.lease, started, queued)
        case Beat(_, started, queued):
            return Beat(lease.task, started, queued)
        case _:
            return message


def test_every_message_has_a_template() -> None:
    """A new message is bent here too."""
    spoken = {type(message).__name__ for message in (*OF_CLIENT, *OF_ENGINE, *OF_SUPERVISOR)}
    known = {kind.__name__ for kind in (*FromClient.__args__, *FromEngine.__args__)}
    greetings = {"ClientHello", "EngineHello", "SupervisorHello"}
    endings = {"ClientBye", "Shutdown"}
    assert known - spoken == greetings | endings
    assert messages.PROTOCOL


@pytest.mark.parametrize("seed", range(3))
def test_f30_p7_garbage_is_counted_and_reaches_nothing(stage: Stage, seed: int) -> None:
    """Bytes that are no message, from whoever can reach the socket, before and after a greeting."""
    dice = random.Random(seed)
    client, engine = stage.client(), stage.engine(auto=True)
    recorded = msgspec.msgpack.encode(OF_CLIENT[0])
    for link in (client.link, engine.link):
        for number in range(300):
            length = dice.choice([0, 1, 3, 4, 5, 50, 3000])
            body = dice.randbytes(length) if dice.random() < 0.5 else recorded[: dice.randrange(len(recorded))]
            with link._lock:
                link._socket.send(dice.choice([b"", link._sent.to_bytes(4, "little"), b"\0\0\0\0"]) + body)
            if number % 50 == 0:
                stage.rounds(2)
        stage.rounds(5)
    assert stage.loop.doors.malformed + stage.loop.doors.dropped >= 50
    stage.until(lambda: client.link.state is LinkState.LIVE and engine.link.state is LinkState.LIVE)
    stage.rounds(20)
    assert not stage.book.scheduler.tasks
    client.submit(balanced())
    assert client.outcome(0).body == b"value of call" and len(engine.starts) == 1
