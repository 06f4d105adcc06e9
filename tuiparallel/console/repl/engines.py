"""Two things asked of engines by name of a task or by number, past their queues: a question, and an interrupt.

Both go through the client's own connection; its methods for people have no need of them.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from tuiparallel.wire.ids import parse_msg_id
from tuiparallel.wire.messages import Ask, Signal

if TYPE_CHECKING:
    from tuiparallel.client import Client


def ask_engine(client: Client, engine: int, what: str, text: str, cursor: int, timeout: float) -> Any:
    """An answer of an engine's I/O thread, which comes while user code runs. Raises when there is none in time."""
    session = client._session
    return session.answer(session.ask("ask", lambda number: Ask(number, engine, what, text, cursor)), timeout)


def interrupt_task(client: Client, msg_id: str) -> None:
    """SIGINT for whichever engine runs this very task now; for none when it has ended."""
    session = client._session
    hex, counter = parse_msg_id(msg_id)
    session.answer(session.ask("signal", lambda number: Signal(number, None, int(signal.SIGINT), (hex, counter, 1))))
