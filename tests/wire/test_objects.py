"""Values to bytes and back. S and B numbers are rows of the contract."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pickle
import subprocess
import sys
import threading
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.errors import DeserializationError, MessageTooLarge, SerializationError
from tuiparallel.wire import objects, pages
from tuiparallel.wire.blobs import BlobStore, NoRoom
from tuiparallel.wire.objects import INLINE_LIMIT, pack, pack_call, unpack, unpack_call

EVERY_SIZE = [2, 128, 5_000, 250_000, 12_500_000]  # float64s: 16 B, 1 kB, 40 kB, 2 MB, 100 MB


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


@dataclasses.dataclass
class Box:
    inside: Any
    more: Any = None


class Color(enum.Enum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


class Raw:
    """A class that hands out its buffer, as S21 says."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Raw, (pickle.PickleBuffer(self.data) if protocol >= 5 else bytes(self.data),)


def view_of(array: Any) -> memoryview:
    """An array's buffer; the stubs of numpy know of it from Python 3.12 on only."""
    return memoryview(array)


def trip(value: Any, store: BlobStore | None = None) -> Any:
    return unpack(pack(value, store).body, store)


# Read-only, at every size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", EVERY_SIZE)
@pytest.mark.parametrize("stored", [False, True], ids=["in the body", "in blobs"])
def test_s4_s5_s10_arrays_arrive_read_only(count: int, stored: bool, store: BlobStore) -> None:
    value = np.arange(float(count))
    there = trip(value, store if stored else None)
    assert there.flags.writeable is False and np.array_equal(there, value) and there.dtype == value.dtype
    with pytest.raises(ValueError, match="read-only"):
        there[0] = 1
    assert value.flags.writeable
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        there.flags.writeable = True


NESTINGS = {
    "list": (lambda a: [a], lambda v: v[0]),
    "tuple in dict": (lambda a: {"k": (1, a)}, lambda v: v["k"][1]),
    "dataclass": (lambda a: Box([Box(a)]), lambda v: v.inside[0].inside),
    "array of objects": (lambda a: np.array([{"a": a}, None], dtype=object), lambda v: v[0]["a"]),
    "strided": (lambda a: [np.repeat(a, 2)[::2]], lambda v: v[0]),
    "memoryview": (lambda a: [memoryview(a)], lambda v: np.asarray(v[0])),
    "masked": (lambda a: [np.ma.MaskedArray(a, mask=False)], lambda v: v[0].data),
    "class with a buffer": (lambda a: Raw(a), lambda v: np.frombuffer(v.data)),
}


@pytest.mark.parametrize("count", EVERY_SIZE[:-1])
@pytest.mark.parametrize(("wrap", "reach"), NESTINGS.values(), ids=NESTINGS)
@pytest.mark.parametrize("stored", [False, True], ids=["in the body", "in blobs"])
def test_s6_so_are_nested_ones(wrap: Any, reach: Any, count: int, stored: bool, store: BlobStore) -> None:
    value = np.arange(float(count))
    place = store if stored else None
    for there in (
        trip(wrap(value), place),
        unpack_call(pack_call((wrap(value),), {}, place).body, place)[0][0],
        unpack_call(pack_call((), {"k": wrap(value)}, place).body, place)[1]["k"],
    ):
        assert reach(there).flags.writeable is False and np.array_equal(reach(there), value)


@pytest.mark.parametrize("size", [10, 100_000])
def test_s6_a_bytearray_is_a_private_copy(size: int, store: BlobStore) -> None:
    packed = pack(bytearray(size), store)
    first, second = unpack(packed.body, store), unpack(packed.body, store)
    first[0] = 9
    assert type(first) is bytearray and second[0] == 0
    nested = trip([bytearray(size)], store)
    nested[0][0] = 1
    assert type(nested[0]) is bytearray


