"""Names of ipyparallel that choose how objects are packed: accepted, and without effect."""

from __future__ import annotations

from typing import Any


class PrePickled:
    """PrePickled(obj) is obj itself: large arguments are packed once per call, and functions once per change."""

    def __new__(cls, obj: Any) -> Any:
        """The object."""
        return obj


def use_cloudpickle() -> None:
    """Does nothing: cloudpickle is used where it is needed."""


def use_pickle() -> None:
    """Does nothing: pickle is used where it will do."""


def use_dill() -> None:
    """Does nothing: dill is not used."""
