"""The picker: what runs can be opened, a new one started, a failed start says why; leaving it keeps what one has."""

from __future__ import annotations

import pytest

from tests.console.driving import Console, console, small_cluster
from tests.console.fake import FakeCluster
from tuiparallel.cluster.running import ClusterRecord
from tuiparallel.console.screens import picker
from tuiparallel.console.screens.picker import PickerScreen


class Clusters:
    """What runs on this machine, as the picker asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.running = {name: ClusterRecord(name, "c" + name, {"hub": 900}, 1_769_853_600.0, 4) for name in names}
        self.started = 0
        self.trouble = ""
        monkeypatch.setattr(picker, "running_clusters", lambda: dict(self.running))
        clusters = self

        class Starting:
            """Stands for a Cluster."""

            name = "fresh"

            def __init__(self, **named: object) -> None:
                assert named == {"shutdown_atexit": False}, "a cluster of the picker outlives its console"

            def start_cluster_sync(self) -> None:
                clusters.started += 1
                if clusters.trouble:
                    raise RuntimeError(clusters.trouble)

        monkeypatch.setattr(picker, "Cluster", Starting)


async def left(it: Console) -> object:
    """What the console was left with."""
    await it.pilot.pause()
    return it.app.return_value


async def test_with_no_cluster_it_is_the_first_screen_and_opens_one(monkeypatch: pytest.MonkeyPatch) -> None:
    Clusters(monkeypatch, "lab", "night")
    async with console(FakeCluster(""), client=False) as it:
        it.app.feed = None
        it.app.pick("No cluster is meant, or none is running.")
        await it.app.idle()
        frame = it.frame()
        assert "lab" in frame and "night" in frame and "4 engines" in frame and "start a new cluster" in frame
        await it.pilot.press("j", "enter")
        chosen = await left(it)
        assert chosen is not None and (chosen.name, chosen.started) == ("night", False)  # type: ignore[attr-defined]


async def test_n_starts_one_and_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = Clusters(monkeypatch)
    async with console(FakeCluster(""), client=False) as it:
        it.app.pick("")
        await it.app.idle()
        await it.pilot.press("n")
        await it.pilot.pause()
        chosen = await left(it)
        assert clusters.started == 1
        assert chosen is not None and (chosen.name, chosen.started) == ("fresh", True)  # type: ignore[attr-defined]


async def test_a_failed_start_shows_its_reason_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = Clusters(monkeypatch)
    clusters.trouble = "the hub did not start: no space left on device"
    async with console(FakeCluster(""), client=False) as it:
        it.app.pick("")
        await it.app.idle()
        await it.press("enter")
        assert "no space left on device" in it.frame()
        clusters.running["late"] = ClusterRecord("late", "clate", {"hub": 901}, 1_769_853_600.0, 2)
        await it.press("r")
        assert "late" in it.frame()


async def test_leaving_it_stays_on_the_cluster_one_has(monkeypatch: pytest.MonkeyPatch) -> None:
    Clusters(monkeypatch, "lab", "night")
    async with console(small_cluster()) as it:
        for key in ("escape", "enter"):  # lab, the one on screen, is the first of the list
            await it.press(":")
            await it.type("clusters")
            await it.press("enter")
            assert isinstance(it.app.screen, PickerScreen)
            await it.press(key)
            assert len(it.app.screen_stack) == 1 and it.app.is_running and it.app.return_value is None
