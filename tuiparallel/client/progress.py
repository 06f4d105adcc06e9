"""A progress bar on stderr; rich is imported when one is drawn, and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tuiparallel.link.clock import Deadline

if TYPE_CHECKING:
    from tuiparallel.client.session import Session


def wait_with_bar(
    session: Session,
    enough: Callable[[], bool],
    progress: Callable[[], tuple[int, int]],
    name: str,
    interval: float,
    limit: float | None,
) -> bool:
    """Wait for enough() with a bar of progress() (done, total), drawn every `interval` seconds; whether it came true."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    deadline = Deadline(session.clock, limit)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        done, total = progress()
        task = bar.add_task(name, total=total)
        while True:
            left = deadline.left()
            reached = session.wait(enough, max(interval, 0.01) if left is None else min(max(interval, 0.01), left))
            done, total = progress()
            bar.update(task, completed=done, total=total, refresh=True)
            if reached or deadline.passed():
                return reached
