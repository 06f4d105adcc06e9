"""The scheme that a cluster is started with chooses the engines of balanced tasks."""

from __future__ import annotations

import pytest

from tests.conftest import PATIENCE
from tests.live.conftest import PrivateCluster

pytestmark = pytest.mark.live


def test_lone_calls_take_turns_under_lru(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(2, scheme="lru")
    with cluster.start_and_connect_sync() as client:
        view = client.load_balanced_view()
        results = []
        for _ in range(10):
            results.append(view.apply_async(abs, -1))
            assert results[-1].get(timeout=PATIENCE) == 1
        engines = [result.engine_id for result in results]
        assert engines in ([0, 1] * 5, [1, 0] * 5)
