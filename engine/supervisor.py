"""One per host: it asks the template for engines, reports their exits and vitals to the hub, and restarts them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuiparallel.engine import orders
from tuiparallel.engine.marks import Mark, read_mark
from tuiparallel.engine.restarts import Restarts
from tuiparallel.engine.settings import hub_of, new_uuid
from tuiparallel.engine.vitals import Observer
from tuiparallel.link.clock import SystemClock
from tuiparallel.link.link import Link
from tuiparallel.wire.config import ClusterConfig, read_config
from tuiparallel.wire.messages import (
    PROTOCOL,
    EndCluster,
    Exited,
    ExitKept,
    GaveUp,
    Leave,
    Message,
    Refused,
    SignalEngine,
    Spawn,
    Started,
    SupervisorHello,
    SupervisorWelcome,
    ToEngine,
    Vitals,
)

INTERVAL = 1.0  # seconds between vitals
TAIL = 4096  # bytes of an engine's log that its Exited carries
LAST_WORDS = 0.3  # seconds for what was said last to leave


@dataclass(slots=True)
class Watched:
    """An engine process. line: the restarts of it and of those it follows."""

    uuid: str
    pid: int
    was: int | None
    line: Restarts
    asked: bool = False  # to end, by a signal


class Supervisor:
    """The engines of one host, as the hub's eyes and hands."""

    def __init__(self, config: ClusterConfig, template: socket.socket) -> None:
        self._config = config
        self._template = template
        self._directory = Path(config.directory)
        self._clock = SystemClock()
        self._uuid = new_uuid()
        self._engines: dict[str, Watched] = {}
        self._asked_for: dict[str, Restarts] = {}  # engines that are being forked
        self._observer = Observer()
        self._number = 0
        self._hub = 0
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._ending = False
        self._over = False
        self._orders: deque[orders.Down | None] = deque()
        address, keys = hub_of(config)
        self._link = Link(
            address,
            ToEngine,
            self._hello,
            clock=self._clock,
            heartbeat=(config.heartbeat_interval, config.heartbeat_timeout),
            resend_interval=config.resend_interval,
            keys=keys,
        )
        self._reader = threading.Thread(target=self._read_orders, name="tuiparallel-orders", daemon=True)

    def run(self) -> int:
        """Supervise until the template closes the connection; returns the exit code."""
        self._reader.start()
        look = self._clock.monotonic() + INTERVAL
        while not self._over:
            now = self._clock.monotonic()
            until = min([look, *(at for at, _ in self._timers)])
            for message in self._link.turn(max(0.0, until - now)):
                self._on_message(message)
            while self._orders:
                self._on_order(self._orders.popleft())
            now = self._clock.monotonic()
            if now >= look:
                look = now + INTERVAL
                if vitals := self._observer.look({uuid: each.pid for uuid, each in self._engines.items()}, now):
                    self._link.send(Vitals(vitals))
            due = [action for at, action in self._timers if at <= now]
            self._timers = [(at, action) for at, action in self._timers if at > now]
            for action in due:
                action()
        self._link.close(LAST_WORDS)
        return 0

    def _read_orders(self) -> None:
        while True:
            order = orders.receive_down(self._template)
            self._orders.append(order)
            self._link.wake()
            if order is None:
                return

    # From the hub -----------------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        match message:
            case Spawn(count, replaces):
                self.spawn(count, list(replaces))
            case SignalEngine(uuid, signum):
                if (watched := self._engines.get(uuid)) is not None:
                    # Whoever has an engine killed also says whether another one is wanted.
                    watched.asked = watched.asked or signum in (signal.SIGTERM, signal.SIGKILL)
                    orders.send(self._template, orders.Kill(uuid, signum))
            case EndCluster(reason) | Leave(reason):
                self._ending = True
                orders.send(self._template, orders.End(reason or "the hub has ended the cluster"))
            case SupervisorWelcome():
                # What was forked while there was no hub; a copy does not matter.
                if self._engines:
                    self._link.send(Started([(each.uuid, each.pid, each.was) for each in self._engines.values()]))
            case ExitKept(numbers):
                self._link.ack(numbers)
            case Refused(kind, text):
                orders.send(self._template, orders.End(f"the hub refuses its supervisor: {kind}: {text}"))
            case _:
                pass  # greetings were handled by the link; the rest is an engine's

    def spawn(self, count: int, replaces: list[int | None] | list[int]) -> None:
        """Ask for new engines; the first ones follow those of these ids."""
        if self._ending:
            return
        followed: list[int | None] = [*replaces, *([None] * count)][:count]
        fresh = [(new_uuid(), was) for was in followed]
        for start in range(0, len(fresh), orders.MOST_AT_ONCE):
            orders.send(self._template, orders.Fork(fresh[start : start + orders.MOST_AT_ONCE]))

    # From the template ------------------------------------------------------------------------------------------

    def _on_order(self, order: orders.Down | None) -> None:
        match order:
            case orders.Forked(engines, inherited):
                for uuid, pid, was in engines:
                    line = self._asked_for.pop(uuid, None) or Restarts(self._config.max_restarts)
                    self._engines[uuid] = Watched(uuid, pid, was, line)
                if engines:
                    self._link.send(Started(engines))
                elif not inherited:
                    self.spawn(self._config.n, [])
            case orders.Gone():
                self._gone(order)
            case orders.Hub(pid):
                self._hub = pid
            case orders.Ending():
                self._ending = True
                self._timers.clear()
            case None:
                self._template_gone()

    def _gone(self, order: orders.Gone) -> None:
        watched = self._engines.pop(order.uuid, None)
        path = self._directory / "marks" / order.uuid
        mark = read_mark(path)
        self._number += 1
        exited = Exited(
            self._number,
            order.uuid,
            order.pid,
            order.exitcode,
            order.signum,
            order.peak_rss,
            log_tail(self._directory / "log" / f"engine-{order.uuid}.log"),
            mark.lease if mark is not None else None,
            order.at,
            mark is not None,
        )
        self._link.post(self._number, exited)
        path.unlink(missing_ok=True)
        if watched is not None and not self._ending:
            if order.signum != signal.SIGTERM:  # somebody has asked it to end: that is no failure
                self._consider_restart(watched, mark)

    def _consider_restart(self, watched: Watched, mark: Mark | None) -> None:
        if self._config.restart != "on-failure" or watched.asked or (mark is not None and mark.leaving):
            return
        pause = watched.line.pause(self._clock.monotonic())
        if pause is None:
            limit = self._config.max_restarts
            text = f"restarted {limit} times within a minute (max_restarts): it is not started again"
            self._link.send(GaveUp(watched.uuid, text))
            return
        # One that died before the hub knew it has no id yet; its successor follows whom it was to follow.
        was = mark.engine if mark is not None and mark.engine is not None else watched.was
        fresh = new_uuid()
        self._asked_for[fresh] = watched.line
        self._timers.append(
            (self._clock.monotonic() + pause, lambda: self._fork(fresh, was)),
        )

    def _fork(self, uuid: str, was: int | None) -> None:
        if not self._ending:
            orders.send(self._template, orders.Fork([(uuid, was)]))

    def _template_gone(self) -> None:
        """The connection is closed: at the end, or since the template was killed; then nothing may stay behind."""
        self._over = True
        if self._ending:
            return
        for pid in [self._hub, *(each.pid for each in self._engines.values())]:
            if pid > 0:
                try:
                    os.kill(pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass

    def _hello(self, boot: str) -> Message:
        config = self._config
        engines = [(each.uuid, each.pid) for each in self._engines.values()]
        host = socket.gethostname()
        return SupervisorHello(PROTOCOL, self._uuid, config.cluster, boot, host, os.getpid(), engines)


def log_tail(path: Path, size: int = TAIL) -> str:
    """The last lines of a log, whole ones where there is more than that."""
    try:
        with open(path, "rb") as file:
            ends = file.seek(0, os.SEEK_END)
            file.seek(max(0, ends - size))
            content = file.read(size)
    except OSError:
        return ""
    text = content.decode("utf-8", "replace")
    if ends > size and "\n" in text:
        text = text.partition("\n")[2]
    return text


def main(config_path: str, template: socket.socket) -> int:
    """Be the supervisor of a local cluster, in a process of its own; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return Supervisor(read_config(Path(config_path)), template).run()
