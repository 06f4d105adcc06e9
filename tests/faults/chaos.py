"""Clients that work, and what is done to the cluster meanwhile."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import deque
from collections.abc import Callable

from tests.conftest import wait_until
from tests.faults.ledger import Ledger
from tests.faults.tasks import pause
from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.link.clock import Deadline, SystemClock

PATIENCE = 60.0  # seconds until a task that has not ended is hung
WINDOW = 500  # tasks that a client has open


class Load:
    """Clients that submit tasks in all ways, balanced and direct, alone and as maps, and wait for them.

    seconds: how long a task takes. Each client is a thread with a connection of its own.
    """

    def __init__(
        self,
        cluster: Cluster,
        ledger: Ledger,
        *,
        clients: int,
        tasks: int,
        seconds: float,
        seed: int,
        retries: int = 0,
    ) -> None:
        self._ledger, self._seconds, self._retries = ledger, seconds, retries
        self._failures: list[BaseException] = []
        self.clients = [cluster.connect(hub_timeout=PATIENCE) for _ in range(clients)]
        self._threads = [
            threading.Thread(target=self._serve, args=(client, tasks // clients, random.Random(f"{seed} {number}")))
            for number, client in enumerate(self.clients)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait until all tasks have ended, and close the clients. Raises what a client raised."""
        for thread in self._threads:
            thread.join(3 * PATIENCE)
            assert not thread.is_alive(), "a client hangs"
        for client in self.clients:
            client.close()
        if self._failures:
            raise self._failures[0]

    def _serve(self, client: Client, tasks: int, rng: random.Random) -> None:
        try:
            self._work(client, tasks, rng)
        except BaseException as failure:
            self._failures.append(failure)

    def _work(self, client: Client, tasks: int, rng: random.Random) -> None:
        view = client.load_balanced_view(retries=self._retries)
        waiting: deque[tuple[int, AsyncResult]] = deque()
        while tasks:
            count = min(tasks, rng.randrange(1, 100))
            kind = rng.random()
            if kind < 0.3:
                waiting += self._ledger.map(view, count, self._seconds)
            elif kind < 0.5:
                direct = client[rng.choice(client.ids)]
                waiting += [self._ledger.submit(direct, self._seconds) for _ in range(count)]
            else:
                waiting += [self._ledger.submit(view, self._seconds) for _ in range(count)]
            tasks -= count
            if len(waiting) > WINDOW:
                self._ledger.collect([waiting.popleft() for _ in range(len(waiting) - WINDOW)], PATIENCE)
        self._ledger.collect(waiting, PATIENCE)


def kill_hub(cluster: Cluster) -> float:
    """Kill the hub; returns the moment, by the monotonic clock."""
    os.kill(cluster.pids["hub"], signal.SIGKILL)
    return SystemClock.monotonic()


def new_hub(cluster: Cluster, old: int) -> int:
    """The pid of the hub that followed, as soon as there is one."""
    wait_until(lambda: cluster.pids.get("hub", old) != old, PATIENCE, "a new hub")
    return cluster.pids["hub"]


def kill_hub_often(
    cluster: Cluster, ledger: Ledger, probe: Client, kills: int, rng: random.Random, running: Callable[[], bool]
) -> tuple[int, list[float]]:
    """Kill the hub at random moments, sometimes one that is just coming back, while something is running.

    Returns how many died, and for each the seconds from its kill to the end of a call that was submitted just then
    (of kills in close succession: from the last one).
    """
    done, recoveries = 0, []
    while done < kills and running():
        pause(rng.uniform(0.05, 0.8))
        hub = cluster.pids["hub"]
        at = kill_hub(cluster)
        done += 1
        answer = ledger.submit(probe[rng.choice(probe.ids)])
        follower = new_hub(cluster, hub)
        while done < kills and rng.random() < 0.2:
            pause(rng.uniform(0.0, 0.3))
            at = kill_hub(cluster)
            done += 1
            follower = new_hub(cluster, follower)
        ledger.collect([answer], PATIENCE)
        recoveries.append(SystemClock.monotonic() - at)
    return done, recoveries


def wait_process_state(pid: int, letters: str, timeout: float = PATIENCE) -> None:
    """Return when the kernel says one of these letters of the process."""

    def state() -> bool:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in letters

    wait_until(state, timeout, f"process {pid} in state {letters}")


def hold(seconds: float, condition: Callable[[], object]) -> None:
    """Assert that a condition stays true for so long."""
    deadline = Deadline(SystemClock(), seconds)
    while not deadline.passed():
        assert condition()
        pause(0.02)
