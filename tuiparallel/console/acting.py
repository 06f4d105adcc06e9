"""Asks on the ladder, then does: one question at a time, each deed one call, each outcome one line in Events."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tuiparallel.cluster.place import directory_of
from tuiparallel.console.actionlog import ActionLog
from tuiparallel.console.choosing import WAITING
from tuiparallel.console.deeds import Deed, Nothing, deed_for
from tuiparallel.console.ladder import Answer, Question
from tuiparallel.console.screens.confirm import ConfirmScreen
from tuiparallel.console.views.inspector import Subject
from tuiparallel.monitor.sanitize import clean_line

if TYPE_CHECKING:
    from tuiparallel.client import Client
    from tuiparallel.console.app import TuiparApp
    from tuiparallel.console.screens.main import MainScreen

MOST_NAMED = 50  # tasks that one waits for, by name
REMOTE_TIMEOUT = 2.0  # seconds an engine has to answer a question


class Acting:
    """What changes the cluster goes through here."""

    def __init__(self, app: TuiparApp, main: MainScreen) -> None:
        self.app = app
        self.main = main
        self.question: Question | None = None
        self.unkept = False  # the log of actions cannot be written

    def ask(self, id: str, number: int = 1) -> None:
        """Opens the question of an action, about what is chosen now."""
        desk = self.main.desk
        here = self.main.here()
        tasks = self.main.errors.tasks_of(here.ids) if here.kind == "failure" else []
        try:
            deed = deed_for(desk.registry[id], here, desk, tasks, number)
        except Nothing as nothing:
            desk.say(f"{desk.registry[id].title}: {nothing}", "warning")
            return
        self.open(deed)

    def open(self, deed: Deed) -> None:
        """Asks for a deed at its level."""
        if deed.level == 1:
            self.question = question = Question(deed)
            self.main.footer.question = question.text
            self.main.footer.update()
            self.main.call_after_refresh(self._painted, question)
            return
        cluster = self.app.store.header(self.app.clock.time()).cluster

        def answered(answer: tuple[bool, bool] | None) -> None:
            if answer is not None and answer[0]:
                self.do(deed, answer[1])
            else:
                self.app.say(f"not done: {deed.question}")

        self.app.push_screen(ConfirmScreen(deed, cluster, self.app.clock), answered)

    def news(self) -> None:
        """The store has changed: an open question says what has moved on."""
        if isinstance(self.app.screen, ConfirmScreen):
            self.app.screen.news()
        elif self.question is not None and self.question.text != self.main.footer.question:
            self.main.footer.question = self.question.text
            self.main.footer.update()

    def _painted(self, question: Question) -> None:
        question.painted = self.app.clock.monotonic()

    def press(self, key: str) -> bool:
        """Gives a key to the open question; False when there is none."""
        question = self.question
        if question is None:
            return False
        match question.press(key, self.app.clock.monotonic()):
            case Answer.IGNORED:
                return True
            case Answer.YES:
                self._close()
                self.do(question.deed, False)
            case Answer.NO:
                self._close()
                self.app.say(f"not done: {question.deed.question}")
        return True

    def _close(self) -> None:
        self.question = None
        self.main.footer.question = ""
        self.main.footer.update()

    def do(self, deed: Deed, extra: bool) -> None:
        """Sends it. What becomes of it is said, and stands in Events with its Python line."""
        client = self.app.client
        if client is None or self.app.options.readonly:
            self.app.say("this console is read-only; nothing was sent", "error")
            return
        work = deed.extra_work if extra and deed.extra_work is not None else deed.work
        python = deed.extra_python if extra and deed.extra_work is not None else deed.python
        view = self.main.view
        if view is not None:
            view.clear_marks()

        def done(reply: Any) -> None:
            self._log(deed.action.id, deed.outcome(reply), python, "information")
            if deed.action.id == "shutdown":
                self.app.cluster_ended(reply)

        def failed(error: BaseException) -> None:
            self._log(deed.action.id, f"{deed.question} failed: {error}", python, "error")

        self.app.calls.call(lambda: work(client), done, failed)

    def _log(self, kind: str, text: str, python: str, severity: str) -> None:
        now = self.app.clock.time()
        self.app.store.note(kind, text, now, python=python)
        self.app.say(text, severity)
        if (cluster := self.app.store.header(now).cluster) and not self.unkept:
            log = ActionLog(directory_of(cluster) / "console" / "actions.jsonl")
            self.app.calls.call(lambda: log.write(now, kind, text, python), lambda _: None, self._unkept)

    def _unkept(self, error: BaseException) -> None:
        self.unkept = True  # once said is enough
        self.app.say(f"what is done here is not logged on disk: {error}", "warning")

    # Questions to one engine ------------------------------------------------------------------------------------

    def where(self) -> None:
        """Asks the engine here for the stack of what it runs, and for its names; the inspector shows them."""
        here = self.main.here()
        store = self.app.store
        key = here.ids[0] if here.ids else None
        if not isinstance(key, int):
            return
        if here.kind == "task":
            task = store.task(key)
            engine = task.engine if task is not None else None
            if task is not None and task.phase in WAITING:
                self.main.inspect(here.kind, key)
                self.explain(key)
                return
            if task is None or engine is None or not task.open:
                self.app.say("this task is on no engine now; d works on a running one", "warning")
                return
        else:
            engine = key
        self.main.inspect(here.kind, key)
        subject = Subject(here.kind, key)
        for part in ("stack", "names") if here.kind == "engine" else ("stack",):
            self._ask(subject, engine, part)

    def explain(self, task: int) -> None:
        """Asks the hub why a task waits, what it depends on, and what became of its earlier attempts."""
        client, row = self.app.client, self.app.store.task(task)
        if client is None or row is None or not (row.phase in WAITING or row.attempt > 1):
            return
        subject, msg_id = Subject("task", task), row.msg_id

        def come(facts: dict[str, Any]) -> None:
            for part, lines in explained(facts).items():
                self.main.inspector.answer(subject, part, lines)

        def failed(error: BaseException) -> None:
            self.main.inspector.answer(subject, "why", [f"the hub does not say: {error}"])

        self.app.calls.ask("explain", lambda: client.task_facts(msg_id, timeout=REMOTE_TIMEOUT), come, failed)

    def _ask(self, subject: Subject, engine: int, part: str) -> None:
        client = self.app.client
        if client is None:
            self.main.inspector.answer(subject, part, ["this console has no client"])
            return

        def come(body: Any) -> None:
            self.main.inspector.answer(subject, part, remote_lines(part, body))

        def failed(error: BaseException) -> None:
            self.main.inspector.answer(subject, part, [f"engine {engine} does not answer: {error}"])

        self.main.inspector.answer(subject, part, ["asking …"])
        self.app.calls.ask(f"{part}:{engine}", lambda: ask_engine(client, engine, part), come, failed)


def ask_engine(client: Client, engine: int, part: str) -> Any:
    """Asks one engine's I/O thread; it answers while user code runs."""
    return client.ask_engine(engine, part, timeout=REMOTE_TIMEOUT)


