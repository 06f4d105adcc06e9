"""What stays in a cluster's directory after its end."""

from __future__ import annotations

from pathlib import Path

from tests.engine.scripted import make_config
from tuiparallel.engine import leftovers


def test_only_history_logs_and_configuration_stay(folder: Path) -> None:
    elsewhere = folder.parent / "sockets"
    elsewhere.mkdir()
    config = make_config(folder, sockets=str(elsewhere))
    for name in (
        "client.json",
        "engine.json",
        "cluster.json",
        "history.db",
        "log/hub.log",
        "marks/e1",
        "blobs/1",
        ".engine.json.4711",
    ):
        (folder / name).write_text("x")
    for name in ("c.ipc", "e.ipc"):
        (elsewhere / name).write_text("")
    leftovers.remove(config)
    assert sorted(path.name for path in folder.iterdir()) == ["history.db", "log", "start.json", "work"]
    assert not elsewhere.exists()
    leftovers.remove(config)  # nothing there is fine too
