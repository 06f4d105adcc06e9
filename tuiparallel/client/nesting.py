"""Waits of a client that was made inside a task: the hub is told of them, so that none of them is for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from tuiparallel.client.receiver import Receiver
from tuiparallel.link.clock import Deadline
from tuiparallel.link.link import Link, LinkState
from tuiparallel.wire.current import CurrentTask, current_task, home_directory
from tuiparallel.wire.ids import IdRange, parse_msg_id, spans
from tuiparallel.wire.messages import Blocked

FIRST = 0.25  # seconds of waiting after which the hub is told
AGAIN = 1.0  # seconds after which it is told again: some may have ended, and the hub may be a new one


class Nesting:
    """What a session inside a task says of its waits. directory: of the cluster that the session is connected to."""

    def __init__(self, link: Link, receiver: Receiver, directory: str) -> None:
        self._link, self._receiver, self._directory = link, receiver, directory

    def host(self) -> CurrentTask | None:
        """The task that waits when this thread does; None outside of tasks, in their own threads, and elsewhere."""
        task = current_task()
        if task is None or threading.current_thread() is not threading.main_thread():
            return None
        return task if home_directory() == self._directory else None

    def wait(self, ready: Callable[[], bool], awaited: Callable[[], list[IdRange]], task: CurrentTask) -> bool:
        """Until ready(). Raises as Receiver.wait."""
        inside = (*parse_msg_id(task.msg_id), 1)
        told = False
        clock = self._link.clock
        try:
            while not self._receiver.wait(ready, Deadline(clock, AGAIN if told else FIRST)):
                told = True
                self._say(Blocked(inside, awaited()))
            return True
        finally:
            if told:
                self._say(Blocked(inside))

    def _say(self, message: Blocked) -> None:
        if self._link.state is LinkState.LIVE:
            self._link.send(message)


def ranges_of(tasks: Iterable[tuple[str, int]]) -> list[IdRange]:
    """Tasks, each a session and a counter, as ranges."""
    by_session: dict[str, list[int]] = {}
    for session, counter in tasks:
        by_session.setdefault(session, []).append(counter)
    return [(hex, first, count) for hex, counters in by_session.items() for first, count in spans(sorted(counters))]
