"""Every public name has a docstring that says something."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import tuiparallel

CLASSES = (
    "Client", "DirectView", "LoadBalancedView", "BroadcastView", "ViewExecutor", "AsyncResult", "AsyncMapResult",
    "AsyncHubResult", "Metadata", "ExecuteReply", "Cluster", "Dependency", "Reference", "RemoteFunction",
    "ParallelFunction", "RemoteError", "CompositeError",
)  # fmt: skip
DATA = {"ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "version_info"}


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public members that this class, or one of ours that it extends, defines."""
    for owner in cls.__mro__:
        if owner.__module__.startswith("tuiparallel"):
            for name, member in vars(owner).items():
                if not name.startswith("_") and getattr(cls, name, None) is not None:
                    yield f"{owner.__name__}.{name}", member


def _documented(member: Any) -> bool:
    if isinstance(member, (classmethod, staticmethod)):
        member = member.__func__
    return not (callable(member) or isinstance(member, property)) or bool(inspect.getdoc(member))


def test_every_name_of_the_top_level_has_one() -> None:
    names = [name for name in tuiparallel.__all__ if name not in DATA and not name.startswith("__")]
    found = {name: getattr(tuiparallel, name) for name in names}
    assert not [name for name, thing in found.items() if not inspect.getdoc(thing)]
    own = {n: t for n, t in found.items() if inspect.isclass(t) and t.__module__.startswith("tuiparallel")}
    assert not [name for name, thing in own.items() if not vars(thing).get("__doc__")], "of its own, not inherited"


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_has_one(name: str) -> None:
    members = dict(_members(getattr(tuiparallel, name)))
    assert not [member for member, thing in members.items() if not _documented(thing)]


@pytest.mark.parametrize(
    "name", ["Client", "DirectView", "LoadBalancedView", "AsyncResult", "AsyncMapResult", "Cluster"]
)
def test_what_raises_or_waits_says_so(name: str) -> None:
    """A timeout has a unit, or a class that says which; what a method raises by itself is in its docstring."""
    cls = getattr(tuiparallel, name)
    about = " ".join(
        inspect.getdoc(owner) or "" for owner in cls.__mro__ if owner.__module__.startswith("tuiparallel")
    )
    silent = []
    for title, member in _members(cls):
        if not inspect.isfunction(member):
            continue
        text = inspect.getdoc(member) or ""
        if {"timeout", "interval", "grace"} & set(
            inspect.signature(member).parameters
        ) and "second" not in text + about:
            silent.append(title)
    assert not silent
