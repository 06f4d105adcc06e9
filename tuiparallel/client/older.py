"""Names of ipyparallel that choose how objects are packed: accepted, and without effect."""

from __future__ import annotations

from typing import Any


class PrePickled:
    """PrePickled(obj) returns obj itself. Here for ipyparallel's sake: arguments are packed once per call anyhow."""

    def __new__(cls, obj: Any) -> Any:
        """The object."""
        return obj


def use_cloudpickle() -> None:
    """Does nothing: cloudpickle is used where it is needed.
    Returns None.
    Raises nothing.
    """


def use_pickle() -> None:
    """Does nothing: pickle is used where it will do.
    Returns None.
    Raises nothing.
    """


def use_dill() -> None:
    """Does nothing: dill is not used.
    Returns None.
    Raises nothing.
    """
