"""Large buffers of open tasks go to the disk when the shared memory that is theirs is full; nobody notices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PATIENCE
from tests.live.conftest import PrivateCluster
from tests.live.test_client_hub import size_of
from tuiparallel.errors import AbortedTask

Until = Callable[..., None]
MB = 1 << 20


def used(folder: Path) -> int:
    """Bytes of blobs in shared memory, those waiting to be filled again left out."""
    return sum(size_of(file) for file in folder.iterdir() if not file.is_symlink())


def test_p6_arrays_of_queued_tasks_go_to_the_disk(private_cluster: PrivateCluster, until: Until) -> None:
    cluster = private_cluster(1, blob_bytes=12 * MB, blob_keep=0)
    with cluster as rc:
        blobs, spill = Path(cluster.config.blobs), cluster.directory / "spill"
        if blobs.stat().st_dev == cluster.directory.stat().st_dev:
            pytest.skip("this machine has no shared memory apart from its disk")
        busy = rc[0].execute("import time; time.sleep(600)", block=False)
        arrays = [np.full(4 * MB // 8, number, dtype=np.float64) for number in range(8)]
        answers = [rc[0].apply_async(lambda a: (float(a[0]), float(a.sum())), array) for array in arrays]
        until(lambda: used(blobs) <= 12 * MB and sum(1 for _ in spill.iterdir()) == 5, PATIENCE)
        assert sum(file.is_symlink() for file in blobs.iterdir()) == 5
        rc.abort(busy, running=True, grace=0.2)
        with pytest.raises(AbortedTask):
            busy.get(PATIENCE)
        # Direct tasks behind a task that had to be ended by force may be lost with their engine.
        values = [answer.get(PATIENCE) for answer in answers if answer.exception(PATIENCE) is None]
        assert all(total == first * (4 * MB // 8) for first, total in values)
        lview = rc.load_balanced_view()
        rc.wait_for_engines(1, timeout=PATIENCE)
        again = [lview.apply_async(lambda a: float(a.sum()), array) for array in arrays]
        assert [answer.get(PATIENCE) for answer in again] == [float(array.sum()) for array in arrays]
        rc.purge_everything()
        until(lambda: not list(spill.glob("*")), PATIENCE)
    assert not spill.exists() and not blobs.exists()
