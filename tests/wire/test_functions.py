"""Functions and names: what a function is sent with, and what it sees on an engine. N numbers are rows of the contract."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.wire.peer import Here, Peer
from tuiparallel.errors import RemoteError
from tuiparallel.wire import names
from tuiparallel.wire.functions import interactive, pack_function, send_by_value

# The worked examples ----------------------------------------------------------------------------------------------


def test_n1_a_name_of_the_namespace(here: Here, there: Peer) -> None:
    there.push(a=5)
    assert there.apply(here["lambda: a"]) == 5


def test_n2_a_name_that_travelled(here: Here, there: Peer) -> None:
    here.run("a = 1")
    assert there.apply(here["lambda: a"]) == 1


def test_n3_n4_the_namespace_wins_until_the_name_is_deleted_there(here: Here, there: Peer) -> None:
    here.run("a = 1")
    there.push(a=5)
    assert there.apply(here["lambda: a"]) == 5
    there.execute("del a")
    assert there.apply(here["lambda: a"]) == 1


def test_n5_a_name_that_is_nowhere(here: Here, there: Peer) -> None:
    with pytest.raises(NameError, match="name 'a' is not defined") as caught:
        there.apply(here["lambda: a"])
    assert isinstance(caught.value, RemoteError)


def test_n6_travelled_names_are_not_in_the_namespace(here: Here, there: Peer) -> None:
    here.run("a = 1")
    assert there.apply(here["lambda: a"]) == 1
    with pytest.raises(NameError):
        there.pull("a")


def test_n7_each_call_sees_the_values_it_was_sent_with(here: Here, there: Peer) -> None:
    here.run("a = 1; f = lambda: a")
    there.apply_async(here["f"])
    here.run("a = 2")
    there.apply_async(here["f"])
    assert [there.receive(), there.receive()] == [1, 2]


def test_n8_travelled_names_are_not_in_globals(here: Here, there: Peer) -> None:
    here.run("a = 1")
    assert there.apply(here["lambda: a"]) == 1
    assert there.apply(here["lambda: 'a' in globals()"]) is False
    assert there.apply(here["lambda: (a, 'a' in globals())"]) == (1, False)


def test_n9_a_global_statement_writes_to_the_namespace(here: Here, there: Peer) -> None:
    here.run("""
        k = 0
        def inc():
            global k
            k += 1
            return k
    """)
    assert [there.apply(here["inc"]), there.apply(here["inc"])] == [1, 2]
    assert here["k"] == 0 and there.pull("k") == 2


def test_n10_functions_that_a_function_uses_travel_with_it(here: Here, there: Peer) -> None:
    here.run("""
        def g(x): return x + 1
        def f(x): return g(x)
    """)
    assert there.apply(here["f"], 1) == 2
    here.run("def g(x): return x + 10")
    assert there.apply(here["f"], 1) == 11


NESTED = {
    "comprehension": "lambda xs: [g(x) for x in xs]",
    "inner lambda": "lambda xs: list(map(lambda x: g(x), xs))",
    "generator": "lambda xs: list(g(x) for x in xs)",
    "two deep": "lambda xs: [(lambda: [g(y) for y in [x]])()[0] for x in xs]",
    "method": "lambda xs: [C().m(x) for x in xs]",
    "comprehension in a method": "lambda xs: C().all(xs)",
    "class inside": "lambda xs: type('T', (), {'m': lambda self: [g(x) for x in xs]})().m()",
    "class statement inside": "with_class",
}
G = """
    def g(x): return x + 1
    class C:
        def m(self, x): return g(x)
        def all(self, xs): return [g(x) for x in xs]
    def with_class(xs):
        class Inner:
            plus = g(0)
            def m(self): return [g(x) for x in xs]
        return Inner().m()
    def steps(xs):
        for x in xs:
            yield [g(y) for y in [x]][0]
    async def later(xs):
        return [g(x) for x in xs]
"""


@pytest.mark.parametrize("code", NESTED.values(), ids=NESTED)
def test_n11_nested_code_sees_travelled_names(code: str, here: Here, there: Peer) -> None:
    here.run(G)
    assert there.apply(here[code], [1, 2]) == [2, 3]


@pytest.mark.parametrize("code", ["lambda x: g(x)", "lambda x: [g(y) for y in [x]][0]", "lambda x: C().all([x])[0]"])
def test_n12_what_travelled_stays_with_a_pushed_function(code: str, here: Here, there: Peer) -> None:
    here.run(G)
    there.push(f=here[code])
    there.execute("y = f(1)")
    assert there.pull("y") == 2
    with pytest.raises(NameError):
        there.execute("g(1)")  # with nothing but f
    with pytest.raises(NameError):
        there.apply(here["eval"]("lambda: [h(x) for x in [1]]", {"__name__": "__main__"}))


def test_n12_generators_and_coroutines_keep_their_names_too(here: Here, there: Peer) -> None:
    here.run(G)
    there.push(steps=here["steps"], later=here["later"])
    there.execute("""
