"""help() of every public name is enough to use it: parameters, units, what is returned, what is raised.

Of every public function and method the docstring names each parameter, says what it returns, and which errors it raises
("Raises nothing" where it raises none of its own); of a class it does so for what it is made with. Examples are run by
tests/live/test_client_examples.py.
"""

from __future__ import annotations

import builtins
import concurrent.futures
import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec

import tuiparallel
from tuiparallel import errors
from tuiparallel.client.balancedview import LoadBalancedView
from tuiparallel.client.executor import TaskFuture
from tuiparallel.client.history import History
from tuiparallel.client.lazymap import EagerMapIterator, LazyMapIterator
from tuiparallel.client.magics import Magics
from tuiparallel.client.mapoptions import MAP_OPTIONS
from tuiparallel.client.replyresult import AsyncReply
from tuiparallel.cluster.settings import KEYS
from tuiparallel.wire.config import ClusterConfig

DATA = {"ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "version_info", "TimeoutError", "error"}
REACHED = (LazyMapIterator, EagerMapIterator, TaskFuture, AsyncReply, History, Magics)  # what public names give
MADE_ELSEWHERE = {  # by methods that say what their parameters are
    "DirectView", "LoadBalancedView", "BroadcastView", "AsyncResult", "AsyncMapResult", "AsyncHubResult", "ExecuteReply",
    "Metadata", "TaskFuture", "LazyMapIterator", "EagerMapIterator", "AsyncReply", "Magics",
}  # fmt: skip
SECONDS = {
    "timeout",
    "interval",
    "grace",
    "linger",
    "hub_timeout",
    "query_timeout",
    "engine_timeout",
    "start_timeout",
}
_NAME = re.compile(r"\b[A-Z][a-z]+(?:[A-Z][a-z]*)+\b")
_NOTHING = re.compile(r"Raises (?:nothing|this|what )")


class Documented(NamedTuple):
    """A public function, method or class with its docstring."""

    title: str
    thing: Any
    text: str


def _top() -> dict[str, Any]:
    return {name: getattr(tuiparallel, name) for name in tuiparallel.__all__ if name not in DATA}


def _classes() -> list[type]:
    own: list[type] = [thing for thing in _top().values() if inspect.isclass(thing)]
    return list(dict.fromkeys([*own, *REACHED]))


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public members of a class, those that it inherits from classes of ours included."""
    for name in dir(cls):
        owner = next((c for c in cls.__mro__ if name in vars(c)), object)
        if not name.startswith("_") and owner.__module__.startswith("tuiparallel"):
            member = vars(owner)[name]
            yield name, member.__func__ if isinstance(member, (classmethod, staticmethod)) else member


@cache
def _functions() -> dict[str, Documented]:
    found: dict[int, Documented] = {}
    for name, thing in {**_top(), "load_ipython_extension": tuiparallel.load_ipython_extension}.items():
        if inspect.isfunction(thing):
            found[id(thing)] = Documented(name, thing, inspect.getdoc(thing) or "")
    for cls in _classes():
        for name, member in _members(cls):
            if inspect.isfunction(member):
                title = f"{cls.__name__}.{name}"
                found.setdefault(id(member), Documented(title, member, inspect.getdoc(member) or ""))
    return {one.title: one for one in found.values()}


@cache
def _properties() -> dict[str, str]:
    found: dict[int, tuple[str, str]] = {}
    for cls in _classes():
        for name, member in _members(cls):
            if isinstance(member, property):
                found.setdefault(id(member), (f"{cls.__name__}.{name}", inspect.getdoc(member) or ""))
    return dict(found.values())


def _parameters(thing: Any) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(thing).parameters.values() if one.name not in ("self", "cls")]


def _unnamed(thing: Any, text: str) -> list[str]:
    """The parameters that a docstring does not name."""
    return [one.name for one in _parameters(thing) if not re.search(rf"\b{one.name}\b", text)]


def _known(name: str) -> bool:
    places = (errors, builtins, concurrent.futures)
    found = next((getattr(place, name) for place in places if hasattr(place, name)), None)
    return inspect.isclass(found) and issubclass(found, BaseException)


def _raised(text: str) -> str:
    """The parts of a docstring that say what is raised."""
    return " ".join(re.findall(r"\b[Rr]aises?\b[^.]*(?:\.(?!\s)[^.]*)*", text))


def _errors_in(text: str) -> list[str]:
    return [name for name in _NAME.findall(text) if _known(name)]


def _faults(title: str) -> Iterator[str]:
    """What the docstring of a function does not say."""
    _, thing, text = _functions()[title]
    names = {one.name for one in _parameters(thing)}
    if not text.split(".")[0].strip():
        yield "what it does"
    yield from (f"what {name} is" for name in _unnamed(thing, text))
    annotation = inspect.signature(thing).return_annotation
    if annotation not in ("NoReturn", "None", None) and not re.search(r"\b[Rr]eturns\b", text):
        yield "what it returns"
    said = _raised(text)
    if not _errors_in(said) and not _NOTHING.search(said):
        yield "what it raises"
    if names & SECONDS and not re.search(r"\bseconds?\b", text, re.IGNORECASE):
        yield "that its times are seconds"
    if {name for name in names if "bytes" in name or name == "size"} and not re.search(r"\bbytes\b", text):
        yield "that its sizes are bytes"


def test_a_function_says_how_it_is_used() -> None:
    assert len(_functions()) > 120
    missing = {title: faults for title in _functions() if (faults := list(_faults(title)))}
    assert missing == {}


def test_a_class_says_what_it_is_and_is_made_with() -> None:
    missing: dict[str, list[str]] = {}
    for cls in _classes():
        text = inspect.cleandoc(vars(cls).get("__doc__") or "")
        faults = [] if text else ["a docstring of its own"]
        if not issubclass(cls, BaseException) and cls.__name__ not in MADE_ELSEWHERE:
            faults += _unnamed(cls, text)
            names = {one.name for one in _parameters(cls)}
            if names & SECONDS and "seconds" not in text:
                faults.append("seconds")
            if names - {"obj", "view", "session"} and not (_errors_in(_raised(text)) or _NOTHING.search(text)):
                faults.append("what making it raises")
        if faults:
            missing[cls.__name__] = faults
    assert missing == {}


def test_a_property_says_what_it_is() -> None:
    assert len(_properties()) > 50
    for title, text in _properties().items():
        assert text.endswith(".") and len(text) > 15, title
        assert "econds" in text or not re.search(r"time$|elapsed", title), title


def test_an_error_says_what_else_it_is() -> None:
    for cls in (cls for cls in _classes() if issubclass(cls, BaseException)):
        others = [base for base in cls.__bases__ if base not in (errors.ParallelError, errors.RemoteError, Exception)]
        assert all(base.__name__ in (inspect.getdoc(cls) or "") for base in others), cls


def test_errors_that_are_named_exist() -> None:
    classes = {cls.__name__ for cls in _classes()} | set(_functions())
    texts = [one.text for one in _functions().values()] + [inspect.getdoc(cls) or "" for cls in _classes()]
    named = {name for text in [*texts, *_properties().values()] for name in _NAME.findall(_raised(text))}
    assert len({name for name in named if _known(name)}) > 25
    assert sorted(name for name in named if not _known(name) and name not in classes) == []


def test_every_flag_and_option_is_explained() -> None:
    flags, options = (inspect.getdoc(method) or "" for method in (LoadBalancedView.set_flags, LoadBalancedView.map))
    assert [flag for flag in LoadBalancedView.FLAGS if not re.search(rf"\b{flag} \(|\b{flag} and", flags)] == []
    assert [option for option in MAP_OPTIONS if not re.search(rf"\b{option} \(", options)] == []


def test_every_key_of_a_cluster_is_explained() -> None:
    text = inspect.getdoc(tuiparallel.Cluster) or ""
    assert [key for key in KEYS if not re.search(rf"\b{key}\b", text)] == []
    in_bytes, in_seconds = text.partition("In bytes:")[2], text.partition("In seconds:")[2].partition("In bytes:")[0]
    for field in msgspec.structs.fields(ClusterConfig):
        if field.name.endswith(("_bytes", "_disk", "_keep")) or field.name.startswith("output_"):
            assert field.name in in_bytes, field.name
        elif field.type is float and field.name not in ("engine_timeout", "observer_rate"):
            assert field.name in in_seconds, field.name


def test_every_name_of_the_top_level_has_one() -> None:
    assert not [name for name, thing in _top().items() if not inspect.getdoc(thing)]
