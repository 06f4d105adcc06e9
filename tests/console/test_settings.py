"""What somebody's configuration file says of their console."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuiparallel.console.desk import Options
from tuiparallel.console.run import _options, console_app
from tuiparallel.console.settings import CHOICES, ConsoleSettings, read_settings
from tuiparallel.console.themes import THEMES
from tuiparallel.monitor.lints import Thresholds


def settings(folder: Path, text: str) -> ConsoleSettings:
    file = folder / "config.toml"
    file.write_text(text)
    return read_settings(file)


def test_without_a_file_or_a_table_all_is_as_ever(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none.toml") == ConsoleSettings()
    assert settings(tmp_path, "[cluster]\nn = 3\n") == ConsoleSettings()
    assert CHOICES["theme"] == tuple(THEMES)


def test_c14_c45_the_table_sets_readonly_danger_badge_and_warnings(tmp_path: Path) -> None:
    text = 'readonly = true\ndanger = "high"\nbadge = "PROD"\nascii = true\ntheme = "light"\n'
    given = settings(tmp_path, f'[console]\n{text}[console.warnings]\nidle = 30\nsilenced = ["tiny"]\n')
    assert given.warnings == Thresholds(idle=30.0, silenced=frozenset({"tiny"}))
    options = _options(Options(started_here=True), given)
    assert (options.readonly, options.danger, options.badge, options.ascii) == (True, "high", "PROD", True)
    assert (options.theme, options.started_here, options.hints) == ("light", True, True)
    app = console_app(None, options, None, given.warnings)
    assert app.store._in.thresholds == given.warnings


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("[console]\nreadolny = true\n", ValueError, "did you mean 'readonly'"),
        ('[console]\ntheme = "pink"\n', ValueError, "'contrast'"),
        ('[console]\ndanger = "low"\n', ValueError, "'high'"),
        ("[console]\nreadonly = 1\n", TypeError, "readonly"),
        ("[console.warnings]\nidel = 3\n", ValueError, "did you mean 'idle'"),
        ('[console.warnings]\nsilenced = ["tinny"]\n', ValueError, "did you mean 'tiny'"),
        ('[console.warnings]\nidle = "long"\n', TypeError, "idle"),
        ("console = 3\n", TypeError, "must be a table"),
        ("[console\n", ValueError, "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        settings(tmp_path, text)
    assert str(tmp_path) in str(caught.value)