@pytest.mark.parametrize("size", [0, 10, 100_000, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_s18_buffers_at_the_top_are_not_pickled(
    kind: Any, size: int, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    count = pickle.dumps

    def noted(value: Any, *rest: Any, **more: Any) -> bytes:
        seen.append(value)
        return count(value, *rest, **more)

    monkeypatch.setattr(pickle, "dumps", noted)
    value = kind(b"x" * size)
    there = trip(value, store)
    assert seen == [] and there == value and type(there) is kind
    args, kwargs = unpack_call(pack_call((value, 1), {"k": value}, store).body, store)
    assert args == (value, 1) and kwargs == {"k": value} and type(args[0]) is kind
    assert all(value is not part for part in _flat(seen))
    array = np.frombuffer(bytes(size), dtype="u1")
    seen.clear()
    assert np.array_equal(trip(array, store), array) and seen == []


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [part for one in value for part in _flat(one)]
    return _flat(list(value.values())) if isinstance(value, dict) else [value]


def test_s20_memoryviews_keep_format_and_shape(store: BlobStore) -> None:
    small = array.array("h", [1, 2, 3, 4, 5, 6])
    for view in (
        memoryview(small),
        memoryview(small)[::2],
        memoryview(small).cast("B").cast("h", (2, 3)),
        view_of(np.zeros((200, 300), dtype="i4")),
        view_of(np.zeros(3, dtype=">i4")),
        view_of(np.zeros(3, dtype=[("a", "i2"), ("b", "f8")])),
        view_of(np.asfortranarray(np.arange(6).reshape(2, 3))),
        memoryview(array.array("d")),
        view_of(np.zeros((0, 3))),
    ):
        for there in (trip(view, store), trip([view], store)[0]):
            assert there.readonly and there.format == view.format and there.shape == view.shape
            assert there.tobytes() == view.tobytes()


# Arrays of all kinds ----------------------------------------------------------------------------------------------

BASE = np.arange(24.0).reshape(2, 3, 4)
ARRAYS = {
    "0-d": np.array(5.5),
    "empty": np.empty((0, 3)),
    "empty in the middle": np.empty((2, 0, 3), dtype="i2"),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j, 3]),
    "float16": np.array([1, 2], dtype="f2"),
    "long double": np.array([1, 2], dtype=np.longdouble),
    "structured": np.array([(1, 2.5, b"ab")], dtype=[("a", "i4"), ("b", "f8"), ("c", "S3")]),
    "aligned": np.zeros(3, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "nested fields": np.zeros(2, dtype=[("p", [("x", "f4"), ("y", "f4", (2, 2))])]),
    "datetime64": np.array(["2024-01-01", "NaT"], dtype="M8[ms]"),
    "timedelta64": np.array([1, 2], dtype="m8[us]"),
    "unicode": np.array(["a", "déjà vu"]),
    "bytes": np.array([b"a", b"bcd"]),
    "empty strings": np.array(["", ""]),
    "void": np.zeros(3, dtype="V5"),
    "F-order": np.asfortranarray(BASE),
    "strided": BASE[:, ::2, 1:],
    "negative strides": BASE[::-1, :, ::-1],
    "permuted": BASE.transpose(1, 0, 2),
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "byte-swapped": np.arange(5, dtype=">i4"),
    "object": np.array([1, "a", None, [2]], dtype=object),
    "object 2-d F": np.asfortranarray(np.array([[1, "a"], [None, 2]], dtype=object)),
    "structured with objects": np.array([(1, [2])], dtype=[("a", "i4"), ("o", object)]),
    "recarray": np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "masked": np.ma.MaskedArray([1, 2, 3], mask=[False, True, False], fill_value=7),
    "masked without mask": np.ma.MaskedArray([1.5, 2]),
    "masked structured": np.ma.MaskedArray([(1, 2.0)], mask=[(True, False)], dtype=[("a", "i4"), ("b", "f8")]),
    "hard mask": np.ma.MaskedArray([1, 2], mask=[True, False], hard_mask=True),
}


@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
@pytest.mark.parametrize("value", ARRAYS.values(), ids=ARRAYS)
def test_s16_all_kinds_of_arrays_survive(value: Any, nested: bool, store: BlobStore) -> None:
    for place in (None, store):
        there = trip([value], place)[0] if nested else trip(value, place)
        assert type(there) is type(value) and there.dtype == value.dtype and there.shape == value.shape
        assert there.flags.writeable is False and there.flags.aligned
        assert there.tolist() == value.tolist() if value.dtype.hasobject else there.tobytes() == value.tobytes()
        if value.flags.f_contiguous and not value.flags.c_contiguous:
            assert there.flags.f_contiguous
        if isinstance(value, np.ma.MaskedArray):
            assert np.array_equal(np.ma.getmaskarray(there), np.ma.getmaskarray(value))
            assert (there.mask is np.ma.nomask) == (value.mask is np.ma.nomask)
            assert there.fill_value == value.fill_value and there.hardmask == value.hardmask
            with pytest.raises(ValueError, match="read-only"):
                there[0] = value[0]


def test_s16_a_memmap_arrives_as_an_array(tmp_path: Path, store: BlobStore) -> None:
    mapped = np.memmap(tmp_path / "m", dtype="i4", mode="w+", shape=(10,))
    for there in (trip(mapped, store), trip({"m": mapped}, store)["m"]):
        assert type(there) is np.ndarray and there.tolist() == [0] * 10 and not there.flags.writeable


def test_an_array_that_holds_itself(store: BlobStore) -> None:
    value = np.empty(1, dtype=object)
    value[0] = [value]
    there = trip(value, store)
    assert there[0][0] is there and not there.flags.writeable


# Other values -----------------------------------------------------------------------------------------------------

VALUES = [
    None, True, 5, 2.5, "déjà", 1 << 200, (), [1, [2]], {"a": {1, 2}}, frozenset({3}), 1j, ..., NotImplemented, int,
    Box([1], {2: 3}), Color.RED, Point(1, 2), datetime.datetime(2024, 1, 1), decimal.Decimal("1.5"),
    fractions.Fraction(1, 3), PurePosixPath("/x"), range(3), collections.OrderedDict(a=1), {1: 1, "a": 2, None: 3},
    len, ValueError("x").args, "x" * 100_000, [b"y" * 100_000, "z"], np.float64(2.5), np.int8(1), np.dtype("f4"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:25])
def test_s17_values_arrive_equal_and_of_the_same_type(value: Any, store: BlobStore) -> None:
    for place in (None, store):
        there = trip(value, place)
        assert there == value and type(there) is type(value)
        args, kwargs = unpack_call(pack_call((value, value), {"key": value}, place).body, place)
        assert args == (value, value) and kwargs == {"key": value}


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
TREES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)
)


