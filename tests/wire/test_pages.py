"""Mappings that a writer keeps of files it fills again: right bytes, bounds, and nothing of files that are gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuiparallel.wire import pages
from tuiparallel.wire.blobs import BlobRef, BlobStore

SIZE = pages.WORTH
ROOM = 64 * SIZE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    pages.drop_all()
    yield BlobStore(tmp_path)
    pages.drop_all()


def filled_again(store: BlobStore, size: int = SIZE) -> BlobRef:
    """A blob in a file that had another one before."""
    store.recycle([store.write(bytes(size)).name], ROOM)
    return store.write(b"1" * size)


def inode(store: BlobStore, blob: BlobRef) -> int:
    return (store.folder / blob.name).stat().st_ino


def maps(folder: Path) -> int:
    return Path("/proc/self/maps").read_text().count(str(folder))


def test_a_file_is_filled_through_the_same_mapping_each_time(store: BlobStore) -> None:
    blob = filled_again(store)
    assert maps(store.folder) == 1 and pages.known(inode(store, blob)) and pages.kept_bytes() == SIZE
    for turn in range(3):
        store.recycle([blob.name], ROOM)
        blob = store.write(bytes([turn]) * SIZE)
        assert maps(store.folder) == 1
        view = store.open(blob.name, SIZE)  # the writer's lock is given back, though it keeps the mapping
        assert view == bytes([turn]) * SIZE
        del view


def test_what_a_reader_looks_at_is_not_written_to_through_a_kept_mapping(store: BlobStore) -> None:
    blob = filled_again(store)
    view = store.open(blob.name)
    store.recycle([blob.name], ROOM)
    other = store.write(b"2" * SIZE)
    assert view == b"1" * SIZE and store.open(other.name) == b"2" * SIZE


def test_a_file_that_was_made_smaller_takes_no_more_than_it_has(store: BlobStore) -> None:
    first = filled_again(store, 2 * SIZE)
    file = inode(store, first)
    store.recycle([first.name], ROOM)
    small = store.write(b"s" * SIZE)
    assert inode(store, small) == file and store.open(small.name, SIZE) == b"s" * SIZE
    store.recycle([small.name], ROOM)
    large = store.write(b"l" * (2 * SIZE))
    assert inode(store, large) != file and store.open(large.name) == b"l" * (2 * SIZE)


def test_spares_that_are_mapped_here_are_taken_first(store: BlobStore) -> None:
    mapped = filled_again(store)
    file = inode(store, mapped)
    others = [store.write(bytes(SIZE)) for _ in range(6)]
    store.recycle([blob.name for blob in (*others, mapped)], ROOM)
    assert inode(store, store.write(bytes(SIZE))) == file


def test_p6_the_mapping_of_a_file_that_is_gone_is_let_go(store: BlobStore) -> None:
    before = len(os.listdir("/proc/self/fd"))
    first, second = filled_again(store), filled_again(store)
    store.unlink([first.name])
    pages.drop_nameless()
    assert pages.known(inode(store, second)) and pages.kept_bytes() == SIZE and maps(store.folder) == 1
    store.unlink([second.name])
    store.write(bytes(SIZE))  # writing looks too
    assert pages.kept_bytes() == 0 and maps(store.folder) == 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_p6_mappings_are_kept_up_to_a_number_and_up_to_a_size(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_FILES", 2)
    blobs = [store.write(bytes(SIZE)) for _ in range(3)]
    store.recycle([blob.name for blob in blobs], ROOM)
    blobs = [store.write(bytes([turn]) * SIZE) for turn in range(3)]
    assert maps(store.folder) == 2
    assert [store.open(blob.name)[SIZE - 1] for blob in blobs] == [0, 1, 2]
    pages.drop_all()
    monkeypatch.setattr(pages, "MOST_BYTES", SIZE - 1)
    assert store.open(filled_again(store).name) == b"1" * SIZE and pages.kept_bytes() == 0


def test_small_files_are_written_without_a_mapping(store: BlobStore) -> None:
    blob = filled_again(store, SIZE - 1)
    assert store.open(blob.name) == b"1" * (SIZE - 1) and pages.kept_bytes() == 0


def test_without_descriptors_it_goes_without_a_mapping(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "dup", none)
    blob = filled_again(store)
    assert inode(store, blob) and pages.kept_bytes() == 0 and maps(store.folder) == 0
    monkeypatch.undo()
    assert store.open(blob.name) == b"1" * SIZE


def test_a_forked_child_holds_none(store: BlobStore) -> None:
    filled_again(store)
    child = os.fork()
    if not child:
        os._exit(0 if maps(store.folder) == 0 and pages.kept_bytes() == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert maps(store.folder) == 1


def test_a_new_file_can_be_mapped_before_it_is_filled_again(store: BlobStore) -> None:
    first = store.write(b"1" * SIZE)
    pages.keep(str(store.folder / first.name))
    assert pages.known(inode(store, first)) and (store.folder / first.name).read_bytes() == b"1" * SIZE
    pages.keep(str(store.folder / first.name))
    assert pages.kept_bytes() == SIZE
    file = inode(store, first)
    store.recycle([first.name], ROOM)
    second = store.write(b"2" * SIZE)
    assert inode(store, second) == file and maps(store.folder) == 1
    assert store.open(second.name) == b"2" * SIZE
    pages.keep(str(store.folder / "nothing"))  # it may be gone already
