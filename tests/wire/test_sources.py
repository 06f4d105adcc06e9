"""Modules that travel as source."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.wire.peer import Here, Peer
from tuiparallel.errors import RemoteError
from tuiparallel.wire.functions import send_by_value


def test_a_module_travels_as_source_and_again_when_it_changes(there: Peer, module: Any) -> None:
    helpers = module("sent", "k = 1\nclass P: pass\ndef f(): return k\ndef bad():\n    raise KeyError('x')\n")
    send_by_value("sent")
    assert there.apply(helpers.f) == 1
    with pytest.raises(KeyError) as caught:
        there.apply(helpers.bad)
    assert isinstance(caught.value, RemoteError) and "raise KeyError('x')" in caught.value.traceback
    there.execute("import sent; k = sent.k")
    assert there.pull("k") == 1
    back = there.apply(lambda: __import__("sent").P())
    assert isinstance(back, helpers.P)
    Path(helpers.__file__).write_text("k = 22\ndef f(): return k\nclass P: pass\n")
    assert there.apply(helpers.f) == 22


def test_a_package_travels_whole_with_the_arguments_that_need_it(there: Peer, module: Any) -> None:
    module("pack.__init__", "from pack.inner import Q\nfrom packuser import k", load=False)
    module("packuser", "k = 4", load=False)
    inner = module("pack.inner", "class Q:\n    def v(self):\n        from . import k\n        return k\n")
    send_by_value(inner)
    send_by_value("packuser")
    there.push(q=inner.Q())
    there.execute("value = q.v()")
    assert there.pull("value") == 4


def test_b46_what_send_by_value_refuses() -> None:
    with pytest.raises(TypeError, match="takes a module or its name, not int: 5"):
        send_by_value(5)  # type: ignore[arg-type]
    with pytest.raises(ModuleNotFoundError, match="No module named 'nosuchmodule'"):
        send_by_value("nosuchmodule")
    with pytest.raises(ValueError, match="has no source file"):
        send_by_value(math)


def test_an_import_that_fails_within_a_task_says_the_cure_too(here: Here, there: Peer) -> None:
    here.run("def f():\n    import notthere.part\n")
    cure = r"No module named 'notthere' \(engine 3 on node7, loading a task\): send it with tuiparallel.send_by_value\(notthere\)"
    with pytest.raises(ModuleNotFoundError, match=cure):
        there.apply(here["f"])
    here.run(
        "def g():\n    try:\n        import notthere\n    except ImportError as error:\n        return str(error)\n"
    )
    assert there.apply(here["g"]) == "No module named 'notthere'"
