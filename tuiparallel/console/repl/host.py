"""What the REPL needs of the console around it, as few things as will do; made from a Desk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuiparallel.cluster.place import directory_of
from tuiparallel.console.calls import Calls
from tuiparallel.console.desk import Desk
from tuiparallel.console.repl.printed import Shown
from tuiparallel.errors import ClientClosed
from tuiparallel.monitor.query import ENGINE_FIELDS, parse
from tuiparallel.monitor.rows import OutputFilter
from tuiparallel.wire.states import EngineState

if TYPE_CHECKING:
    from tuiparallel.client import Client

ANSWER_WITHIN = 2.0  # seconds an engine has to answer a question
LIVE_LINES = 5


class Host:
    """The console as the REPL sees it. `own` are two threads of the REPL's: disk and child process; looking at cells."""

    def __init__(self, desk: Desk, own: Calls) -> None:
        self.desk = desk
        self.own = own

    @property
    def client(self) -> Client | None:
        """The console's client; None when no cluster is there."""
        return self.desk.client

    @property
    def readonly(self) -> bool:
        """Nothing may be sent."""
        return self.desk.options.readonly

    @property
    def cluster(self) -> str:
        """The cluster's name, empty when there is none."""
        return self.client.name if self.client is not None else ""

    @property
    def history_path(self) -> Path | None:
        """Where this cluster's cells are kept."""
        return directory_of(self.cluster) / "console" / "cells.jsonl" if self.cluster else None

    @property
    def connection(self) -> str:
        """What the child's client connects by: the cluster's name; empty when there is none."""
        return self.cluster

    def now(self) -> float:
        """Monotonic seconds."""
        return self.desk.clock.monotonic()

    # Engines ------------------------------------------------------------------------------------------------------

    def living(self) -> tuple[int, ...]:
        """Ids of the engines there are."""
        try:
            return tuple(self.client.ids) if self.client is not None else ()
        except ClientClosed:
            return ()

    def marked(self) -> tuple[int, ...]:
        """Ids of the engines that are marked in their pane."""
        return self.desk.marked_engines()

    def matching(self, query: str) -> list[int]:
        """Ids of the living engines that match a query. Raises ValueError for a faulty one."""
        there = set(self.living())
        found = self.desk.store.engine_ids(self.desk.clock.time(), parse(query, ENGINE_FIELDS))
        return [engine for engine in found if engine in there]

    def waits(self, engines: Iterable[int], ids: frozenset[str]) -> tuple[list[str], int]:
        """Why parts of a cell have not started, an engine each; and how many run. From the store, so it cannot wait."""
        reasons: list[str] = []
        running = 0
        for view in self.desk.store.engine_rows(list(engines), self.desk.clock.time()):
            if view.msg_id is not None and view.msg_id in ids:
                running += 1
            elif view.row.state == EngineState.UNRESPONSIVE:
                reasons.append(f"e{view.row.id} silent")
            elif view.msg_id is not None and view.row.name:
                reasons.append(f"e{view.row.id} behind {view.row.name}")
            else:
                reasons.append(f"e{view.row.id}")
        return reasons, running

    def where_runs(self, msg_id: str) -> tuple[int | None, bool]:
        """The engine a task is on, and whether it has started."""
        view = self.desk.store.task_named(msg_id)
        return (None, False) if view is None else (view.engine, view.started is not None)

    def live_lines(self, ids: Iterable[str]) -> list[Shown]:
        """The newest lines that these tasks have printed, with their engine when there are several."""
        views = [self.desk.store.task_named(msg_id) for msg_id in ids]
        tasks = frozenset(view.id for view in views if view is not None)
        if not tasks:
            return []
        lines = self.desk.store.output_list(OutputFilter(tasks=tasks))
        lines.refresh()
        newest = lines.rows(max(0, len(lines) - LIVE_LINES), LIVE_LINES)
        many = len(tasks) > 1
        return [
            shown.behind(f"e{line.engine}  ") if many else shown
            for line in newest
            for shown in (Shown(line.stream, line.text, line.runs),)
        ]

    def ask_engine(
        self,
        kind: str,
        engine: int,
        what: str,
        text: str,
        cursor: int,
        then: Callable[[Any], None],
        otherwise: Callable[[BaseException], None],
    ) -> None:
        """Asks one engine's I/O thread, which answers while user code runs; a newer question of a kind replaces it."""
        client = self.client
        if client is None:
            otherwise(ConnectionError("there is no cluster"))
            return
        self.desk.calls.ask(
            f"repl-{kind}",
            lambda: client.ask_engine(engine, what, text, cursor, ANSWER_WITHIN),
            then,
            otherwise,
        )
