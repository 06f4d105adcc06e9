"""The guard: the linked rooms, a test file for every module, and what importing brings in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tuiparallel

ROOT = Path(tuiparallel.__file__).parents[1]
ROOMS = ("cli", "client", "cluster", "console", "engine", "hub", "link", "monitor", "wire")
DRAWING = ("textual", "rich", "typer", "numpy")
NO_TESTS_OWED = {"__init__", "__main__"}


def fresh(code: str, *, cwd: Path | None = None) -> str:
    """What a new Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("room", ["engine", "hub"])
def test_the_linked_rooms_resolve(room: str) -> None:
    link = ROOT / "tuiparallel" / room
    assert link.is_dir(), f"tuiparallel/{room} is no link: git config core.symlinks true, then check out again"
    assert link.resolve() == (ROOT / room).resolve()
    assert (ROOT / room / "__init__.py").is_file()


def modules() -> list[tuple[str, Path]]:
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / "tuiparallel" / room).rglob("*.py")):
            if path.stem not in NO_TESTS_OWED:
                found.append((room, path))
    return found


def test_every_module_is_tested_somewhere() -> None:
    """Its own test file, or one that imports it: small modules may share a file."""
    tests = [path for path in (ROOT / "tests").rglob("test_*.py")]
    names = {(path.parent.name, path.stem) for path in tests}
    text = "\n".join(path.read_text() for path in tests)
    missing = []
    for room, path in modules():
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        dotted = dotted if dotted.startswith("tuiparallel") else f"tuiparallel.{dotted}"
        if (room, f"test_{path.stem}") not in names and dotted not in text:
            missing.append(dotted)
    assert not missing, f"no test names {', '.join(missing)}"


@pytest.mark.parametrize(
    "module",
    [
        "tuiparallel",
        "tuiparallel.errors",
        "tuiparallel.client.client",
        "tuiparallel.cluster.cluster",
        "tuiparallel.engine.main",
        "tuiparallel.engine.template",
        "tuiparallel.engine.supervisor",
        "tuiparallel.hub.main",
    ],
)
def test_importing_brings_no_drawing(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {DRAWING} if name in sys.modules])"
    assert fresh(code) == "[]\n"


def test_the_hub_loads_nothing_that_unpickles() -> None:
    code = "import sys, tuiparallel.hub.main; print([n for n in ('cloudpickle', 'numpy') if n in sys.modules])"
    assert fresh(code) == "[]\n"


def test_a_users_engine_and_hub_hide_nothing(tmp_path: Path) -> None:
    """An engine has the user's working directory on its path, and users have files of these names."""
    for name in ("engine", "hub", "client", "cluster", "link", "wire"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')\n")
    code = "import tuiparallel.engine.main, tuiparallel.hub.main, tuiparallel.cluster.cluster as c; print(c.__file__)"
    assert fresh(code, cwd=tmp_path).strip().startswith(str(ROOT))


def test_public_names_are_lazy() -> None:
    code = "import sys, tuiparallel; print('zmq' in sys.modules); tuiparallel.Cluster; print('zmq' in sys.modules)"
    assert fresh(code) == "False\nTrue\n"
