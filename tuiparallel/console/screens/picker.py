"""The picker: clusters that run, and a new one. Shown when none is meant, and when the one on screen has ended."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.running import ClusterRecord, running_clusters
from tuiparallel.console import figures
from tuiparallel.console.actions import Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.console.screens.help import Caption

NEW = ""


class ClusterList(LineView):
    """A row per running cluster, and one to start another."""

    pane: ClassVar[str] = "clusterlist"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.records: list[ClusterRecord] = []

    def version(self) -> Hashable:
        return tuple(self.records)

    def pull(self) -> None:
        """Nothing: the records come from the screen."""

    def count(self) -> int:
        return len(self.records) + 1

    def key_at(self, index: int) -> Key:
        return self.records[index].name if index < len(self.records) else NEW

    def find(self, key: Key) -> int | None:
        names = [record.name for record in self.records]
        return names.index(key) if isinstance(key, str) and key in names else len(names) if key == NEW else None

    def cells(self, index: int, width: int) -> Cells:
        if index == len(self.records):
            return [(" start a new cluster", "key"), ("   one engine per core, on this machine", "dim")]
        record = self.records[index]
        engines = f"   {figures.plural(record.n, 'engine')} asked for   since {record.since_text}"
        return [(f" {record.name:<24}", "strong"), (engines, "dim")]


class PickerScreen(ModalScreen[str | None], inherit_bindings=False):
    """Returns the name of a running cluster; one that is started here runs by then. None: leave."""

    def __init__(self, desk: Desk, reason: str = "") -> None:
        super().__init__()
        self.desk = desk
        self.reason = reason
        self.list = ClusterList(desk)
        self.started: list[str] = []  # names of clusters this screen has started

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="picker"):
            yield Caption(self.desk, [("Clusters", "bold strong"), ("   ", ""), ("enter", "key"), (" opens   ", "dim"),
                                      ("n", "key"), (" starts one   ", "dim"), ("r", "key"), (" looks again   ", "dim"),
                                      ("esc", "key"), (" leaves", "dim")])  # fmt: skip
            yield Static(self.reason, id="why", markup=False)
            yield self.list

    def on_mount(self) -> None:
        self.list.focus()
        self.look()

    def look(self) -> None:
        """Finds out which clusters run."""
        self.desk.calls.ask("clusters", running_clusters, self._found, self._failed)

    def _found(self, found: dict[str, ClusterRecord]) -> None:
        self.list.records = list(found.values())
        self.list.pull_now(force=True)
        self.list.move_to(0)

    def _failed(self, error: BaseException) -> None:
        self.query_one("#why", Static).update(f"{type(error).__name__}: {error}")

    def start(self) -> None:
        """Starts a cluster; a failure shows its reason, which has the last lines of its processes' stderr."""
        self.query_one("#why", Static).update("starting …")

        def begin() -> str:
            cluster = Cluster(shutdown_atexit=False)
            cluster.start_cluster_sync()
            return cluster.name

        self.desk.calls.call(begin, self._started, self._failed)

    def _started(self, name: Any) -> None:
        self.started.append(str(name))
        self.dismiss(str(name))

    def on_key(self, event: events.Key) -> None:
        moves = {"down": 1, "j": 1, "up": -1, "k": -1}
        if event.key in ("escape", "q", "ctrl+q"):
            self.dismiss(None)
        elif event.key in moves:
            self.list.move(moves[event.key])
        elif event.key == "r":
            self.look()
        elif event.key == "n" or (event.key == "enter" and self.list.cursor == NEW):
            self.start()
        elif event.key == "enter" and isinstance(self.list.cursor, str):
            self.dismiss(self.list.cursor)
        else:
            return
        event.stop()