@given(args=st.lists(TREES, max_size=4), kwargs=st.dictionaries(st.text(max_size=5), TREES, max_size=3))
def test_any_call_arrives_as_it_was_sent(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert unpack_call(pack_call(tuple(args), kwargs).body) == (tuple(args), kwargs)
    assert unpack_call(memoryview(pack_call(tuple(args), kwargs).body)) == (tuple(args), kwargs)


def test_d20_a_list_of_100_lambdas() -> None:
    there = trip([(lambda x, i=i: x + i) for i in range(100)])
    assert [f(1) for f in there] == list(range(1, 101))


# Where buffers go -------------------------------------------------------------------------------------------------


def test_s19_small_buffers_stay_in_the_body_and_large_ones_are_blobs(store: BlobStore) -> None:
    assert pack(bytes(INLINE_LIMIT), store).blobs == ()
    packed = pack(bytes(INLINE_LIMIT + 1), store)
    assert [blob.size for blob in packed.blobs] == [INLINE_LIMIT + 1] and len(packed.body) < 200
    assert pack(bytes(INLINE_LIMIT + 1)).blobs == ()
    call = pack_call((np.zeros(10), np.zeros(100_000)), {"k": [np.zeros(200_000)]}, store)
    assert sorted(blob.size for blob in call.blobs) == [800_000, 1_600_000]
    assert {blob.name for blob in call.blobs} == {path.name for path in store.folder.iterdir()} - {
        packed.blobs[0].name
    }


def test_a_body_stays_small_whatever_it_is_made_of(store: BlobStore) -> None:
    for value in (list(range(100_000)), "x" * 10**6, [np.zeros(1000) for _ in range(50)], {"k": b"y" * 10**6}):
        packed = pack(value, store)
        assert len(packed.body) < INLINE_LIMIT and len(packed.blobs) == 1
        assert str(unpack(packed.body, store)) == str(value)


def test_an_array_given_twice_is_written_once(store: BlobStore) -> None:
    value = np.zeros(100_000)
    packed = pack_call((value, value), {"again": value}, store)
    assert len(packed.blobs) == 1
    (first, second), kwargs = unpack_call(packed.body, store)
    assert np.shares_memory(first, second) and np.shares_memory(first, kwargs["again"])
    assert Path("/proc/self/maps").read_text().count(packed.blobs[0].name) == 1
    assert len(pack([value, value], store).blobs) == 1


def test_s1_s19_a_large_array_is_copied_neither_when_sent_nor_when_received(store: BlobStore) -> None:
    code = """
import sys, numpy as np; from pathlib import Path
from tuiparallel.wire.blobs import BlobStore; from tuiparallel.wire.objects import pack, pack_call, unpack
def anonymous():
    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('RssAnon')) * 1024
store = BlobStore(Path(sys.argv[1])); value = np.ones(12_500_000); small = np.ones(100_000)
unpack(pack([small], store).body, store); store.unlink(b.name for b in pack(small, store).blobs)
before = anonymous()
for packed in (pack(value, store), pack_call((value[1000:],), {}, store), pack([value], store)):
    there = unpack(packed.body, store)
    store.unlink(blob.name for blob in packed.blobs)
print(anonymous() - before)
"""
    run = subprocess.run([sys.executable, "-c", code, str(store.folder)], capture_output=True, text=True, timeout=60)
    assert int(run.stdout or 10**9) < 5_000_000, run.stderr


def test_what_fails_leaves_no_blob(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.budget = 1_000_000
    with pytest.raises(MessageTooLarge):
        pack([np.zeros(100_000), np.zeros(200_000)], store)
    with pytest.raises(SerializationError):
        pack_call((np.zeros(100_000), threading.Lock()), {}, store)
    assert list(store.folder.iterdir()) == []


def test_without_room_for_blobs_what_is_not_too_large_stays_in_the_body(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, view: memoryview) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pages, "write", full)
    packed = pack(np.zeros(100_000), store)
    assert packed.blobs == () and unpack(packed.body, store).shape == (100_000,)
    with pytest.raises(NoRoom):
        pack(np.zeros(1_000_000), store)
    assert list(store.folder.iterdir()) == []


# What bad input gets ----------------------------------------------------------------------------------------------


class Config:
    def __init__(self) -> None:
        self.lock = threading.Lock()


class Refuses:
    def __reduce__(self) -> Any:
        raise KeyError("no")


def test_b20_an_argument_that_cannot_be_pickled_is_named() -> None:
    with pytest.raises(SerializationError) as caught:
        pack_call(({"cfg": Config()},), {})
    assert str(caught.value) == "argument 1['cfg'].lock: cannot pickle '_thread.lock' object"
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, pickle.PicklingError)
    with pytest.raises(SerializationError, match=r"^argument key\[1\]: cannot pickle '_thread.lock' object"):
        pack_call((1, np.zeros(2)), {"key": [1, threading.Lock()]})
    with pytest.raises(
        SerializationError, match=r"argument 2: cannot pickle it: KeyError: 'no' \(in an object of type"
    ):
        pack_call((1, Refuses()), {})


