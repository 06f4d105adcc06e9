"""What was done is on disk: private, a line each, bounded; and a console that cannot write says so once."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.console.driving import console, small_cluster
from tuiparallel.console import actionlog
from tuiparallel.console.actionlog import ActionLog


async def test_an_action_is_a_private_line_with_its_python(home: Path) -> None:
    cluster = small_cluster()
    cluster.submits("fit", 3, engine=0)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("A")
        it.after_question()
        await it.press("y")
        (path,) = home.rglob("actions.jsonl")
        assert path.parts[-3] == "lab" and stat.S_IMODE(path.stat().st_mode) == 0o600
        (line,) = path.read_text().splitlines()
        entry = json.loads(line)
        assert (entry["action"], entry["outcome"]) == ("abort", "aborted 3")
        assert entry["python"].startswith("rc.abort([") and entry["at"] == pytest.approx(cluster.clock.time(), abs=1)


def test_a_full_log_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actionlog, "FULL", 200)
    log = ActionLog(tmp_path / "console" / "actions.jsonl")
    for number in range(20):
        log.write(1.0, "clear", f"cleared {number}", "rc.clear()")
    old = log.path.with_name("actions.jsonl.old")
    assert log.path.stat().st_size < 400 and old.stat().st_size < 400
    assert "cleared 19" in (log.path.read_text() + old.read_text())


async def test_a_log_that_cannot_be_written_is_said_once_and_the_action_done(home: Path) -> None:
    folder = home / "state" / "tuiparallel" / "clusters" / "lab"
    folder.mkdir(parents=True)
    (folder / "console").write_text("in the way")
    async with console(small_cluster()) as it:
        for _ in range(2):
            await it.press("C")
            it.after_question()
            await it.press("tab", "enter")
        assert len(it.client.calls) == 2
        assert sum("not logged on disk" in text for text, _ in it.app.said) == 1
