"""Large buffers: counted, kept while anyone needs them, and given back oldest first."""

from __future__ import annotations

import fcntl
import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tuiparallel.hub.holdings import Holdings
from tuiparallel.wire.blobs import REUSABLE, BlobRef, BlobStore


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def held(store: BlobStore, keep: int) -> tuple[Holdings, list[BlobRef]]:
    """Three blobs of 1,000 bytes that tasks name."""
    holdings = Holdings(store.folder, {}, 1 << 20, keep)
    blobs = [store.write(bytes(1000)) for _ in range(3)]
    holdings.add(blobs)
    return holdings, blobs


def there(store: BlobStore, blobs: list[BlobRef]) -> list[bool]:
    return [(store.folder / blob.name).exists() for blob in blobs]


def test_ended_ones_are_kept_up_to_the_bound_and_the_oldest_go_first(store: BlobStore) -> None:
    holdings, blobs = held(store, keep=2000)
    for blob in blobs:
        holdings.use([blob.name])
        holdings.done([blob.name])
    assert there(store, blobs) == [False, True, True]
    assert holdings.bytes == 2000


def test_what_somebody_needs_is_kept_whatever_the_bound(store: BlobStore) -> None:
    holdings, blobs = held(store, keep=0)
    name = blobs[0].name
    holdings.use([name])
    holdings.use([name])
    holdings.done([name])
    assert there(store, blobs)[0]
    holdings.done([name])
    assert not there(store, blobs)[0]


def test_one_that_was_not_received_is_kept(store: BlobStore) -> None:
    holdings, blobs = held(store, keep=0)
    holdings.use([blobs[0].name])
    holdings.done([blobs[0].name], retire=False)
    assert there(store, blobs) == [True, True, True]


def test_one_that_is_needed_again_is_not_given_back(store: BlobStore) -> None:
    holdings, blobs = held(store, keep=1000)
    holdings.use([blobs[0].name])
    holdings.done([blobs[0].name])
    holdings.use([blobs[0].name])
    for blob in blobs[1:]:
        holdings.use([blob.name])
        holdings.done([blob.name])
    assert there(store, blobs) == [True, False, True]
    holdings.done([blobs[0].name])
    assert there(store, blobs) == [True, False, False]


def test_over_the_limit_is_said(store: BlobStore) -> None:
    holdings = Holdings(store.folder, {}, 1500)
    blobs = [store.write(bytes(1000)) for _ in range(2)]
    holdings.add(blobs[:1])
    assert not holdings.over()
    holdings.add(blobs)
    assert holdings.over() and holdings.bytes == 2000
    holdings.unlink([blobs[0].name, "../etc/passwd"])
    assert holdings.bytes == 1000 and there(store, blobs) == [False, True]


def test_what_a_dead_writer_left_unnamed_is_swept(store: BlobStore, tmp_path: Path) -> None:
    holdings, blobs = held(store, keep=2000)
    orphan = tmp_path / blobs[0].name.replace(blobs[0].name.partition("-")[0], f"{(1 << 22) + 1:x}", 1)
    orphan.write_bytes(b"left")
    assert holdings.sweep() == 1
    assert not orphan.exists() and there(store, blobs) == [True, True, True]


def test_the_oldest_that_nobody_maps_goes_and_beyond_twice_the_bytes_the_oldest(store: BlobStore) -> None:
    holdings = Holdings(store.folder, {}, 1 << 30, keep=2 * REUSABLE)
    blobs = [store.write(bytes(REUSABLE)) for _ in range(7)]
    holdings.add(blobs)

    def ended(*numbers: int) -> list[bool]:
        for number in numbers:
            holdings.use([blobs[number].name])
            holdings.done([blobs[number].name])
        return there(store, blobs)

    views = [store.open(blobs[number].name) for number in (0, 2)]
    assert ended(0, 1, 2) == [True, False, True, True, True, True, True]
    assert len(list((store.folder / "spare").iterdir())) == 1
    assert ended(3) == [True, False, True, False, True, True, True]
    views += [store.open(blobs[number].name) for number in (4, 5, 6)]
    assert ended(4, 5) == [True, False, True, False, True, True, True]
    assert ended(6) == [False, False, True, False, True, True, True]
    assert holdings.bytes == 4 * REUSABLE and [view[0] for view in views] == [0] * 5


def test_one_that_was_still_mapped_goes_when_new_work_comes(store: BlobStore) -> None:
    """So that the next large result can be written to its memory, not to new memory."""
    holdings = Holdings(store.folder, {}, 1 << 30, keep=REUSABLE)
    blobs = [store.write(bytes(REUSABLE)) for _ in range(2)]
    holdings.add(blobs)
    views = [store.open(blob.name) for blob in blobs]
    for blob in blobs:
        holdings.use([blob.name])
        holdings.done([blob.name])
    assert there(store, blobs) == [True, True]
    del views[0]
    gc.collect()
    holdings.tidy()
    assert there(store, blobs) == [False, True]
    assert len(list((store.folder / "spare").iterdir())) == 1


def test_asking_whether_a_buffer_is_in_use_stands_in_no_readers_way(store: BlobStore) -> None:
    blob = store.write(bytes(REUSABLE))
    path = str(store.folder / blob.name)
    asking = os.open(path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(store.open, blob.name)
        with pytest.raises(TimeoutError):
            reading.result(0.1)
        os.close(asking)
        assert len(reading.result(10)) == REUSABLE and store.in_use(blob.name)
    del reading
    gc.collect()
    assert not store.in_use(blob.name)
    store.unlink([blob.name])
    assert not store.in_use(blob.name)