def test_b21_a_result_that_cannot() -> None:
    with pytest.raises(SerializationError, match=r"^value: cannot pickle a generator: return a list$"):
        pack(x for x in [1])
    with pytest.raises(SerializationError, match=r"^value\['k'\]\[0\]: cannot pickle a generator"):
        pack({"k": [(x for x in [1])]})
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SerializationError, match="nested too deeply"):
        pack(deep)


class Bomb:
    def __reduce__(self) -> Any:
        return int, ("x",)


def test_b22_a_result_that_cannot_be_unpickled(store: BlobStore) -> None:
    with pytest.raises(DeserializationError, match="a value cannot be loaded here: ValueError: invalid literal"):
        trip(Bomb())
    with pytest.raises(DeserializationError, match="arguments cannot be loaded here: ValueError"):
        unpack_call(pack_call((Bomb(), b"x"), {}).body)
    lost = pickle.dumps(Box(1)).replace(b"test_objects", b"test_nowhere")
    with pytest.raises(DeserializationError, match="ModuleNotFoundError"):
        unpack(lost)
    packed = pack(np.zeros(100_000), store)
    with pytest.raises(DeserializationError, match="blobs of its cluster cannot be read here"):
        unpack(packed.body)
    store.unlink(blob.name for blob in packed.blobs)
    with pytest.raises(DeserializationError, match="it has been removed"):
        unpack(packed.body, store)


