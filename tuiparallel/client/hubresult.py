"""AsyncHubResult: tasks that were asked for from the hub, of this client or another one."""

from __future__ import annotations

from tuiparallel.client.asyncresult import AsyncResult


class AsyncHubResult(AsyncResult):
    """The same as an AsyncResult; `received` is when the hub had the result, so that wall_time describes the run."""
