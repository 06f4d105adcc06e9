"""Running code and views: S29 to S55, on engines of a real cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import PATIENCE
from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.balancedview import LoadBalancedView
from tuiparallel.client.client import Client
from tuiparallel.client.dependency import Dependency
from tuiparallel.client.directview import DirectView
from tuiparallel.client.targets import chosen
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import CompositeError, DependencyTimeout, NoSuchEngine, RemoteError

Here = Callable[[str], dict[str, Any]]

SLEEP = "import time\ndef nap(s, value=None):\n    time.sleep(s)\n    return value\n"


def test_s29_block_decides_what_a_call_gives(rc: Client) -> None:
    view = rc[:]
    view.block = False
    assert isinstance(view.apply(abs, -1), AsyncResult)
    view.block = True
    assert view.apply(abs, -1) == [1] * 4
    assert rc[0].set_flags(block=True).apply(abs, -1) == 1


def test_s30_results_are_in_the_order_of_the_targets(rc: Client) -> None:
    pids = rc[:].apply_sync(os.getpid)
    view = rc[[2, 0, 1]]
    assert view.apply_sync(os.getpid) == [pids[2], pids[0], pids[1]]
    assert rc[1].apply_sync(os.getpid) == pids[1]
    assert rc[[1]].apply_sync(os.getpid) == [pids[1]]


def test_s31_flags_are_defaults_of_the_view(rc: Client) -> None:
    view = rc[:]
    view.targets = [1, 3]
    assert view.apply_async(os.getpid).engine_id == [1, 3]
    view.targets = 2
    assert view.push({"a": 1}, block=True) is None
    assert view.pull("a", block=True) == 1
    assert view.pull("a", targets=[2], block=True) == [1]


def test_s32_targets(rc: Client) -> None:
    assert rc.direct_view(1).apply_sync(abs, 1) == 1
    assert rc.direct_view([1, 2]).apply_sync(abs, 1) == [1, 1]
    assert rc.direct_view("all").apply_sync(abs, 1) == rc.direct_view(None).apply_sync(abs, 1) == [1] * 4


def test_s33_a_balanced_call_runs_in_exactly_one_place(rc: Client, here: Here) -> None:
    view = rc.load_balanced_view()
    result = view.apply_async(os.getpid)
    assert result.get(timeout=PATIENCE) in rc[:].apply_sync(os.getpid)
    count = here("ran = 0\ndef count():\n    global ran\n    ran += 1")["count"]
    rc[:].push({"ran": 0}, block=True)
    assert [view.apply_sync(count) for _ in range(8)] == [None] * 8 and sum(rc[:]["ran"]) == 8
    view.targets = [1, 3]
    mapped = view.map_async(abs, range(40))
    assert mapped.get(timeout=PATIENCE) == list(range(40)) and set(mapped.engine_id) <= {1, 3}


def test_s34_s35_after_and_follow(rc: Client, here: Here) -> None:
    nap = here(SLEEP)["nap"]
    view = rc.load_balanced_view()
    first = [view.apply_async(nap, 0.1) for _ in range(3)]
    with view.temp_flags(after=first):
        late = view.apply_async(abs, 1)
    with view.temp_flags(follow=first[0]):
        same = view.apply_async(abs, 1)
    with view.temp_flags(after=[first[1].msg_ids[0]], follow=Dependency(first, all=False)):
        both = view.apply_async(abs, 1)
    assert rc.wait([late, same, both], timeout=PATIENCE)
    assert all(late.started >= one.completed for one in first)
    assert same.engine_id == first[0].engine_id
    assert both.engine_id in {one.engine_id for one in first} and both.started >= first[1].completed


def test_s36_a_dependency_that_is_not_met_in_time(rc: Client, here: Here) -> None:
    nap = here(SLEEP)["nap"]
    view = rc.load_balanced_view()
    first = view.apply_async(nap, 1.0)
    with view.temp_flags(after=first, timeout=0.2):
        late = view.apply_async(abs, 1)
    with view.temp_flags(follow=first, timeout=1):
        in_time = view.temp_flags(timeout=None)
        with in_time:
            patient = view.apply_async(abs, -2)
    with pytest.raises(DependencyTimeout):
        late.get(timeout=PATIENCE)
    assert not first.ready()
    assert patient.get(timeout=PATIENCE) == 2
    first.get(timeout=PATIENCE)


def test_s37_execute_runs_code(rc: Client) -> None:
    view = rc[:]
    view.execute("x = 1\nif x:\n    y = 'ä→'\n    ", block=True)
    assert view["y"] == ["ä→"] * 4
    result = rc[0].execute("1 + 4", silent=False, block=True)
    assert result.ready() and result.get().execute_result["data"]["text/plain"] == "5"
    assert repr(result.get()).startswith("<ExecuteReply[") and repr(result.get()).endswith("]: 5>")


def test_s38_run_names_file_and_line(rc: Client, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text("z = 3\n\nraise ValueError('here')\n")
    with pytest.raises(ValueError, match="here") as caught:
        rc[0].run(file, block=True)
    assert "script.py" in caught.value.traceback and "line 3" in caught.value.traceback  # type: ignore[attr-defined]
    assert rc[0]["z"] == 3


def test_s39_errors_of_execute(rc: Client) -> None:
    with pytest.raises(RemoteError) as single:
        rc[0].execute("1/0", block=True)
    assert not isinstance(single.value, CompositeError) and single.value.engine_info["method"] == "execute"
    with pytest.raises(CompositeError) as plural:
        rc[:].execute("1/0", block=True)
    assert len(plural.value.errors) == 4


def test_s41_repr_of_a_direct_view(rc: Client) -> None:
    assert repr(rc[0]) == "<DirectView 0>"
    assert repr(rc[-1]) == f"<DirectView {rc.ids[-1]}>"


def test_s42_repr_of_several(rc: Client) -> None:
    assert repr(rc[0, 1, 2]) == "<DirectView [0,1,2]>"
    assert repr(DirectView(rc, list(range(64)))) == "<DirectView [0,1,2,3,...] (64)>"
    assert repr(DirectView(rc, list(range(8)))) == "<DirectView [0,1,2,3,4,5,6,7]>"


def test_s43_slices_and_lists(rc: Client) -> None:
    for one in (slice(None, None, 2), slice(1, None), slice(-2, None), slice(None, None, -1), slice(0, 3, 2)):
        assert rc[one].targets == rc.ids[one]
    assert rc[-2:].apply_sync(abs, -1) == [1, 1]
    assert repr(rc[[0, -1]]) == f"<DirectView [{rc.ids[0]},{rc.ids[-1]}]>"
    assert rc[[0, -1]].targets == [rc.ids[0], rc.ids[-1]]


def test_s44_s46_ids_with_holes(private_cluster: Callable[..., Cluster], until: Callable[..., None]) -> None:
    with private_cluster(n=6) as rc:
        view, lazy = rc[:], rc.direct_view("all")
        rc.shutdown([1, 3, 4], block=True)
        until(lambda: rc.ids == [0, 2, 5])
        assert view.targets == [0, 1, 2, 3, 4, 5] and len(lazy) == 3
        with pytest.raises(IndexError):
            rc[1]
        assert rc[-1].targets == 5 and rc[:2].targets == [0, 2] and rc[::2].targets == [0, 5] and rc[2].targets == 2
        assert lazy.apply_sync(abs, -2) == [2, 2, 2]
        now = rc[:]
        rc.scale(4, block=True)
        assert now.targets == [0, 2, 5] and lazy.apply_sync(abs, -2) == [2, 2, 2, 2] and rc.ids == [0, 2, 5, 6]


def test_s45_view_chooses_its_kind(rc: Client) -> None:
    assert isinstance(rc.view(), LoadBalancedView)
    assert isinstance(rc.view([0]), DirectView)
    assert isinstance(rc.view(balanced=False), DirectView)
    restricted = rc.view([0, 1], balanced=True)
    assert isinstance(restricted, LoadBalancedView) and restricted.targets == [0, 1]


def test_s46_negative_ids_count_from_the_end(rc: Client) -> None:
    assert chosen(rc._session, -2) == ([rc.ids[-2]], True)
    with pytest.raises(NoSuchEngine):
        rc[len(rc.ids) + 5]


def test_s47_one_pid_per_engine(rc: Client) -> None:
    assert len(set(rc[:].apply_sync(os.getpid))) == 4
    assert rc[:].apply_sync(socket.gethostname) == [socket.gethostname()] * 4


def test_s49_namespaces_are_dictionaries(rc: Client) -> None:
    view = rc[:]
    view["a"] = ["foo", "bar"]
    assert view["a"] == view.get("a") == [["foo", "bar"]] * 4
    view.update({"a": 2, "b": 3})
    assert view.get(["a", "b"]) == [[2, 3]] * 4


def test_s50_s51_s52_scatter_and_gather(rc: Client) -> None:
    view = rc[:]
    later = view.scatter("a", range(16))
    assert isinstance(later, AsyncResult) and later.get(timeout=PATIENCE) == [None] * 4
    assert view.scatter("a", range(16), block=True) == [None] * 4
    assert view["a"] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert view.gather("a", block=True) == list(range(16))
    array = np.arange(10, dtype="i2").reshape(5, 2)
    view.scatter("m", array, block=True)
    joined = view.gather("m").get(timeout=PATIENCE)
    assert joined.dtype == array.dtype and np.array_equal(joined, array)


def test_s52_a_gathered_result_is_of_the_gathered_items(rc: Client) -> None:
    view = rc[:]
    view.scatter("a", range(10), block=True)
    result = view.gather("a")
    assert list(result) == result.get() == list(range(10))
    assert len(result) == result.progress == 10
    assert result[3] == 3 and result[-1] == 9 and result[2:4] == [2, 3]
    assert result.get_dict() == {id: part for id, part in zip(rc.ids, view["a"], strict=True)}
    view.scatter("m", np.arange(10.0), block=True)
    array = view.gather("m")
    assert [float(x) for x in array] == list(range(10)) and array[9] == 9.0
    assert len(array) == 10 and not array[2:5].flags.writeable
    rc[1].execute("del a", block=True)
    missing = view.gather("a")
    with pytest.raises(CompositeError):
        list(missing)
    assert len(missing) == missing.progress == 4


@pytest.mark.parametrize("dist", ["b", "r"])
@pytest.mark.parametrize("count", [0, 1, 3, 5, 9])
@pytest.mark.parametrize("flatten", [False, True])
def test_s53_uneven_parts(rc: Client, dist: str, count: int, flatten: bool) -> None:
    view = rc[:]
    view.scatter("a", (x for x in range(count)), dist=dist, flatten=flatten, block=True)
    parts = view["a"]
    sizes = [len(part) if isinstance(part, list) else 1 for part in parts]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == count
    if not flatten:
        assert view.gather("a", dist=dist, block=True) == list(range(count))
    else:
        assert sorted(view.gather("a", dist=dist, block=True)) == list(range(count))
    array = np.arange(count, dtype="f4")
    view.scatter("n", array, dist=dist, flatten=flatten, block=True)
    if count:
        joined = view.gather("n", dist=dist, block=True)
        assert np.array_equal(joined, array) if not flatten else sorted(joined) == list(array)


def test_s55_a_balanced_view_has_no_namespaces(rc: Client) -> None:
    view = rc.load_balanced_view()
    for name in (
        "push",
        "pull",
        "scatter",
        "gather",
        "execute",
        "run",
        "__getitem__",
        "__setitem__",
        "update",
        "get",
    ):
        assert not hasattr(view, name), name


def test_sync_imports_happen_here_and_there(rc: Client, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    names = here(
        "def go(view):\n"
        "    with view.sync_imports():\n"
        "        import json as j\n"
        "        from collections import OrderedDict as OD, deque\n"
        "        import os.path\n"
        "    return j, OD, deque, os\n"
    )
    names["go"](rc[:])
    assert (
        rc[:].apply_sync(here("f = lambda: (j.__name__, OD.__name__, deque.__name__, os.path.sep)")["f"])
        == [("json", "OrderedDict", "deque", "/")] * 4
    )
    assert "import json as j" in capsys.readouterr().out
    rc[:].apply_sync(here("f = lambda: (j, OD, deque, os)[0].__name__")["f"])


def test_a_broadcast_view_is_like_a_direct_view(rc: Client) -> None:
    view = rc.broadcast_view()
    assert len(set(view.apply_sync(os.getpid))) == 4
    view["a"] = 1
    assert view["a"] == [1] * 4
    assert view.map_sync(abs, [-1, -2, -3]) == [1, 2, 3]
    assert len(view.apply_async(abs, 1).msg_ids) == 4
    assert rc.broadcast_view(0).apply_sync(abs, -3) == 3
