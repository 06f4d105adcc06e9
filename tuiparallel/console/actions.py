"""The registry of actions: keys, footer, `?`, palette, `:` line and docs are all read from here.

An Action says what it is; what it does is bound to it where that can be done (`bind`). A pane with actions of its own
(the REPL) adds them with `add(action, run)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Key = int | str
"""The id of a row: an engine id, a TaskId, a name, a kind of failure."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where an action is asked for: the pane, what its rows are, and which rows it would take."""

    pane: str = ""
    kind: str = ""  # "engine", "task", "failure", "function", "line", "event", "batch", "cell", or nothing
    ids: tuple[Key, ...] = ()  # the marks, else the row under the cursor
    hidden: int = 0  # of the marks: what the filter hides
    readonly: bool = False
    connected: bool = True
    engines: int = 0  # engines there are
    parents: bool = True  # the results are the hub's, so actions may be sent

    @property
    def empty(self) -> bool:
        """Nothing is under the cursor and nothing is marked."""
        return not self.ids


Why = Callable[[Here], str | None]
"""Why an action cannot be done here: one sentence with the cure, or None when it can."""


def always(here: Here) -> str | None:
    """For what is local and can always be done."""
    return None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the console can do.

    keys are as people press them ("A", "ctrl+p", "space"); under a prefix place ("copy", "cluster") the second key.
    level is the lowest rung of the confirmation ladder it asks on; 0 changes nothing on the cluster.
    """

    id: str
    title: str
    keys: tuple[str, ...]
    where: str  # "everywhere", "lists", "cluster", "copy", or the name of a pane
    help: str
    why_disabled: Why
    level: int = 0
    python: str = ""  # the Python that does the same, with {names} filled in
    footer: str = ""  # its label in the footer; empty: not there
    verb: str = ""  # its name on the `:` line; empty: its id


PREFIXES: dict[str, str] = {"y": "copy", "ctrl+x": "cluster"}
"""Keys that wait for one more, and the place whose keys may follow."""

Run = Callable[[], None]


class Registry:
    """All actions by id, what each does, and which key means which where."""

    def __init__(self, actions: tuple[Action, ...] = ()) -> None:
        self._actions: dict[str, Action] = {}
        self._runs: dict[str, Run] = {}
        self._keys: dict[tuple[str, str], str] = {}
        for action in actions:
            self._insert(action)

    def _insert(self, action: Action) -> None:
        if action.id in self._actions:
            raise ValueError(f"action {action.id!r} is registered twice")
        for key in action.keys:
            holder = self._keys.setdefault((action.where, key), action.id)
            if holder != action.id:
                raise ValueError(
                    f"key {key!r} in {action.where} belongs to {holder!r}, so {action.id!r} cannot have it"
                )
        self._actions[action.id] = action

    def add(self, action: Action, run: Run) -> None:
        """Registers an action together with what it does. Raises ValueError for an id or key that is taken."""
        self._insert(action)
        self._runs[action.id] = run

    def bind(self, id: str, run: Run) -> None:
        """Says what a registered action does."""
        if id not in self._actions:
            raise KeyError(f"no action {id!r}")
        self._runs[id] = run

    def __iter__(self) -> Iterator[Action]:
        return iter(self._actions.values())

    def __getitem__(self, id: str) -> Action:
        return self._actions[id]

    def __contains__(self, id: object) -> bool:
        return id in self._actions

    def unbound(self) -> list[str]:
        """Ids of actions nobody has said the doing of: none, once the app has started."""
        return [id for id in self._actions if id not in self._runs]

    def by_key(self, key: str, places: tuple[str, ...]) -> Action | None:
        """The action of a key in the first of these places that has one."""
        for place in places:
            found = self._keys.get((place, key))
            if found is not None:
                return self._actions[found]
        return None

    def by_verb(self, word: str) -> Action | None:
        """The action the `:` line calls by this word."""
        for action in self._actions.values():
            if word in (action.id, action.verb):
                return action
        return None

    def at(self, place: str) -> list[Action]:
        """The actions of one place, in the order of their registration."""
        return [action for action in self._actions.values() if action.where == place]

    def perform(self, id: str, here: Here) -> str | None:
        """Does it, or says in a sentence why not."""
        action = self._actions[id]
        reason = action.why_disabled(here)
        if reason is not None:
            return f"{action.title}: {reason}"
        self._runs[id]()
        return None
