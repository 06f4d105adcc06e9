"""What is sendable, and what of it is copied: S1 to S28, on engines of a real cluster."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest

import tests
from tests.conftest import PATIENCE, on_time
from tuiparallel.client.client import Client
from tuiparallel.errors import CompositeError, RemoteError
from tuiparallel.link.clock import SystemClock
from tuiparallel.wire import pages

SIZES = {"16 B": 2, "1 kB": 128, "40 kB": 5_000, "2 MB": 250_000}
LARGE = 12_500_000  # float64: 100 MB

Here = Callable[[str], dict[str, Any]]
every_size = pytest.mark.parametrize("count", SIZES.values(), ids=SIZES.keys())


@pytest.fixture(autouse=True)
def _mappings(_no_leaks: None) -> Iterator[None]:
    """Mappings of large files are kept for the next ones, by design; they are no leak."""
    yield
    pages.drop_all()


def anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    raise AssertionError("no RssAnon")


@on_time
def test_s01_s02_s03_a_large_array_is_neither_copied_nor_waited_for(rc: Client, slack: float) -> None:
    view = rc[0]
    view.apply_sync(len, np.zeros(10))
    array = np.ones(LARGE)
    before = anonymous()
    began = SystemClock.monotonic()
    with view.temp_flags(track=True):
        result = view.apply_async(lambda a: float(a.sum()), array)
    took = SystemClock.monotonic() - began
    assert took < 0.010 * slack, took
    assert result.get(timeout=PATIENCE) == LARGE
    assert anonymous() - before < 5 << 20

    before = anonymous()
    rc[:].push({"A": array}, block=True)
    rc[0]["B"] = array
    rc[:].scatter("part", array, block=True)
    assert anonymous() - before < 5 << 20
    assert rc[:].apply_sync(lambda: len(part)) == [LARGE // 4] * 4  # type: ignore[name-defined]  # noqa: F821
    rc[:].clear(block=True)


@every_size
def test_s04_an_array_on_an_engine_is_read_only(rc: Client, count: int) -> None:
    assert rc[0].apply_sync(lambda a: (a.flags.writeable, a.sum()), np.ones(count)) == (False, count)


@every_size
def test_s05_an_array_that_is_a_result_is_read_only(rc: Client, count: int) -> None:
    array = rc[0].apply_sync(np.ones, count)
    assert not array.flags.writeable
    assert array.sum() == count
    rc[:].scatter("x", np.arange(count), block=True)
    gathered = rc[:].gather("x", block=True)
    assert not gathered.flags.writeable
    assert (gathered == np.arange(count)).all()


@every_size
def test_s06_so_are_arrays_inside_of_other_things(rc: Client, count: int, here: Here) -> None:
    names = here(
        "import dataclasses, numpy as np\n"
        "@dataclasses.dataclass\n"
        "class Box:\n    inside: object\n"
        "def flags(a, *, key):\n"
        "    return [x.flags.writeable for x in (a[0], a[1]['k'], a[2].inside, key)]\n"
        "def back(count):\n    a = np.ones(count)\n    return [a, (a, {'k': a}), Box([a])]\n"
    )
    array = np.ones(count)
    sent = [array, {"k": array}, names["Box"](array)]
    assert rc[0].apply_sync(names["flags"], sent, key=array) == [False] * 4
    one, (two, three), four = rc[0].apply_sync(names["back"], count)
    assert not any(a.flags.writeable for a in (one, two, three["k"], four.inside[0]))
    rc[0].push({"pulled": array}, block=True)
    assert not rc[0].pull("pulled", block=True).flags.writeable
    for item in rc.load_balanced_view().map_sync(lambda a: a, [array, array]):
        assert not item.flags.writeable
    assert rc[0].apply_sync(lambda m: m.readonly, memoryview(cast(Any, array)))
    assert rc[0].apply_sync(lambda b: (b.extend(b"x"), len(b)), bytearray(count)) == (None, count + 1)


def test_s04_s05_s06_s10_of_100_mb_too(rc: Client, here: Here) -> None:
    array = np.zeros(LARGE)
    assert rc[0].apply_sync(lambda a, b: a.flags.writeable or b[0].flags.writeable, array, [array]) is False
    back = rc[0].apply_sync(here("def setter(a):\n    a = a.copy()\n    a[0] = 1\n    return a")["setter"], array)
    assert back.nbytes == 100_000_000 and back[0] == 1 and not back.flags.writeable
    assert array[0] == 0 and array.flags.writeable


def setter_code() -> str:
    return "def setter(a):\n    a[0]=1\n    return a\n"


@pytest.mark.parametrize("count", [2, 1_000_000])
def test_s07_s08_writing_into_an_argument_is_the_tasks_error(
    rc: Client, count: int, tmp_path: Path, here: Here
) -> None:
    file = tmp_path / "cell.py"
    file.write_text(setter_code())
    names = here(f"exec(compile({setter_code()!r}, {str(file)!r}, 'exec'))")
    with pytest.raises(RemoteError, match="read-only") as caught:
        rc[0].apply_sync(names["setter"], np.zeros(count))
    assert isinstance(caught.value, ValueError)
    assert "setter" in caught.value.traceback and "a[0]=1" in caught.value.traceback
    assert "cell.py" in caught.value.traceback


@every_size
def test_s09_s10_a_copy_may_be_written(rc: Client, count: int, here: Here) -> None:
    code = "def setter(a):\n    if not a.flags.writeable:\n        a = a.copy()\n    a[0] = 1\n    return a"
    setter = here(code)["setter"]
    mine = np.zeros(count)
    result = rc[0].apply_sync(setter, mine)
    assert result[0] == 1 and not result.flags.writeable
    assert mine.sum() == 0 and mine.flags.writeable


def test_s11_s12_s13_tracking_tells_when_an_array_may_be_changed(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuiparallel.client.handover import ClientBlobs

    hold = threading.Event()
    written = ClientBlobs.fulfil

    def held(self: ClientBlobs, *args: Any) -> None:
        hold.wait(PATIENCE)
        written(self, *args)

    monkeypatch.setattr(ClientBlobs, "fulfil", held)
    view = rc[0]
    view.track = True
    array = np.zeros(2_000_000)
    result = view.apply_async(lambda a: float(a.sum()), array)
    assert not result.sent
    with pytest.raises(TimeoutError):
        result.wait_on_send(timeout=0.05)
    hold.set()
    result.wait_for_send(timeout=PATIENCE)
    assert result.sent
    array += 1
    assert result.get(timeout=PATIENCE) == 0.0


def test_s13_a_second_attempt_gets_the_old_contents_too(rc: Client, here: Here) -> None:
    view = rc.load_balanced_view()
    here("from tuiparallel import current_task")
    f = here("def f(a):\n    if current_task().attempt == 1: raise ValueError('again')\n    return float(a.sum())")[
        "f"
    ]
    array = np.zeros(2_000_000)
    with view.temp_flags(track=True, retries=1):
        result = view.apply_async(f, array)
    result.wait_on_send(timeout=PATIENCE)
    array += 1
    assert result.get(timeout=PATIENCE) == 0.0


def test_s13_a_task_that_starts_later_gets_them_too(rc: Client, here: Here) -> None:
    nap = here("import time\ndef nap(s):\n    time.sleep(s)")["nap"]
    view = rc[0].set_flags(track=True)
    for size in (100, 2_000_000):
        busy, array = view.apply_async(nap, 0.3), np.zeros(size)
        later = view.apply_async(lambda a: float(a.sum()), array)
        later.wait_on_send(timeout=PATIENCE)
        array += 1
        assert not busy.ready() and later.get(timeout=PATIENCE) == 0.0 and later.started >= busy.completed


def test_s14_without_track_nothing_is_waited_for(rc: Client) -> None:
    result = rc[0].apply_async(len, np.zeros(2_000_000))
    assert result.sent
    result.wait_on_send(timeout=0)
    assert result.get(timeout=PATIENCE) == 2_000_000


def test_s15_track_is_a_flag_and_an_argument(rc: Client) -> None:
    view = rc[:]
    assert view.track is False
    view.set_flags(track=True)
    assert view.track is True
    with view.temp_flags(track=False):
        assert view.track is False
        assert view.push({"x": 1}, track=True, block=False)._track
        assert view.scatter("y", range(8), track=True, block=False)._track
        assert view.map_async(abs, [1, 2], track=True)._track
        assert view.remote(track=True, block=False)(abs)(1)._track
    rc.wait(timeout=PATIENCE)


ARRAYS: dict[str, Any] = {
    "0-d": np.array(3.5),
    "empty": np.zeros((0, 4)),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "structured": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "datetime64": np.array(["2026-01-31T10:00"], dtype="datetime64[s]"),
    "timedelta64": np.array([5], dtype="timedelta64[ms]"),
    "unicode": np.array(["ä", "bc"]),
    "F-order": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "strided": np.arange(20)[::3],
    "negative strides": np.arange(20)[::-2],
    "byte-swapped": np.arange(5, dtype=">i4" if np.little_endian else "<i4"),
    "object": np.array([1, "a", None], dtype=object),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_s16_arrays_arrive_as_they_were(rc: Client, name: str) -> None:
    array = ARRAYS[name]
    back = rc[0].apply_sync(lambda a: a, array)
    assert type(back) is type(array) and back.dtype == array.dtype and back.shape == array.shape
    assert np.array_equal(back, array)
    assert back.flags.f_contiguous == array.flags.f_contiguous or name in ("strided", "negative strides")


def test_s16_special_arrays(rc: Client, tmp_path: Path) -> None:
    record = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    back = rc[0].apply_sync(lambda a: a, record)
    assert isinstance(back, np.recarray) and back.a[0] == 1
    masked = np.ma.masked_array([1, 2, 3], mask=[False, True, False])
    back = rc[0].apply_sync(lambda a: a, masked)
    assert isinstance(back, np.ma.MaskedArray) and back.mask.tolist() == [False, True, False]
    mapped = np.memmap(tmp_path / "m", dtype="i4", mode="w+", shape=(3,))
    assert rc[0].apply_sync(lambda a: type(a).__name__, mapped) == "ndarray"


@pytest.mark.parametrize(
    "value",
    [1, 1.5, "ä", None, b"x", [1, (2, {3: {4}})], frozenset({1}), range(3), 1j, collections.OrderedDict(a=1)],
    ids=repr,
)
def test_s17_picklable_values_arrive_equal_and_of_the_same_type(rc: Client, value: Any) -> None:
    back = rc[0].apply_sync(lambda x: x, value)
    assert back == value and type(back) is type(value)


def test_s18_top_level_buffers_are_not_pickled(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuiparallel.wire import pickling

    pickled: list[Any] = []
    dumps = pickling.dumps

    def counting(value: Any) -> Any:
        pickled.append(value)
        return dumps(value)

    monkeypatch.setattr(pickling, "dumps", counting)
    marks = (b"bytes of mine", bytearray(b"array of mine"), memoryview(b"view of mine"), np.arange(7))
    assert rc[0].apply_sync(lambda *args: [len(a) for a in args], *marks) == [13, 13, 12, 7]
    assert not any(mark is part for mark in marks for value in pickled for part in _parts(value))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [value, *[part for one in value for part in _parts(one)]]
    if isinstance(value, dict):
        return [part for one in value.values() for part in _parts(one)]
    return [value]


@every_size
def test_s19_bytes_own_their_memory_and_views_keep_their_format(rc: Client, count: int) -> None:
    assert rc[0].apply_sync(lambda b: (type(b).__name__, len(b)), bytes(count)) == ("bytes", count)
    back = rc[0].apply_sync(lambda b: b * 2, bytes(count))
    assert type(back) is bytes and len(back) == 2 * count


def test_s20_memoryviews_keep_format_and_shape(rc: Client) -> None:
    array = np.arange(12, dtype="i4").reshape(3, 4)
    assert rc[0].apply_sync(lambda m: (m.format, m.shape, m.readonly), memoryview(cast(Any, array))) == (
        "i",
        (3, 4),
        True,
    )
    back = rc[0].apply_sync(lambda: memoryview(b"abc"))
    assert isinstance(back, memoryview) and back.readonly and bytes(back) == b"abc"


def test_s21_classes_with_buffers_of_their_own(rc: Client, here: Here) -> None:
    names = here(
        "from pickle import PickleBuffer\n"
        "class Image:\n"
        "    def __init__(self, data): self.data = data\n"
        "    def __reduce_ex__(self, protocol): return Image, (PickleBuffer(self.data),)\n"
        "def look(image): return type(image.data).__name__, memoryview(image.data).readonly, len(image.data)\n"
    )
    kind, readonly, size = rc[0].apply_sync(names["look"], names["Image"](bytes(100_000)))
    assert (readonly, size) == (True, 100_000), kind


CLOSURES = """
def f(x):
    def inner(y):
        return x + y
    return inner
