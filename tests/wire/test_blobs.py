"""Blobs: written once, complete before they have a name, mapped read-only, swept."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuiparallel.errors import MessageTooLarge
from tuiparallel.wire import blobs
from tuiparallel.wire.blobs import BlobRef, BlobStore, NoRoom


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def maps(name: str) -> int:
    return Path("/proc/self/maps").read_text().count(name)


def test_what_is_written_is_read(store: BlobStore) -> None:
    data = os.urandom(100_000)
    blob = store.write(data)
    assert blob.size == 100_000
    view = store.open(blob.name, blob.size)
    assert view == data and view.readonly and view.format == "B"
    assert store.write(b"").size == 0 and bytes(store.open(store.write(b"").name)) == b""


def test_with_sync_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    rename = os.rename

    def noted(old: str, new: str) -> None:
        calls.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "rename", noted)
    store = BlobStore(tmp_path, sync=True)
    assert bytes(store.open(store.write(b"abc").name)) == b"abc" and calls == ["fsync", "rename"]


def test_any_contiguous_buffer_can_be_written(store: BlobStore) -> None:
    array: Any = np.arange(12.0).reshape(3, 4)  # its types do not say that it is a buffer
    turned: Any = np.asfortranarray(array)
    for buffer in (array, turned, memoryview(array), bytearray(b"abc")):
        assert store.open(store.write(buffer).name) == memoryview(buffer).tobytes("A")
    with pytest.raises(BufferError):
        store.write(array[::2])
    assert len(list(store.folder.iterdir())) == 4


def test_files_are_private_whatever_the_umask(store: BlobStore) -> None:
    before = os.umask(0)
    try:
        blob = store.write(b"secret")
    finally:
        os.umask(before)
    assert (store.folder / blob.name).stat().st_mode & 0o777 == 0o600


def test_a_mapping_holds_no_descriptor_and_lives_as_long_as_its_views(store: BlobStore) -> None:
    blob = store.write(bytes(10_000))
    before = len(os.listdir("/proc/self/fd"))
    views = [store.open(blob.name) for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before
    part = views[0][5000:]
    del views
    gc.collect()
    assert maps(blob.name) == 1
    store.unlink([blob.name])
    assert part == bytes(5000)  # also when the file is gone
    del part
    gc.collect()
    assert maps(blob.name) == 0


def test_a_reader_cannot_write(store: BlobStore) -> None:
    view = store.open(store.write(b"abc").name)
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 1


def test_more_blobs_can_be_open_than_a_process_may_have_mappings(store: BlobStore) -> None:
    blob = store.write(b"abc" * 1000)
    views = [store.open(blob.name, 3000) for _ in range(70_000)]
    assert maps(blob.name) == blobs.MOST_MAPPED
    assert views[0] == views[-1] == b"abc" * 1000 and views[-1].readonly
    del views
    gc.collect()
    view = store.open(blob.name)
    assert maps(blob.name) == 1 and len(view) == 3000


def test_names_are_unique_and_say_who_wrote_them(store: BlobStore) -> None:
    names = {store.write(b"x").name for _ in range(100)} | {BlobStore(store.folder).write(b"x").name}
    assert len(names) == 101
    assert all(blobs.NAME.fullmatch(name) and name.startswith(f"{os.getpid():x}-") for name in names)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", ".", "x.part", "a-b-0123456789abcde/"])
def test_a_name_from_the_wire_cannot_leave_the_folder(name: str, store: BlobStore) -> None:
    with pytest.raises(ValueError, match="is not the name of a blob"):
        store.open(name)
    with pytest.raises(ValueError, match="is not the name of a blob"):
        store.unlink([name])


def test_missing_short_and_homeless_blobs_are_named(store: BlobStore) -> None:
    blob = store.write(b"abc")
    with pytest.raises(OSError, match="has 3 bytes and should have 4"):
        store.open(blob.name, 4)
    store.unlink([blob.name, blob.name])
    with pytest.raises(FileNotFoundError, match="it has been removed"):
        store.open(blob.name)
    gone = BlobStore(store.folder / "gone")
    for action in (lambda: gone.write(b"x"), lambda: gone.open(blob.name)):
        with pytest.raises(FileNotFoundError, match="folder .*gone is gone: has the cluster been stopped"):
            action()
    gone.unlink([blob.name])
    assert gone.sweep() == []


def test_b23_a_blob_above_the_budget_is_refused_before_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(MessageTooLarge, match=r"2,000 bytes is above the budget for blobs, 1,000 bytes.*blob_bytes"):
        BlobStore(tmp_path, budget=1000).write(bytes(2000))
    assert list(tmp_path.iterdir()) == []


def test_f44_a_full_file_system_leaves_nothing_behind(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:60])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(NoRoom, match=r"no room for a blob of 100 bytes in"):
        store.write(bytes(100))
    assert list(store.folder.iterdir()) == []


def test_f44_a_full_tmpfs_raises_and_kills_nobody(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        store = BlobStore(tmp_path)
        first = store.write(bytes(700_000))
        with pytest.raises(NoRoom):
            store.write(bytes(700_000))
        assert [entry.name for entry in tmp_path.iterdir()] == [first.name]
        store.unlink([first.name])
        assert store.open(store.write(b"y" * 700_000).name)[-1] == ord("y")
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_sweep_removes_orphans_and_leaves_the_rest(store: BlobStore) -> None:
    kept, gone = store.write(b"kept"), store.write(b"gone")
    unfinished = store.folder / (store.write(b"x").name + ".part")
    unfinished.write_bytes(b"half")
    foreign = store.folder / "notes.txt"
    foreign.write_text("not a blob")
    swept = store.sweep(keep={kept.name})
    assert gone in swept and BlobRef(unfinished.name, 4) in swept and len(swept) == 3
    assert {entry.name for entry in store.folder.iterdir()} == {kept.name, foreign.name}


def test_f44_what_a_killed_writer_left_is_swept_by_its_pid(store: BlobStore) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tuiparallel.wire.blobs import BlobStore\n"
        "s = BlobStore(Path(sys.argv[1])); s.write(b'named'); s._fill(str(s.folder / (s.write(b'y').name)) + '.part',"
        " memoryview(b'unnamed')); os.kill(os.getpid(), 9)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(store.folder)])
    assert child.wait(30) == -9
    mine = store.write(b"mine")
    assert len(store.sweep(writer=child.pid)) == 3
    assert [entry.name for entry in store.folder.iterdir()] == [mine.name]


def test_the_hub_may_import_this_without_pickle() -> None:
    code = "import sys, tuiparallel.wire.blobs; print(sorted({'pickle', 'numpy', 'ctypes', 'cloudpickle'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.strip() == "[]"
