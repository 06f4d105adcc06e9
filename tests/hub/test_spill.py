"""Large buffers go to the disk when their memory is full, and are found there by their names."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.stage import Stage, balanced
from tuiparallel.hub import spill as spilling
from tuiparallel.hub.holdings import Holdings
from tuiparallel.hub.spill import Spill, spill_beside
from tuiparallel.wire import blobs
from tuiparallel.wire.blobs import BlobRef, BlobStore
from tuiparallel.wire.messages import BlobUse, Rejected

SIZE = 300_000


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    (tmp_path / "memory").mkdir(mode=0o700)
    return BlobStore(tmp_path / "memory")


def held(store: BlobStore, number: int, limit: int, spill: Spill) -> tuple[Holdings, list[BlobRef]]:
    holdings = Holdings(store.folder, {}, limit, spill=spill)
    blobs = [store.write(bytes([place]) * SIZE) for place in range(number)]
    holdings.add(blobs)
    holdings.use(blob.name for blob in blobs)
    return holdings, blobs


def move_out(holdings: Holdings) -> None:
    while holdings.over() and holdings.move_out(0):
        pass


def on_disk(store: BlobStore, blobs: list[BlobRef]) -> list[bool]:
    return [(store.folder / blob.name).is_symlink() for blob in blobs]


def test_the_oldest_move_and_are_read_as_before(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "STEP", 100_000)
    holdings, blobs = held(store, 4, 2 * SIZE, Spill(store.folder, tmp_path / "spill", 1 << 30))
    mapped = store.open(blobs[0].name)
    assert holdings.move_out(0) and on_disk(store, blobs) == [False] * 4, "a part of it: no turn becomes long"
    move_out(holdings)
    assert on_disk(store, blobs) == [True, True, False, False]
    assert holdings.bytes == 2 * SIZE and holdings.spill is not None and holdings.spill.bytes == 2 * SIZE
    for place, blob in enumerate(blobs):
        assert bytes(store.open(blob.name, blob.size)) == bytes([place]) * SIZE
    assert bytes(mapped[:3]) == b"\0\0\0", "what was mapped stays"
    assert (tmp_path / "spill").stat().st_mode & 0o777 == 0o700
    holdings.unlink([blobs[0].name, blobs[2].name])
    assert holdings.bytes == SIZE and holdings.spill.bytes == SIZE
    assert sorted(os.listdir(tmp_path / "spill")) == [blobs[1].name]
    holdings.spill.close()
    assert not (tmp_path / "spill").exists()


@pytest.mark.parametrize("stays", [True, False], ids=["moved out", "forgotten"])
def test_a_reader_that_has_opened_what_moves_out_reads_the_copy(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    spill = Spill(store.folder, tmp_path / "spill", 1 << 30)
    blob = store.write(b"x" * blobs.REUSABLE)
    lock = fcntl.flock

    def overtaken(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        if stays:
            assert spill.step([(blob.name, blob.size)], 0) == blob.name
        else:
            store.recycle([blob.name], 1 << 30)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    if stays:
        assert store.open(blob.name, blob.size) == b"x" * blobs.REUSABLE
        assert on_disk(store, [blob]) == [True]
    else:
        with pytest.raises(FileNotFoundError, match="no such blob"):
            store.open(blob.name, blob.size)
    assert fcntl.flock is lock


def test_large_ones_on_disk_are_not_kept_to_be_filled_again(store: BlobStore, tmp_path: Path) -> None:
    holdings = Holdings(store.folder, {}, 1, keep=0, spill=Spill(store.folder, tmp_path / "spill", 1 << 30))
    blob = store.write(bytes(2 << 20))
    holdings.add([blob])
    holdings.use([blob.name])
    move_out(holdings)
    assert on_disk(store, [blob]) == [True]
    holdings.done([blob.name])
    assert not os.listdir(tmp_path / "spill") and not list(store.folder.glob("*-*"))
    assert bytes(store.open(store.write(b"x" * (2 << 20)).name)[:1]) == b"x"


def test_the_limit_and_the_free_disk_are_kept(store: BlobStore, tmp_path: Path) -> None:
    holdings, blobs = held(store, 3, 1, Spill(store.folder, tmp_path / "spill", SIZE))
    move_out(holdings)
    assert on_disk(store, blobs) == [True, False, False] and holdings.over()
    other = Spill(store.folder, tmp_path / "other", 1 << 40)
    assert other.step([(blobs[1].name, SIZE)], free_disk=1 << 60) is None


def test_a_hub_that_comes_back_knows_them_and_removes_what_is_not_whole(store: BlobStore, tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    holdings, blobs = held(store, 2, SIZE, Spill(store.folder, folder, 1 << 30))
    move_out(holdings)
    (folder / "1-1-0123456789abcdef.part").write_bytes(b"half")
    (folder / "1-2-0123456789abcdef").write_bytes(b"of another run")
    again = Holdings(store.folder, dict(blobs), SIZE, spill=Spill(store.folder, folder, 1 << 30))
    assert again.bytes == SIZE and os.listdir(folder) == [blobs[0].name]
    later = Holdings(store.folder, {blobs[1].name: SIZE}, SIZE, spill=Spill(store.folder, folder, 1 << 30))
    later.sweep()
    assert os.listdir(folder) == [] and not (store.folder / blobs[0].name).is_symlink()


def test_a_blob_that_goes_while_it_is_copied_leaves_nothing(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilling, "STEP", 1000)
    holdings, blobs = held(store, 1, 1, Spill(store.folder, tmp_path / "spill", 1 << 30))
    assert holdings.move_out(0)
    holdings.unlink([blobs[0].name])
    assert os.listdir(tmp_path / "spill") == [] and holdings.bytes == 0
    assert not holdings.move_out(0)


def test_there_is_none_on_the_same_disk(tmp_path: Path) -> None:
    assert spill_beside(tmp_path, tmp_path, 1 << 30) is None
    assert spill_beside(tmp_path / "no such", tmp_path, 1 << 30) is None


def test_p6_blobs_of_open_tasks_move_out_and_then_submissions_are_refused(
    make_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = make_stage(blob_bytes=2 * SIZE)
    holdings = stage.book.holdings
    holdings.spill = Spill(holdings.store.folder, tmp_path / "spill", 2 * SIZE)
    client, engine = stage.client(), stage.engine()

    def submit() -> BlobRef:
        blob = holdings.store.write(os.urandom(SIZE))
        client.submit(balanced(), blobs=[BlobUse(0, blob.name, blob.size)])
        stage.until(lambda: not client.unaccepted())
        return blob

    blobs = [submit() for _ in range(4)]
    stage.advance(5)
    assert on_disk(holdings.store, blobs) == [True, True, False, False] and not holdings.exhausted
    rows = {row[0]: (row[1], row[2]) for row in map(tuple, client.ask("status")["limits"])}
    assert rows["blobs: bytes"] == rows["blobs on disk: bytes"] == (2 * SIZE, 2 * SIZE)
    submit()
    stage.advance(5)
    assert holdings.exhausted
    submit()
    (rejected,) = client.of(Rejected)
    error = rejected.error
    assert error.ename == "StorageFull" and "blob_bytes" in error.evalue and "spill_bytes" in error.evalue
    client.submit(balanced())  # without a large buffer
    engine.auto = True
    client.outcome(6)
    stage.until(lambda: not stage.book.scheduler.tasks)
    client.ask("purge", tasks=[], targets=[], all=True)
    stage.advance(5)
    assert not holdings.exhausted and not os.listdir(tmp_path / "spill")
    submit()
    client.outcome(7)
