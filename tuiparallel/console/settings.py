"""How somebody wants their console: the table [console] of the configuration file, and in it the table [warnings].

[console]
theme = "light"            # dark, light, contrast or ansi
readonly = true            # as --readonly
ascii = true               # no Unicode
badge = "PROD"             # beside the cluster's name
danger = "high"            # every question wants the cluster's name typed

[console.warnings]
idle = 30.0                # thresholds, by the names of monitor.lints.Thresholds
silenced = ["tiny"]        # warnings that are switched off
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from tuiparallel.cluster.settings import config_file
from tuiparallel.monitor.lints import HELP, Thresholds

CHOICES = {"danger": ("", "high"), "theme": ("dark", "light", "contrast", "ansi")}


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """What the table says, or the defaults."""

    readonly: bool = False
    danger: str = ""
    badge: str = ""
    ascii: bool = False
    theme: str = "dark"
    warnings: Thresholds = field(default_factory=Thresholds)


def read_settings(file: Path | None = None) -> ConsoleSettings:
    """The settings in this file, or in the user's own; the defaults when there is none.

    Raises ValueError for an unknown key (it names the nearest one) or value, TypeError for a value of the wrong type.
    """
    path = config_file() if file is None else file
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ConsoleSettings()
    try:
        table = tomllib.loads(text).get("console", {})
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    settings: ConsoleSettings = _table(ConsoleSettings, table, f"{path}: console")
    for key, allowed in CHOICES.items():
        if getattr(settings, key) not in allowed:
            given = getattr(settings, key)
            raise ValueError(f"{path}: {key} = {given!r}: it must be one of {', '.join(map(repr, allowed))}")
    for warning in settings.warnings.silenced:
        if warning not in HELP:
            raise _unknown(warning, HELP, f"{path}: warning")
    return settings


def _table(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, dict):
        raise TypeError(f"{where} must be a table, [console] or [console.warnings]")
    known = [one.name for one in fields(kind)]
    for key in content:
        if key not in known:
            raise _unknown(key, known, f"{where}: key")
    if kind is ConsoleSettings and "warnings" in content:
        _table(Thresholds, content["warnings"], f"{where}.warnings")
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise TypeError(f"{where}: {error}") from None


def _unknown(given: str, known: Iterable[str], where: str) -> ValueError:
    near = difflib.get_close_matches(given, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return ValueError(f"{where} {given!r} is not known: {hint}")