def f1(a):
    def g():
        return a
    return g
def g1():
    return a_global
def g2(x):
    return a_global
"""


def test_s22_s23_closures_are_sendable(rc: Client, here: Here) -> None:
    names = here(CLOSURES)
    assert rc[0].apply_sync(names["f"], 1)(2) == 3
    assert rc[0].apply_sync(names["f1"](1)) == 1
    assert rc[0].apply_sync(names["f1"](2)) == 2


def test_s24_functions_see_the_engines_namespace(rc: Client, here: Here) -> None:
    names = here(CLOSURES)
    view = rc[:]
    with pytest.raises(CompositeError) as caught:
        view.apply_sync(names["g1"])
    assert {error.ename for error in caught.value.errors} == {"NameError"}
    view["a_global"] = 5
    assert view.apply_sync(names["g1"]) == view.apply_sync(names["g2"], 0) == [5] * 4


def test_s25_a_lambda_is_like_pull(rc: Client, here: Here) -> None:
    view = rc[:]
    view.push({"a": {"b": 1}}, block=True)
    assert view.apply_sync(here("f = lambda: a")["f"]) == view.pull("a", block=True) == [{"b": 1}] * 4


SENDABLE = """
import dataclasses, enum, collections, functools
def deco(f):
    @functools.wraps(f)
    def wrapper(*a, **k): return f(*a, **k) + 1
    return wrapper