import asyncio, inspect
half = steps([1, 2, 3]); first = next(half)
assert __builtins__ is __import__('builtins').__dict__
rest = list(half)
answer = asyncio.run(later([5]))
kinds = inspect.isgeneratorfunction(steps), inspect.iscoroutinefunction(later)
""")
    assert there.pull("(first, rest, answer, kinds)") == (2, [3, 4], [6], (True, True))


def test_n13_modules_are_imported_there(here: Here, there: Peer) -> None:
    here.run("import math as np")
    assert there.apply(here["lambda: np.pi"]) == math.pi
    here.run("import xml.dom.minidom, xml")
    assert there.apply(here["lambda: xml.dom.minidom.__name__"]) == "xml.dom.minidom"


def test_n14_travelled_names_come_before_builtins(here: Here, there: Peer) -> None:
    here.run("def sum(x): return 'mine'")
    assert there.apply(here["lambda: sum([1])"]) == "mine"
    assert there.apply(here["lambda: [sum([1]) for _ in [0]]"]) == ["mine"]
    there.execute("z = sum([1])")
    assert there.pull("z") == 1


def test_n15_importable_functions_see_their_own_module(there: Peer, module: Any) -> None:
    helpers = module("n15helpers", "b = 1\ndef f(): return b")
    there.push(b=5)
    there.execute(f"import sys; sys.path.insert(0, {str(Path(helpers.__file__).parent)!r})")
    assert there.apply(helpers.f) == 1
    there.execute("sys.path.pop(0); del sys.modules['n15helpers']")
    there.fresh()
    there.push(b=5)
    with pytest.raises(ModuleNotFoundError):
        there.apply(helpers.f)
    send_by_value(helpers)
    assert there.apply(helpers.f) == 1


def test_n16_functions_nested_in_importable_ones_see_the_namespace(there: Peer, module: Any) -> None:
    helpers = module("n16helpers", "b = 1\ndef mk(): return lambda: b")
    assert there.apply(helpers.mk()) == 1
    there.push(b=5)
    assert there.apply(helpers.mk()) == 5


def test_n17_names_in_strings_do_not_travel(here: Here, there: Peer) -> None:
    here.run("a = 1")
    with pytest.raises(NameError):
        there.apply(here["lambda: eval('a')"])


def test_n18_classes_keep_their_identity(here: Here, there: Peer) -> None:
    here.run("""
        class P:
            made = 0
            def m(self): return 'here'
    """)
    before = here["P.m"]
    back = there.apply(here["lambda: P()"])
    assert isinstance(back, here["P"])
    assert isinstance(there.apply(here["lambda p: p"], here["P()"]), here["P"])
    assert here["P.m"] is before  # and what comes back has not replaced its methods
    here.run("P.made = 7")
    assert there.apply(here["lambda: P.made"]) == 7


def test_n19_calls_do_not_see_what_others_did_to_travelled_values(here: Here, there: Peer) -> None:
    here.run("seen = []; f = lambda: seen.append(1) or seen")
    assert [there.apply(here["f"]), there.apply(here["f"]), here["seen"]] == [[1], [1], []]
    here.run("""
        def counter():
            n = 0
            def count():
                nonlocal n
                n += 1
                return n
            return count
        c = counter()
        def d(x=[]):
            x.append(1)
            return x
        def e():
            e.calls += 1
            return e.calls
        e.calls = 0
    """)
    for name, result in (("c", 1), ("d", [1]), ("e", 1)):
        assert [there.apply(here[name]), there.apply(here[name])] == [result, result]


def test_n19_elements_of_one_map_may_share_them_and_another_map_does_not(here: Here, there: Peer) -> None:
    here.run("seen = []; f = lambda x: seen.append(x) or len(seen)")
    assert there.map(here["f"], [1, 2, 3]) == [1, 2, 3]
    assert there.map(here["f"], [1]) == [1]


def test_n20_the_namespace_lives(here: Here, there: Peer) -> None:
    there.execute("x = []")
    assert [there.apply(here["lambda: x.append(1) or x"]) for _ in range(2)] == [[1], [1, 1]]


# Kinds of functions -----------------------------------------------------------------------------------------------

KINDS = """
    import functools, dataclasses, enum, collections
    def outer(x):
        def f(y): return x + y
        return f
    def deco(f):
        @functools.wraps(f)
        def wrapped(*args, **kwargs): return f(*args, **kwargs) + 100
        return wrapped
    @deco
    def decorated(x): return x
    def defaults(x, y=2, *, z=3): return x + y + z
    def even(n): return True if n == 0 else odd(n - 1)
    def odd(n): return False if n == 0 else even(n - 1)
    def fact(n): return 1 if n < 2 else n * fact(n - 1)
    def local_fact():
        def go(n): return 1 if n < 2 else n * go(n - 1)
        return go
    class A:
        kind = 'a'
        def __init__(self, x): self.x = x
        def plus(self, y): return self.x + y
        @property
        def twice(self): return 2 * self.x
        @classmethod
        def make(cls): return cls(1).x
        @staticmethod
        def stat(x): return x
        def __eq__(self, other): return type(self) is type(other) and self.x == other.x
        def __hash__(self): return 1
    class B(A):
        def plus(self, y): return super().plus(y) * 2
    @dataclasses.dataclass(frozen=True)
    class D:
        n: int
        m: list = dataclasses.field(default_factory=list)
    class E(enum.Enum):
        ONE = 1
        TWO = 2
    N = collections.namedtuple('N', 'p q')
    N.__module__ = '__main__'
