"""The start mark as its supervisor finds it."""

from __future__ import annotations

from pathlib import Path

from tuiparallel.engine.marks import Mark, MarkWriter, read_mark
from tuiparallel.wire.messages import Lease


def test_it_says_what_started_last(tmp_path: Path) -> None:
    path = tmp_path / "marks" / "e1"
    mark = MarkWriter(path)
    assert read_mark(path) == Mark(None, None, False)
    mark.welcome(3)
    mark.start(1 << 45, 7)
    assert read_mark(path) == Mark(Lease(1 << 45, 7), 3, False)
    mark.leave()
    mark.close()
    assert read_mark(path) == Mark(Lease(1 << 45, 7), 3, True)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_mark(tmp_path / "missing") is None
    (tmp_path / "short").write_bytes(b"123")
    assert read_mark(tmp_path / "short") is None
