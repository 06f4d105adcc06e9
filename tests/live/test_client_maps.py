"""Map, decorators, dependencies, executor: S86 to S92 and what goes beyond, on engines of a real cluster."""

from __future__ import annotations

import functools
import inspect
import itertools
import operator
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.conftest import PATIENCE
from tuiparallel.client.client import Client
from tuiparallel.client.decorators import depend, require
from tuiparallel.client.dependency import Dependency
from tuiparallel.client.executor import ViewExecutor
from tuiparallel.client.view import View
from tuiparallel.errors import CompositeError, ImpossibleDependency, InvalidDependency, RemoteError
from tuiparallel.wire.references import Reference

Here = Callable[[str], dict[str, Any]]


def views(rc: Client) -> list[View]:
    return [rc[:], rc[0], rc.load_balanced_view(), rc.broadcast_view()]


@pytest.fixture
def nap(here: Here) -> Callable[..., Any]:
    found: Callable[..., Any] = here("import time\ndef nap(s, value=None):\n    time.sleep(s)\n    return value")[
        "nap"
    ]
    return found


def test_s86_map_is_the_builtin_map(rc: Client) -> None:
    for view in views(rc):
        assert view.map_sync(lambda x: x * x, range(17)) == [x * x for x in range(17)]
        assert view.map_sync(lambda x, y: (x, y), range(9), "abc") == list(zip(range(9), "abc", strict=False))
        assert view.map_sync(str.upper, (c for c in "xyz")) == ["X", "Y", "Z"]
        assert view.map_sync(float, np.arange(3.0)) == [0.0, 1.0, 2.0]
        assert view.map_sync(abs, []) == []
    assert rc.load_balanced_view().map_sync(abs, range(-10, 0), chunksize=3) == list(range(10, 0, -1))


def test_s87_block_and_bound_are_keyword_only(rc: Client, here: Here) -> None:
    for view in views(rc):
        assert view.map(abs, [-1], block=True, bound=True) == [1]
        assert view.map(abs, [-1], block=False, bound=False).get(timeout=PATIENCE) == [1]
        with pytest.raises(TypeError, match="not iterable"):
            view.map(abs, [-1], True)  # type: ignore[arg-type]
    rc[:].push({"a": 5}, block=True)
    see = here("see = lambda x: a + x")["see"]
    for bound in (True, False):
        assert [view.map(see, [1], block=True, bound=bound) for view in views(rc)] == [[6]] * 4


def test_s88_results_are_iterated_as_they_arrive(rc: Client, nap: Any) -> None:
    view = rc.load_balanced_view()
    result = view.map_async(nap, [0.0, 0.6], [1, 2])
    values = iter(result)
    assert next(values) == 1 and not result.ready()
    assert next(values) == 2
    unordered = view.map_async(nap, [0.5, 0.0], [1, 2], ordered=False)
    assert list(unordered) == [2, 1] and unordered.get() == [1, 2]


def test_s89_reduce(rc: Client) -> None:
    for view in views(rc):
        assert view.reduce(operator.add, range(100), block=True) == sum(range(100))
        assert view.reduce(operator.add, ["a", "b", "c"], ">", block=True) == ">abc"
        assert view.reduce(max, [3], block=True) == 3
        assert view.reduce(operator.add, [], 5, block=True) == 5
        with pytest.raises(TypeError):
            view.reduce(operator.add, [])


def test_s89_parts_are_reduced_on_the_engines(rc: Client, here: Here) -> None:
    both = here("import os\ndef both(a, b):\n    return a | b | {os.getpid()}")["both"]
    pids = set(rc[:].apply_sync(os.getpid))
    assert rc[:].reduce(both, [set() for _ in range(12)], block=True) == pids | {os.getpid()}


def test_s90_remote_and_parallel_functions(rc: Client) -> None:
    view, balanced = rc[:], rc.load_balanced_view()

    @view.remote(block=True)
    def double(x: int) -> int:
        """Twice."""
        return 2 * x

    assert double(2) == [4] * 4
    assert (
        double.__name__ == "double"
        and double.__doc__ == "Twice."
        and list(inspect.signature(double).parameters) == ["x"]
    )

    for dist in ("b", "r"):
        for on in (view, balanced):

            @on.parallel(dist=dist, block=True)
            def squares(part: Any) -> Any:
                return [x * x for x in part]

            assert squares(range(10)) == [x * x for x in range(10)]
            assert squares.map([[1], [2]]) == [[1], [4]]

    @balanced.remote(block=False, label="flagged", priority=3)
    def flagged() -> int:
        return 1

    result = flagged()
    assert result.get(timeout=PATIENCE) == 1 and result.metadata.label == "flagged" and result.metadata.priority == 3
    with pytest.raises(ValueError, match="different lengths"):
        squares([1, 2], [1])


