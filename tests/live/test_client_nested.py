"""Clients inside tasks: what they submit runs, or fails when it never could."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import PATIENCE
from tests.live.conftest import PrivateCluster
from tuiparallel import Client, ImpossibleDependency

pytestmark = pytest.mark.live


def _inner(how: str, target: int) -> Any:
    import tuiparallel

    with tuiparallel.Client() as rc:
        view = rc.load_balanced_view()
        if how == "get":
            return view.apply_async(pow, 2, 5).get()
        if how == "map":
            return list(view.map_async(abs, [-1, -2]))
        if how == "wait":
            result = view.apply_async(pow, 2, 5)
            rc.wait()
            return result.get(0)
        if how == "executor":
            return view.executor.submit(pow, 2, 5).result()
        if how == "imap":
            return list(view.imap(abs, [-1, -2]))
        return rc[target].apply_sync(pow, 2, 5)


@pytest.mark.parametrize("how", ["get", "map", "wait", "executor", "imap", "direct"])
def test_inner_tasks_that_no_engine_can_be_free_for_fail(private_cluster: PrivateCluster, how: str) -> None:
    """API 3.9: ImpossibleDependency instead of hanging."""
    cluster = private_cluster(n=1)
    with cluster.start_and_connect_sync() as rc:
        with pytest.raises(ImpossibleDependency, match="waits for it"):
            rc[0].apply_async(_inner, how, 0).get(timeout=PATIENCE)
        assert rc[0].apply_async(pow, 2, 3).get(timeout=PATIENCE) == 8


def test_inner_tasks_run_as_long_as_an_engine_is_free(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(n=2)
    with cluster.start_and_connect_sync() as rc:
        assert rc[0].apply_async(_inner, "get", 1).get(timeout=PATIENCE) == 32
        assert rc[0].apply_async(_inner, "map", 1).get(timeout=PATIENCE) == [1, 2]
        assert rc[0].apply_async(_inner, "direct", 1).get(timeout=PATIENCE) == 32
        with pytest.raises(ImpossibleDependency):
            rc[0].apply_async(_inner, "direct", 0).get(timeout=PATIENCE)
        both = rc[:].apply_async(_both, rc.ids)
        both.wait(PATIENCE)
        assert both.ready() and not both.successful()
        assert {error.ename for error in both.exception().errors} == {"ImpossibleDependency"}  # type: ignore[union-attr]


def _both(ids: list[int]) -> Any:
    import tuiparallel

    me = tuiparallel.current_task()
    assert me is not None
    with tuiparallel.Client() as rc:
        rc[:].execute("here = 1", block=False)
        return rc[[id for id in ids if id != me.engine_id][0]].apply_sync(pow, 2, 5)


def test_a_recursion_that_needs_more_engines_than_there_are_ends(client: Client) -> None:
    lview = client.load_balanced_view()
    with pytest.raises(ImpossibleDependency):
        lview.apply_async(_deeper, 10).get(timeout=PATIENCE)
    assert lview.apply_async(_deeper, 1).get(timeout=PATIENCE) == 1


def _deeper(levels: int) -> int:
    import tuiparallel

    if not levels:
        return 0
    with tuiparallel.Client() as rc:
        found: int = rc.load_balanced_view().apply_async(_deeper, levels - 1).get()
        return 1 + found
