"""Which engines people mean: ids, negative ones counted from the end, slices, lists, 'all'."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tuiparallel.errors import NoEnginesRegistered, NoSuchEngine

if TYPE_CHECKING:
    from tuiparallel.client.session import Session


def chosen(session: Session, targets: Any) -> tuple[list[int], bool]:
    """The ids that `targets` stands for now, and whether it is a single engine.

    int: that engine, negative from the end; slice: of the living ones; list and tuple: each; None and 'all': all that
    live. Raises TypeError, NoSuchEngine (an IndexError), NoEnginesRegistered when it stands for none.
    """
    living = session.engines or []
    if targets is None or (isinstance(targets, str) and targets == "all"):
        if not living:
            raise _no_engines(session)
        return list(living), False
    if isinstance(targets, slice):
        if not living:
            raise _no_engines(session)
        found = living[targets]
        if not found:
            raise NoEnginesRegistered(f"the view is empty: {targets} of the engines {_shown(living)} has none")
        return found, False
    if _is_int(targets):
        return [_one(living, targets, session)], True
    if isinstance(targets, Iterable) and not isinstance(targets, (str, bytes, dict)):
        ids = []
        for one in targets:
            if not _is_int(one):
                raise _wrong(one)
            ids.append(_one(living, one, session))
        if not ids:
            raise NoEnginesRegistered("the view is empty: no engine was named")
        return ids, False
    raise _wrong(targets)


def _is_int(thing: Any) -> bool:
    return hasattr(thing, "__index__") and not isinstance(thing, bool)


def _one(living: list[int], target: Any, session: Session) -> int:
    number = int(target)
    if number < 0:
        if -number > len(living):
            raise NoSuchEngine(f"there is no engine [{number}]: {_those_there(living)}")
        return living[number]
    if number not in living:
        raise NoSuchEngine(f"there is no engine {number}: {_those_there(living)}{session.obituary(number)}")
    return number


def _those_there(living: list[int]) -> str:
    return f"the engines are {_shown(living)}" if living else "there are no engines"


def _shown(living: list[int]) -> str:
    return ", ".join(map(str, living[:20])) + (f", ... ({len(living)})" if len(living) > 20 else "")


def _no_engines(session: Session) -> NoEnginesRegistered:
    return NoEnginesRegistered(
        f"the cluster {session.connection.name!r} has no engine: wait_for_engines(n) waits for them, scale(n) or "
        "`tuipar engines add N` starts some"
    )


def _wrong(thing: Any) -> TypeError:
    return TypeError(f"{thing!r} names no engines: give an int, a slice, a list of ints, or 'all'")
