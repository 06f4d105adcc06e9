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
        """End what reads the history of an ended cluster; the next question opens it again.
        Returns None.
        Raises nothing.
        """
        reading, self._reading = self._reading, None
        archive, self._archive = self._archive, None
        if reading is not None:
            reading.close()
        if archive is not None:
            archive.close()

    def hub_history(self, limit: int | None = None) -> list[str]:
        """The msg_ids of all tasks on record: of a running cluster its hub answers, of one that has ended its
        history.

        limit: only the last so many, an int; None: all.
        Returns a list of str in the order of submission.
        Raises ClusterNotFound when nothing has run under this name, HubUnreachable.
        """
        return self._reader().hub_history(limit)

    def db_query(self, query: dict[str, Any], keys: Any = None) -> list[dict[str, Any]]:
        """Records of tasks that match a query, also of a cluster that has ended.

        query, keys: as for Client.db_query.
        Returns a list of dicts by submission, each with msg_id.
        Raises ClusterNotFound when nothing has run under this name, TypeError and ValueError as Client.db_query.
        """
        return self._reader().db_query(query, keys)

    def result_status(self, msg_ids: Any, status_only: bool = True) -> dict[str, Any]:
        """Which of these tasks have ended, also of a cluster that has ended.

        msg_ids, status_only: as for Client.result_status.
        Returns {'pending': [...], 'completed': [...]}, with status_only=False also {msg_id: value}.
        Raises ClusterNotFound when nothing has run under this name, NoSuchTask, and what Client.result_status raises.
        """
        return self._reader().result_status(msg_ids, status_only)

    def get_result(self, msg_ids: Any, block: bool | None = None) -> AsyncResult | Any:
        """The AsyncHubResult of tasks on record, also of a cluster that has ended.

        msg_ids: a msg_id, or a list of these. block: whether the result itself is wanted.
        Returns an AsyncHubResult, of a list in the same order for a list, with block its result.
        Raises ClusterNotFound when nothing has run under this name; through the result NoSuchTask, EngineError for a
        task that was open when its cluster ended, and ResultExpired for large buffers (above 32 kB), which live no
        longer than their cluster.
        """
        return self._reader().get_result(msg_ids, block)
