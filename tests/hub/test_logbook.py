"""The logbook: whole records come back, torn ones do not, a refused one leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuiparallel.hub.logbook import Logbook


@pytest.fixture
def logbook(tmp_path: Path) -> Iterator[Logbook]:
    logbook = Logbook(tmp_path / "history.log")
    yield logbook
    logbook.close()


def reopened(logbook: Logbook) -> list[bytes]:
    other = Logbook(logbook.path)
    try:
        return list(other.records())
    finally:
        other.close()


def test_p2_records_survive_the_process_that_wrote_them(logbook: Logbook) -> None:
    logbook.append(b"one")
    logbook.append(b"")
    logbook.append(b"three" * 1000)
    assert reopened(logbook) == [b"one", b"", b"three" * 1000]


def test_reading_stops_at_a_torn_record(logbook: Logbook) -> None:
    logbook.append(b"one")
    logbook.append(b"two")
    os.truncate(logbook.path, logbook.size - 1)
    assert reopened(logbook) == [b"one"]


def test_reading_stops_at_a_damaged_record(logbook: Logbook) -> None:
    logbook.append(b"one")
    logbook.append(b"two")
    content = bytearray(logbook.path.read_bytes())
    content[-1] ^= 1
    logbook.path.write_bytes(content)
    assert reopened(logbook) == [b"one"]


def test_a_cleared_logbook_begins_anew(logbook: Logbook) -> None:
    logbook.append(b"one")
    logbook.clear()
    logbook.append(b"two")
    assert reopened(logbook) == [b"two"]


def test_others_cannot_read_it(logbook: Logbook) -> None:
    assert logbook.path.stat().st_mode & 0o777 == 0o600
