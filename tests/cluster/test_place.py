"""Where a cluster's files are, and that they are private."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from tuiparallel.client.discovery import clusters_directory
from tuiparallel.cluster.place import (
    SOCKET_PATH_LIMIT,
    blobs_of,
    directory_of,
    known_names,
    make_directory,
    remove_run_files,
    sockets_of,
)
from tuiparallel.errors import InsecureFile


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_directories_are_private_whatever_the_umask(umask: int) -> None:
    before = os.umask(umask)
    try:
        make_directory(directory_of("lab"))
    finally:
        os.umask(before)
    for folder in (directory_of("lab"), directory_of("lab") / "log", directory_of("lab") / "marks"):
        assert mode(folder) == 0o700


def test_a_directory_that_others_can_enter_is_refused(home: Path) -> None:
    make_directory(directory_of("lab"))
    directory_of("lab").chmod(0o750)
    with pytest.raises(InsecureFile, match="chmod 700"):
        make_directory(directory_of("lab"))
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    directory_of("link").symlink_to(elsewhere)
    with pytest.raises(InsecureFile, match="a link"):
        make_directory(directory_of("link"))


def test_names_that_have_a_directory() -> None:
    assert known_names() == []
    make_directory(directory_of("b"))
    make_directory(directory_of("a"))
    assert known_names() == ["a", "b"]


def test_sockets_stay_in_the_directory_where_the_path_is_short() -> None:
    assert sockets_of(directory_of("lab")) == directory_of("lab")


def test_sockets_go_to_a_private_folder_where_the_path_is_long(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ("long" * 30)))
    folder = sockets_of(directory_of("lab"))
    try:
        assert len(os.fsencode(folder / "c.ipc")) <= SOCKET_PATH_LIMIT
        assert not folder.is_relative_to(clusters_directory())
        assert mode(folder) == 0o700
    finally:
        shutil.rmtree(folder)


def test_what_a_run_leaves_is_removed_and_history_stays() -> None:
    directory = directory_of("lab")
    make_directory(directory)
    blobs = blobs_of(directory, "0123456789abcdef")
    assert mode(blobs) == 0o700
    for name in (
        "client.json",
        "engine.json",
        ".engine.json.4711",
        "cluster.json",
        "c.ipc",
        "e.ipc",
        "history.db",
        "marks/one",
        "log/hub.log",
    ):
        (directory / name).touch()
    (blobs / "array").touch()
    remove_run_files(directory, str(directory), str(blobs))
    left = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert left == {"history.db", "log/hub.log"}
    assert not blobs.exists()
