"""AsyncHubResult: tasks that were asked for from the hub, of this client or another one."""

from __future__ import annotations

from tuiparallel.client.asyncresult import AsyncResult


class AsyncHubResult(AsyncResult):
    """An AsyncResult of tasks that the hub was asked for, of this client or another one.

    The same values, output, metadata and errors; `received` is when the hub had the result, so that wall_time
    describes the run, not the query. What nobody knows ends as NoSuchTask, what was forgotten as ResultExpired.
    """
