"""Cells of a cluster on disk: private, shared by consoles, bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tuiparallel.console.repl import history as module
from tuiparallel.console.repl.history import History, Past, Walk

WRITER = """
import sys
from pathlib import Path
from tuiparallel.console.repl.history import History, Past
history = History(Path(sys.argv[1]))
for number in range(300):
    history.add(Past(f"{sys.argv[2]}-{number}\\nx = '''{'y' * (number * 7 % 900)}'''"))
"""


def test_a_cell_comes_back_with_mode_targets_and_time(tmp_path: Path) -> None:
    path = tmp_path / "console" / "cells.jsonl"
    past = Past("x = 1\nprint('ü')", "lb", "0-3", 17.5)
    assert History(path).add(past)
    again = History(path)
    again.refresh()
    assert again.cells == [past]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_leading_blank_or_nothing_is_not_kept(tmp_path: Path) -> None:
    history = History(tmp_path / "h" / "cells.jsonl")
    assert not history.add(Past(" secret()"))
    assert not history.add(Past("\n  \n"))
    assert not history.add(Past("x" * (module.MAX_CELL + 1)))
    history.refresh()
    assert history.cells == []


def test_two_consoles_at_once_lose_and_tear_nothing(tmp_path: Path) -> None:
    path = tmp_path / "h" / "cells.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    history = History(path)
    history.refresh()
    firsts = [past.source.split("\n")[0] for past in history.cells]
    assert len(firsts) == 600
    for name in ("a", "b"):
        assert [first for first in firsts if first.startswith(name)] == [f"{name}-{number}" for number in range(300)]


def test_trimming_keeps_the_newest_also_with_two_writers(tmp_path: Path, monkeypatch: object) -> None:
    path = tmp_path / "h" / "cells.jsonl"
    old = module.KEPT, module.TRIM_ABOVE
    module.KEPT, module.TRIM_ABOVE = 10, 15
    try:
        one, two = History(path), History(path)
        for number in range(60):
            (one if number % 2 else two).add(Past(f"cell {number}"))
        for history in (one, two, History(path)):
            history.refresh()
            sources = [past.source for past in history.cells]
            assert sources == [f"cell {number}" for number in range(60 - len(sources), 60)]
            assert 10 <= len(sources) <= 15
    finally:
        module.KEPT, module.TRIM_ABOVE = old
    assert not [name for name in os.listdir(path.parent) if name != path.name]


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "h" / "cells.jsonl"
    history = History(path)
    history.add(Past("one"))
    with path.open("ab") as file:
        file.write(b'["tw')
    History(path).add(Past("three"))
    history.refresh()
    assert [past.source for past in history.cells] == ["one", "three"]


def test_the_ghost_is_the_newest_longer_cell() -> None:
    history = History(None)
    for source in ("import numpy", "import os", "x"):
        history.add(Past(source))
    assert history.newest("import") == "import os"
    assert history.newest("x") is None
    assert history.newest("") is None


def test_up_and_down_walk_by_prefix_each_text_once() -> None:
    history = History(None)
    for source in ("a1", "b1", "a2", "a2", "a3"):
        history.add(Past(source))
    walk = Walk(history, "a", "a")
    assert [walk.older(), walk.older(), walk.older(), walk.older()] == ["a3", "a2", "a1", None]
    assert [walk.newer(), walk.newer(), walk.newer(), walk.newer()] == ["a2", "a3", "a", None]


def test_search_is_anywhere_and_minds_case_only_when_asked() -> None:
    history = History(None)
    for source in ("Model.fit(x)", "fit(y)", "fit(y)", "other"):
        history.add(Past(source))
    assert [past.source for past in history.containing("fit")] == ["fit(y)", "Model.fit(x)"]
    assert [past.source for past in history.containing("model")] == ["Model.fit(x)"]
    assert history.containing("MODEL") == []
