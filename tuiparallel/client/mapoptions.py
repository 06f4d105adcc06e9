"""The keyword arguments of a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuiparallel.client.flags import given, meant

MAP_OPTIONS = ("block", "bound", "ordered", "return_exceptions", "label", "track", "kwargs", "chunksize")


class MapOptions:
    """The keyword arguments of a map, checked. Raises TypeError and ValueError."""

    __slots__ = ("block", "chunksize", "constants", "label", "ordered", "return_exceptions", "track")

    def __init__(self, method: str, options: dict[str, Any], allowed: Sequence[str]) -> None:
        for name in options:
            if name not in allowed:
                raise TypeError(f"{method}() takes no argument {name!r}: {meant(name, allowed)}")
        self.block: bool | None = given("block", options.get("block"), None)
        self.ordered = given_bool("ordered", options.get("ordered", True))
        self.return_exceptions = given_bool("return_exceptions", options.get("return_exceptions", False))
        self.label: str | None = given("label", options.get("label"), None)
        self.track: bool | None = given("track", options.get("track"), None)
        constants = options.get("kwargs")
        if constants is None:
            constants = {}
        if not isinstance(constants, dict) or not all(isinstance(name, str) for name in constants):
            raise TypeError(f"kwargs is a dict of argument names and values, not {constants!r}")
        self.constants: dict[str, Any] = constants
        chunksize = options.get("chunksize", 1)
        if chunksize is None:
            chunksize = 1
        if isinstance(chunksize, bool) or not hasattr(chunksize, "__index__"):
            raise TypeError(f"chunksize is an int, not {chunksize!r}")
        if chunksize < 1:
            raise ValueError(f"chunksize={chunksize}: it must be >= 1")
        self.chunksize = int(chunksize)


def given_bool(name: str, value: Any) -> bool:
    """A checked bool."""
    return bool(given("block", value, False)) if isinstance(value, bool) else _no_bool(name, value)


def _no_bool(name: str, value: Any) -> bool:
    raise TypeError(f"{name} is True or False, not {value!r}")
