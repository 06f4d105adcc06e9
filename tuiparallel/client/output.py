"""What the tasks of an AsyncResult print, for people; and waiting with a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ALL_COMPLETED
from typing import TYPE_CHECKING

from tuiparallel.client import display
from tuiparallel.client.durations import seconds
from tuiparallel.errors import HubUnreachable

if TYPE_CHECKING:
    from tuiparallel.client.metadata import Metadata
    from tuiparallel.client.session import Session
    from tuiparallel.client.streaming import OutputStream


class Output:
    """A part of AsyncResult."""

    _session: Session
    _name: str

    if TYPE_CHECKING:

        @property
        def progress(self) -> int: ...
        def ready(self) -> bool: ...
        def __len__(self) -> int: ...
        def _wait(self, timeout: float | None, return_when: str | None = None) -> bool: ...
        def _enough(self, return_when: str) -> Callable[[], bool]: ...
        def _late(self, timeout: float | None) -> str: ...
        def _all_metadata(self) -> list[Metadata]: ...

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Wait for all output of the tasks, which comes with their results.

        timeout: seconds; None and -1: for ever.
        Returns True when it is here, False when it is late or the hub is gone.
        Raises TypeError and ValueError for what is no timeout.
        """
        try:
            return self._wait(timeout)
        except HubUnreachable:
            return self.ready()

    def stream_output(self) -> OutputStream:
        """A context manager within which the tasks' output is printed as it comes, each line once, also when it is
        entered late.

            >>> ar = rc[:2].apply_async(print, "hello")
            >>> with ar.stream_output():                                     # doctest: +ELLIPSIS
            ...     ar.wait(10)
            [stdout:...] hello
            [stdout:...] hello

        Of several tasks each line begins with stream and engine; stderr goes to stderr.
        Returns the context manager.
        Raises ClientClosed when it is entered after Client.close().
        """
        from tuiparallel.client.streaming import OutputStream

        return OutputStream(self)  # type: ignore[arg-type]

    def display_outputs(self, groupby: str = "type", result_only: bool = False) -> None:
        """Print the output of all tasks, each piece under a line that names stream and engine, as [stdout:0].

            >>> rc[:2].execute("print('hi')", block=True).display_outputs()
            [stdout:0]
            hi
            [stdout:1]
            hi

        groupby: 'type' (all stdout, all stderr, all that was displayed, all results), 'engine', or 'order' (of the
        tasks). result_only: True prints displayed values alone. Errors are printed to stderr in one line each.
        Returns None.
        Raises ValueError for another groupby.
        """
        display.display_outputs(self._all_metadata(), groupby, result_only)

    def wait_interactive(
        self, interval: float = 0.1, timeout: float | None = -1, return_when: str = ALL_COMPLETED
    ) -> None:
        """Wait with a progress bar on stderr.

        interval: seconds between two drawings. timeout: seconds; None and -1: for ever. return_when: as for wait.
        Returns None.
        Raises TimeoutError when it is late, HubUnreachable, ValueError for another return_when.
        """
        from tuiparallel.client.progress import wait_with_bar

        limit = seconds("timeout", timeout)
        enough = self._enough(return_when)
        if not wait_with_bar(self._session, enough, lambda: (self.progress, len(self)), self._name, interval, limit):
            raise TimeoutError(self._late(limit))
