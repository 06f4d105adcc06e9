"""What a cluster's history says, whether the cluster runs or has ended. A part of Cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuiparallel.cluster.archive import Archive
from tuiparallel.cluster.engines import EngineSets
from tuiparallel.cluster.place import has_history
from tuiparallel.cluster.running import not_running, record_in
from tuiparallel.errors import ClusterExists

if TYPE_CHECKING:
    from tuiparallel.client.asyncresult import AsyncResult
    from tuiparallel.client.client import Client


class Past(EngineSets):
    """Questions go to the hub while there is one; afterwards the history is opened for reading and answers them."""

    name: str
    directory: Path

    def __init__(self) -> None:
        super().__init__()
        self._archive: Archive | None = None
        self._reading: Client | None = None

    def _reader(self) -> Client:
        """Who answers questions about the past. Raises ClusterNotFound when nothing has run under this name."""
        record = record_in(self.directory)
        if record is None and not has_history(self.directory):
            raise not_running(self.name)
        if record is None:
            try:
                return self._reads()
            except ClusterExists:  # it was started in this moment
                pass
        self.close_history()
        control = self._control
        if control is not None and record is not None and control._session.connection.cluster != record.cluster:
            self._close_control()  # of a run that has ended
        return self._hub()

    def _reads(self) -> Client:
        from tuiparallel.client.client import Client

        if self._reading is None or self._reading.closed:
            self._archive = Archive(self.directory)
            try:
                self._reading = Client(self._archive.connection, cluster=self)
            except BaseException:
                self.close_history()
                raise
        return self._reading

    def close_history(self) -> None:
        """End what reads the history of an ended cluster; the next question opens it again."""
        reading, self._reading = self._reading, None
        archive, self._archive = self._archive, None
        if reading is not None:
            reading.close()
        if archive is not None:
            archive.close()

    def hub_history(self, limit: int | None = None) -> list[str]:
        """The msg_ids of all tasks on record in the order of submission; the last `limit` of them.

        Of a running cluster its hub answers, of one that has ended its history. Raises ClusterNotFound when nothing
        has run under this name.
        """
        return self._reader().hub_history(limit)

    def db_query(self, query: dict[str, Any], keys: Any = None) -> list[dict[str, Any]]:
        """The records of tasks that match, as Client.db_query. Raises as that, and ClusterNotFound."""
        return self._reader().db_query(query, keys)

    def result_status(self, msg_ids: Any, status_only: bool = True) -> dict[str, Any]:
        """{'pending': [...], 'completed': [...]} of these tasks, as Client.result_status."""
        return self._reader().result_status(msg_ids, status_only)

    def get_result(self, msg_ids: Any, block: bool | None = None) -> AsyncResult | Any:
        """The AsyncHubResult of a task on record, or of several in order; with block the result itself.

        A task that was open when its cluster ended fails with EngineError; large buffers (above 1 MB) live no longer
        than their cluster, and their results fail with ResultExpired.
        """
        return self._reader().get_result(msg_ids, block)
