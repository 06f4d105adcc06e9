"""ctrl+p: actions, panes, engines, kinds of failure, functions, submissions, themes; what cannot be done says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tuiparallel.console import figures
from tuiparallel.console.actions import Action
from tuiparallel.console.keys import shown
from tuiparallel.console.themes import THEMES

if TYPE_CHECKING:
    from tuiparallel.console.app import TuiparApp

MOST_OF_A_KIND = 1000
Entry = tuple[str, str, Callable[[], None]]  # name, help, what it does


class ConsoleCommands(Provider):
    """Everything that has a name."""

    @property
    def console(self) -> TuiparApp:
        """The app, by its own class."""
        from tuiparallel.console.app import TuiparApp

        assert isinstance(self.app, TuiparApp)
        return self.app

    def _actions(self) -> Iterator[Entry]:
        app = self.console
        here = app.main.here()
        for action in app.registry:
            if action.id != "palette":
                yield self._entry(action, action.why_disabled(here))

    def _entry(self, action: Action, reason: str | None) -> Entry:
        keys = " ".join(shown(key) for key in action.keys)
        help_ = action.help if reason is None else f"not here: {reason}"
        return (f"{action.title}   {keys}".rstrip(), help_, partial(self.console.main.perform, action.id))

    def _things(self) -> Iterator[Entry]:
        app = self.console
        store, now = app.store, app.clock.time()
        for row in store.engine_rows(store.engine_ids(now)[:MOST_OF_A_KIND], now):
            help_ = f"{row.state.name.lower()} on {row.row.host} {row.now}"
            yield f"Engine {row.id}", help_, partial(app.main.inspect, "engine", row.id)
        for kind in store.failures()[:MOST_OF_A_KIND]:
            name = f"Error {kind.ename}: {kind.message[:60]}"
            yield name, figures.plural(kind.count, "time"), partial(app.main.inspect, "failure", kind.key)
        for function in store.functions()[:MOST_OF_A_KIND]:
            help_ = f"{function.count:,} done, {function.failed:,} failed"
            yield f"Function {function.name}", help_, partial(app.main.inspect, "function", function.name)
        for batch in store.batches(now)[:100]:
            name = f"Submission {batch.name} {batch.label or ''}".rstrip()
            yield name, f"{batch.ended:,} of {batch.total:,}", partial(app.main.inspect, "batch", batch.id)
        for theme in THEMES:
            yield f"Theme {theme}", "colours of the console", partial(setattr, app, "theme", theme)

    async def discover(self) -> Hits:
        for name, help_, run in self._actions():
            yield DiscoveryHit(name, run, help=help_)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for source in (self._actions, self._things):
            for name, help_, run in source():
                score = matcher.match(name)
                if score > 0:
                    yield Hit(score, matcher.highlight(name), run, help=help_)
