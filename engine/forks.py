"""Children that user code forks: they are no engines, and none of them may speak for one."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

_in_child: list[Callable[[], None]] = []


class _Process:
    is_child = False


process = _Process()


def watch(forget: Callable[[], None]) -> None:
    """From now on this process is an engine; forget() is called first thing in each child that it forks."""
    if not _in_child:
        os.register_at_fork(after_in_child=_after_in_child)
    process.is_child = False
    _in_child[:] = [forget]


def _after_in_child() -> None:
    if not process.is_child:
        process.is_child = True
        for forget in _in_child:
            forget()


def leave(failure: BaseException | None = None) -> None:
    """End a forked child that has returned from a task, as a script would end. Does not return in a child."""
    if not process.is_child:
        return
    code = 0
    if isinstance(failure, SystemExit):
        code = failure.code if isinstance(failure.code, int) else 0 if failure.code is None else 1
        if isinstance(failure.code, str):
            print(failure.code, file=sys.stderr)
    elif failure is not None:
        traceback.print_exception(failure)
        code = 1
    os._exit(code)
