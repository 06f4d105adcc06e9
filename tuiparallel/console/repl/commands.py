"""Magics that the console itself answers: targets, grouping, cells by number, history, files, names of an engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tuiparallel.console import figures
from tuiparallel.console.repl import magics
from tuiparallel.console.repl.card import Card, State
from tuiparallel.console.repl.magics import Command, Inspect, MagicError, Send
from tuiparallel.console.repl.modes import Mode, TargetError, parse_targets
from tuiparallel.monitor.sanitize import clean_block, clean_line

if TYPE_CHECKING:
    from tuiparallel.console.repl.pane import ReplPane

Lines = list[str]


class Commander:
    """Does commands for a pane. What they answer becomes a card's text."""

    def __init__(self, pane: ReplPane) -> None:
        self.pane = pane
        self._before = Mode.LOCAL  # the mode %autopx goes back to
        self._table: dict[str, Callable[[Card, Command], Lines | None]] = {
            "autopx": self._autopx, "targets": self._targets, "block": self._block, "async": self._async,
            "group": self._group, "who": self._who, "result": self._result, "pxresult": self._result,
            "abort": self._abort, "interrupt": self._interrupt, "reset": self._reset, "history": self._history,
            "edit": self._edit, "save": self._save, "magics": self._magics,
        }  # fmt: skip

    @property
    def names(self) -> frozenset[str]:
        """The commands there are."""
        return frozenset(self._table)

    def run(self, command: Command, text: str) -> None:
        """Does one; its card ends when its answer is there. Raises MagicError."""
        card = self.pane.runs.new_card(self.pane.where, text)
        card.state = State.RUNNING
        try:
            lines = self._table[command.name](card, command)
        except MagicError as error:
            self._end(card, [], str(error))
            return
        if lines is not None:
            self._end(card, lines)

    def _end(self, card: Card, lines: Lines, problem: str = "") -> None:
        card.text = lines
        if problem:
            card.notes.append(problem)
        card.end(State.ERRORS if problem else State.DONE, self.pane.host.now())
        self.pane.tick()

    # Where cells go -----------------------------------------------------------------------------------------------

    def _autopx(self, card: Card, command: Command) -> Lines:
        pane = self.pane
        if pane.where.mode is Mode.PX:
            pane.go_to(pane.where.in_mode(self._before))
        else:
            self._before = pane.where.mode
            pane.go_to(pane.where.in_mode(Mode.PX))
        return [f"cells go to {pane.where.label()}"]

    def _targets(self, card: Card, command: Command) -> Lines:
        pane, host = self.pane, self.pane.host
        if command.rest:
            try:
                targets = parse_targets(command.rest, host.living(), host.marked(), host.matching)
            except TargetError as error:
                raise MagicError(str(error)) from None
            pane.aim(targets)
        there = figures.ranges(list(host.living())) or "none"
        chosen = pane.where.targets
        ids = there if chosen.ids is None else figures.ranges(list(chosen.ids))
        return [f"targets {chosen.text()}: {ids}   (engines there are: {there})"]

    def _block(self, card: Card, command: Command) -> Lines:
        self.pane.blocking = True
        return ["a cell makes the prompt wait for it; %async ends that"]

    def _async(self, card: Card, command: Command) -> Lines:
        self.pane.blocking = False
        return ["the prompt is free at once"]

    def _group(self, card: Card, command: Command) -> Lines:
        runs = self.pane.runs
        if command.arguments:
            runs.grouping = magics.grouping(command.arguments[0])
            newest = next((old for old in reversed(self.pane.cards.cards) if old.parts), None)
            if newest is not None:
                newest.grouping = runs.grouping
                newest.changed()
        return [f"outcomes are grouped by: {runs.grouping}"]

    # Cells --------------------------------------------------------------------------------------------------------

    def _cell(self, command: Command, *, open_only: bool = False) -> Card:
        cards = self.pane.cards
        if command.arguments:
            text = command.arguments[0].strip("[]")
            found = cards.by_number(int(text)) if text.isdecimal() else None
            if found is None:
                raise MagicError(f"there is no cell {command.arguments[0]}")
            return found
        for card in reversed(cards.cards[:-1]):
            if card.open if open_only else card.plan is not None:
                return card
        raise MagicError("no cell runs" if open_only else "no cell has run")

    def _result(self, card: Card, command: Command) -> Lines:
        found = self._cell(command)
        found.unfolded = True
        found.changed()
        self.pane.cards.show_card(found)
        return [f"[{found.number}] is unfolded: ^↑ walks the cells"]

    def _abort(self, card: Card, command: Command) -> Lines:
        found = self._cell(command, open_only=True)
        problem = self.pane.runs.abort(found)
        return [problem or f"aborting what waits of [{found.number}]"]

    def _interrupt(self, card: Card, command: Command) -> Lines:
        found = self._cell(command, open_only=True)
        if not found.open:
            return [f"[{found.number}] has ended"]
        self.pane.runs.stop(found)
        return [f"interrupting [{found.number}]"]

    def _edit(self, card: Card, command: Command) -> Lines:
        source = self._cell(command).source if command.arguments else ""
        self.pane.edit_outside(source)
        return ["its text is at the prompt"]

    def _save(self, card: Card, command: Command) -> None:
        path = Path(command.arguments[0]).expanduser()
        wanted = command.arguments[1:]
        cards = [self._cell(Command("save", (number,))) for number in wanted] if wanted else [
            old for old in self.pane.cards.cards if old.plan is not None
        ]  # fmt: skip
        text = "".join(f"# [{old.number}] {old.where}\n{old.source.strip()}\n\n" for old in cards)

        def write() -> None:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)

        def failed(error: BaseException) -> None:
            exists = isinstance(error, FileExistsError)
            self._end(card, [], f"{path} exists: choose another name" if exists else clean_line(f"{path}: {error}"))

        self.pane.host.own.call(write, lambda _: self._end(card, [f"{len(cards)} cells in {path}"]), failed)

    def _history(self, card: Card, command: Command) -> Lines:
        found = self.pane.history.containing(command.rest, 20)
        lines: Lines = []
        for past in reversed(found):
            first, _, rest = past.source.strip().partition("\n")
            lines.append(clean_line(f"{past.mode:<6}{figures.clip(first, 90)}{' …' if rest else ''}"))
        return lines or ["no cell contains that" if command.rest else "no cells yet"]

    def _magics(self, card: Card, command: Command) -> Lines:
        card.unfolded = True
        return magics.help_text(command.arguments[0] if command.arguments else "")

    # Questions to a namespace -------------------------------------------------------------------------------------

    def _who(self, card: Card, command: Command) -> None:
        def shown(body: object, error: str = "") -> None:
            if error:
                self._end(card, [], clean_line(error))
                return
            rows = body if isinstance(body, list) else []
            lines = [_row(row) for row in rows[:300]]
            card.unfolded = len(lines) <= 30
            self._end(card, lines or ["no names"])

        self._ask(card, "names", "", shown)

    def inspect(self, plan: Inspect, text: str) -> None:
        """`name?` and `name??`, as a card. The source of a name on an engine is a cell there: its thread has none."""
        engine = self.pane.lowest_target()
        if plan.source and plan.where.mode is not Mode.LOCAL and engine is not None:
            code = f"print(__import__('inspect').getsource({plan.name}))"
            self.pane.runs.run(Send(code, plan.where.in_mode(Mode.PX), str(engine)), text).unfolded = True
            return
        card = self.pane.runs.new_card(plan.where, text)
        card.state = State.RUNNING

        def shown(body: object, error: str = "") -> None:
            if error or not body:
                self._end(card, [], clean_line(error or f"there is no {plan.name} there"))
                return
            lines = clean_block(str(body)).split("\n")
            card.unfolded = True
            self._end(card, lines)

        self._ask(card, "inspect", plan.name + ("??" if plan.source else "?"), shown)

    def _ask(self, card: Card, what: str, text: str, shown: Callable[[object, str], None]) -> None:
        pane = self.pane
        if card.mode is Mode.LOCAL:
            if not pane.runs.ask_child(what, text, len(text), shown):
                shown([] if what == "names" else "", "" if what == "names" else "no local cell has run yet")
            return
        engine = pane.lowest_target()
        if engine is None:
            shown(None, "there is no engine to ask")
            return
        pane.host.ask_engine(
            f"{what}-{card.number}", engine, what, text, len(text),
            lambda body: shown(body, ""), lambda error: shown(None, f"engine {engine} does not answer: {error}"),
        )  # fmt: skip

    def _reset(self, card: Card, command: Command) -> None:
        pane = self.pane
        if card.mode is Mode.LOCAL:

            def end() -> None:
                pane.runs.local.interrupt_hard()
                self._end(card, ["the local process ends; the next cell starts another"])

            pane.question("end the local process and lose its names", end, lambda: self._end(card, ["not done"]))
            return
        client, targets = pane.host.client, pane.where.targets
        engines = list(targets.ids) if targets.ids is not None else list(pane.host.living())
        if client is None or not engines:
            raise MagicError("there is no engine to clear")

        def clear() -> None:
            pane.host.desk.calls.call(
                lambda: client.clear(targets=engines, block=True),
                lambda _: self._end(card, [f"cleared e{figures.ranges(engines)}"]),
                lambda error: self._end(card, [], clean_line(f"not cleared: {error}")),
            )

        pane.question(
            f"lose all names on {figures.plural(len(engines), 'engine')} (e{figures.ranges(engines)})", clear,
            lambda: self._end(card, ["not done"]),
        )  # fmt: skip


def _row(row: object) -> str:
    if isinstance(row, (list, tuple)):
        name, kind, size = (
            *(figures.size(field) if isinstance(field, int) else str(field) for field in row),
            "",
            "",
            "",
        )[:3]
        return clean_line(f"{name:<20}  {kind:<16}  {size:>10}").rstrip()
    return clean_line(str(row))
