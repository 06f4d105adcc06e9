"""The first process of a local cluster: it has imported what the others need, and forks hub, supervisor and engines.

    python -m tuiparallel.engine.template START.JSON --hub MODULE [--detached]

It has one thread and never a 0MQ context, so a fork of it is clean. It waits for every exit and does what the
supervisor asks for; what to start again, and when, is the supervisor's to say, but for the hub and the supervisor.
Standard input is the lifeline: when it ends, the cluster ends. Standard output tells the starter what is ready.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import termios
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from tuiparallel.engine import leftovers, orders
from tuiparallel.engine.children import Child, how_ended
from tuiparallel.engine.restarts import Restarts
from tuiparallel.link import failpoints
from tuiparallel.link.clock import SystemClock
from tuiparallel.wire.config import ClusterConfig, read_config
from tuiparallel.wire.connection import write_private

HUB_AGAIN = 75  # the hub's exit code for "start me again at once"
FAILED = 70  # exit code of a child whose own code has failed
HUB_STARTS = 5  # within a minute
SUPERVISOR_STARTS = 10
LEAVE_ROOM = 0.3  # seconds that engines have to leave by themselves
HUB_ROOM = 1.0  # seconds that the hub has, beyond the grace of the engines, to end by itself
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Template:
    """All children of one cluster. run() returns when the last of them has gone."""

    def __init__(self, config_path: str, config: ClusterConfig, hub: str, lifeline: int, ready: int) -> None:
        self._path = config_path
        self._config = config
        self._directory = Path(config.directory)
        self._hub_module = hub
        self._clock = SystemClock()
        self._since = self._clock.time()
        self._children: dict[int, Child] = {}
        self._engines: dict[str, Child] = {}
        self._hub: Child | None = None
        self._supervisor: Child | None = None
        self._orders: socket.socket | None = None
        self._unsent: list[orders.Order] = []  # for a supervisor that is not there now
        self._hub_restarts = Restarts(HUB_STARTS)
        self._supervisor_restarts = Restarts(SUPERVISOR_STARTS)
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._lifeline = lifeline
        self._ready = ready
        self._hub_ready = -1  # the pipe on which the hub says that it is bound
        self._was_ready = False
        self._ending = ""
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._main: Callable[[str, str, int | None, int | None], int] | None = None

    def run(self) -> int:
        """Start everything, then serve until the cluster has ended; returns the exit code."""
        self._handle_signals()
        self._start_hub()
        if not self._ending:
            self._warm_up()
            if self._config.ip is None:  # else it is the hub that chooses the ports: first they must be known
                self._start_supervisor()
        while self._children or not self._ending:
            self._turn()
        leftovers.remove(self._config)
        return 0 if self._was_ready else 1

    # Turning ----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        poll = select.poll()
        for handle in (self._wake_reader, self._lifeline, self._hub_ready):
            if handle >= 0:
                poll.register(handle, select.POLLIN)
        if self._orders is not None:
            poll.register(self._orders, select.POLLIN)
        timeout = None
        if self._timers:
            timeout = max(0.0, min(at for at, _ in self._timers) - self._clock.monotonic())
        for handle, _ in poll.poll(None if timeout is None else int(timeout * 1000 + 0.999)):
            if handle == self._wake_reader:
                self._on_signals(os.read(self._wake_reader, 512))
            elif handle == self._lifeline:
                self._on_lifeline()
            elif handle == self._hub_ready:
                self._on_hub_ready()
            elif self._orders is not None and handle == self._orders.fileno():
                self._on_order()
        now = self._clock.monotonic()
        due = [action for at, action in self._timers if at <= now]
        self._timers = [(at, action) for at, action in self._timers if at > now]
        for action in due:
            action()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append((self._clock.monotonic() + seconds, action))

    def _handle_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for signum in (signal.SIGCHLD, *FORWARDED):
            signal.signal(signum, lambda *_: None)

    def _on_signals(self, numbers: bytes) -> None:
        for signum in FORWARDED:
            if signum in numbers:
                self.end(f"the cluster's first process got {signal.Signals(signum).name}")
        self._reap()

    def _on_lifeline(self) -> None:
        if not os.read(self._lifeline, 4096):
            os.close(self._lifeline)
            self._lifeline = -1
            self.end("its starter has ended")

    def _on_hub_ready(self) -> None:
        said = os.read(self._hub_ready, 16)
        os.close(self._hub_ready)
        self._hub_ready = -1
        if said and self._hub is not None:
            if self._config.ip is not None and not self._was_ready:
                self._start_supervisor()
            self._was_ready = True
            self._report({"event": "hub", "pid": self._hub.pid})

    def _on_order(self) -> None:
        assert self._orders is not None
        match orders.receive_up(self._orders):
            case orders.Fork(engines):
                self._fork_engines(engines)
            case orders.Kill(uuid, signum):
                if (child := self._engines.get(uuid)) is not None:
                    _kill(child.pid, signum)
            case orders.End(reason):
                self.end(reason)
            case None:
                self._orders.close()  # its exit follows
                self._orders = None

    def _report(self, event: dict[str, object]) -> None:
        if self._ready >= 0:
            try:
                os.write(self._ready, msgspec.json.encode(event) + b"\n")
            except OSError:  # the starter does not listen any more
                os.close(self._ready)
                self._ready = -1

    def _tell(self, order: orders.Order) -> None:
        if self._orders is None or not orders.send(self._orders, order):
            self._unsent.append(order)

    # Forking ----------------------------------------------------------------------------------------------------

    def _fork(self, role: str, log: str, serve: Callable[[], int]) -> int:
        """A child that ends with what serve() returns; its pid."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        code = FAILED
        try:
            self._become(log)
            code = serve()
        except SystemExit as request:
            code = request.code if isinstance(request.code, int) else 0 if request.code is None else 1
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def _become(self, log: str) -> None:
        """In a child: let go of what is the template's."""
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGCHLD, *FORWARDED):
            signal.signal(signum, signal.SIG_DFL)
        own = [self._lifeline, self._ready, self._wake_reader, self._wake_writer, self._hub_ready]
        for handle in [*own, *(engine.error_file for engine in self._engines.values())]:
            if handle >= 0:
                os.close(handle)
        if self._orders is not None:
            self._orders.close()
        handle = os.open(self._directory / "log" / log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
        self._children.clear()

    def _start_hub(self) -> None:
        try:
            main = importlib.import_module(self._hub_module).main
        except Exception as failure:
            traceback.print_exc()
            self._fail("hub", f"{type(failure).__name__}: {failure}", "template.log")
            return
        self._fork_hub(main)

    def _fork_hub(self, main: Callable[[str, int], int]) -> None:
        if self._ending:
            return
        if self._hub_ready >= 0:
            os.close(self._hub_ready)
            self._hub_ready = -1
        gc.freeze()  # a collection must not touch, and so copy, the pages the children share
        reader, writer = os.pipe2(os.O_CLOEXEC)

        def serve() -> int:
            os.close(reader)
            return main(self._path, writer)

        pid = self._fork("hub", "hub.log", serve)
        os.close(writer)
        self._hub_ready = reader
        self._hub = self._children[pid] = Child("hub", pid)
        self._tell(orders.Hub(pid))
        self._record()

    def _warm_up(self) -> None:
        """Import what engines need, once for all of them."""
        import tuiparallel.engine.supervisor
        from tuiparallel.engine.capture import memory_file
        from tuiparallel.engine.main import main

        self._main = main
        self._memory_file = memory_file
        self._supervise = tuiparallel.engine.supervisor.main
        gc.collect()
        gc.freeze()

    def _start_supervisor(self) -> None:
        if self._ending:
            return
        here, there = orders.pair()

        def serve() -> int:
            here.close()
            return self._supervise(self._path, there)

        pid = self._fork("supervisor", "supervisor.log", serve)
        there.close()
        self._orders = here
        self._supervisor = self._children[pid] = Child("supervisor", pid)
        living = [(child.uuid, child.pid, child.was) for child in self._engines.values()]
        inherited = self._was_supervised
        self._was_supervised = True
        if self._hub is not None:
            self._tell(orders.Hub(self._hub.pid))
        self._tell(orders.Forked(living, inherited))
        unsent, self._unsent = self._unsent, []
        for order in unsent:
            if not isinstance(order, orders.Hub | orders.Forked):
                self._tell(order)
        self._record()

    _was_supervised = False

    def _fork_engines(self, engines: list[tuple[str, int | None]]) -> None:
        forked: list[tuple[str, int, int | None]] = []
        for uuid, was in engines:
            if self._ending:
                break
            try:
                child = self._fork_engine(uuid, was)
            except OSError as failure:
                self._fail("engine", f"fork: {failure.strerror}", "template.log")
                self._tell(orders.Gone(uuid, 0, FAILED, None, 0, self._clock.time()))
                continue
            forked.append((uuid, child.pid, was))
        if forked:
            self._tell(orders.Forked(forked))

    def _fork_engine(self, uuid: str, was: int | None) -> Child:
        main = self._main
        assert main is not None
        error_file = self._memory_file(f"engine-{uuid}")

        def serve() -> int:
            os.setpgid(0, 0)
            from tuiparallel.engine.main import end

            end(main(self._path, uuid, was, error_file))
            return 0

        try:
            pid = self._fork("engine", f"engine-{uuid}.log", serve)
        except OSError:
            os.close(error_file)
            raise
        try:
            os.setpgid(pid, pid)  # here as well: whoever comes first
        except OSError:
            pass
        child = self._children[pid] = self._engines[uuid] = Child("engine", pid, uuid, was, error_file)
        return child

    def _record(self) -> None:
        """Write cluster.json, by which others know that this cluster runs."""
        roles = {"hub": self._hub, "supervisor": self._supervisor}
        pids = {"template": os.getpid()} | {role: child.pid for role, child in roles.items() if child is not None}
        record = {
            "name": self._config.name,
            "cluster": self._config.cluster,
            "pids": pids,
            "since": self._since,
            "n": self._config.n,
        }
        write_private(self._directory / "cluster.json", msgspec.json.encode(record) + b"\n")

    # Exits ------------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        while self._children:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if found is None:
                break
            child = self._children.get(found.si_pid)
            if child is not None and child.role == "engine":
                _kill(-child.pid, signal.SIGKILL)  # what its tasks have forked, while the number is still its own
            _, status, usage = os.wait4(found.si_pid, 0)
            if child is None:
                continue
            del self._children[child.pid]
            code = os.waitstatus_to_exitcode(status)
            if child.role == "engine":
                self._engine_ended(child, code, usage.ru_maxrss << 10)
            elif child.role == "hub":
                self._hub_ended(code)
            else:
                self._supervisor_ended(code)
        self._close_supervisor()

    def _engine_ended(self, child: Child, code: int, peak_rss: int) -> None:
        from tuiparallel.engine.capture import tail
        from tuiparallel.engine.marks import read_mark

        del self._engines[child.uuid]
        if last := tail(child.error_file):
            log = os.open(
                self._directory / "log" / f"engine-{child.uuid}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
            )
            os.write(log, last)
            os.close(log)
        os.close(child.error_file)
        mark = read_mark(self._directory / "marks" / child.uuid)
        if not self._ending and (mark is None or mark.engine is None and not mark.leaving):
            self._report_failure("engine", how_ended(code), f"engine-{child.uuid}.log")
        exitcode, signum = (code, None) if code >= 0 else (None, -code)
        self._tell(orders.Gone(child.uuid, child.pid, exitcode, signum, peak_rss, self._clock.time()))

    def _hub_ended(self, code: int) -> None:
        self._hub = None
        failpoints.spend("hub.")
        if self._ending:
            return
        if code == 0:
            self.end("the hub has ended the cluster")
        elif not self._was_ready and code != HUB_AGAIN:
            self._fail("hub", how_ended(code), "hub.log")
        else:
            pause = 0.0 if code == HUB_AGAIN else self._hub_restarts.pause(self._clock.monotonic())
            if pause is None:
                self._fail("hub", f"{how_ended(code)}, {HUB_STARTS} times within a minute", "hub.log")
                return
            print(f"the hub has ended with {how_ended(code)}; it starts again in {pause} s", file=sys.stderr)
            self._after(pause, self._start_hub)

    def _supervisor_ended(self, code: int) -> None:
        self._supervisor = None
        if self._orders is not None:
            self._orders.close()
            self._orders = None
        if self._ending:
            return
        pause = self._supervisor_restarts.pause(self._clock.monotonic())
        if pause is None:
            self._fail(
                "supervisor", f"{how_ended(code)}, {SUPERVISOR_STARTS} times within a minute", "supervisor.log"
            )
            return
        print(f"the supervisor has ended with {how_ended(code)}; it starts again in {pause} s", file=sys.stderr)
        self._after(pause, self._start_supervisor)

    def _report_failure(self, what: str, reason: str, log: str) -> None:
        path = str(self._directory / "log" / log)
        self._report({"event": "failed", "what": what, "reason": reason, "log": path})

    def _fail(self, what: str, reason: str, log: str) -> None:
        """Something cannot be started: say so, and end."""
        print(f"{what}: {reason}", file=sys.stderr)
        self._report_failure(what, reason, log)
        self.end(f"the {what} could not be started: {reason}")

    # The end ----------------------------------------------------------------------------------------------------

    def end(self, reason: str) -> None:
        """Stop every process; run() returns when the last one has gone."""
        if self._ending:
            return
        self._ending = reason
        self._timers.clear()
        print(f"the cluster ends: {reason}", file=sys.stderr)
        self._tell(orders.Ending(reason))
        grace = self._config.stop_grace
        # The hub, when it ends, has told the engines to leave; SIGTERM is for those that have not heard it.
        heard = self._was_ready
        self._signal_all("hub", signal.SIGTERM)
        self._after(min(LEAVE_ROOM, grace) if heard else 0.0, lambda: self._signal_all("engine", signal.SIGTERM))
        self._after(grace, lambda: self._signal_all("engine", signal.SIGKILL))
        self._after(grace + HUB_ROOM, lambda: self._signal_all("hub", signal.SIGKILL))
        self._after(grace + 2 * HUB_ROOM, lambda: self._signal_all("supervisor", signal.SIGKILL))
        self._close_supervisor()

    def _signal_all(self, role: str, signum: int) -> None:
        for child in self._children.values():
            if child.role == role:
                _kill(child.pid, signum)

    def _close_supervisor(self) -> None:
        """When it is the last one, there is nothing left for it to watch."""
        alone = all(child.role == "supervisor" for child in self._children.values())
        if self._ending and alone and self._orders is not None:
            self._orders.close()
            self._orders = None


def _kill(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass


def _raise_limits() -> None:
    """One descriptor per engine stays open here: use all that the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _leave_terminal() -> None:
    """Give the starter's terminal up: no task, whatever it opens, can read from it, draw on it or press its keys."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return  # there is none
    try:
        fcntl.ioctl(terminal, termios.TIOCNOTTY)
    finally:
        os.close(terminal)


def main() -> int:
    """Read the arguments and be a template."""
    parser = argparse.ArgumentParser(prog="python -m tuiparallel.engine.template")
    parser.add_argument("config")
    parser.add_argument("--hub", required=True)
    parser.add_argument("--detached", action="store_true")
    arguments = parser.parse_args()
    config = read_config(Path(arguments.config))
    _raise_limits()
    _leave_terminal()
    (Path(config.directory) / "marks").mkdir(mode=0o700, exist_ok=True)
    # Standard input and output are the starter's: put away, so that no child and no print can touch them.
    ready, lifeline = os.dup(1), os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if arguments.detached:
        os.close(lifeline)
        lifeline = -1
    sys.path[:0] = [place for place in config.sys_path if place not in sys.path]
    return Template(arguments.config, config, arguments.hub, lifeline, ready).run()


if __name__ == "__main__":
    sys.exit(main())