"""


@pytest.mark.parametrize(
    ("call", "args", "result"),
    [
        ("outer(1)", (2,), 3),
        ("decorated", (1,), 101),
        ("defaults", (1,), 6),
        ("even", (10,), True),
        ("fact", (5,), 120),
        ("local_fact()", (5,), 120),
        ("functools.partial(defaults, 1, z=0)", (), 3),
        ("A(1).plus", (2,), 3),
        ("B(1).plus", (2,), 6),
        ("A.make", (), 1),
        ("A.stat", (4,), 4),
        ("lambda a: a.twice", ("A(3)",), 6),
        ("lambda d: (d.n, d.m)", ("D(1)",), (1, [])),
        ("lambda e: e is E.ONE", ("E.ONE",), True),
        ("lambda n: n.p + n.q", ("N(1, 2)",), 3),
        ("lambda fs: [f(1) for f in fs]", ("[outer(i) for i in range(100)]",), list(range(1, 101))),
        ("max", ([1, 3, 2],), 3),
        ("str.upper", ("'x'",), "X"),
    ],
)
def test_s26_every_kind_of_function(call: str, args: tuple[Any, ...], result: Any, here: Here, there: Peer) -> None:
    here.run(KINDS)
    given = [here[arg] if isinstance(arg, str) else arg for arg in args]
    assert there.apply(here[call], *given) == result
    assert there.apply(here[call], *given) == result  # from the caches at both ends


@pytest.mark.parametrize("value", ["A(3)", "D(1, [2])", "E.TWO", "N(1, 2)", "A", "E"])
def test_s26_what_comes_back_is_of_the_class_here(value: str, here: Here, there: Peer) -> None:
    here.run(KINDS)
    back = there.apply(here["lambda x: x"], here[value])
    assert back == here[value] and type(back) is type(here[value])


def test_s22_s23_s24_closures_travel_both_ways(here: Here, there: Peer) -> None:
    here.run("""
        def f(x):
            def inner(y): return (x, y)
            return inner
        def f1(): return x1
        def g1(): return a
    """)
    assert there.apply(here["f"], 1)(2) == (1, 2)
    with pytest.raises(NameError):
        there.apply(here["g1"])
    there.push(a=5)
    assert there.apply(here["g1"]) == 5


def test_functions_share_the_variables_they_shared(here: Here, there: Peer) -> None:
    here.run("""
        def pair():
            n = 0
            def add():
                nonlocal n
                n += 1
            def get(): return n
            return add, get
        both = pair()
        def use(pair):
            pair[0](); pair[0]()
            return pair[1]()
    """)
    assert there.apply(here["use"], here["both"]) == 2


def test_a_function_goes_on_with_what_it_brought(here: Here, there: Peer) -> None:
    """It comes back from an engine, and is sent again, with its names."""
    here.run(G)
    back = there.apply(here["lambda f: f"], here["lambda x: [g(y) for y in [x]]"])
    assert back(1) == [2]
    there.push(kept=back)
    there.execute("y = kept(4)")
    assert there.pull("y") == [5]


def test_two_homes_in_one_message_keep_their_names_apart(here: Here, there: Peer) -> None:
    here.run("b = 'main'; f = lambda: [b for _ in [0]]")
    other = Here()
    other.run("b = 'other'; g = lambda: [b for _ in [0]]")
    assert there.apply(here["lambda f, g: f() + g() + f()"], here["f"], other["g"]) == ["main", "other", "main"]


def test_a_traceback_shows_lines_that_only_the_sender_has(here: Here, there: Peer, tmp_path: Path) -> None:
    script = tmp_path / "cell.py"
    script.write_text("def setter(a):\n    a[0]=1\n    return a\n")
    exec(compile(script.read_text(), str(script), "exec"), here.names)
    here["setter"]([0])
    names.source_of(here["setter"].__code__)  # now it is in this process's cache of lines
    code = pack_function(here["setter"])
    script.unlink()
    there.send("apply", code.hash, code.code, __import__("pickle").dumps((((1,),), {}), 5))
    with pytest.raises(TypeError) as caught:
        there.receive()
    assert isinstance(caught.value, RemoteError)
    text = caught.value.traceback
    assert f'File "{script}", line 2, in setter\n    a[0]=1\n' in text
    assert "tuiparallel" not in text


def test_shells_do_not_show_in_tracebacks(here: Here, there: Peer) -> None:
    here.run("def g(x): return 1 / x\ndef f(xs): return [g(x) for x in xs]")
    with pytest.raises(ZeroDivisionError) as caught:
        there.apply(here["f"], [0])
    assert isinstance(caught.value, RemoteError)
    assert "in f\n" in caught.value.traceback and "names.py" not in caught.value.traceback


SCRIPT = """
import sys
import types
from pathlib import Path
import numpy as np
from tests.wire.peer import Peer

