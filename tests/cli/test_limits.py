"""The sentences on what limits a figure, from figures that are made up."""

from __future__ import annotations

from tuiparallel.cli.limits import limits
from tuiparallel.cli.workloads import FULL, Figures, rows


def sides(wall: float, client: float, hub: float, engines: float) -> Figures:
    return {
        "map_per_s": 1e6 / wall, "map_wall_us": wall, "map_client_us": client, "map_hub_us": hub, "map_engines_us": engines
    }  # fmt: skip


def test_the_busiest_process_is_named() -> None:
    text = limits({"tuiparallel": sides(10.0, 3.0, 9.5, 12.0)}, cores=8)["map_per_s"]
    assert "the hub, one process, computes 95% of the time" in text
    assert "client 3.0, hub 9.5, engines 12.0" in text


def test_two_engines_are_not_one_process() -> None:
    assert "the client, one process" in limits({"tuiparallel": sides(10.0, 9.0, 5.0, 14.0)}, cores=8)["map_per_s"]


def test_all_cores_busy() -> None:
    text = limits({"tuiparallel": sides(13.0, 5.0, 9.0, 11.0)}, cores=2)["map_per_s"]
    assert text.startswith("all 2 cores are busy")


def test_nobody_busy_is_said() -> None:
    assert limits({"tuiparallel": sides(100.0, 5.0, 9.0, 11.0)}, cores=2)["map_per_s"].startswith(
        "no process is busy"
    )


def test_without_the_sides_nothing_is_claimed() -> None:
    assert "map_per_s" not in limits({"tuiparallel": {"map_per_s": 5.0}})


def test_ratios_to_what_bounds_a_figure() -> None:
    ours = {"blocking_us": 300.0, "argument_GBs": 5.0, "share_s": 0.02, "share_more_s": 0.022, "small_per_s": 8192.0}
    found = limits(
        {
            "tuiparallel": ours,
            "bare 0MQ": {"blocking_us": 150.0},
            "memory copy": {"argument_GBs": 10.0, "share_s": 0.01},
        }
    )
    assert "2.0x as long" in found["blocking_us"]
    assert "50% of the speed" in found["argument_GBs"]
    assert "2.0x the time of one plain copy" in found["share_s"]
    assert "1.10x the time" in found["share_more_s"]
    assert "1.00 GB/s" in found["small_per_s"]


def test_every_row_of_ours_has_a_sentence_and_no_other() -> None:
    every = {row.key: 1.0 for row in rows(FULL)} | sides(10.0, 3.0, 9.5, 12.0)
    every |= {key.replace("map", "apply"): value for key, value in sides(10.0, 3.0, 9.5, 12.0).items()}
    found = limits({"tuiparallel": every})
    assert set(found) == {row.key for row in rows(FULL)}
    assert all(text.endswith(".") and "\n" not in text for text in found.values())
    assert limits({"tuiparallel": {}}) == {}
