"""How a figure is taken."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tuiparallel.cli.workloads import (
    FULL,
    QUICK,
    SMALL_MB,
    checked,
    cpu_seconds,
    echo,
    gb_per_s,
    idle_figures,
    large_array,
    median_seconds,
    memory_mb,
    nbytes,
    processes_below,
    rows,
    small_arrays,
    small_per_s,
    wanted,
)


def test_rows_tell_their_sizes_and_have_keys_of_their_own() -> None:
    for sizes in (FULL, QUICK):
        found = rows(sizes)
        assert len({row.key for row in found}) == len({row.text for row in found}) == len(found)
        assert any(f"map of {sizes.tasks:,}" in row.text for row in found)
    assert wanted(["--quick"]) is QUICK
    assert wanted([]) is FULL


def test_arrays_have_the_sizes_they_are_named_after() -> None:
    assert nbytes(large_array(QUICK)) == QUICK.array_mb << 20
    few = small_arrays(250)
    assert len(few) == 250
    assert nbytes(few[0]) == int(SMALL_MB * (1 << 20)) == 1 << 16
    assert len({id(array) for array in few}) == 250
    assert not np.array_equal(few[0], few[1])


def test_wrong_results_have_no_figure() -> None:
    few = small_arrays(3)
    assert small_per_s(lambda: few, few) > 0
    with pytest.raises(ValueError, match="not those that were sent"):
        small_per_s(lambda: few[:2], few)
    with pytest.raises(ValueError, match="not those that were sent"):
        checked(few[::-1], few)


def test_time_and_cpu_of_a_computation() -> None:
    before = cpu_seconds([os.getpid()])
    took = median_seconds(lambda: sum(range(2_000_000)), 3)
    assert 0 < took < 10
    assert cpu_seconds([os.getpid()]) > before
    assert gb_per_s(1024.0, lambda: sum(range(10_000)), 3) > 0
    assert echo(5) == 5 and echo() is None


def test_processes_that_are_gone_count_nothing() -> None:
    assert cpu_seconds([2**22 + 1]) == 0.0
    assert memory_mb([2**22 + 1]) == 0.0
    assert processes_below(os.getpid()) == []


def test_idle_figures_of_nobody() -> None:
    assert idle_figures([], 0.01) == {"idle_cpu": 0.0, "memory_MB": 0.0}