factor = 2
class P:
    def __init__(self, x): self.x = x
    def times(self): return [scale(x) for x in self.x]
def scale(x): return x * factor
def work(p): return p.times()
table = np.arange(3)

peer = Peer(Path.cwd())
try:
    assert peer.apply(work, P([1, 2])) == [2, 4]
    factor = 10
    assert peer.apply(work, P([1, 2])) == [10, 20]
    assert type(peer.apply(lambda: P(1))) is P
    assert peer.apply(lambda: table.flags.writeable) is False
    table += 1
    assert peer.apply(lambda: int(table.sum())) == 6
    class Oops(KeyError): pass
    def fails(): raise Oops('x')
    try:
        peer.apply(fails)
    except Oops as error:
        assert "raise Oops('x')" in error.traceback
    else:
        raise AssertionError
    print('all well')
finally:
    peer.close()
"""


def test_a_real_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path
    )
    assert run.stdout == "all well\n", run.stderr


# By reference, or not ---------------------------------------------------------------------------------------------


def test_interactive_functions_travel_by_value(there: Peer, module: Any) -> None:
    helpers = module("inthelpers", "b = 1\ndef f(): return b\ndef g(): return b")
    interactive(helpers.f)
    assert there.apply(helpers.f) == 1
    there.push(b=5)
    assert there.apply(helpers.f) == 5
    assert there.apply(lambda h: h(), helpers.f) == 5  # as an argument too
    with pytest.raises(TypeError, match="interactive takes a Python function, not int"):
        interactive(5)  # type: ignore[arg-type]


def test_d38_a_by_value_function_runs_where_its_module_does_not_exist(there: Peer, module: Any) -> None:
    helpers = module(
        "absent", "import math\nclass Box: pass\ndef mk(k):\n    def f(x): return math.floor(x) + k\n    return f"
    )
    assert there.apply(helpers.mk(1), 2.5) == 3


def test_a_missing_module_is_named_with_the_cure(there: Peer, here: Here, module: Any) -> None:
    helpers = module("nothelpers", "def f(): return 1\nclass P: pass")
    cure = r"No module named 'nothelpers' \(engine 3 on node7, loading {}\): send it with tuiparallel.send_by_value\(nothelpers\)"
    with pytest.raises(ModuleNotFoundError, match=cure.format("f")):
        there.apply(helpers.f)
    here.names["nothelpers"] = helpers
    here.run("def user(): return nothelpers.f()")
    with pytest.raises(ModuleNotFoundError, match=cure.format("user")):
        there.apply(here["user"])
    with pytest.raises(ModuleNotFoundError, match=cure.format("arguments")):
        there.apply(len, [helpers.P()])


def test_names_for_people(here: Here) -> None:
    here.run(KINDS)
    assert pack_function(here["outer(1)"]).name == "f"
    assert pack_function(here["functools.partial(defaults, 1)"]).name == "defaults"
    assert pack_function(here["A(1).plus"]).name == "A.plus"
    assert pack_function(here["lambda: 1"]).name == "<lambda>"
    assert pack_function(functools.partial(functools.partial(len))).name == "len"


def test_a_function_whose_name_leads_elsewhere_is_packed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("tp_moving_module")
    exec("def value():\n    return 1\n", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    function = module.value
    by_name = pack_function(function)
    assert pack_function(function) is by_name
    vars(module)["value"] = lambda: 2
    by_value = pack_function(function)
    assert by_value.hash != by_name.hash and b"tp_moving_module" in by_name.code
