"""The end of a file, and what is added to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuiparallel.cli import logs


@pytest.mark.parametrize("block", [7, 65536])
def test_the_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(logs, "_BLOCK", block)
    file = tmp_path / "hub.log"
    assert logs._tail(file, 5) == []
    file.write_text("".join(f"line {index}\n" for index in range(100)) + "not ended")
    assert logs._tail(file, 3) == ["line 98", "line 99", "not ended"]
    assert logs._tail(file, 0) == []
    assert len(logs._tail(file, 1000)) == 101


def test_whole_lines_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "hub.log"
    file.write_text("old\n")
    lines = logs._grow(file)

    def add(text: str) -> None:
        with open(file, "a") as stream:
            stream.write(text)

    # The generator looks at the size when it is first asked, so what it is to see is added by a thread.
    import threading

    timer = threading.Timer(0.05, add, ["new\nmore"])
    timer.start()
    assert next(lines) == "new"
    add(" and more\n")
    assert next(lines) == "more and more"
    timer.join()
