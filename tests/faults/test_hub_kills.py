"""F11, F12, F22: the hub is killed at random moments and at each point of its turn, and its disk is full."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.faults.chaos import PATIENCE, Load, kill_hub_often
from tests.faults.ledger import Ledger, Report
from tests.faults.tasks import pause
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.hub.journal import QUIET
from tuiparallel.link.failpoints import POINTS

Start = Callable[..., Cluster]
Show = Callable[[object], None]

ROUNDS = 20  # of KILLS each: a hub that dies oftener within a minute is given up
KILLS = 5
RECOVERY = 3.0  # seconds
RARE = ("hub.writing", "hub.settled")  # small turns are settled together


def killed_often(start: Start, ledger: Ledger, seed: int, kills: int, tasks: int) -> Report:
    """One cluster, two clients, a hub that is killed."""
    rng = random.Random(seed)
    cluster = start(4)
    with cluster as probe:
        load = Load(cluster, ledger, clients=2, tasks=tasks, seconds=0.0025, seed=seed)
        faults, recoveries = kill_hub_often(cluster, ledger, probe, kills, rng, lambda: load.running)
        load.join()
        with cluster.connect() as other:  # an outcome never changes: somebody else sees the same
            for client in load.clients:
                names = rng.sample(list(client.history), 100)
                assert all(value % 1_000_003 == 1 for value in flat(other.get_result(names).get(PATIENCE)))
    report = ledger.check("F11 hub killed", seed=seed)
    report.faults, report.recoveries = faults, recoveries
    return report


def flat(values: list[object]) -> list[int]:
    return [value[0] if isinstance(value, list) else value for value in values]  # type: ignore[misc]


def test_f11_the_hub_is_killed_under_load(start: Start, ledger: Ledger, seed: int, show: Show) -> None:
    report = killed_often(start, ledger, seed, 3, 2000)
    show(report)
    assert report.clean and report.faults
    assert (
        max(report.recoveries) < 10 * RECOVERY
    )  # the machine may be busy with other tests; alone it is held to the bar below


@pytest.mark.long
def test_f11_a_hundred_kills(start: Start, tmp_path_factory: pytest.TempPathFactory, seed: int, show: Show) -> None:
    whole = Report("F11 hub killed", seed=seed)
    for number in range(ROUNDS):
        report = killed_often(start, Ledger(tmp_path_factory.mktemp("round")), seed + number, KILLS, 10_000)
        whole.add(report)
        if not report.clean:
            show(report)
            break
    show(whole)
    assert whole.clean
    assert whole.faults >= ROUNDS * KILLS * 0.9
    assert max(whole.recoveries) < RECOVERY


def died(cluster: Cluster) -> int:
    """How many hubs of this cluster were killed."""
    return (cluster.directory / "log" / "template.log").read_text().count("the hub has ended with signal SIGKILL")


def killed_at(start: Start, ledger: Ledger, point: str, visit: int, seed: int) -> Report:
    """One cluster whose hub dies at this visit of a point, while two clients work."""
    cluster = start(2, env={"TUIPAR_FAIL": f"{point}=kill@{visit}"})
    with cluster as probe:
        load = Load(cluster, ledger, clients=2, tasks=600, seconds=0.001, seed=seed)
        load.join()
        for _ in range(1000):  # not often enough there: until it is
            if died(cluster):
                break
            ledger.collect([ledger.submit(probe.load_balanced_view())], PATIENCE)
            pause(1.5 * QUIET)  # so that the history gets it by itself
    report = ledger.check(f"F12 hub killed at {point}", seed=seed)
    report.faults = died(cluster)
    return report


@pytest.mark.parametrize("point", POINTS)
def test_f12_the_hub_dies_at_this_point(start: Start, ledger: Ledger, seed: int, show: Show, point: str) -> None:
    visit = random.Random(seed).randrange(10, 40)
    report = killed_at(start, ledger, point, visit, seed)
    show(report)
    assert report.clean and report.faults == 1, f"{point}=kill@{visit}"


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_f12_ten_times(
    start: Start, tmp_path_factory: pytest.TempPathFactory, seed: int, show: Show, point: str
) -> None:
    rng = random.Random(seed)
    whole = Report(f"F12 hub killed at {point}", seed=seed)
    for number in range(10):
        visit = rng.choice([rng.randrange(2, 30), rng.randrange(2, 30 if point in RARE else 150)])
        report = killed_at(start, Ledger(tmp_path_factory.mktemp("round")), point, visit, seed + number)
        whole.add(report)
        if not report.clean:
            show(f"{point}=kill@{visit}\n{report}")
    show(whole)
    assert whole.clean and whole.faults == 10
