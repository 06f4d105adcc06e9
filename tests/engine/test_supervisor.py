"""The supervisor's own parts; with template and engines it is tested in test_template."""

from __future__ import annotations

from pathlib import Path

from tuiparallel.engine.supervisor import log_tail


def test_a_tail_has_whole_lines_where_it_can(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert log_tail(log) == ""
    log.write_text("one\ntwo\n")
    assert log_tail(log) == "one\ntwo\n"
    log.write_text("".join(f"line {i}\n" for i in range(1000)))
    tail = log_tail(log, 100)
    assert tail.startswith("line ") and tail.endswith("line 999\n") and len(tail) <= 100
    log.write_bytes(b"x" * 5000 + b"\xff")
    assert log_tail(log, 10) == "x" * 9 + "\N{REPLACEMENT CHARACTER}"
