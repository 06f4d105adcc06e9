"""This project's own figures: every row, from small workloads on real clusters that leave nothing behind."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tuiparallel.cli.clusterfigures import cluster_figures, private_cluster, sides, timed_sides
from tuiparallel.cli.workloads import QUICK, echo, rows
from tuiparallel.cluster.place import known_names

TINY = replace(
    QUICK, calls=3, separate=50, tasks=200, few=20, array_mb=2, repeats=2, small_arrays=20, more_engines=3,
    many_engines=3, idle_s=0.05,
)  # fmt: skip


@pytest.mark.live
def test_every_row_has_a_figure_and_no_cluster_stays() -> None:
    figures = cluster_figures(TINY)
    missing = {row.key for row in rows(TINY)} - figures.keys()
    assert missing <= {"memory_MB"}  # where the system cannot tell
    assert all(value > 0 for key, value in figures.items() if key != "idle_cpu")
    assert list(known_names()) == []


@pytest.mark.live
def test_the_sides_of_a_task() -> None:
    with private_cluster(2) as (cluster, client):
        found = sides(cluster)
        assert [len(pids) for pids in found.values()] == [1, 1, 2]
        engines = client[:].apply_sync(os.getpid)
        assert set(found["engines"]) == set(engines)
        view = client.load_balanced_view()
        parts = timed_sides(cluster, lambda: view.map_sync(echo, range(500), chunksize=1), 500)
        assert set(parts) == {"wall", "client", "hub", "engines"}
        assert all(value > 0 for value in parts.values())
