"""Files of large blobs that are filled again: never while anybody looks at them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuiparallel.wire import blobs
from tuiparallel.wire.blobs import REUSABLE, BlobRef, BlobStore

ROOM = 8 * REUSABLE


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def inode(store: BlobStore, blob: BlobRef) -> int:
    return (store.folder / blob.name).stat().st_ino


def spares(store: BlobStore) -> list[str]:
    folder = store.folder / "spare"
    return os.listdir(folder) if folder.is_dir() else []


def test_the_next_blob_of_that_size_takes_the_file_under_a_new_name(store: BlobStore) -> None:
    first = store.write(b"a" * REUSABLE)
    file = inode(store, first)
    store.recycle([first.name], ROOM)
    assert len(spares(store)) == 1
    second = store.write(b"b" * REUSABLE)
    assert inode(store, second) == file and second.name != first.name and not spares(store)
    assert bytes(store.open(second.name, second.size)) == b"b" * REUSABLE
    with pytest.raises(FileNotFoundError, match="has been removed"):
        store.open(first.name)


def test_what_is_mapped_never_changes(store: BlobStore) -> None:
    first = store.write(b"a" * REUSABLE)
    view = store.open(first.name)
    store.recycle([first.name], ROOM)
    second = store.write(b"b" * REUSABLE)
    assert bytes(view) == b"a" * REUSABLE
    assert bytes(store.open(second.name)) == b"b" * REUSABLE
    assert not spares(store), "a file that somebody looks at is not kept for filling"


def test_a_file_is_free_again_when_its_last_reader_is_killed(store: BlobStore) -> None:
    blob = store.write(b"a" * REUSABLE)
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from tuiparallel.wire.blobs import BlobStore\n"
            "view = BlobStore(Path(sys.argv[1])).open(sys.argv[2]); print(len(view), flush=True); sys.stdin.read()",
            str(store.folder),
            blob.name,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert reader.stdin is not None and reader.stdout is not None
    with reader:
        assert int(reader.stdout.readline()) == REUSABLE
        file = inode(store, blob)
        store.recycle([blob.name], ROOM)
        reader.kill()
        reader.wait()
        assert inode(store, store.write(b"b" * REUSABLE)) == file


def test_a_smaller_blob_takes_a_larger_file_and_a_much_smaller_one_does_not(store: BlobStore) -> None:
    first = store.write(bytes(3 * REUSABLE))
    file = inode(store, first)
    store.recycle([first.name], ROOM)
    small = store.write(bytes(REUSABLE))
    assert inode(store, small) != file
    middle = store.write(b"m" * (2 * REUSABLE))
    assert inode(store, middle) == file
    assert bytes(store.open(middle.name, 2 * REUSABLE)) == b"m" * (2 * REUSABLE)


def test_p6_spares_have_a_bound_and_small_blobs_are_none(store: BlobStore) -> None:
    large = [store.write(bytes(REUSABLE)) for _ in range(4)]
    small = store.write(bytes(1000))
    store.recycle([blob.name for blob in (*large, small)], 2 * REUSABLE)
    assert len(spares(store)) == 2


def test_beyond_the_locks_of_a_process_files_are_not_reused_but_can_be_read(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "MOST_LOCKS", 0)
    blob = store.write(b"a" * REUSABLE)
    file = inode(store, blob)
    view = store.open(blob.name)
    store.recycle([blob.name], ROOM)
    assert inode(store, store.write(b"b" * REUSABLE)) != file
    assert bytes(view) == b"a" * REUSABLE
