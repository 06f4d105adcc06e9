"""What an engine holds is what the hub believes it does, and no more than that."""

from __future__ import annotations

import random

from tuiparallel.engine.shelf import Shelf
from tuiparallel.wire import sources
from tuiparallel.wire.functions import FunctionTable
from tuiparallel.wire.known import KnownFunctions
from tuiparallel.wire.messages import Kind, Run, RunBatch
from tuiparallel.wire.names import adopt


def batch(hash: bytes) -> RunBatch:
    return RunBatch(Kind.APPLY, "f", "ab", hash, [1], [1], [b""])


def test_hub_and_engine_stay_in_step() -> None:
    table = FunctionTable({})
    try:
        shelf = Shelf(table, count_limit=8, slack=50)
        hub = KnownFunctions(8)
        chance = random.Random(5)
        for turn in range(2000):
            if turn % 500 == 499:
                hub = KnownFunctions(8)
                shelf.greet()
            wanted = [bytes([chance.randrange(20)]) for _ in range(chance.randrange(1, 4))]
            functions = {hash: b"code" for hash in wanted if hub.needs_code(hash, 4)}
            shelf.receive(Run([batch(hash) for hash in wanted], functions))
            assert all(hash in table for hash in wanted)  # else the hub had to send it
            if shelf.full:
                shelf.forget(wanted)
            assert len(table) <= 20
        shelf.forget([])
        assert len(table) <= 8
    finally:
        adopt(None)
        sources.set_place("")
