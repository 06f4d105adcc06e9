"""The engines of a cluster from its owner's side: more, fewer, signals, restarts, by set or one by one."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuiparallel.errors import NoSuchEngine, StartError
from tuiparallel.link.clock import Deadline, SystemClock

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


class EngineSets(ABC):
    """What Cluster can do to its engines. A set is what one start_engines call has added; None means all engines."""

    _patience = 60.0  # seconds new engines may take

    def __init__(self) -> None:
        self._sets: dict[str, list[int]] = {}
        self._control: Client | None = None

    @property
    @abstractmethod
    def n(self) -> int:
        """The number of engines that were asked for."""

    @abstractmethod
    def connect_client_sync(self, **options: Any) -> Client:
        """A new Client of this cluster."""

    def _hub(self) -> Client:
        """A Client of our own for requests, kept until the cluster stops."""
        if self._control is None:
            self._control = self.connect_client_sync()
        return self._control

    def _close_control(self) -> None:
        control, self._control = self._control, None
        self._sets.clear()
        if control is not None:
            control.close()

    def _targets(self, engine_set_id: str | None) -> list[int]:
        alive = self._hub().ids
        if engine_set_id is None:
            return alive
        try:
            members = self._sets[engine_set_id]
        except KeyError:
            known = ", ".join(map(repr, self._sets)) or "none"
            raise NoSuchEngine(f"there is no set of engines {engine_set_id!r}; known are {known}") from None
        return [engine for engine in members if engine in alive]

    def start_engines_sync(self, n: int | None = None) -> str:
        """Start more engines and wait for them.

        n: how many, an int >= 0; None: as many as the cluster was made for.
        Returns the id of the new set of engines, a str.
        Raises TimeoutError when they do not come within 60 seconds, ClusterNotFound, TypeError and ValueError for n.
        """
        hub = self._hub()
        before = hub.ids
        count = self.n if n is None else _count(n)
        self._ask_for(hub, len(before) + count)
        hub.wait_for_engines(len(before) + count, timeout=self._patience)
        key = str(len(self._sets))
        self._sets[key] = [engine for engine in hub.ids if engine not in before]
        return key

    def _ask_for(self, hub: Client, total: int) -> None:
        """Bring the number of engines to total; right after the start the supervisor may not have come yet."""
        deadline = Deadline(SystemClock(), self._patience)
        pause = threading.Event()
        while True:
            try:
                hub.scale(total, block=True)
                return
            except StartError:
                if deadline.passed():
                    raise
                pause.wait(0.02)

    def scale(self, n: int) -> list[int]:
        """Bring the number of engines to n.

        More are waited for; fewer: idle ones end first, others when their task has ended. n: an int >= 0.
        Returns the list of the ids that are there then.
        Raises TimeoutError when new ones do not come within 60 seconds, ClusterNotFound, TypeError and ValueError for
        n.
        """
        hub = self._hub()
        self._ask_for(hub, _count(n))
        if len(hub.ids) < n:
            hub.wait_for_engines(n, timeout=self._patience)
        return hub.ids

    def stop_engines_sync(self, engine_set_id: str | None = None) -> None:
        """End engines; their running tasks end as EngineError.

        engine_set_id: what start_engines returned; None: all.
        Returns None.
        Raises NoSuchEngine for an unknown set, ClusterNotFound.
        """
        self._shut(self._targets(engine_set_id))

    def stop_engine_sync(self, id: int) -> None:
        """End one engine; its running task ends as EngineError.

        id: an engine's, an int.
        Returns None.
        Raises NoSuchEngine, ClusterNotFound.
        """
        self._shut([id])

    def _shut(self, targets: Sequence[int]) -> None:
        if targets:
            self._hub().shutdown(targets=list(targets), block=True)

    def restart_engines_sync(self, engine_set_id: str | None = None) -> dict[int, int]:
        """Replace engines by new ones; their running tasks end as EngineError.

        engine_set_id: what start_engines returned; None: all.
        Returns {old id: new id}.
        Raises NoSuchEngine for an unknown set, ClusterNotFound, StartError.
        """
        return self._restart(self._targets(engine_set_id))

    def restart_engine_sync(self, id: int) -> int:
        """Replace one engine; its running task ends as EngineError.

        id: an engine's, an int.
        Returns the id of the new one.
        Raises NoSuchEngine, ClusterNotFound, StartError.
        """
        return self._restart([id])[id]

    def _restart(self, targets: Sequence[int]) -> dict[int, int]:
        if not targets:
            return {}
        hub = self._hub()
        before = len(hub.ids)
        renamed: dict[int, int] = hub.restart_engines(targets=list(targets), block=True)
        hub.wait_for_engines(before, timeout=self._patience)
        for key, members in self._sets.items():
            self._sets[key] = [renamed.get(engine, engine) for engine in members]
        return renamed

    def signal_engines_sync(self, signum: int | str, engine_set_id: str | None = None) -> None:
        """Send a signal to the processes of engines.

        signum: a number, or a name as 'SIGINT'. engine_set_id: what start_engines returned; None: all.
        Returns None.
        Raises ValueError for an unknown signal, NoSuchEngine for an unknown set, ClusterNotFound.
        """
        targets = self._targets(engine_set_id)
        if targets:
            self._hub().send_signal(signum, targets=targets, block=True)

    def signal_engine_sync(self, signum: int | str, id: int) -> None:
        """Send a signal to the process of one engine.

        signum: a number, or a name as 'SIGINT'. id: an engine's, an int.
        Returns None.
        Raises ValueError for an unknown signal, NoSuchEngine, ClusterNotFound.
        """
        self._hub().send_signal(signum, targets=[id], block=True)

    async def start_engines(self, n: int | None = None) -> str:
        """Coroutine of start_engines_sync. n: as there.
        Returns the id of the new set.
        Raises TimeoutError, ClusterNotFound, TypeError, ValueError.
        """
        return await asyncio.to_thread(self.start_engines_sync, n)

    async def stop_engines(self, engine_set_id: str | None = None) -> None:
        """Coroutine of stop_engines_sync. engine_set_id: as there.
        Returns None.
        Raises NoSuchEngine, ClusterNotFound.
        """
        await asyncio.to_thread(self.stop_engines_sync, engine_set_id)

    async def stop_engine(self, id: int) -> None:
        """Coroutine of stop_engine_sync. id: an engine's, an int.
        Returns None.
        Raises NoSuchEngine, ClusterNotFound.
        """
        await asyncio.to_thread(self.stop_engine_sync, id)

    async def restart_engines(self, engine_set_id: str | None = None) -> dict[int, int]:
        """Coroutine of restart_engines_sync. engine_set_id: as there.
        Returns {old id: new id}.
        Raises NoSuchEngine, ClusterNotFound, StartError.
        """
        return await asyncio.to_thread(self.restart_engines_sync, engine_set_id)

    async def restart_engine(self, id: int) -> int:
        """Coroutine of restart_engine_sync. id: an engine's, an int.
        Returns the id of the new one.
        Raises NoSuchEngine, ClusterNotFound, StartError.
        """
        return await asyncio.to_thread(self.restart_engine_sync, id)

    async def signal_engines(self, signum: int | str, engine_set_id: str | None = None) -> None:
        """Coroutine of signal_engines_sync. signum, engine_set_id: as there.
        Returns None.
        Raises ValueError, NoSuchEngine, ClusterNotFound.
        """
        await asyncio.to_thread(self.signal_engines_sync, signum, engine_set_id)

    async def signal_engine(self, signum: int | str, id: int) -> None:
        """Coroutine of signal_engine_sync. signum, id: as there.
        Returns None.
        Raises ValueError, NoSuchEngine, ClusterNotFound.
        """
        await asyncio.to_thread(self.signal_engine_sync, signum, id)


def _count(n: object) -> int:
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"n={n!r}: the number of engines is an int")
    if n < 0:
        raise ValueError(f"n={n}: the number of engines must be 0 or more")
    return n