@deco
def decorated(x): return x
def defaults(x, y=2, *, z=3): return x + y + z
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def fact(n): return 1 if n < 2 else n * fact(n - 1)
class Thing:
    k = 3
    def __init__(self, x): self.x = x
    def method(self, y): return self.x + y + self.k
@dataclasses.dataclass
class Data:
    x: int
class Color(enum.Enum):
    RED = 1
Point = collections.namedtuple("Point", "x y")
"""


def test_s26_functions_and_classes_of_main_are_sendable(rc: Client, here: Here) -> None:
    names = here(SENDABLE)
    apply = rc[0].apply_sync
    assert apply(names["decorated"], 1) == 2
    assert apply(names["defaults"], 1) == 6 and apply(names["defaults"], 1, z=0) == 3
    assert apply(functools.partial(names["defaults"], 1, y=1)) == 5
    assert apply(names["Thing"](1).method, 2) == 6
    assert apply(names["even"], 10) is True and apply(names["fact"], 5) == 120
    for value in (names["Data"](1), names["Color"].RED, names["Point"](1, 2)):
        back = apply(lambda x: x, value)
        assert back == value and type(back) is type(value)
    assert apply(names["Thing"], 1).method(0) == 4
    assert dataclasses.is_dataclass(apply(lambda: names["Data"](2)))
    assert isinstance(names["Color"].RED, enum.Enum)


def test_s27_all_keywords_reach_the_function(rc: Client) -> None:
    def echo(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    given = {"f": 1, "block": 2, "targets": 3, "label": 4, "self": 5}
    for view in (rc[0], rc.load_balanced_view(), rc.broadcast_view()):
        result = view.apply_async(echo, **given).get(timeout=PATIENCE)
        assert result == given or result == [given] * 4


def test_s28_send_apply_message_is_the_path_of_all_views(rc: Client) -> None:
    assert rc.send_apply_message(None, pow, (2, 10)).get(timeout=PATIENCE) == 1024
    assert rc.send_apply_request(None, pow, [2], {"exp": 3}, ident=1).get(timeout=PATIENCE) == 8
    result = rc.send_apply_message(None, abs, (1,), subheader={"label": "mine"}, ident=2)
    assert result.get(timeout=PATIENCE) == 1 and result.engine_id == 2 and result.metadata.label == "mine"
    assert rc.send_execute_request(None, "x = 7", ident=3).get(timeout=PATIENCE).status == "ok"
    assert rc[3]["x"] == 7


def test_s28_all_methods_of_the_views_submit_in_the_same_way(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    submitter, passed = rc._session.submitter, []
    submit = submitter.submit

    def noted(order: Any, *args: Any) -> Any:
        passed.append(order.name)
        return submit(order, *args)

    monkeypatch.setattr(submitter, "submit", noted)
    view, balanced = rc[:], rc.load_balanced_view()
    calls: dict[str, Callable[[], Any]] = {
        "send_apply_message": lambda: rc.send_apply_message(None, abs, (1,)),
        "send_execute_request": lambda: rc.send_execute_request(None, "x = 1", ident=0),
        "apply": lambda: view.apply(abs, 1), "balanced apply": lambda: balanced.apply(abs, 1),
        "broadcast": lambda: rc.broadcast_view().apply(abs, 1), "map": lambda: view.map(abs, [1]),
        "balanced map": lambda: balanced.map(abs, [1]), "starmap": lambda: balanced.starmap(pow, [(1, 2)]),
        "reduce": lambda: view.reduce(max, [1, 2]), "remote": lambda: view.remote()(abs)(1),
        "parallel": lambda: view.parallel()(list)([1, 2]), "execute": lambda: view.execute("x = 1"),
        "run": lambda: view.run(tests.__file__), "push": lambda: view.push({"a": 1}), "pull": lambda: view.pull("a"),
        "scatter": lambda: view.scatter("b", [1]), "gather": lambda: view.gather("b"),
        "imap": lambda: list(balanced.imap(abs, [1])), "executor": lambda: balanced.executor.submit(abs, 1).result(PATIENCE),
    }  # fmt: skip
    for name, call in calls.items():
        before = len(passed)
        call()
        assert len(passed) > before, name
    assert rc.wait(timeout=PATIENCE)


def test_s02_engines_of_a_host_share_one_written_blob(rc: Client, cluster: Any) -> None:
    from tuiparallel.client.handover import ClientBlobs

    assert isinstance(rc._session.handover.store, ClientBlobs)
    before = psutil.disk_usage(str(rc._session.handover.store.folder)).used
    rc[:].push({"big": np.ones(LARGE // 4)}, block=True)
    grown = psutil.disk_usage(str(rc._session.handover.store.folder)).used - before
    assert grown < 60 << 20  # one copy of 25 MB, not one per engine
    rc[:].clear(block=True)
