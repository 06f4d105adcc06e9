"""Large buffers of ended tasks are given back, and nobody who waited for one misses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import PATIENCE
from tests.live.test_client_hub import size_of
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import ResultExpired
from tuiparallel.wire import pages

pytestmark = pytest.mark.live

MB = 1 << 20


def used(folder: Path) -> int:
    return sum(size_of(entry) for entry in folder.iterdir())


def test_p6_the_buffers_of_ended_tasks_do_not_pile_up(private_cluster: Callable[..., Cluster]) -> None:
    cluster = private_cluster(1, blob_keep=4 * MB)
    with cluster.start_and_connect_sync() as rc:
        folder = Path(cluster.config.blobs)
        results = []
        for number in range(12):
            results.append(rc[0].apply_async(lambda array: array + 1, np.full(MB // 8, float(number))))
            rc.wait(results[-1:], timeout=PATIENCE)
        # Every value is there, also those whose files went before anybody looked at them.
        assert [float(result.get()[0]) for result in results] == [number + 1.0 for number in range(12)]
        rc[0].apply_sync(abs, 1)
        assert used(folder) <= 8 * MB


def test_a_late_reader_is_told_that_a_large_result_is_gone(private_cluster: Callable[..., Cluster]) -> None:
    cluster = private_cluster(1, blob_keep=0)
    with cluster.start_and_connect_sync() as rc:
        result: Any = rc[0].apply_async(np.zeros, MB)
        assert result.get(timeout=PATIENCE).nbytes == 8 * MB
        rc[0].apply_sync(abs, 1)
        with cluster.connect_client_sync() as other:
            late = other.get_result(result.msg_ids[0])
            late.wait(PATIENCE)
            error = late.exception()
        assert isinstance(error, ResultExpired) and "blob_keep" in str(error)
        del result, late, error


def test_p6_memory_of_buffers_that_are_gone_is_held_by_no_writer(
    private_cluster: Callable[..., Cluster], until: Callable[..., None]
) -> None:
    cluster = private_cluster(1, blob_keep=16 * MB, probe_interval=0.1)
    with cluster.start_and_connect_sync() as rc:
        numbers = np.arange(MB, dtype=float)
        until(lambda: rc[0].apply_sync(lambda array: -array, numbers)[-1] == 1 - MB and pages.kept_bytes())
        until(lambda: rc[0].apply_sync(lambda array: -array, numbers)[-1] == 1 - MB and rc[0].apply_sync(kept_there))
        for path in Path(cluster.config.blobs).rglob("*"):
            if path.is_file():
                path.unlink()
        until(lambda: not pages.kept_bytes())
        until(lambda: not rc[0].apply_sync(kept_there))


def kept_there() -> int:
    from tuiparallel.wire import pages

    return pages.kept_bytes()
