"""Runs cells: makes cards, sends them where they go, looks how far they are, stops them. Lives on the screen's loop.

Whatever can wait is handed to a thread; answers come back here. No widget in this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tuiparallel.console.figures import ranges
from tuiparallel.console.repl import dispatch
from tuiparallel.console.repl.card import Card, State
from tuiparallel.console.repl.cards import Cards
from tuiparallel.console.repl.dispatch import Look, Sent, Stopped, clean_output, styles_of
from tuiparallel.console.repl.host import Host
from tuiparallel.console.repl.local import Local
from tuiparallel.console.repl.magics import MapCell, Send
from tuiparallel.console.repl.modes import Mode, TargetError, Targets, Where, parse_targets
from tuiparallel.console.repl.outcomes import Grouping, Part
from tuiparallel.console.repl.talk import (
    AskChild,
    Begin,
    CellEnded,
    CellProgress,
    CellRan,
    ChildAnswer,
    KnowCell,
    Printed,
    Ready,
    RunCell,
    Said,
    StopCell,
)
from tuiparallel.monitor.sanitize import clean_block, clean_line

STOP_WITHIN = 2.0  # seconds after which it is said who did not stop
PARTIAL_EVERY = 0.5  # seconds between two readings of the parts of an unfinished cell
MOST_LIVE = 20  # open cards that are looked at for output and waiting, the newest

Answered = Callable[[object, str], None]


class Runs:
    """The cells of this console. `say` tells the user something; `ended` is called with each card that has ended."""

    def __init__(self, host: Host, cards: Cards, loop: asyncio.AbstractEventLoop) -> None:
        self.host = host
        self.cards = cards
        self.grouping = Grouping.IDENTICAL
        self.child_pid: int | None = None
        self.trouble = ""
        self._loop = loop
        self._next = 1
        self._known: dict[int, KnowCell] = {}
        self._looking = False
        self._partial_at = 0.0
        self._requests = 0
        self._asked: dict[int, Answered] = {}
        self._closed = False
        self.local = Local(
            lambda said: self._from_thread(self._heard, said), lambda why: self._from_thread(self._died, why)
        )

    def _from_thread(self, receiver: Callable[..., None], *arguments: object) -> None:
        if not self._closed:
            try:
                self._loop.call_soon_threadsafe(receiver, *arguments)
            except RuntimeError:  # the loop has ended
                self._closed = True

    def close(self) -> None:
        """Ends the child process."""
        self._closed = True
        self.local.close()

    @property
    def open(self) -> list[Card]:
        """The cells that have not ended, oldest first."""
        return [card for card in self.cards.cards if card.open]

    # Running ------------------------------------------------------------------------------------------------------

    def new_card(self, where: Where, source: str) -> Card:
        """A card for a cell; it is on screen at once."""
        label = where.label(where.targets.gone(self.host.living()))
        card = Card(self._next, where.mode, label, source, self.host.now(), grouping=self.grouping)
        self._next += 1
        self.cards.add(card)
        return card

    def run(self, plan: Send | MapCell, text: str) -> Card:
        """Sends a cell; text is what was typed."""
        where = plan.where
        problem = ""
        if isinstance(plan, Send) and plan.targets:
            try:
                where = Where(
                    where.mode,
                    parse_targets(plan.targets, self.host.living(), self.host.marked(), self.host.matching),
                )
            except TargetError as error:
                problem = str(error)
        card = self.new_card(where, text)
        card.plan = plan
        if isinstance(plan, Send):
            card.timed = plan.timed
            card.grouping = plan.group or self.grouping
        engines = self._engines_of(card, where.targets)
        if problem or engines == ():
            card.fail(problem or "none of its targets is there any more; ^G picks others", self.host.now())
        elif isinstance(plan, MapCell) or where.mode is Mode.LOCAL:
            self._run_local(card, plan, engines)
        else:
            self._run_remote(card, plan, engines)
        return card

    def _engines_of(self, card: Card, targets: Targets) -> tuple[int, ...] | None:
        gone = targets.gone(self.host.living())
        if not gone:
            return targets.ids
        if card.mode is not Mode.LOCAL:
            card.notes.append(f"not sent to e{ranges(list(gone))}: gone")
        return targets.without(gone).ids

    def _run_remote(self, card: Card, plan: Send, engines: tuple[int, ...] | None) -> None:
        client = self.host.client
        if client is None:
            card.fail("there is no cluster to run on; `tuipar start` starts one", self.host.now())
            return

        def sent(answer: Sent) -> None:
            card.sent = answer
            card.total = len(answer.ids)
            card.state = State.WAITING if card.state is State.SENT else card.state
            card.changed()
            self._know(KnowCell(card.number, card.source, list(answer.ids)))
            if card.asked_to_stop is not None:
                self.stop(card)
            self.look()

        def failed(error: BaseException) -> None:
            card.fail(clean_line(f"{type(error).__name__}: {error}"), self.host.now())

        self.host.desk.calls.call(lambda: dispatch.send(client, plan, engines, card.number), sent, failed)

    def _know(self, message: KnowCell) -> None:
        self._known[message.number] = message
        while len(self._known) > 1000:
            del self._known[next(iter(self._known))]
        if self.local.alive:
            self.host.own.call(lambda: self.local.tell(message), _nothing, _nothing)

    def connected(self) -> None:
        """The cluster has become known: a child that was started before connects to it too."""
        if self.local.alive:
            message = Begin(self.host.connection)
            self.host.own.call(lambda: self.local.tell(message), _nothing, _nothing)

    def _run_local(self, card: Card, plan: Send | MapCell, engines: tuple[int, ...] | None) -> None:
        targets = None if engines is None else list(engines)
        if isinstance(plan, MapCell):
            card.elements = True
            message = RunCell(card.number, plan.source, targets, plan.each, plan.over, plan.chunk)
        else:
            message = RunCell(card.number, plan.source, targets, filename=plan.filename)
        before = [other for other in self.open if other is not card and other.child_busy]
        card.child_busy = True
        card.state = State.WAITING if before else State.RUNNING
        card.waits = f"behind [{before[-1].number}]" if before else ""
        card.changed()
        first: list[Said] = [Begin(self.host.connection), *self._known.values()]

        def failed(error: BaseException) -> None:
            card.child_busy = False
            card.fail(f"the local process cannot be started: {error}", self.host.now())

        self.host.own.call(lambda: self.local.send(message, lambda: first), _nothing, failed)

    # The child ----------------------------------------------------------------------------------------------------

    def _heard(self, said: Said) -> None:
        match said:
            case Ready(pid, trouble):
                self.child_pid, self.trouble = pid, trouble
            case Printed(number, stream, text):
                if (card := self.cards.by_number(number)) is not None:
                    card.printed.feed(stream, text)
            case CellProgress(number, done, total, failed):
                if (card := self.cards.by_number(number)) is not None and card.open:
                    card.done, card.total, card.failed = done, total, failed
                    card.pace.add(self.host.now(), done)
                    card.changed()
            case CellRan():
                self._ran(said)
            case CellEnded():
                self._tasks_ended(said)
            case ChildAnswer(request, body, error):
                if (answered := self._asked.pop(request, None)) is not None:
                    answered(body, error)

    def _ran(self, said: CellRan) -> None:
        card = self.cards.by_number(said.number)
        if card is None:
            return
        card.child_busy = False
        now = self.host.now()
        part = _clean(said.part)
        if said.part.value or not said.part.ok:
            card.parts = (part,)
        if not said.part.ok:
            card.failed = 1
            card.end(State.INTERRUPTED if said.interrupted else State.ERRORS, now)
        elif said.open:
            card.asked_to_stop = None  # its code has ended; what it submitted can be stopped apart
        elif not card.elements:
            card.end(State.DONE, now)
        if (
            self.trouble
            and "NameError" in part.ename
            and any(name in part.evalue for name in ("'rc'", "'dview'", "'lview'"))
        ):
            card.notes.append(clean_line(f"there is no rc: {self.trouble}"))
        card.changed()
        for other in self.open:
            if other.child_busy:
                other.state, other.waits = State.RUNNING, ""
                other.began = now
                other.changed()
                break

    def _tasks_ended(self, said: CellEnded) -> None:
        card = self.cards.by_number(said.number)
        if card is None or not card.open:
            return
        card.done, card.total, card.failed = said.done, said.total, said.failed
        parts = tuple(_clean(part) for part in said.parts)
        card.parts = parts if card.elements else (*card.parts, *parts)
        state = State.ERRORS if said.failed else State.DONE
        if said.aborted and said.aborted == said.failed:
            state = State.ABORTED if card.asked_to_stop is None else State.INTERRUPTED
        card.end(state, self.host.now())

    def _died(self, why: str) -> None:
        self.child_pid = None
        for request in list(self._asked):
            self._asked.pop(request)(None, "the local process has ended")
        told = False
        for card in self.open:
            if card.mode is Mode.LOCAL or card.elements:
                card.child_busy = False
                if card.asked_to_stop is not None and "SIGKILL" in why:
                    card.notes.append("ended with its process: the local names are gone")
                else:
                    card.notes.append(
                        f"the local process has ended ({why}): its names are gone, the next cell starts another"
                    )
                card.end(State.LOST, self.host.now())
                told = True
        if not told:
            self.host.desk.say(f"the local process has ended ({why}): its names are gone", "warning")

    def ask_child(self, what: str, text: str, cursor: int, answered: Answered) -> bool:
        """Asks the child; False when there is none (it is not started for a question)."""
        if not self.local.alive:
            return False
        self._requests += 1
        request = self._requests
        self._asked[request] = answered
        while len(self._asked) > 50:
            del self._asked[next(iter(self._asked))]
        question = AskChild(request, what, text, cursor)
        self.host.own.call(lambda: self.local.tell(question), _nothing, _nothing)
        return True

    # Looking ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Looks how far the cells on the engines are, ten times a second while some are open."""
        now = self.host.now()
        watched = [(card, card.sent) for card in self.open if card.sent is not None]
        if not watched or self._looking:
            self._stubborn(now)
            return
        partial = now - self._partial_at >= PARTIAL_EVERY
        if partial:
            self._partial_at = now
        wanted = [(card, sent, partial and card.total > 1) for card, sent in watched]
        self._looking = True

        def work() -> list[tuple[Card, Look]]:
            return [(card, dispatch.look(sent, parts=parts)) for card, sent, parts in wanted]

        def seen(looks: list[tuple[Card, Look]]) -> None:
            self._looking = False
            for card, look in looks:
                if card.open:
                    card.take(look, self.host.now())

        def failed(error: BaseException) -> None:
            self._looking = False
            for card, _ in watched:
                if card.open:
                    card.fail(clean_line(f"{type(error).__name__}: {error}"), self.host.now())

        self.host.own.ask("look", work, seen, failed)
        for card, sent in watched[-MOST_LIVE:]:
            self._around(card, sent, now)
        self._stubborn(now)

    def _around(self, card: Card, sent: Sent, now: float) -> None:
        """What the store knows of an open cell: its newest output, and what its parts wait for."""
        live = self.host.live_lines(sent.ids[:256])
        state, waits = card.state, ""
        if card.mode is Mode.PX and sent.engines is not None:
            ended = {part.place for part in card.parts}
            left = [engine for engine in sent.engines if engine not in ended]
            reasons, running = self.host.waits(left[:256], frozenset(sent.ids))
            state = State.RUNNING if running or card.done else State.WAITING
            if reasons and now - card.began > 0.5:
                named = ", ".join(reasons[:4]) + (f", {len(reasons) - 4} more" if len(reasons) > 4 else "")
                waits = f"{len(reasons)} waiting: {named}"
        elif card.mode is Mode.LB:
            engine, started = self.host.where_runs(sent.ids[0])
            state = State.RUNNING if started else State.WAITING
            if started and engine is not None and now - card.began > 0.5:
                waits = f"on e{engine}"
        if (live, state, clean_line(waits)) != (card.live, card.state, card.waits):
            card.live, card.state, card.waits = live, state, clean_line(waits)
            card.changed()

    def _stubborn(self, now: float) -> None:
        for card in self.open:
            if card.asked_to_stop is None or card.stubborn or now - card.asked_to_stop < STOP_WITHIN:
                continue
            if card.sent is not None:
                engines = [self.host.where_runs(msg_id)[0] for msg_id in dispatch.still_open(card.sent)]
                card.stubborn = tuple(sorted({engine for engine in engines if engine is not None}))
            elif card.child_busy:
                card.stubborn = (-1,)
            card.changed()

    # Stopping -----------------------------------------------------------------------------------------------------

    def stop(self, card: Card) -> None:
        """Interrupts a cell: aborts its waiting parts, SIGINT for those that run, by msg_id."""
        card.asked_to_stop = self.host.now()
        card.stubborn = ()
        card.changed()
        if card.mode is Mode.LOCAL or card.elements:
            message = StopCell(card.number)
            self.host.own.call(lambda: self.local.tell(message), _nothing, _nothing)
            return
        sent, client = card.sent, self.host.client
        if sent is None or client is None:
            return  # it is stopped as soon as it has been sent

        def stopped(answer: Stopped) -> None:
            self.look()

        def failed(error: BaseException) -> None:
            card.notes.append(clean_line(f"not stopped: {error}"))
            card.changed()

        self.host.desk.calls.ask(f"repl-stop-{card.number}", lambda: dispatch.stop(client, sent), stopped, failed)

    def abort(self, card: Card) -> str:
        """Aborts the waiting parts of a cell; what runs goes on. Says what cannot be done."""
        sent, client = card.sent, self.host.client
        if card.mode is Mode.LOCAL or card.elements:
            self.stop(card)
            return ""
        if sent is None or client is None or not card.open:
            return f"[{card.number}] has nothing that waits"

        def done(count: int) -> None:
            self.host.desk.say(f"[{card.number}]: {count} parts aborted", "information")
            self.look()

        def failed(error: BaseException) -> None:
            self.host.desk.say(clean_line(f"[{card.number}] not aborted: {error}"), "error")

        self.host.desk.calls.ask(f"repl-abort-{card.number}", lambda: dispatch.abort(client, sent), done, failed)
        return ""

    def end_stubborn(self, card: Card) -> None:
        """Ends what did not stop: restarts its engines, or the local process. Names are lost."""
        if card.stubborn == (-1,):
            self.local.interrupt_hard()
            return
        client, engines = self.host.client, list(card.stubborn)
        if client is None or not engines:
            return

        def done(renamed: object) -> None:
            pairs = ", ".join(f"{old} → {new}" for old, new in renamed.items()) if isinstance(renamed, dict) else ""
            self.host.desk.say(f"restarted e{ranges(engines)}" + (f": {pairs}" if pairs else ""), "information")

        def failed(error: BaseException) -> None:
            self.host.desk.say(clean_line(f"not restarted: {error}"), "error")

        self.host.desk.calls.call(lambda: client.restart_engines(engines, block=True), done, failed)


def _nothing(value: object) -> None:
    """For answers that say nothing."""


def _clean(part: Part) -> Part:
    return Part(
        part.place, part.ok, clean_block(part.value), clean_output(part.stdout), clean_output(part.stderr),
        clean_line(part.ename), clean_line(part.evalue[:2000]), clean_block(part.traceback), part.ended, part.seconds,
        part.count, styles_of(part.stdout, part.stderr),
    )  # fmt: skip
