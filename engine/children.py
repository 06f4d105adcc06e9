"""The processes that a template has forked: what it knows of each, and how one ended."""

from __future__ import annotations

import signal


class Child:
    """A process that was forked. error_file: an engine's stderr, readable here after its death."""

    def __init__(self, role: str, pid: int, uuid: str = "", was: int | None = None, error_file: int = -1) -> None:
        self.role = role
        self.pid = pid
        self.uuid = uuid
        self.was = was
        self.error_file = error_file


def how_ended(code: int) -> str:
    """An exit code as os.waitstatus_to_exitcode gives it, as people say it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
