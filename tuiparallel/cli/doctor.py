"""doctor: what this installation and machine have, one line per check: ok, warn or fail, and the cure."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from tuiparallel.cli.call import Call
from tuiparallel.cli.drawing import CANNOT_DRAW
from tuiparallel.cli.exits import ExitCode
from tuiparallel.monitor.report import size

_LEAST_ROOM = 256 << 20  # bytes of shared memory below which large arrays go to the disk
_LEAST_DISK = 256 << 20  # bytes of the disk under the histories, see free_disk
_LEAST_DESCRIPTORS = 1024


class Check(NamedTuple):
    """One line. level: 'ok', 'warn' or 'fail'."""

    level: str
    name: str
    text: str


def doctor(call: Call) -> int:
    """Print all checks; the exit code is FAILED when one of them fails."""
    worst = ExitCode.DONE
    for check in checks():
        call.out.row("check", {"level": check.level, "name": check.name, "text": check.text}, _line(check))
        if check.level == "fail":
            worst = ExitCode.FAILED
    return worst


def _line(check: Check) -> str:
    return f"{check.level:<4}  {check.name:<12}  {check.text}"


def checks() -> Iterator[Check]:
    """All checks, in the order in which they are printed. A check that cannot be made fails with its reason."""
    makers: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
        ("python", _python), ("packages", _packages), ("0MQ", _zmq), ("directories", _directories), ("sockets", _sockets),
        ("blobs", _blobs), ("descriptors", _descriptors), ("clusters", _clusters), ("terminal", _terminal),
    )  # fmt: skip
    for name, maker in makers:
        try:
            yield from maker()
        except Exception as error:  # one check's fault is its own line
            yield Check("fail", name, f"{type(error).__name__}: {error}")


def _python() -> Iterator[Check]:
    level = "ok" if sys.version_info >= (3, 11) else "fail"
    yield Check(level, "python", f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores")


def _packages() -> Iterator[Check]:
    found, missing = [], []
    for requirement in ["tuiparallel", *(requires("tuiparallel") or ())]:
        if "extra ==" in requirement:
            continue
        name = requirement.split(";")[0]
        for mark in "<>=!~ [":
            name = name.split(mark)[0]
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Check("fail", "packages", f"missing: {', '.join(missing)}; pip install {' '.join(missing)}")
    yield Check("ok", "packages", ", ".join(found))


def _zmq() -> Iterator[Check]:
    from tuiparallel.link.abilities import libzmq_version, supports_curve

    number = libzmq_version()
    level = "ok" if number >= (4, 3, 5) else "fail"
    yield Check(level, "libzmq", f"{'.'.join(map(str, number))} (4.3.5 or later is needed)")
    if supports_curve():
        yield Check("ok", "CURVE", "available: network connections can be encrypted")
    else:
        yield Check("fail", "CURVE", "libzmq was built without it: install pyzmq from a wheel")


def _directories() -> Iterator[Check]:
    from tuiparallel.client.discovery import clusters_directory
    from tuiparallel.cluster.settings import config_file, gather
    from tuiparallel.console.settings import read_settings

    home = clusters_directory()
    parent = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(parent, os.W_OK):
        yield Check("fail", "state", f"{parent} cannot be written: set XDG_STATE_HOME to a directory of yours")
    else:
        yield Check("ok", "state", str(home))
    free = shutil.disk_usage(parent).free
    level = "ok" if free > _LEAST_DISK else "fail"
    yield Check(level, "disk", f"{size(free)} free under {parent}")
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        facts = folder.lstat()
        if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077 or not stat.S_ISDIR(facts.st_mode):
            mode = stat.S_IMODE(facts.st_mode)
            yield Check("fail", "modes", f"{folder} has mode {mode:04o}, user {facts.st_uid}: chmod 700 {folder}")
    gather({})
    read_settings()
    file = config_file()
    yield Check("ok", "config", f"{file}{'' if file.exists() else ' (none: defaults)'}")


def _sockets() -> Iterator[Check]:
    from tuiparallel.client.discovery import clusters_directory
    from tuiparallel.cluster.names import LONGEST
    from tuiparallel.cluster.place import SOCKET_PATH_LIMIT

    length = len(os.fsencode(clusters_directory() / ("x" * LONGEST) / "c.ipc"))
    if length <= SOCKET_PATH_LIMIT:
        yield Check("ok", "sockets", f"paths of at most {length} of {SOCKET_PATH_LIMIT} bytes")
    else:
        yield Check(
            "warn", "sockets", "the state directory has a long path: sockets go to a private temporary folder"
        )


def _blobs() -> Iterator[Check]:
    place = Path("/dev/shm")
    if not place.is_dir() or not os.access(place, os.W_OK):
        yield Check("warn", "blobs", "no /dev/shm: large arrays go through files on disk, slower")
        return
    free = shutil.disk_usage(place).free
    level = "ok" if free >= _LEAST_ROOM else "warn"
    cure = "" if level == "ok" else ": larger arrays go to the disk (docker run --shm-size=2g)"
    yield Check(level, "blobs", f"{size(free)} free in {place}{cure}")


def _descriptors() -> Iterator[Check]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    level = "ok" if hard == resource.RLIM_INFINITY or hard >= _LEAST_DESCRIPTORS else "warn"
    yield Check(
        level, "descriptors", f"{soft} now, at most {hard}{'' if level == 'ok' else ': raise it (ulimit -Hn)'}"
    )


def _clusters() -> Iterator[Check]:
    from tuiparallel.cluster.running import clusters

    names = clusters()
    yield Check("ok", "clusters", f"running: {', '.join(names)}" if names else "none is running")


def _terminal() -> Iterator[Check]:
    encoding = (sys.stdout.encoding or locale.getpreferredencoding(False)).lower()
    if not sys.stdout.isatty():
        yield Check("ok", "terminal", "stdout is none: the console would print one snapshot")
        return
    size = shutil.get_terminal_size()
    term = os.environ.get("TERM", "")
    if term in CANNOT_DRAW:
        yield Check("warn", "terminal", f"TERM={term!r}: the console cannot draw, one snapshot is printed instead")
    elif "utf" not in encoding:
        yield Check("warn", "terminal", f"{term}, {encoding}: the console draws in ASCII; LANG=C.UTF-8 gives it more")
    else:
        level = "ok" if size.columns >= 80 and size.lines >= 24 else "warn"
        yield Check(level, "terminal", f"{term}, {size.columns}x{size.lines}, {encoding}")
