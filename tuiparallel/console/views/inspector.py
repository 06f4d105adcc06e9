"""The inspector: all there is to know about one thing. From the store at once; what is remote comes when it comes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import ClassVar

from tuiparallel.console.actions import Here, Key
from tuiparallel.console.desk import Desk
from tuiparallel.console.dossier import Line, dossier
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.monitor.rows import Section

DEEP = 50  # subjects one can go back


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at."""

    kind: str  # "engine", "task", "failure", "function", "batch", "client"
    key: Key


@dataclass
class Remote:
    """What was asked of the cluster about the subject: the stack, the names; or why there is none."""

    parts: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0  # changes with every answer


class InspectorView(LineView):
    """Lines about one subject; a line may be a link to another."""

    pane: ClassVar[str] = "inspector"
    number: ClassVar[int] = 9
    pulls: ClassVar[int] = 5

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.subject: Subject | None = None
        self.trail: list[Subject] = []
        self.ahead: list[Subject] = []
        self.lines: list[Line] = []
        self.remote = Remote()
        self.which = 0  # of an error kind: which instance's traceback

    def look_at(self, kind: str, key: Key, *, keep: bool = True) -> None:
        """Shows another subject; the one before is kept on the trail."""
        subject = Subject(kind, key)
        if subject != self.subject:
            if keep and self.subject is not None:
                self.trail = [*self.trail[-DEEP + 1 :], self.subject]
                self.ahead.clear()
            self.subject = subject
            self.remote = Remote()
            self.which = 0
            self.cursor = None
            self.top = 0
            if kind == "task" and isinstance(key, int):
                self.desk.explain(key)
        self.pull_now(force=True)

    def back(self) -> bool:
        """The subject before; False at the first."""
        if not self.trail:
            return False
        if self.subject is not None:
            self.ahead.append(self.subject)
        subject = self.trail.pop()
        self.look_at(subject.kind, subject.key, keep=False)
        return True

    def forward(self) -> bool:
        """The subject one came back from."""
        if not self.ahead:
            return False
        subject = self.ahead.pop()
        if self.subject is not None:
            self.trail.append(self.subject)
        self.look_at(subject.kind, subject.key, keep=False)
        return True

    def answer(self, subject: Subject, part: str, lines: list[str]) -> None:
        """Takes a remote part, unless another subject is looked at by now."""
        if subject == self.subject:
            self.remote.parts[part] = lines
            self.remote.count += 1
            self.pull_now(force=True)

    def version(self) -> Hashable:
        return (self.subject, self.remote.count, self.which, int(self.desk.clock.time()),
                *(self.desk.store.version(part) for part in (Section.ENGINES, Section.TASKS, Section.OUTPUT)))  # fmt: skip

    def pull(self) -> None:
        if self.subject is None:
            self.lines = []
        else:
            self.lines = dossier(self.desk, self.subject.kind, self.subject.key, self.remote.parts, self.which,
                                 max(20, self.size.width - 4))  # fmt: skip
        self.desk.retitle()

    def count(self) -> int:
        return len(self.lines)

    def stamp(self, index: int) -> Hashable:
        return tuple(self.lines[index].cells)

    def cells(self, index: int, width: int) -> Cells:
        return self.lines[index].cells

    def title(self) -> Cells:
        if self.subject is None:
            return []
        name = {"engine": f"e{self.subject.key}", "task": self._task_name()}.get(
            self.subject.kind, str(self.subject.key)
        )
        if self.subject.kind == "failure":
            name = ""
        return [(f"{self.subject.kind} ", "dim"), (name, "strong")]

    def _task_name(self) -> str:
        if self.subject is not None and self.subject.kind == "task" and isinstance(self.subject.key, int):
            return self.desk.store.msg_id(self.subject.key)
        return ""

    def empty(self) -> list[str]:
        return ["Nothing selected", "enter on any row shows it here"]

    def here(self) -> Here:
        if self.subject is None:
            return Here(self.pane)
        key = self.subject.key
        if self.subject.kind == "failure":
            return Here(self.pane, "failure", (f"k{key}",))
        return Here(self.pane, self.subject.kind, (key,))

    def link(self) -> tuple[str, Key] | None:
        """Where `enter` on this line leads."""
        return self.lines[self._at].link if self._at < len(self.lines) else None

    def walk(self, step: int) -> None:
        """Of an error kind: the traceback of the next older (1) or newer (-1) instance."""
        self.which = max(0, self.which + step)
        self.pull_now(force=True)
