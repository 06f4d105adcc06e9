"""An engine process and a scripted hub, over real sockets."""

from __future__ import annotations

import os

import pytest

from tests.engine.scripted import ScriptedHub
from tuiparallel.wire.messages import Kind


def test_a_call_comes_back_with_its_value(hub: ScriptedHub) -> None:
    assert hub.call(lambda x, y=0: x + y, 40, y=2) == 42
    assert hub.call(os.getpid) == hub.processes[0].pid


def test_many_calls_of_one_batch_come_back_in_order(hub: ScriptedHub) -> None:
    batch = hub.submit(Kind.APPLY, [(i,) for i in range(1000)], lambda x: x * x)
    assert [hub.value(task) for task in batch.tasks] == [i * i for i in range(1000)]
    assert hub.copies == 0


def test_it_leaves_when_it_is_told_to(hub: ScriptedHub) -> None:
    assert hub.call(lambda: 1) == 1
    assert hub.leave() == 0


def test_an_error_arrives_with_its_traceback(hub: ScriptedHub) -> None:
    def fail(x: int) -> float:
        return 1 / x

    error = hub.error(hub.apply(fail, 0))
    assert error.ename == "ZeroDivisionError"
    assert "return 1 / x" in error.traceback and "tuiparallel/engine" not in error.traceback
    assert error.engine_info == {"engine_id": 0, "engine_uuid": "e1", "method": "apply"}
    with pytest.raises(ZeroDivisionError):
        raise error