def test_s91_depend_and_require(rc: Client, here: Here) -> None:
    names = here(
        "from tuiparallel import current_task, UnmetDependency\n"
        "def on(engine): return current_task().engine_id == engine\n"
        "def where(): return current_task().engine_id\n"
        "def stubborn():\n    raise UnmetDependency('not here')\n"
        "def uses(): return b64encode(b'x'), later, math.pi\n"
    )
    view = rc.load_balanced_view()
    for engine in rc.ids:
        assert view.apply_sync(depend(names["on"], engine)(names["where"])) == engine
    with pytest.raises(ImpossibleDependency):
        view.apply_async(depend(names["on"], 99)(names["where"])).get(timeout=PATIENCE)
    with pytest.raises(ImpossibleDependency):
        view.apply_async(names["stubborn"]).get(timeout=PATIENCE)
    import base64

    needing = require("math", base64.b64encode, later=5)(names["uses"])
    assert view.apply_sync(needing) == (b"eA==", 5, pytest.approx(3.14159, abs=1e-4))
    with pytest.raises(ImpossibleDependency):
        view.apply_async(require("no_such_module_at_all")(names["uses"])).get(timeout=PATIENCE)


def test_s91_a_graph_of_100_tasks_runs_in_order(rc: Client) -> None:
    view = rc.load_balanced_view()
    results: list[Any] = []
    before: list[list[int]] = []
    for number in range(100):
        wanted = sorted({number // 2, number - 1} - {number}) if number else []
        with view.temp_flags(after=[results[i] for i in wanted] or None):
            results.append(view.apply_async(abs, number))
        before.append(wanted)
    assert rc.wait(results, timeout=PATIENCE)
    for number, wanted in enumerate(before):
        for earlier in wanted:
            assert results[number].started >= results[earlier].completed


def test_s91_any_and_failure(rc: Client, nap: Any) -> None:
    view = rc.load_balanced_view()
    bad, slow = view.apply_async(lambda: 1 / 0), view.apply_async(nap, 0.5)
    with view.temp_flags(after=Dependency([bad], success=False, failure=True)):
        cleanup = view.apply_async(abs, 1)
    with view.temp_flags(after=Dependency([bad, slow], all=False, failure=True)):
        either = view.apply_async(abs, 2)
    assert cleanup.get(timeout=PATIENCE) == 1 and either.get(timeout=PATIENCE) == 2 and not slow.ready()
    slow.get(timeout=PATIENCE)


def test_s92_impossible_and_invalid(rc: Client, nap: Any) -> None:
    view = rc.load_balanced_view()
    bad = view.apply_async(lambda: 1 / 0)
    with view.temp_flags(after=bad):
        impossible = view.apply_async(abs, 1)
    with pytest.raises(ImpossibleDependency):
        impossible.get(timeout=PATIENCE)
    slow = view.apply_async(nap, 1.5)
    for gone, kind in ((bad, ImpossibleDependency), ("nobody-1", InvalidDependency)):
        with view.temp_flags(after=[slow, gone], follow=slow):
            at_once = view.apply_async(abs, 1)
        assert type(at_once.exception(timeout=PATIENCE)) is kind and not slow.ready()
    slow.get(timeout=PATIENCE)
    with view.temp_flags(after="nobody-1"), pytest.raises(InvalidDependency):
        view.apply_async(abs, 1).get(timeout=PATIENCE)


# Beyond the seed --------------------------------------------------------------------------------------------------


def test_errors_of_a_map_are_per_element(rc: Client) -> None:
    for view in (rc[:], rc.load_balanced_view()):
        result = view.map_async(lambda x: 1 // x, [1, 1, 0, 1, 1, 1, 0, 1])
        with pytest.raises(CompositeError) as caught:
            result.get(timeout=PATIENCE)
        assert [error.index for error in caught.value.errors] == [2, 6]
        values = view.map_sync(lambda x: 1 // x, [1, 0, 0, 1, 2], return_exceptions=True)
        assert [type(v).__name__ if isinstance(v, Exception) else v for v in values] == [
            1, "RemoteZeroDivisionError", "RemoteZeroDivisionError", 1, 0
        ]  # fmt: skip
        assert isinstance(values[1], RemoteError) and isinstance(values[1], ZeroDivisionError)


def test_constants_and_starmap(rc: Client) -> None:
    for view in views(rc):
        assert view.map_sync(pow, [1, 2, 3], kwargs={"exp": 2}) == [1, 4, 9]
        assert view.starmap(pow, [(2, 3), (3, 2)], block=True) == [8, 9]
        assert view.starmap(pow, [{"base": 2, "exp": 3}, (3, 2)], block=True) == [8, 9]
    assert rc.load_balanced_view().map_sync(pow, [1, 2, 3], kwargs={"exp": 2}, chunksize=2) == [1, 4, 9]


def test_async_functions_are_awaited(rc: Client, here: Here) -> None:
    f = here("import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + 1")["f"]
    assert rc[0].apply_sync(f, 1) == 2
    assert rc[:].map_sync(f, range(5)) == [1, 2, 3, 4, 5]


def test_references_are_evaluated_there(rc: Client) -> None:
    view = rc[:]
    view.scatter("n", [1, 2, 3, 4], flatten=True, block=True)
    assert view.apply_sync(abs, Reference("n")) == [1, 2, 3, 4]
    assert view.apply_sync(lambda d: d["k"][0], {"k": [Reference("n * 10")]}) == [10, 20, 30, 40]
    view.execute("def g(x): return x + n", block=True)
    assert view.apply_sync(Reference("g"), 1) == [2, 3, 4, 5]
    assert rc[0].map_sync(lambda x: x, [Reference("n"), 7]) == [1, 7]
    view.push({"m": Reference("n + 1")}, block=True)
    assert view["m"] == [2, 3, 4, 5]


def test_imap_reads_only_as_far_as_needed(rc: Client) -> None:
    view = rc.load_balanced_view()
    read = itertools.count()
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in read:
            taken.append(number)
            yield number

    values = view.imap(lambda x: x + 1, source(), max_outstanding=3)
    assert [next(values) for _ in range(20)] == list(range(1, 21))
    values.cancel()
    with pytest.raises(StopIteration):
        next(values)
    assert len(taken) < 20 + 3 * 64 + 5
    assert values.submitted <= len(taken)
    assert sorted(view.imap(abs, [-3, -1], ordered=False)) == [1, 3]
    assert list(view.imap(abs, [])) == [] and list(rc[:].imap(abs, [-1, -2])) == [1, 2]
    rc.wait(timeout=PATIENCE)


def test_imap_tells_errors_of_its_input_and_of_calls(rc: Client) -> None:
    view = rc.load_balanced_view()

    def source() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    values = view.imap(abs, source())
    assert next(values) == 1
    with pytest.raises(LookupError):
        next(values)
    with pytest.raises(ZeroDivisionError):
        list(view.imap(lambda x: 1 // x, [1, 0]))
    assert isinstance(list(view.imap(lambda x: 1 // x, [0], return_exceptions=True))[0], ZeroDivisionError)


def test_the_executor_is_a_real_one(rc: Client, nap: Any) -> None:
    with rc.executor() as pool:
        assert isinstance(pool, ViewExecutor)
        assert pool.submit(pow, 2, 5).result(timeout=PATIENCE) == 32
        assert list(pool.map(abs, [-1, -2, -3])) == [1, 2, 3]
        assert list(pool.map(abs, range(-5, 0), chunksize=2)) == [5, 4, 3, 2, 1]
        assert isinstance(pool.submit(lambda: 1 / 0).exception(timeout=PATIENCE), ZeroDivisionError)
        with pytest.raises(TimeoutError):
            list(pool.map(nap, [1.0], timeout=0.05))
    with pytest.raises(RuntimeError):
        pool.submit(abs, 1)


def test_futures_can_be_cancelled_while_queued(rc: Client, nap: Any, until: Callable[..., None]) -> None:
    with rc[0].executor as pool:
        busy, queued = pool.submit(nap, 0.6), pool.submit(nap, 0.0)
        until(lambda: "nap" in str(rc.ask_engine(0, "stack")))
        assert queued.cancel() and queued.cancelled()
        assert not busy.cancel()
        assert busy.result(timeout=PATIENCE) is None
        pool.submit(nap, 0.3)
        last = [pool.submit(nap, 0.0) for _ in range(3)]
        pool.shutdown(wait=True, cancel_futures=True)
        assert all(future.cancelled() for future in last)


def test_d29_threads_do_not_see_each_others_flags(rc: Client) -> None:
    view = rc.load_balanced_view()
    inside, done = threading.Event(), threading.Event()
    seen: list[Any] = []

    def other() -> None:
        inside.wait(PATIENCE)
        seen.append((view.label, view.apply_async(abs, 1).metadata.label))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with view.temp_flags(label="mine"):
        inside.set()
        assert done.wait(PATIENCE)
        assert view.apply_async(abs, 1).metadata.label == "mine"
    thread.join()
    assert seen == [(None, None)] and view.label is None
    rc.wait(timeout=PATIENCE)


def test_reduce_of_many_arguments_is_functools(rc: Client) -> None:
    words = [f"w{i}" for i in range(50)]
    assert rc[:].reduce(lambda a, b: a + b, words, block=True) == functools.reduce(lambda a, b: a + b, words)
