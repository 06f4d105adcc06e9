"""F22, F23, F44: the disk is full, the history is damaged, and blobs meet kills."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import on_time, wait_until
from tests.faults.chaos import PATIENCE, kill_hub, new_hub
from tests.faults.ledger import Ledger
from tests.faults.tasks import pause, value_of
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import NoSuchTask, ResultExpired, StorageFull, TaskLost
from tuiparallel.link.clock import SystemClock

Start = Callable[..., Cluster]
Show = Callable[[object], None]

FULL = {"StorageFull"}


@on_time
@pytest.mark.parametrize("first", [5, pytest.param(40, marks=pytest.mark.long)])
def test_f22_no_commit_succeeds_for_a_while(
    start: Start, ledger: Ledger, show: Show, first: int, slack: float
) -> None:
    """What runs meanwhile stays with the engines, and goes on record when there is room."""
    cluster = start(2, env={"TUIPAR_FAIL": f"hub.commit=ENOSPC@{first}-{first + 1}"})
    with cluster as rc:
        view = rc.load_balanced_view()
        answers = []
        for _ in range(30):
            answers += [ledger.submit(view, 0.001) for _ in range(10)]
            pause(0.005)
        begun = SystemClock.monotonic()
        ledger.collect(answers, PATIENCE)
        assert SystemClock.monotonic() - begun < 10.0 * slack
        ledger.collect([ledger.submit(view)], PATIENCE)
    report = ledger.check("F22 disk full under history", allowed=FULL)
    show(report)
    assert report.clean
    starts = ledger.starts()
    assert len(starts) == report.tasks - report.errors["StorageFull"]


def test_f22_a_hub_that_is_killed_while_its_disk_is_full(start: Start, ledger: Ledger) -> None:
    cluster = start(2, env={"TUIPAR_FAIL": "hub.commit=ENOSPC@30+"})
    with cluster as rc:
        view = rc.load_balanced_view()
        answers = [ledger.submit(view, 0.001) for _ in range(100)]
        hub = cluster.pids["hub"]
        wait_until(ledger.starts)
        for _ in range(100):
            answers.append(ledger.submit(view, 0.001))
            pause(0.005)
        kill_hub(cluster)
        new_hub(cluster, hub)
        ledger.collect(answers, PATIENCE)
    report = ledger.check("F22 killed on a full disk", allowed=FULL)
    assert report.clean


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 8 MiB that clusters live on; it needs root."""
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "small"
    place.mkdir(mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "none", str(place)], capture_output=True
    )
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    monkeypatch.setenv("XDG_STATE_HOME", str(place))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@on_time
def test_f22_a_file_system_that_fills_up(
    small_disk: Path, start: Start, ledger: Ledger, show: Show, slack: float
) -> None:
    cluster = start(2, free_disk=0)
    with cluster as rc:
        view = rc.load_balanced_view()
        answers = [ledger.submit(view, 0.002) for _ in range(500)]
        hog = small_disk / "hog"
        with open(hog, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass
        for _ in range(100):
            answers.append(ledger.submit(view, 0.002))
            pause(0.01)
        refused = view.apply_async(len, os.urandom(20_000))
        assert isinstance(refused.exception(PATIENCE), StorageFull), "nothing can be stored"
        hog.unlink()
        begun = SystemClock.monotonic()
        wait_until(lambda: view.apply_async(abs, -1).exception(PATIENCE) is None, PATIENCE, "tasks are stored again")
        ledger.collect(answers, PATIENCE)
        assert SystemClock.monotonic() - begun < 5.0 * slack
        ledger.collect([ledger.submit(view)], PATIENCE)
        assert view.apply_sync(len, bytes(20_000)) == 20_000
    report = ledger.check("F22 file system full", allowed=FULL)
    show(report)
    assert report.clean


def test_f22_too_little_room_is_refused_before_anything_is_stored(small_disk: Path, start: Start) -> None:
    cluster = start(1, free_disk=1 << 30)
    with cluster as rc:
        error = rc.load_balanced_view().apply_async(abs, -1).exception(PATIENCE)
        assert isinstance(error, StorageFull)


# F23 --------------------------------------------------------------------------------------------------------------

DAMAGES = ("header", "middle", "wal", "empty", "truncated", "flips", "directory of nothing")
RARE = ("middle", "empty", "directory of nothing")  # the others run on each commit


def damage(database: Path, how: str, rng: random.Random) -> None:
    content = bytearray(database.read_bytes())
    if how == "header":
        content[:100] = rng.randbytes(100)
    elif how == "middle":
        at = len(content) // 2
        content[at : at + 5000] = rng.randbytes(5000)
    elif how == "wal":
        database.with_name("history.db-wal").write_bytes(rng.randbytes(50_000))
        database.with_name("history.log").write_bytes(rng.randbytes(5_000))
    elif how == "empty":
        content.clear()
    elif how == "truncated":
        del content[len(content) // 3 :]
    elif how == "flips":
        for _ in range(20):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    else:
        database.unlink()
        return
    database.write_bytes(content)


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[pytest.mark.long] if how in RARE else []) for how in DAMAGES]
)
def test_f23_a_cluster_starts_on_a_damaged_history(
    start: Start, ledger: Ledger, seed: int, how: str, home: Path
) -> None:
    first = start(2, name="damaged")
    with first as rc:
        answers = [ledger.submit(rc.load_balanced_view()) for _ in range(300)]
        ledger.collect(answers, PATIENCE)
        ids = [answer.msg_ids[0] for _, answer in answers]
        wanted = {id: value_of(name) for id, (name, _) in zip(ids, answers, strict=True)}
    assert ledger.check("").clean
    damage(first.directory / "history.db", how, random.Random(seed))
    second = start(1, name="damaged")
    with second as rc:
        forgotten = 0
        for id in ids[::10]:
            try:
                assert rc.get_result(id).get(PATIENCE) == wanted[id]
            except (NoSuchTask, ResultExpired, TaskLost):
                forgotten += 1
        assert rc.load_balanced_view().apply_sync(abs, -3) == 3
        assert forgotten in (0, 30) or how in ("flips", "middle")
    log = (second.directory / "log" / "hub.log").read_text()
    assert log.count("serves") == 2, log  # once in each run
    assert "Traceback" not in log


