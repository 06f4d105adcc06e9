"""The guard: the linked rooms, tests for every module, and what importing brings in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
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
    assert (link / "__init__.py").is_file()
    if not (ROOT / "PKG-INFO").is_file():  # a source distribution has folders in place of the links
        assert link.resolve() == (ROOT / room).resolve()


def modules() -> dict[str, Path]:
    """Every module by its full name."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / "tuiparallel" / room).rglob("*.py")):
            if path.stem not in NO_TESTS_OWED:
                found[".".join(path.relative_to(ROOT).with_suffix("").parts)] = path
    return found


def named_in(path: Path, known: Iterable[str]) -> set[str]:
    """The modules that a file imports, anywhere in it, or names in a string (as the table of lazy names does)."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:  # ours are all absolute
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(re.findall(r"tuiparallel(?:\.\w+)+", node.value))
    return found.intersection(known)


def test_every_module_is_reached_from_a_test() -> None:
    """What no test imports, and nothing that a test imports, is dead or has never been run."""
    known = modules()
    lazy = named_in(ROOT / "tuiparallel" / "__init__.py", known)
    reached: set[str] = set()
    fresh = set().union(*(named_in(path, known) for path in (ROOT / "tests").rglob("*.py")))
    while fresh:
        reached |= fresh
        fresh = lazy.union(*(named_in(known[name], known) for name in fresh)) - reached
    assert sorted(known.keys() - reached) == []


def test_every_rule_has_tests() -> None:
    """Its own, or those of the module of its room that it is a part of (lanes and seats are the scheduler's).

    The rules are named once, in the import contract that keeps them free of sockets, threads and clocks.
    """
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rules,) = (item["source_modules"] for item in contracts if item["name"].startswith("Rules know no socket"))
    known = modules()
    tests = list((ROOT / "tests").rglob("*.py"))
    named = {path.stem for path in tests}
    tested = set().union(*(named_in(path, known) for path in tests))
    tested |= {name for name in known if f"test_{name.rpartition('.')[2]}" in named}
    for name in list(tested):
        room = name.rpartition(".")[0]
        tested.update(part for part in named_in(known[name], known) if part.rpartition(".")[0] == room)
    assert sorted({rule for rule in rules if rule in known} - tested) == []


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


def test_p7_the_hub_loads_nothing_that_unpickles() -> None:
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
