"""Dependency: tasks that another task waits for, or follows to the place where they ran."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tuiparallel.wire.ids import IdRange, parse_msg_id
from tuiparallel.wire.messages import Need


class Dependency(set[str]):
    """What has to become of some tasks before another one may start (`after`), or where that runs (`follow`): a set
    of msg_ids.

        >>> one, two = lview.apply_async(abs, -1), lview.apply_async(abs, -2)
        >>> with lview.temp_flags(after=tp.Dependency([one, two], all=False)):
        ...     lview.apply_async(abs, -3).get(timeout=10)
        3

    dependencies: a msg_id, an AsyncResult, a Dependency, or a collection of these. all: True: every one of them,
    False: any. success, failure: whether a task that succeeded counts, and one that failed. They are attributes of
    these names. Without msg_ids it is met. A set in all other respects.
    Raises ValueError when neither success nor failure counts, and for what stands for no task. After
    IPython.parallel's Dependency.
    """

    def __init__(self, dependencies: Any = (), all: bool = True, success: bool = True, failure: bool = False) -> None:
        if not success and not failure:
            raise ValueError("a Dependency needs success or failure (or both) to count: nothing could ever meet it")
        self.all = bool(all)
        self.success = bool(success)
        self.failure = bool(failure)
        super().__init__(_msg_ids("dependencies", dependencies))

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Dependency:
        """The inverse of as_dict().

        given: a dict with the keys dependencies, all, success, failure; each may be missing.
        Returns a Dependency.
        Raises ValueError naming a key that does not belong there, and as Dependency does.
        """
        known = {"dependencies", "all", "success", "failure"}
        for key in given:
            if key not in known:
                raise ValueError(f"{key!r} is no key of a Dependency: as_dict() gives {', '.join(sorted(known))}")
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """As plain data, which JSON can hold, for from_dict and for the flags after and follow.

            >>> tp.Dependency(["a-1"], failure=True).as_dict()
            {'dependencies': ['a-1'], 'all': True, 'success': True, 'failure': True}

        Returns a dict with the keys dependencies (a sorted list of msg_ids), all, success, failure.
        Raises nothing.
        """
        return {
            "dependencies": sorted(self),
            "all": self.all,
            "success": self.success,
            "failure": self.failure,
        }

    def check(self, completed: Collection[str], failed: Collection[str] | None = None) -> bool:
        """Whether it is met.

            >>> both = ["a-1", "a-2"]
            >>> tp.Dependency(both).check(completed={"a-1"}), tp.Dependency(both, all=False).check({"a-1"})
            (False, True)

        completed: msg_ids of tasks that succeeded, failed: of those that did not; collections of str.
        Returns a bool.
        Raises nothing.
        """
        if not self:
            return True
        against = self._counting(completed, failed)
        return self <= against if self.all else not self.isdisjoint(against)

    def unreachable(self, completed: Collection[str], failed: Collection[str] | None = None) -> bool:
        """Whether it can never be met any more.

            >>> tp.Dependency(["a-1", "a-2"]).unreachable(completed=[], failed=["a-1"])
            True

        completed: msg_ids of tasks that succeeded, failed: of those that did not; collections of str.
        Returns a bool.
        Raises nothing.
        """
        if not self:
            return False
        against: set[str] = set()
        if not self.success:
            against |= set(completed)
        if not self.failure:
            against |= set(failed or ())
        return not self.isdisjoint(against) if self.all else self <= against

    def _counting(self, completed: Collection[str], failed: Collection[str] | None) -> set[str]:
        counting: set[str] = set()
        if self.success:
            counting |= set(completed)
        if self.failure:
            counting |= set(failed or ())
        return counting

    def __reduce__(self) -> tuple[Any, ...]:
        return Dependency, (sorted(self), self.all, self.success, self.failure)

    def __repr__(self) -> str:
        return f"Dependency({sorted(self)}, all={self.all}, success={self.success}, failure={self.failure})"


def as_need(name: str, given: Any) -> Need | None:
    """`after` or `follow` for the wire; None when there is nothing to wait for.

    given: None, a msg_id, an AsyncResult, a Dependency or its as_dict(), or a collection of msg_ids and AsyncResults.
    Raises ValueError saying what is accepted.
    """
    if given is None:
        return None
    if isinstance(given, Dependency):
        ids: Iterable[str] = given
        found = given
    elif isinstance(given, Mapping):
        found = Dependency.from_dict(given)
        ids = found
    else:
        ids = _msg_ids(name, given)
        found = Dependency()
    ranges = _ranges(ids)
    return Need(ranges, found.all, found.success, found.failure) if ranges else None


def _msg_ids(name: str, given: Any) -> list[str]:
    found: list[str] = []
    _collect(name, given, given, found)
    return found


def _collect(name: str, given: Any, whole: Any, found: list[str]) -> None:
    from tuiparallel.client.asyncresult import AsyncResult

    if isinstance(given, str):
        found.append(given)
    elif isinstance(given, AsyncResult):
        found += given.msg_ids
    elif isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray, Mapping)):
        for one in given:
            _collect(name, one, whole, found)
    else:
        raise ValueError(
            f"{name}={whole!r}: it must be a msg_id, an AsyncResult, a Dependency or its as_dict(), or a collection of "
            "msg_ids and AsyncResults"
        )


NO_COUNTER = -1  # of what is no msg_id


def _ranges(msg_ids: Iterable[str]) -> list[IdRange]:
    """Ids as ranges. A text that is no msg_id travels as a session of this name: the hub answers for unknown tasks."""
    jobs: list[tuple[str, int]] = []
    for text in msg_ids:
        try:
            jobs.append(parse_msg_id(text))
        except ValueError:
            jobs.append((text, NO_COUNTER))
    found: list[IdRange] = []
    for session, counter in sorted(set(jobs)):
        if found and counter > 0 and found[-1][0] == session and found[-1][1] + found[-1][2] == counter:
            found[-1] = (session, found[-1][1], found[-1][2] + 1)
        else:
            found.append((session, counter, 1))
    return found
