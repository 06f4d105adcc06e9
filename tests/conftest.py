"""What every test gets: directories of its own, and a check that it leaves nothing behind.

Leaks are bugs: threads, child processes, descriptors, and files under the test's own directories are counted before
and after each test. A live cluster shared by a module is made before the first count, so it does not matter here.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tuiparallel.link.clock import Deadline, SystemClock

PATIENCE = 30.0  # seconds for what has to happen: no promise, a slow machine may need them

# A promise on time is held to its own number where nothing else runs (`-m long`), and beside other work to one that
# only what hangs exceeds: `assert took < 0.5 * slack`.
on_time = pytest.mark.parametrize(
    "slack", [pytest.param(30.0, id="usual"), pytest.param(1.0, id="promise", marks=pytest.mark.long)]
)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short private directory that holds this test's state, configuration and run-time files."""
    place = Path(tempfile.mkdtemp(prefix="tp-"))
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        folder = place / variable[4:-5].lower()
        folder.mkdir(mode=0o700)
        monkeypatch.setenv(variable, str(folder))
    for variable in [name for name in os.environ if name.startswith("TUIPAR_")]:
        monkeypatch.delenv(variable)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_home(home: Path) -> None:
    """Nothing a test does may touch what belongs to the person who runs it."""


@pytest.fixture
def until() -> Callable[..., None]:
    """until(condition, timeout=30.0, what=""): returns when condition() is true, fails the test when it stays false."""
    return wait_until


def wait_until(condition: Callable[[], object], timeout: float = PATIENCE, what: str = "") -> None:
    """Return when condition() is true; fail after timeout seconds."""
    deadline = Deadline(SystemClock(), timeout)
    pause = threading.Event()
    while not condition():
        if deadline.passed():
            pytest.fail(f"not within {timeout} s: {what or condition}")
        pause.wait(0.005)


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.is_alive() and not _is_pool(thread)}


def _is_pool(thread: threading.Thread) -> bool:
    return thread.name.startswith("asyncio_")  # the event loop's own, joined when the loop is closed


def _children() -> set[int]:
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline()):
                found.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def _descriptors() -> set[tuple[str, str]]:
    """Open descriptors that must not stay: sockets, pipes, and files of clusters."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:")) or "tuiparallel" in target:
            found.add((entry.name, target))
    return found


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest, _own_home: None) -> Iterator[None]:
    """Fail a test that leaves threads, child processes or descriptors behind."""
    for fixture in ("cluster", "client"):  # of a whole session: there before the count
        if fixture in request.fixturenames:
            request.getfixturevalue(fixture)
    threads, children, descriptors = _threads(), _children(), _descriptors()
    yield
    found: dict[str, object] = {}

    def clean() -> bool:
        found["threads"] = [thread.name for thread in _threads() - threads]
        found["child processes"] = sorted(_children() - children)
        found["descriptors"] = sorted(_descriptors() - descriptors)
        return not any(found.values())

    deadline = Deadline(SystemClock(), PATIENCE)
    pause = threading.Event()
    while not clean():
        gc.collect()  # what only a traceback holds is no leak
        if deadline.passed():
            left = ", ".join(f"{what}: {items}" for what, items in found.items() if items)
            pytest.fail(f"the test leaves behind {left}")
        pause.wait(0.01)
