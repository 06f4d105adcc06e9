"""What all verbs share: which cluster is meant, how results are printed, and a connection when one is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tuiparallel.cli.exits import CommandError, ExitCode, refused
from tuiparallel.cli.printer import Printer

if TYPE_CHECKING:
    from tuiparallel.client.client import Client
    from tuiparallel.wire.connection import Connection


class Call:
    """One run of the command: its common options."""

    def __init__(self, cluster: str | None, file: str | None, as_json: bool, quiet: bool) -> None:
        self.named = cluster
        self.file = file
        self.subcommand: str | None = None  # the verb that follows, for a group of verbs
        self.out = Printer(as_json=as_json, quiet=quiet)

    def connection(self) -> Connection:
        """Where the hub is: of --file, of --cluster, else as Client() finds it.

        Raises ClusterNotFound or InsecureFile; a faulty file ends the command with UNREACHABLE.
        """
        from tuiparallel.client.discovery import find

        try:
            return find(os.path.abspath(self.file) if self.file is not None else self.named)
        except ValueError as error:
            raise CommandError(str(error), ExitCode.UNREACHABLE, type(error).__name__) from error

    @contextmanager
    def client(self, timeout: float = 10.0) -> Iterator[Client]:
        """A Client of the cluster that is meant, closed at the end. Raises as connection, and what Client raises."""
        from tuiparallel.client.client import Client

        connection = self.connection()
        self.out.cluster = connection.name
        client = Client(connection, timeout=timeout)
        try:
            yield client
        finally:
            client.close()

    def must(self, yes: bool, what: str, also_name: bool = False, name: str = "") -> None:
        """Refuse unless it was said to be meant: --yes, and for the gravest things the cluster's name too."""
        if yes and (not also_name or self.named == name):
            return
        cure = "--yes" if not also_name else f"-c {name} --yes"
        raise refused(f"this would {what}; nothing was done. Say {cure} to do it")
