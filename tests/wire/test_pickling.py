"""Which of the two picklers is used, and what the thorough one does differently."""

from __future__ import annotations

import pickle
import sys
import types
from typing import Any

import cloudpickle
import numpy as np
import pytest

from tuiparallel.wire import pickling
from tuiparallel.wire.pickling import dumps, is_by_reference, loads


def thorough(monkeypatch: pytest.MonkeyPatch, value: Any) -> bool:
    used: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(pickling, "dumps_fully", lambda value: (b"", [used.append(value)][:0]))  # type: ignore[func-returns-value]
        dumps(value)
    return bool(used)


def test_plain_values_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (5, "text", [1, {"a": (2,)}], len, np.float64(2), np.int32, pickle.dumps, ValueError("x")):
        assert not thorough(monkeypatch, value), value


def test_arrays_and_by_value_things_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = type("Mine", (), {"__module__": "__main__"})
    arrays = (np.zeros(3), np.zeros((3, 3))[:, 1], np.zeros(2, dtype=object), np.zeros(2, "M8[s]"), np.ma.zeros(3))
    for value in (*arrays, lambda: 1, mine, [mine()], memoryview(b"x"), pickle.PickleBuffer(b"x")):
        assert thorough(monkeypatch, [value]), value


def test_cloudpickles_own_registry_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("registered_here")
    exec("def f(): return 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "registered_here", module)
    assert not thorough(monkeypatch, module.f) and is_by_reference(module.f)
    cloudpickle.register_pickle_by_value(module)
    try:
        assert thorough(monkeypatch, module.f) and not is_by_reference(module.f)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def test_by_reference_means_importable_by_this_very_name() -> None:
    def nested() -> None: ...

    assert is_by_reference(dumps) and is_by_reference(pickle.Pickler)
    assert not is_by_reference(nested) and not is_by_reference(lambda: 1)
    copy = types.FunctionType(dumps.__code__, dumps.__globals__, "dumps")
    assert not is_by_reference(copy)  # another function of the same name


def test_a_class_is_sent_whole_and_known_again() -> None:
    class Local:
        n = 1

        def m(self) -> int:
            return self.n

    stream, buffers = dumps([Local, Local()])
    cls, instance = loads(stream, buffers)
    assert cls is Local and type(instance) is Local  # it comes home


def test_code_keeps_the_name_of_its_file() -> None:
    def outer() -> Any:
        return lambda: None

    there = loads(dumps(outer)[0])
    assert there.__code__.co_filename == there().__code__.co_filename == __file__


def test_errors_of_the_values_own_code_come_through() -> None:
    class Refuses:
        def __reduce__(self) -> Any:
            raise KeyError("no")

    with pytest.raises(KeyError):
        dumps(Refuses())