@given(cut=st.integers(0, 300), noise=st.binary(max_size=20))
def test_bytes_that_are_no_value_raise_one_error(cut: int, noise: bytes) -> None:
    body = pack({"a": np.arange(20), "b": "text"}).body
    for bad in (body[:cut], b"\x01" + noise, noise.replace(b"\x80", b"")):
        if bad != body:
            with pytest.raises(DeserializationError):
                unpack(bad)


# What it costs ----------------------------------------------------------------------------------------------------


def test_small_calls_are_plain_pickles() -> None:
    for args in ((5,), (None, 2.5), ([1, 2],), ()):
        assert pack_call(args, {}).body == pickle.dumps((args, {}), 5)


def test_numpy_is_not_imported_before_it_is_needed() -> None:
    code = """
import sys
from tuiparallel.wire import failures, functions, known, objects
objects.unpack(objects.pack([memoryview(b'abc'), lambda: 1]).body); objects.pack_call((b'x', 5), {})
assert not {'numpy', 'zmq', 'textual', 'asyncio'} & set(sys.modules), 'early'
assert objects.unpack(bytes.fromhex(sys.argv[1])).tolist() == [1.5]
assert 'numpy' in sys.modules
"""
    body = pack(np.array([1.5])).body.hex()
    subprocess.run([sys.executable, "-c", code, body], check=True, timeout=30)


def test_packed_values_compare() -> None:
    assert pack(5) == objects.Packed(pickle.dumps(5, 5)) and pack(5).blobs == ()


def test_plain_calls_are_what_each_would_be() -> None:
    rows = [(1, "two"), (None, 3.0), (True, 1j), ()]
    for kwargs in ({}, {"flag": None, "name": "x"}):
        assert objects.plain_calls(rows, kwargs) is not None
        unpacked = [unpack_call(body) for body in objects.plain_calls(rows, kwargs) or ()]
        assert (
            unpacked == [(row, kwargs) for row in rows] == [unpack_call(pack_call(row, kwargs).body) for row in rows]
        )


@pytest.mark.parametrize(
    "rows, kwargs",
    [
        ([(1,), ([2],)], {}),
        ([(1,)], {"key": b"bytes"}),
        ([(np.float64(1.0),)], {}),
        ([("x" * INLINE_LIMIT,)], {}),
        ([("x" * 30_000,)] * 200, {}),
    ],
)
def test_other_calls_are_not_plain(rows: list[tuple[Any, ...]], kwargs: dict[str, Any]) -> None:
    """Of other types, with one that is too large for a body, or too large together."""
    assert objects.plain_calls(rows, kwargs) is None
