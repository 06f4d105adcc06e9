"""A world without sockets for the hub's rules: clients, engines, a supervisor, a net, two clocks, a disk.

One World is one generated history: a list of steps, each with a seed of its own, so that any of them can be left out
and the rest still does what it did. What must never happen is asserted by the oracle, where it would happen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.hub.hubmodel import Disk, Hub
from tests.hub.net import LOST, AbortRequest, ClientEnd, EngineEnd, Line, Moment, Peer, Supervisor
from tests.hub.oracle import BrokenError, Oracle
from tuiparallel.hub.seats import LEAST_LOAD, SCHEMES
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import Need, Work

HEARTBEAT = 10.0  # seconds of silence after which a connection is closed
WAKE = 4.0  # seconds that the hub lets pass at the most
DAY = 86400.0

Step = tuple[str, int]  # an action and its seed

WEIGHTS = {
    "submit": 5.0,
    "deliver": 24.0,
    "work": 20.0,
    "turn": 12.0,
    "say": 2.0,
    "join": 1.0,
    "kill": 1.0,
    "close": 0.2,
    "drop": 1.5,
    "repeat": 3.0,
    "greet": 4.0,
    "resend": 4.0,
    "abort": 1.5,
    "partition": 0.7,
    "heal": 1.0,
    "restart": 0.7,
    "pass_time": 4.0,
    "jump": 0.8,
}
KINDS = (  # every history is made of these; what was generated is counted under these names
    "submit",
    "assign",
    "finish",
    "raise",
    "kill",
    "drop",
    "repeat",
    "reorder",
    "abort",
    "revoke",
    "time out",
    "restart",
    "partition",
    "clock jump",
)


def plan(seed: int, steps: int = 90) -> list[Step]:
    """The steps of the history with this number."""
    source = random.Random(seed)
    names = source.choices(list(WEIGHTS), list(WEIGHTS.values()), k=steps)
    return [(name, source.getrandbits(32)) for name in names]


class World:
    """One history. step() does one thing; finish() lets everything come to its end and has the oracle check that."""

    def __init__(self, seed: int, check: bool = True) -> None:
        self.seed, self.check = seed, check
        self.random = random.Random(seed)
        self.scheme = self.random.choice([LEAST_LOAD] * 4 + list(SCHEMES))
        self.hwm = self.random.choice([0, 0, 0, 1, 3])
        self.moment = Moment()
        self.counts: Counter[str] = self.moment.counts
        self.oracle = Oracle()
        self.disk = Disk(self.oracle)
        self.engines: dict[int, EngineEnd] = {}  # living ones, by uuid
        self.ends: dict[int, EngineEnd] = {}  # all there ever were
        self.clients = [ClientEnd(self.moment, self.oracle, session) for session in (1, 2)]
        self.supervisor = Supervisor(self.moment, self.oracle)
        self.requests = 0
        self.quiet = False  # nothing new goes wrong
        self.hub = self._hub()
        for peer in (*self.clients, self.supervisor):
            peer.greet()
        for _ in range(self.random.randint(0, 3)):
            self.join()

    def _hub(self) -> Hub:
        return Hub(self.moment, self.disk, self.ends, self.scheme, self.hwm, self.check)

    def step(self, step: Step) -> None:
        name, seed = step
        self.random.seed(seed)
        getattr(self, name)()

    # Peers ---------------------------------------------------------------------------------------------------------

    def _peers(self) -> list[Peer]:
        return [*self.clients, self.supervisor, *self.engines.values()]

    def _engine(self, **wanted: bool) -> EngineEnd | None:
        fitting = list(self.engines.values())
        return self.random.choice(fitting) if fitting else None

    def join(self) -> None:
        """A new engine says Hello."""
        if len(self.engines) < 5:
            end = EngineEnd(self.moment, self.oracle, len(self.ends))
            self.ends[end.uuid] = self.engines[end.uuid] = end
            end.greet()

    def greet(self) -> None:
        """Who has no connection, or has waited for an answer, says Hello."""
        for peer in self._peers():
            if not peer.line.live and not peer.line.parted and (peer.line.known or not peer.line.up):
                peer.greet()

    def resend(self) -> None:
        """The safety net: everything unacknowledged goes out once more."""
        waiting = [peer for peer in self._peers() if peer.line.live and len(peer.outbox)]
        if waiting:
            peer = self.random.choice(waiting)
            self.counts["repeat"] += len(peer.outbox)
            peer.resend()

    # What goes right -----------------------------------------------------------------------------------------------

    def submit(self) -> None:
        draw = self.random
        client = draw.choice(self.clients)
        count = draw.choice([1, 1, 2, 5, 20])
        first = task_id(client.session, client.next)
        balanced = draw.random() < 0.7
        places = list(self.disk.engines.values())
        targets: list[int] | None = None
        if not balanced:
            targets = [draw.choice(places) if places else 0 for _ in range(count)]
        elif places and draw.random() < 0.2:
            targets = draw.sample(places, draw.randint(1, len(places)))
        work = Work(
            0,
            draw.choice("fgh"),
            balanced,
            self.moment.wall,
            targets,
            after=self._need(client) if balanced and draw.random() < 0.25 else None,
            follow=self._need(client) if balanced and draw.random() < 0.1 else None,
            timeout=draw.choice([None, None, 0.5]),
            time_limit=draw.choice([None, None, None, 0.3]),
            retries=draw.choice([0, 0, 1, 3]),
            retry_on=draw.choice(["any", "error", "death"]),
            priority=draw.choice([0, 0, 0, 5, -5]),
        )
        some = [place for place in places if draw.random() < 0.5]
        unmet_on = frozenset(some if draw.random() < 0.15 else ())
        for id in range(first, first + count):
            if draw.random() < (0.3 if work.time_limit else 0.01):
                self.moment.stubborn.add(id)
        if draw.random() < 0.2:
            self.moment.doomed.update(range(first, first + count))
        self.oracle.submits(first, count, work, unmet_on)
        client.submit(first, count, work)
        self.counts["submit"] += count

    def _need(self, client: ClientEnd) -> Need | None:
        """Tasks that are on record, or this client's own: those the hub knows when the submission arrives."""
        known = [id for id in self.oracle.work if id in self.oracle.received or client.waits.get(id, 1) is None]
        if not known:
            return None
        ids = self.random.sample(known, min(len(known), self.random.randint(1, 3)))
        success = self.random.random() < 0.9
        return Need(
            [("s", id, 1) for id in ids],
            self.random.random() < 0.7,
            success,
            not success or self.random.random() < 0.3,
        )

    def deliver(self) -> None:
        """Messages of one or two connections arrive."""
        for _ in range(2):
            peer = self.random.choice(self._peers())
            self._arrive_up(peer, self.random.randint(0, 4))
            self._arrive_down(peer, self.random.randint(0, 4))

    def _arrive_up(self, peer: Peer, count: int) -> None:
        line = peer.line
        while count and line.up and not line.parted_up:
            count -= 1
            sent = line.up[0][0]
            if any(other.up and other.up[0][0] < sent for other in self._lines()):
                self.counts["reorder"] += 1
            message = line.take_up()
            if message is not None:
                self._read(peer, message)

    def _lines(self) -> Iterable[Line]:
        yield from (client.line for client in self.clients)
        yield self.supervisor.line
        yield from (end.line for end in self.engines.values())

    def _read(self, peer: Peer, message: object) -> None:
        match peer:
            case ClientEnd():
                self.hub.from_client(peer, message)
            case EngineEnd():
                self.hub.from_engine(peer, message)
            case Supervisor():
                self.hub.from_supervisor(peer, message)

    def _arrive_down(self, peer: Peer, count: int) -> None:
        line = peer.line
        while count and line.down and not line.parted_down:
            count -= 1
            message = line.take_down()
            if message is not None:
                peer.hear(message)

    def work(self) -> None:
        """Engines start, finish, fail."""
        for end in list(self.engines.values()):
            for _ in range(self.random.randint(0, 3)):
                if end.queue.running is None:
                    end.start()
                elif end.queue.running[0] not in self.moment.stubborn:
                    end.end(self.random.random() < 0.8)

    def say(self) -> None:
        """Engines say what they have been running for a while."""
        for end in self.engines.values():
            end.say_what_runs()

    def turn(self) -> None:
        self.hub.turn()
        kills, self.supervisor.kills = self.supervisor.kills, []
        for uuid in kills:
            self._kill(self.ends[uuid], replace=True)

    def pass_time(self) -> None:
        """A while in which nothing else happens; the hub wakes up for its probes and its own deadlines."""
        seconds = self.random.choice([0.001, 0.001, 0.02, 0.02, 0.3, 0.3, 6.0, 40.0])
        while seconds > 0:
            self._tick(min(seconds, WAKE))
            if seconds >= WAKE:
                self.turn()
            seconds -= WAKE

    def _tick(self, seconds: float) -> None:
        self.moment.now += seconds
        self.moment.wall += seconds
        for peer in self._peers():
            if peer.line.parted and self.moment.now - peer.line.parted_at > HEARTBEAT:
                peer.line.void()

    # What goes wrong -----------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """An engine is killed; mostly its supervisor says so."""
        end = self._engine()
        if end is not None:
            self._kill(end)

    def _kill(self, end: EngineEnd, replace: bool = False) -> None:
        if not end.alive:
            return
        self.counts["kill"] += 1
        end.alive = False
        del self.engines[end.uuid]
        end.line.live = False
        end.line.down.clear()
        while end.line.up and not end.line.parted_up:  # what it had sent is read before it is judged
            message = end.line.take_up()
            if message is not None:
                self._read(end, message)
        end.line.void()
        if replace or self.random.random() < 0.9:
            exact = self.random.random() < 0.7
            self.supervisor.report(end.uuid, end.mark if exact else None, exact)
        if replace:
            self.join()

    def close(self) -> None:
        """An engine is asked to leave, and is killed."""
        end = self._engine()
        if end is not None and len(self.engines) > 1 and self.hub.ids.get(end.uuid) in self.hub.engines:
            self.hub.close(self.hub.ids[end.uuid])
            self._kill(end)

    def drop(self) -> None:
        """A message is lost."""
        ways = [way for line in self._lines() for way in (line.up, line.down) if way]
        if ways:
            way = self.random.choice(ways)
            at = self.random.randrange(len(way))
            way[at] = (way[at][0], LOST)
            self.counts["drop"] += 1

    def repeat(self) -> None:
        """A message that arrived arrives again."""
        for _ in range(2):
            self._repeat(self.random.choice(self._peers()))

    def _repeat(self, peer: Peer) -> None:
        line = peer.line
        if line.known and line.past_up:
            copy = self.random.choice(line.past_up)
            if type(copy).__name__ != "Hail":
                self._read(peer, copy)
                self.counts["repeat"] += 1
        if line.live and line.past_down:
            copy = self.random.choice(line.past_down)
            if type(copy).__name__ not in ("EngineWelcome", "Greeting"):
                peer.hear(copy)
                self.counts["repeat"] += 1

    def partition(self) -> None:
        """Somebody and the hub are apart: both ways, or one."""
        line = self.random.choice(self._peers()).line
        line.parted_up, line.parted_down = self.random.choice([(True, True), (True, False), (False, True)])
        line.parted_at = self.moment.now
        self.counts["partition"] += 1

    def heal(self) -> None:
        for line in self._lines():
            line.parted_up = line.parted_down = False

    def abort(self) -> None:
        client = self.random.choice(self.clients)
        left = list(client.waits)
        if left:
            ids = self.random.sample(left, min(len(left), self.random.randint(1, 6)))
            self._ask_abort(client, ids, self.random.random() < 0.5)

    def _ask_abort(self, client: ClientEnd, ids: Sequence[int], running: bool) -> None:
        self.requests += 1
        self.counts["abort"] += len(ids)
        client.ask_abort(AbortRequest(self.requests, ids, running))

    def restart(self) -> None:
        """The hub is killed, between two turns, within one, or between recording and sending, and begins anew."""
        self.counts["restart"] += 1
        if self.random.random() < 0.4:
            self.hub.turn(unsent=True)
        for peer in self._peers():
            peer.line.void()
        self.oracle.hub_killed()
        self.hub = self._hub()
        self.greet()

    def jump(self) -> None:
        """Clocks do what they do: the date is set, the machine sleeps, the hub alone is stopped."""
        self.counts["clock jump"] += 1
        kind = self.random.choice(["date", "date", "sleep", "stop"])
        if kind == "date":
            self.moment.wall += self.random.choice([-DAY, -60.0, 60.0, DAY])
        elif kind == "sleep":  # the monotonic clock does not count it
            self.moment.wall += 3600.0
        else:
            self.moment.now += 60.0
            self.moment.wall += 60.0
            self.work()

    # The end -------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Everybody is reachable again and works on; then every task has ended, once, and its client knows."""
        self.random.seed(self.seed)
        self.heal()
        self.join()
        for count in range(3000):
            self._round(count)
            if not any(client.waits or client.aborts for client in self.clients):
                break
        self.oracle.check_end()
        left = [request for client in self.clients for request in client.aborts]
        if left:
            raise BrokenError(f"P1: {len(left)} aborts were never answered")
        if self.hub.rules.tasks or len(self.hub.rules.lanes) or self.hub.rules.waiting:
            raise BrokenError("P1: something is left in the rules")

    def _free_engines(self, count: int) -> None:
        """Somebody looks after engines that will never end what was given up long ago, when tasks wait for just these."""
        left = [self.oracle.work[id] for client in self.clients for id in client.waits]
        if count > 150 and any(not work.balanced or work.targets or work.follow for work in left):
            for end in list(self.engines.values()):
                if end.queue.running is not None and end.queue.running[0] in self.moment.stubborn:
                    self._kill(end)

    def _round(self, count: int) -> None:
        if not self.engines:
            self.join()
        before = self.moment.stamps
        self._exchange()
        for end in list(self.engines.values()):
            self._work_off(end)
        idle = self.moment.stamps == before
        if idle:
            self._stir(count)
        self._tick(0.5 if idle else 0.02)

    def _exchange(self) -> None:
        """Everybody's messages, up and down."""
        for peer in self._peers():
            if not peer.line.live and not peer.line.up:
                peer.greet()
            self._arrive_up(peer, 1000)
        self.turn()
        for peer in self._peers():
            self._arrive_down(peer, 1000)

    def _work_off(self, end: EngineEnd) -> None:
        for _ in range(60):
            running = end.queue.running
            if running is not None and running[0] in self.moment.stubborn:
                return
            if running is not None:
                end.end(True)
            elif not end.start():
                return

    def _stir(self, count: int) -> None:
        """Nothing has happened: what patience and people do then."""
        self.say()
        self._free_engines(count)
        for peer in self._peers():
            if peer.line.live:
                peer.resend()
            else:
                peer.greet()
        for client in self.clients:  # what nothing else would ever end
            endless = [
                id for id in client.waits if id in self.moment.stubborn and not self.oracle.work[id].time_limit
            ]
            if endless and not client.aborts:
                self._ask_abort(client, endless, True)
