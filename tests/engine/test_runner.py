"""The kinds of tasks, run by a real engine; its namespace and what tasks see of themselves."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import numpy as np
import pytest

from tests.engine.scripted import ScriptedHub
from tuiparallel.errors import RemoteError
from tuiparallel.wire.current import current_task, publish_data
from tuiparallel.wire.messages import Answer, ClearNamespace, Kind
from tuiparallel.wire.objects import unpack

a = 0


def seen_here() -> int:
    return a


seen_here.__module__ = "__main__"


def run_map(
    hub: ScriptedHub, function: Any, elements: list[tuple[Any, ...]], constants: dict[str, Any], keep: bool
) -> int:
    return hub.submit(Kind.MAP, [(elements, constants, keep, 100)], function).tasks[0]


def test_a_map_gives_the_list_of_values(hub: ScriptedHub) -> None:
    task = run_map(hub, lambda x, y, z=0: x * y + z, [(1, 2), (3, 4)], {"z": 5}, False)
    assert hub.value(task) == [7, 17]
    assert hub.value(run_map(hub, lambda x: x, [], {}, False)) == []


def test_a_map_stops_at_its_first_error_and_says_which_it_was(hub: ScriptedHub) -> None:
    hub.execute("calls = []")

    def divide(x: int) -> float:
        calls.append(x)  # type: ignore[name-defined] # noqa: F821
        return 1 / x

    task = run_map(hub, divide, [(1,), (0,), (2,)], {}, False)
    ran = hub.outcome(task)
    assert not ran.ok and ran.extras is not None and ran.extras.error is not None
    assert ran.extras.error.ename == "ZeroDivisionError"
    assert ran.extras.error.facts == {"index": 101}
    assert "ElementFailed" not in ran.extras.error.traceback
    assert hub.pull("calls") == [[1, 0]]


def test_a_map_can_keep_its_errors(hub: ScriptedHub) -> None:
    values = hub.value(run_map(hub, lambda x: 1 / x, [(1,), (0,), (2,)], {}, True))
    assert (values[0], values[2]) == (1.0, 0.5)
    assert isinstance(values[1], RemoteError) and isinstance(values[1], ZeroDivisionError)
    assert values[1].engine_info["engine_id"] == 0


def test_push_pull_execute_share_the_namespace(hub: ScriptedHub) -> None:
    hub.push(a=[1], b="x")
    hub.execute("a.append(2)\nimport types\nbox = types.SimpleNamespace()")
    hub.value(hub.submit(Kind.PUSH, [({"box.deep": 9},)]).tasks[0])
    assert hub.pull("a", "b * 2", "box.deep") == [[1, 2], "xx", 9]
    assert hub.value(hub.submit(Kind.PULL, [(["a"], True)]).tasks[0]) == [1, 2]
    assert hub.call(lambda: sorted(globals()["a"])) == [1, 2]
    with pytest.raises(NameError, match=r"\[0:apply\] NameError: name 'nope' is not defined"):
        hub.pull("nope")


def test_main_is_the_namespace(hub: ScriptedHub) -> None:
    hub.execute("import __main__\nclass P: pass\nq = 5")
    assert hub.pull("__main__.q", "P.__module__", "__name__") == [5, "__main__", "__main__"]


def test_execute_displays_its_last_expression(hub: ScriptedHub) -> None:
    batch = hub.submit(Kind.EXECUTE, [("print('hello')\ndisplay('shown')\n6 * 7", None, False)])
    ran = hub.outcome(batch.tasks[0])
    assert ran.ok and ran.extras is not None and unpack(ran.body) is None
    assert ran.extras.stdout == "hello\n"
    assert ran.extras.execute_result == {"data": {"text/plain": "42"}, "metadata": {}, "execution_count": 1}
    assert [output["data"]["text/plain"] for output in ran.extras.outputs] == ["'shown'"]


def test_an_error_in_a_cell_shows_its_line_and_is_execute_s(hub: ScriptedHub) -> None:
    batch = hub.submit(Kind.EXECUTE, [("x = 1\nx.nothing  # this one", None, True)])
    error = hub.error(batch.tasks[0])
    assert error.engine_info["method"] == "execute"
    assert "<cell 1 on engine 0>" in error.traceback and "x.nothing  # this one" in error.traceback
    with pytest.raises(SyntaxError):
        hub.execute("1 +")


def test_clear_leaves_a_new_modules_names(hub: ScriptedHub) -> None:
    hub.execute("a = 1\n__doc__ = 'mine'")
    hub.value(hub.submit(Kind.CLEAR, [()]).tasks[0])
    names = "sorted(name for name in list(globals()))"
    new = ["__builtins__", "__doc__", "__loader__", "__name__", "__package__", "__spec__"]
    assert hub.pull(names, "__doc__", "__name__") == [new, None, "__main__"]
    hub.execute("a = 1")
    hub.send(ClearNamespace(77))
    assert hub.wait_for(Answer).request == 77
    assert hub.pull(names) == [new]
    assert hub.call(lambda x: x + 1, 1) == 2
    hub.execute("a = 2")
    answers = hub.count(Answer)
    hub.send(ClearNamespace(77))  # a copy: the hub has not heard the answer
    hub.until(lambda: hub.count(Answer) > answers)
    assert hub.pull("a") == [2], "what came later stays"


def test_a_coroutine_function_is_awaited_in_a_loop_that_lives(hub: ScriptedHub) -> None:
    hub.execute("import asyncio\nloops = []")

    async def wait(x: int) -> int:
        loops.append(asyncio.get_running_loop())  # type: ignore[name-defined] # noqa: F821
        await asyncio.sleep(0)
        return x

    assert hub.call(wait, 3) == 3
    assert hub.value(run_map(hub, wait, [(1,), (2,)], {}, False)) == [1, 2]
    assert hub.pull("len(loops)", "len(set(map(id, loops)))") == [3, 1]
    hub.execute("y = await asyncio.sleep(0, 'awaited')")
    assert hub.pull("y") == ["awaited"]


def test_a_task_knows_what_it_is(hub: ScriptedHub) -> None:
    def ask() -> tuple[Any, ...]:
        task = current_task()
        assert task is not None
        return task.msg_id, task.engine_id, task.attempt, task.client

    batch = hub.submit(Kind.APPLY, [()], ask)
    assert hub.value(batch.tasks[0]) == (f"ab12-{batch.tasks[0]}", 0, 1, "ab12")
    assert current_task() is None


def test_published_data_goes_along(hub: ScriptedHub) -> None:
    def publish() -> int:
        publish_data({"a": 1})
        publish_data({"b": [2]})
        return 5

    ran = hub.outcome(hub.apply(publish))
    assert ran.extras is not None and ran.extras.data is not None
    assert unpack(ran.extras.data) == {"a": 1, "b": [2]}
    assert hub.outcome(hub.apply(lambda: 1)).extras is None
    bad = hub.outcome(hub.apply(lambda: publish_data({"a": (i for i in "x")})))
    assert not bad.ok


def test_arrays_come_as_blobs_and_read_only(hub: ScriptedHub) -> None:
    array = np.arange(1_000_000, dtype=float)
    task = hub.apply(lambda x: (x.flags.writeable, x * 2), array)
    ran = hub.outcome(task)
    assert ran.blobs and ran.blobs[0][1] == array.nbytes
    writeable, doubled = hub.value(task)
    assert writeable is False and (doubled == array * 2).all()


def test_a_new_process_has_nothing_of_the_tests(hub: ScriptedHub) -> None:
    assert hub.call(lambda: __import__("sys").argv) == [""]
    assert hub.call(os.getcwd) == str(hub.folder / "work")
    modules = hub.call(lambda: list(__import__("sys").modules))
    assert not {"numpy", "textual", "rich", "psutil", "asyncio", "sqlite3"} & set(modules)
    assert hub.call(lambda: __import__("sys").stdin.read()) == ""


def test_travelled_names_and_the_namespace(hub: ScriptedHub) -> None:
    global a
    a = 1
    assert hub.call(seen_here) == 1
    hub.execute("a = 5")
    assert hub.call(seen_here) == 5
    a = 0


def test_long_tasks_tell_how_much_memory_was_needed(hub: ScriptedHub) -> None:
    def fill() -> int:
        total = 0
        data = b"x" * 50_000_000
        for byte in data[:1_000_000]:
            total += byte
        return len(data)

    ran = hub.outcome(hub.apply(fill))
    assert ran.extras is not None and ran.extras.peak_rss is not None and ran.extras.peak_rss > 50_000_000
    assert sys.maxsize > ran.extras.peak_rss
