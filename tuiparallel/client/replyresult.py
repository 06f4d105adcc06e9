"""The result of a command to the hub, for those who do not block on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.client.requests import Request
from tuiparallel.client.session import error_of

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


class AsyncReply(AsyncResult):
    """An AsyncResult without tasks: the answer to abort, clear, shutdown and their like."""

    def __init__(self, client: Client, request: Request, shaped: Callable[[Any], Any]) -> None:
        super().__init__(client, (), single=True, name=request.what)
        self._request = request
        self._shaped = shaped

    def ready(self) -> bool:
        """Whether the hub has answered.
        Returns a bool.
        Raises nothing.
        """
        return self._request.done

    def successful(self) -> bool:
        """Whether it was done.
        Returns a bool.
        Raises ResultNotReady before the answer.
        """
        if not self.ready():
            return super().successful()
        return self._request.error is None

    def _result(self, return_exceptions: bool) -> Any:
        if self._request.error is not None:
            error = error_of(self._request.error)
            if return_exceptions:
                return error
            raise error
        return self._shaped(self._request.raw)

    def _late(self, timeout: float | None) -> str:
        return f"the hub has not answered {self._request.what} within {timeout:g} s"

    def _when_ready(self, function: Callable[[], None]) -> None:
        self._session.when(self.ready, [self._request], function)

    @property
    def metadata(self) -> Any:
        """No task, no facts: an empty list."""
        return []

    def __len__(self) -> int:
        return 1

    @property
    def progress(self) -> int:
        """1 when the hub has answered."""
        return int(self.ready())
