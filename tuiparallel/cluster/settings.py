"""What a new cluster is told: defaults, then the configuration file, then the environment, then arguments.

The file is $XDG_CONFIG_HOME/tuiparallel/config.toml; its table [cluster] has the keys of wire.config.ClusterConfig that
people may set, and those of Settings. Environment variables are TUIPAR_ and the key in capitals.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from tuiparallel.wire.config import ClusterConfig, checked

LAUNCHERS = ("local",)
LATER = ("mpi", "ssh", "slurm", "sge", "pbs", "lsf", "htcondor")  # names that ipyparallel has
_NOWHERE = {"name": "", "cluster": "", "directory": "", "sockets": "", "blobs": ""}
TABLES = ("cluster", "console")  # the console reads its own
_BY_STARTER = frozenset({"name", "cluster", "directory", "sockets", "blobs", "sys_path", "detached"})
_OWN: dict[str, Any] = {"engines": str, "start_timeout": float, "shutdown_atexit": bool}
_OTHER_VARIABLES = frozenset({"TUIPAR_CLUSTER", "TUIPAR_FAIL", "TUIPAR_DEBUG"})  # not settings of a cluster
KEYS: dict[str, Any] = {
    info.name: info.type for info in msgspec.structs.fields(ClusterConfig) if info.name not in _BY_STARTER
} | _OWN
"""The keys that people may set, with their types."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one cluster before it has a place. values: keys of ClusterConfig. start_timeout is seconds."""

    values: dict[str, Any] = field(default_factory=dict)
    engines: str = "local"
    start_timeout: float = 60.0
    shutdown_atexit: bool = True

    def with_engines(self, n: int) -> Settings:
        """The same for another number of engines. Raises TypeError or ValueError when n is none."""
        values = self.values | {"n": _value("n", n, f"n={n!r}")}
        settings = replace(self, values=values)
        settings.config(**_NOWHERE)
        return settings

    def config(self, **place: Any) -> ClusterConfig:
        """The record for the cluster's processes; place has the keys that only its starter knows."""
        return checked(ClusterConfig(**self.values, **place))


def config_file() -> Path:
    """Where the configuration file is looked for."""
    return platformdirs.user_config_path("tuiparallel") / "config.toml"


def gather(
    arguments: Mapping[str, Any], *, file: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Settings from all sources; an argument that is None was not given.

    Raises ValueError for an unknown key (it names the nearest one, and file and line) or a value out of its range,
    TypeError for a value of the wrong type.
    """
    found: dict[str, Any] = {}
    found |= _from_file(config_file() if file is None else file)
    found |= _from_environment(os.environ if environment is None else environment)
    for key, value in arguments.items():
        if key not in KEYS:
            raise _unknown(key, KEYS, "keyword of Cluster")
        if value is not None:
            found[key] = _value(key, value, f"{key}={value!r}")
    return _settings(found)


def _settings(found: dict[str, Any]) -> Settings:
    own = {key: found.pop(key) for key in _OWN if key in found}
    if (ip := found.get("ip")) is not None:
        found["ip"] = _address(ip)
    if (launcher := own.get("engines", "local")) not in LAUNCHERS:
        here = f"this version has {', '.join(map(repr, LAUNCHERS))}"
        if launcher in LATER:
            raise NotImplementedError(f"engines={launcher!r}: engines on other hosts are not there yet; {here}")
        raise ValueError(f"engines={launcher!r}: there is no such launcher; {here}")
    if not own.get("start_timeout", 1.0) > 0:
        raise ValueError(f"start_timeout={own['start_timeout']!r}: it must be more than 0 seconds")
    found.setdefault("n", _cores())
    found["work_dir"] = str(_work_dir(found.get("work_dir")))
    settings = Settings(found, **own)
    settings.config(**_NOWHERE)  # looks at the values
    return settings


def _address(given: str) -> str:
    """'*' or an IP address that this machine has."""
    if given in ("*", "0.0.0.0"):
        return "*"
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        raise ValueError(
            f"ip={given!r}: it must be an IP address of this machine, as 127.0.0.1, or '*' for all of them"
        ) from None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        raise ValueError(f"ip={given!r}: this machine cannot listen there: {error.strerror}") from None
    return str(address)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _work_dir(given: str | None) -> Path:
    place = Path(given).expanduser().absolute() if given else Path.cwd()
    if not place.is_dir():
        raise ValueError(f"work_dir={str(place)!r} is not a directory: engines could not start in it")
    return place


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    for table in tables:
        if table not in TABLES:
            raise _unknown(table, TABLES, "table", _line(path, text, table))
    found: dict[str, Any] = {}
    content = tables.get("cluster", {})
    if not isinstance(content, dict):
        raise ValueError(f"{_line(path, text, 'cluster')}: cluster must be a table, [cluster]")
    for key, value in content.items():
        place = _line(path, text, key)
        if key not in KEYS:
            raise _unknown(key, KEYS, "key", place)
        found[key] = _value(key, value, f"{place}: {key} = {value!r}")
    return found


def _line(path: Path, text: str, key: str) -> str:
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[\]=.]""")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return f"{path}, line {number}"
    return str(path)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    variables = {f"TUIPAR_{key.upper()}": key for key in KEYS if key != "env"}
    for variable, text in environment.items():
        if not variable.startswith("TUIPAR_") or variable in _OTHER_VARIABLES:
            continue
        key = variables.get(variable)
        if key is None:
            raise _unknown(variable, variables, "environment variable")
        found[key] = _value(key, text, f"{variable}={text!r}", strict=False)
    return found


def _value(key: str, value: Any, where: str, strict: bool = True) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if strict and isinstance(value, bool) and KEYS[key] in (int, float):
        raise TypeError(f"{where}: it must be a number")
    try:
        return msgspec.convert(value, KEYS[key], strict=strict)
    except msgspec.ValidationError as error:
        raise TypeError(f"{where}: {error}") from None


def _unknown(key: str, known: Mapping[str, Any] | tuple[str, ...], what: str, where: str = "") -> ValueError:
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return ValueError(f"{where}{': ' if where else ''}unknown {what} {key!r}: {hint}")