def explained(facts: dict[str, Any]) -> dict[str, list[str]]:
    """The hub's answer on one task as parts of the inspector."""
    parts: dict[str, list[str]] = {}
    if facts["why"]:
        parts["why"] = [clean_line(facts["why"])]
    depends = list(dict.fromkeys([*facts["after"], *facts["follow"]]))
    if depends:
        more = [f"and {len(depends) - MOST_NAMED:,} more"] if len(depends) > MOST_NAMED else []
        parts["depends"] = [*depends[:MOST_NAMED], *more]
    if facts["attempts"]:
        parts["attempts"] = [
            f"{one['attempt']}: e{one['engine']} {clean_line(str(one['outcome']))}" for one in facts["attempts"]
        ]
    return parts


def remote_lines(part: str, body: Any) -> list[str]:
    """An engine's answer as lines."""
    if part == "names" and isinstance(body, list):
        if not body:
            return ["no names"]
        lines = []
        for entry in body[:200]:
            name, kind, size = (*entry, "", "", "")[:3]
            lines.append(f"{name!s:<20.20}  {kind!s:<16.16}  {size!s:>10}")
        return lines
    text = body if isinstance(body, str) else str(body)
    return text.rstrip().splitlines() or ["it runs no Python now"]


def pager_command() -> str:
    """The user's pager."""
    return os.environ.get("PAGER") or "less"
