"""Packing functions, and the table that loads what was packed."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator

import pytest

from tests.wire.peer import Here
from tuiparallel.errors import MessageTooLarge, SerializationError
from tuiparallel.wire import names, sources
from tuiparallel.wire.functions import FunctionTable, pack_function


def test_the_same_function_packs_into_the_same_code(here: Here) -> None:
    here.run("a = 1; f = lambda: a")
    first = pack_function(here["f"])
    assert pack_function(here["f"]) is first and len(first.hash) == 16
    assert pack_function(os.path.join) is pack_function(os.path.join)
    here.run("a = 2")
    second = pack_function(here["f"])
    assert second.hash != first.hash
    here.run("a = [1]")
    assert pack_function(here["f"]).hash == pack_function(here["f"]).hash
    third = pack_function(here["f"])
    here["a"].append(2)  # in place
    assert pack_function(here["f"]).hash != third.hash


def test_changes_of_what_it_uses_are_noticed(here: Here) -> None:
    here.run("""
        class P:
            n = 1
            def m(self): return g()
        def g(): return a
        a = 1
        f = lambda: P().m()
        def c():
            box = (1, 2)
            def get(): return box, P.n
            def put(x):
                nonlocal box
                box = x
            return get, put
        get, put = c()
    """)
    f, get = pack_function(here["f"]), pack_function(here["get"])
    assert pack_function(here["f"]) is f and pack_function(here["get"]) is get
    here.run("a = 2")
    assert pack_function(here["f"]).hash != f.hash
    here.run("P.n = 5")
    changed = pack_function(here["get"])
    assert changed.hash != get.hash
    here["put"]((3,))
    assert pack_function(here["get"]).hash != changed.hash


def test_a_packed_function_is_not_kept_alive(here: Here) -> None:
    here.run("f = lambda: 1")
    pack_function(here["f"])
    alive = weakref.ref(here.names.pop("f"))
    gc.collect()
    assert alive() is None


def test_what_cannot_be_packed(here: Here) -> None:
    with pytest.raises(TypeError, match="f must be callable, not int: 5"):
        pack_function(5)  # type: ignore[arg-type]
    here.run("import threading; lock = threading.Lock(); box = {'l': lock}\ndef f(): return box")
    with pytest.raises(SerializationError) as caught:
        pack_function(here["f"])
    assert "function f cannot be sent: global name 'box' used by f['l']: cannot pickle '_thread.lock'" in str(
        caught.value
    )
    here.run("big = b'x' * (9 << 20)\ndef g(): return big")
    with pytest.raises(
        MessageTooLarge, match="function g and what it holds come to .* pass large values as arguments"
    ):
        pack_function(here["g"])


# The table --------------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> Iterator[FunctionTable]:
    yield FunctionTable({"__name__": "__main__"}, place="engine 0 here")
    names.adopt(None)
    sources.set_place("")


def test_a_table_loads_when_asked_and_forgets(table: FunctionTable, here: Here) -> None:
    code = pack_function(here["lambda x: x + 1"])
    table.load(b"broken", b"\xff")
    table.load(code.hash, code.code)
    assert len(table) == 2 and code.hash in table and table.name(code.hash) == "<lambda>"
    assert table.get(code.hash)(1) == 2
    assert table.get(code.hash) is table.get(code.hash)
    table.forget(code.hash)
    table.forget(code.hash)
    with pytest.raises(KeyError):
        table.get(code.hash)
    table.clear()
    assert len(table) == 0


def test_only_functions_that_hold_state_are_made_anew(table: FunctionTable, here: Here) -> None:
    here.run("k = []; n = 1; stateless = lambda: n; stateful = lambda: k")
    for name, same in (("stateless", True), ("stateful", False)):
        code = pack_function(here[name])
        table.load(code.hash, code.code)
        assert (table.get(code.hash) is table.get(code.hash)) is same
        assert table.get(code.hash, "map 1") is table.get(code.hash, "map 1")
    first = table.get(code.hash, "map 1")
    assert table.get(code.hash, "map 2") is not first