# F44 --------------------------------------------------------------------------------------------------------------


def total(*arrays: np.ndarray) -> int:
    """A sum that each byte takes part in."""
    return int(sum(int(array.view(np.uint8).astype(np.int64).sum()) for array in arrays))


def doubled(array: np.ndarray) -> np.ndarray:
    return array * 2


def blobs_of(cluster: Cluster) -> list[Path]:
    return sorted(Path(cluster.config.blobs).iterdir())


def test_f44_a_hub_is_killed_while_blobs_are_under_way(start: Start, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = start(2)
    with cluster as rc:
        view = rc.load_balanced_view()
        arrays = [rng.integers(0, 1 << 30, 300_000) for _ in range(20)]
        answers = []
        for number, array in enumerate(arrays):
            answers.append(view.apply_async(doubled, array))
            if number == 10:
                kill_hub(cluster)
        for array, answer in zip(arrays, answers, strict=True):
            assert np.array_equal(answer.get(PATIENCE), array * 2)
        directory = Path(cluster.config.blobs)
    assert not directory.exists()


def test_f44_an_engine_is_killed_while_it_writes_blobs(start: Start, until: Callable[..., None]) -> None:
    def write_and_die(name: str) -> np.ndarray:
        import os
        import threading

        import numpy as np

        threading.Timer(0.005, os.kill, (os.getpid(), 9)).start()
        while True:
            made = np.ones(4_000_000)
            if name == "return":
                return made

    cluster = start(1, restart="on-failure", max_restarts=1000)
    with cluster as rc:
        for _ in range(3):
            until(lambda: len(rc.ids) == 1, PATIENCE)
            view = rc.load_balanced_view()
            try:
                assert view.apply_async(write_and_die, "return").get(PATIENCE).sum() == 4_000_000
            except Exception as error:
                assert type(error).__name__ == "EngineError", error
        until(lambda: len(rc.ids) == 1, PATIENCE)
        rc.purge_results("all")
        until(
            lambda: not blobs_of(cluster),
            30.0,
            "no blob is left, long before the hub looks for what nobody told it of",
        )


def test_f44_a_read_array_never_changes(start: Start, seed: int) -> None:
    """The writer makes many others while one result is held: no byte of it changes."""
    rng = np.random.default_rng(seed)
    with start(2) as rc:
        view = rc.load_balanced_view()
        array = rng.integers(0, 1 << 40, 500_000)
        held = view.apply_sync(doubled, array)
        wanted = total(held)
        for _ in range(30):
            other = rng.integers(0, 1 << 40, 500_000)
            assert total(view.apply_sync(doubled, other)) == total(other * 2)
        rc.purge_results("all")
        for _ in range(10):
            view.apply_sync(doubled, rng.integers(0, 1 << 40, 500_000))
        assert total(held) == wanted and np.array_equal(held, array * 2)


@pytest.fixture
def small_blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tmpfs of 8 MiB for the blobs of clusters; it needs root."""
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "shm"
    place.mkdir(mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "none", str(place)], capture_output=True
    )
    if done.returncode:
        pytest.skip("nothing can be mounted here")

    def there(directory: Path, cluster: str) -> Path:
        (place / cluster).mkdir(mode=0o700)
        return place / cluster

    monkeypatch.setattr("tuiparallel.cluster.local.blobs_of", there)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_f44_a_full_tmpfs_is_an_error_and_kills_nobody(small_blobs: Path, start: Start) -> None:
    cluster = start(2)
    with cluster as rc:
        pids = rc[:].apply_sync(os.getpid)
        view = rc.load_balanced_view()
        outcomes = [view.apply_async(np.ones, 400_000) for _ in range(10)]
        kinds = set()
        for outcome in outcomes:
            error = outcome.exception(PATIENCE)
            kinds.add(type(error).__name__ if error is not None else "value")
            if error is None:
                assert outcome.get(0).sum() == 400_000
        assert kinds <= {"value", "StorageFull"}, kinds
        assert "value" in kinds
        for _ in range(3):
            try:
                assert view.apply_async(total, np.ones(3_000_000)).exception(PATIENCE) is not None
            except StorageFull:
                pass
        assert rc[:].apply_sync(os.getpid) == pids
        del outcomes, outcome
        rc.purge_results("all")
        wait_until(lambda: not blobs_of(cluster), PATIENCE, "room again")
        assert view.apply_sync(np.ones, 400_000).sum() == 400_000
