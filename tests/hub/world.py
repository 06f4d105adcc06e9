"""A world without sockets for the hub's rules: engines that obey the lease rules, links that lose and repeat, a disk.

One World is one generated history. Everything random comes from its seed; what must never happen is asserted where it
would happen.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field

from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.events import (
    AbortAsked,
    AbortSettled,
    AttemptEnded,
    Death,
    DropLeases,
    Effect,
    EngineBack,
    EngineClosing,
    EngineJoined,
    EngineLost,
    Event,
    InterruptTask,
    LeasesGivenBack,
    LeasesReturned,
    ReplaceEngine,
    RevokeTasks,
    RunTasks,
    TaskBegan,
    TaskEnded,
    TasksRan,
    TasksSubmitted,
)
from tuiparallel.hub.scheduler import Scheduler
from tuiparallel.hub.task import Batch, Task
from tuiparallel.wire.ids import TaskId, task_id
from tuiparallel.wire.messages import ErrorText, Extras, Lease, Need, Ran, Work
from tuiparallel.wire.states import State

Key = tuple[int, int]  # task, lease


@dataclass
class EngineModel:
    """An engine as RELIABILITY wants it: refuses a lease it has seen, keeps results until they are kept."""

    id: int
    queue: deque[Key] = field(default_factory=deque)
    seen: set[Key] = field(default_factory=set)
    running: Key | None = None
    mark: Key | None = None
    results: dict[int, list[Ran]] = field(default_factory=dict)  # unkept, by number
    returned: dict[int, tuple[list[Key], list[Key]]] = field(default_factory=dict)
    next_number: int = 0
    connected: bool = True
    alive: bool = True
    to_hub: deque[tuple[str, int]] = field(default_factory=deque)
    to_engine: deque[Effect] = field(default_factory=deque)

    def give_back(self, asked: list[Key]) -> None:
        given = [key for key in asked if key in self.queue]
        for key in given:
            self.queue.remove(key)
        refused = [key for key in asked if key not in given and key == self.running]
        number = self.next_number
        self.next_number += 1
        self.returned[number] = (given, refused)
        self.to_hub.append(("returned", number))

    def leases(self) -> list[Lease]:
        keys = list(self.queue)
        keys += [self.running] if self.running else []
        keys += [(ran.task, ran.lease) for part in self.results.values() for ran in part]
        keys += [key for given, _ in self.returned.values() for key in given]
        return [Lease(*key) for key in keys]


class World:
    """One history. step() does one random thing; finish() lets everything come to its end and checks that it did."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.now = 1000.0
        self.scheduler = Scheduler()
        self.engines: dict[int, EngineModel] = {}
        self.next_engine = 0
        self.counter = 0
        self.batches: dict[int, Batch] = {}  # on disk
        self.batch_of: dict[int, Batch] = {}
        self.leases: list[tuple[int, int, list[int]]] = []  # on disk
        self.attempts: dict[int, int] = {}  # on disk
        self.outcomes: dict[int, State] = {}  # on disk
        self.starts: Counter[int] = Counter()
        self.lease_starts: Counter[Key] = Counter()
        self.unmet: Counter[int] = Counter()
        self.doubtful: set[int] = set()  # tasks whose engine was given up while it may have lived
        self.tickets: set[int] = set()
        self.next_ticket = 1
        for _ in range(self.random.randint(0, 3)):
            self.join()

    # The hub's side ------------------------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        self.carry_out(self.scheduler.handle(event, self.now, self.now))

    def settle(self) -> None:
        self.carry_out(self.scheduler.settle(self.now, self.now))
        self.scheduler.check()

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case TaskEnded(task, state, _):
                    assert task.id not in self.outcomes, f"{task} ended twice"
                    self.outcomes[task.id] = state
                case RunTasks(engine, tasks, again):
                    if not again:
                        self.leases.append((tasks[0].lease, engine, [task.id for task in tasks]))
                    self._to(engine, effect)
                case RevokeTasks(engine, _):
                    self._to(engine, effect)
                case InterruptTask(engine, _):
                    self._to(engine, effect)
                case LeasesGivenBack(tasks, lease):
                    self.leases.append((lease, -1, [task.id for task in tasks]))
                case AttemptEnded(task, attempt, _, _, _, outcome):
                    if outcome != "unmet":
                        self.attempts[task.id] = attempt
                case ReplaceEngine(engine, _):
                    if engine in self.engines:
                        self.kill(self.engines[engine])
                case AbortSettled(ticket):
                    self.tickets.remove(ticket)
                case DropLeases():
                    pass

    def _to(self, engine: int, effect: Effect) -> None:
        model = self.engines.get(engine)
        if model is not None and model.connected:
            # What the engine gets is what the tasks were when it left, not what they have become.
            if isinstance(effect, (RunTasks, RevokeTasks)):
                copy = [_copy(task) for task in effect.tasks]
                effect = RunTasks(engine, copy) if isinstance(effect, RunTasks) else RevokeTasks(engine, copy)
            model.to_engine.append(effect)

    # What happens --------------------------------------------------------------------------------------------------

    def step(self) -> None:
        actions = [
            (self.submit, 4),
            (self.deliver, 10),
            (self.run, 10),
            (self.join, 1),
            (self.die, 1),
            (self.cut, 1),
            (self.give_up, 0.4),
            (self.abort, 1),
            (self.begin, 1),
            (self.pass_time, 3),
            (self.restart, 0.4),
            (self.close, 0.2),
        ]
        chosen = self.random.choices([action for action, _ in actions], [weight for _, weight in actions])[0]
        chosen()
        if self.random.random() < 0.7:
            self.settle()

    def submit(self) -> None:
        random = self.random
        count = random.choice([1, 1, 2, 5, 20])
        first = task_id(random.choice([1, 2]), self.counter)
        self.counter += count
        balanced = random.random() < 0.7
        targets: list[int] | None = None
        alive = list(self.scheduler.seats)
        if not balanced:
            targets = [random.choice(alive) if alive else 0 for _ in range(count)]
        elif alive and random.random() < 0.2:
            targets = random.sample(alive, random.randint(1, len(alive)))
        need = self._need() if balanced and self.batch_of and random.random() < 0.3 else None
        follow = self._need() if balanced and self.batch_of and random.random() < 0.1 else None
        work = Work(
            0,
            random.choice("fgh"),
            balanced,
            self.now,
            targets,
            after=need,
            follow=follow,
            timeout=random.choice([None, None, 0.5]),
            time_limit=random.choice([None, None, None, 0.3]),
            retries=random.choice([0, 0, 1, 3]),
            retry_on=random.choice(["any", "error", "death"]),
            priority=random.choice([0, 0, 0, 5, -5]),
        )
        batch = Batch(first, count, work, b"f", b"code", [b"x"])
        self.batches[first] = batch
        for id in range(first, first + count):
            self.batch_of[id] = batch
        self.tell(self._submitted(batch))

    def _need(self) -> Need:
        ids = self.random.sample(list(self.batch_of), min(len(self.batch_of), self.random.randint(1, 3)))
        success = self.random.random() < 0.9
        return Need(
            [("s", id, 1) for id in ids],
            self.random.random() < 0.7,
            success,
            not success or self.random.random() < 0.3,
        )

    def _submitted(self, batch: Batch) -> TasksSubmitted:
        needs = []
        ended: dict[TaskId, Fact] = {}
        for need, follow in ((batch.work.after, False), (batch.work.follow, True)):
            if need is None:
                continue
            ids = [TaskId(id) for _, id, _ in need.tasks]
            needs.append((need, follow, ids))
            ended.update({id: Fact(self.outcomes[id] is State.DONE, 0) for id in ids if id in self.outcomes})
        return TasksSubmitted(batch, needs, ended)

    def join(self) -> None:
        model = EngineModel(self.next_engine)
        self.next_engine += 1
        self.engines[model.id] = model
        self.tell(EngineJoined(model.id))

    def _some(self, **wanted: bool) -> EngineModel | None:
        fitting = [
            model
            for model in self.engines.values()
            if all(getattr(model, key) == value for key, value in wanted.items())
        ]
        return self.random.choice(fitting) if fitting else None

    def deliver(self) -> None:
        """Move messages of one engine, in both directions."""
        model = self._some(connected=True)
        if model is None:
            return
        if model.alive:
            for _ in range(min(len(model.to_engine), self.random.randint(1, 4))):
                self._arrive(model, model.to_engine.popleft())
        for _ in range(min(len(model.to_hub), self.random.randint(1, 4))):
            self._hear(model, *model.to_hub.popleft())

    def _arrive(self, model: EngineModel, effect: Effect) -> None:
        match effect:
            case RunTasks(_, tasks):
                for task in tasks:
                    key = (task.id, task.lease)
                    if key not in model.seen:
                        model.seen.add(key)
                        model.queue.append(key)
            case RevokeTasks(_, tasks):
                model.give_back([(task.id, task.lease) for task in tasks])
            case InterruptTask(_, id):
                if model.running is not None and model.running[0] == id and self.random.random() < 0.7:
                    self._end_running(model, ok=False)

    def _hear(self, model: EngineModel, kind: str, number: int) -> None:
        if kind == "results" and number in model.results:
            self.tell(TasksRan(model.id, model.results[number]))
            if self.random.random() < 0.9:  # the acknowledgement may be lost, then it comes again
                del model.results[number]
        elif kind == "returned" and number in model.returned:
            given, refused = model.returned[number]
            event = LeasesReturned(model.id, [Lease(*key) for key in given], [Lease(*key) for key in refused])
            self.tell(event)
            if self.random.random() < 0.9:
                del model.returned[number]

    def run(self) -> None:
        model = self._some(alive=True)
        if model is None:
            return
        if model.running is not None:
            self._end_running(model, ok=self.random.random() < 0.8)
        elif model.queue:
            key = model.queue.popleft()
            model.mark = model.running = key
            self.starts[key[0]] += 1
            self.lease_starts[key] += 1
            assert self.lease_starts[key] == 1, f"lease {key} started twice"
            assert key[0] in self.batch_of

    def _end_running(self, model: EngineModel, ok: bool) -> None:
        assert model.running is not None
        id, lease = model.running
        model.running = None
        name = self.random.choice(["ValueError", "UnmetDependency"])
        if not ok and name == "UnmetDependency":
            self.unmet[id] += 1
        extras = None if ok else Extras(error=ErrorText(name, "", ""))
        number = model.next_number
        model.next_number += 1
        model.results[number] = [Ran(id, lease, ok, self.now, self.now + 0.001, b"", extras)]
        model.to_hub.append(("results", number))

    def begin(self) -> None:
        model = self._some(alive=True, connected=True)
        if model is not None and model.running is not None:
            self.tell(TaskBegan(model.id, *model.running, self.now))

    def die(self) -> None:
        """An engine is killed; its supervisor says so, and the hub has read what it sent."""
        model = self._some(alive=True)
        if model is not None:
            self.kill(model)

    def kill(self, model: EngineModel) -> None:
        if not model.alive:
            return
        model.alive = False
        while model.connected and model.to_hub:
            self._hear(model, *model.to_hub.popleft())
        del self.engines[model.id]
        exact = self.random.random() < 0.7
        mark = Lease(*model.mark) if model.mark is not None else None
        if model.id in self.scheduler.seats:
            self.tell(EngineLost(model.id, Death("killed"), mark, exact))

    def give_up(self) -> None:
        """The hub gives up an engine that lives on behind a partition."""
        model = self._some(alive=True)
        if model is None or model.id not in self.scheduler.seats:
            return
        model.connected = False
        model.to_hub.clear()
        model.to_engine.clear()
        self.doubtful.update(self.scheduler.seats[model.id].held)
        self.tell(EngineLost(model.id, Death("silent"), None, False))

    def cut(self) -> None:
        """A connection breaks, what was under way is lost, and it comes back with Hello."""
        model = self._some(alive=True)
        if model is None:
            return
        model.to_hub.clear()
        model.to_engine.clear()
        model.connected = self.random.random() < 0.6
        if model.connected:
            self.hello(model)

    def hello(self, model: EngineModel) -> None:
        model.connected = True
        if model.id not in self.scheduler.seats:  # it was given up: it is new again, and what it had is decided
            model.queue.clear()
            model.results.clear()
            model.returned.clear()
            self.tell(EngineJoined(model.id))
        self.scheduler.welcome_back(model.id)
        effects = self.scheduler.handle(EngineBack(model.id, model.leases()), self.now, self.now)
        for effect in effects:
            if isinstance(effect, DropLeases):
                dropped = {(lease.task, lease.lease) for lease in effect.leases}
                model.queue = deque(key for key in model.queue if key not in dropped)
        self.carry_out(effects)
        model.to_hub.extend(("results", number) for number in model.results)
        model.to_hub.extend(("returned", number) for number in model.returned)

    def abort(self) -> None:
        open_tasks = list(self.scheduler.tasks)
        if not open_tasks:
            return
        chosen = self.random.sample(open_tasks, min(len(open_tasks), self.random.randint(1, 6)))
        ticket = self.next_ticket
        self.next_ticket += 1
        self.tickets.add(ticket)
        running = self.random.random() < 0.5
        self.tell(AbortAsked(ticket, [TaskId(id) for id in chosen], running, 0.2))

    def pass_time(self) -> None:
        self.now += self.random.choice([0.001, 0.02, 0.3, 6.0])

    def close(self) -> None:
        model = self._some(alive=True)
        if model is not None and model.id in self.scheduler.seats and len(self.engines) > 1:
            self.tell(EngineClosing(model.id))
            self.kill(model)

    def restart(self) -> None:
        """The hub is killed: what is on disk remains, and every engine has to say Hello again."""
        late = self.scheduler
        self.scheduler = Scheduler()
        self.tickets.clear()
        for model in self.engines.values():
            model.to_hub.clear()
            model.to_engine.clear()
            model.connected = False
        self.scheduler.next_lease = max([late.next_lease, *(lease + 1 for lease, _, _ in self.leases)])
        for engine in late.seats:
            self.scheduler.restore_engine(engine, self.now)
        places = {
            id: (engine, lease, place) for lease, engine, ids in sorted(self.leases) for place, id in enumerate(ids)
        }
        effects: list[Effect] = []
        leased: list[tuple[int, int, int, Task]] = []
        waiting: list[tuple[Batch, list[Task]]] = []
        for batch in self.batches.values():
            open_ids = [id for id in range(batch.first, batch.first + batch.count) if id not in self.outcomes]
            batch.open = len(open_ids)
            queued = []
            for id in open_ids:
                task = Task(TaskId(id), batch)
                task.attempt = self.attempts.get(id, 0) + 1
                engine, lease, place = places.get(id, (-1, 0, 0))
                if engine in self.scheduler.seats:
                    leased.append((engine, lease, place, task))
                else:
                    task.lease = lease
                    queued.append(task)
            if queued:
                waiting.append((batch, queued))
        for engine, lease, _, task in sorted(leased, key=lambda one: one[:3]):
            self.scheduler.restore_lease(task, engine, lease)
        for batch, queued in waiting:
            effects += self.scheduler.restore_queued(self._submitted(batch), queued, self.now, self.now)
        self.carry_out(effects)
        for engine in list(self.scheduler.seats):
            # Engines that died with the hub, or were given up before, are not heard of again.
            if engine not in self.engines:
                self.tell(EngineLost(engine, Death("silent"), None, False))

    # The end -------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Everybody is reachable again and works on; then every task has ended, once."""
        self.join()
        for _ in range(20_000):
            for model in list(self.engines.values()):
                if not model.connected:
                    self.hello(model)
                while model.to_engine:
                    self._arrive(model, model.to_engine.popleft())
                if model.running is None and not model.queue and not model.to_hub:
                    model.to_hub.extend(("results", number) for number in model.results)
                    model.to_hub.extend(("returned", number) for number in model.returned)
                while model.to_hub:
                    self._hear(model, *model.to_hub.popleft())
                self._work(model)
            self.now += 0.02
            self.settle()
            if not self.scheduler.tasks:
                break
        self._check_end()

    def _work(self, model: EngineModel) -> None:
        for _ in range(50):
            if model.running is not None:
                self._end_running(model, ok=True)
            elif model.queue:
                key = model.queue.popleft()
                model.mark = model.running = key
                self.starts[key[0]] += 1
                self.lease_starts[key] += 1
                assert self.lease_starts[key] == 1, f"lease {key} started twice"
            else:
                break

    def _check_end(self) -> None:
        left = [task for task in self.scheduler.tasks.values()]
        assert not left, f"never ended: {left[:3]}"
        assert set(self.outcomes) == set(self.batch_of), "outcomes for other tasks than were submitted"
        assert not self.tickets, "an abort was never answered"
        assert len(self.scheduler.lanes) == 0 and self.scheduler.waiting == 0
        for id, starts in self.starts.items():
            work = self.batch_of[id].work
            allowed = (work.retries if work.balanced else 0) + 1 + (self.unmet[id] if work.balanced else 0)
            assert id in self.doubtful or starts <= allowed, f"task {id} started {starts} times, not {allowed}"


def _copy(task: Task) -> Task:
    copy = Task(task.id, task.batch)
    copy.lease = task.lease
    return copy


def run_history(seed: int, steps: int = 60) -> World:
    """One whole history; raises AssertionError with its seed when a promise is broken."""
    world = World(seed)
    try:
        for _ in range(steps):
            world.step()
        world.finish()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return world
