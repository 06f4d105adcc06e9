"""start and stop: clusters that outlive the command."""

from __future__ import annotations

from typing import Any

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import ExitCode, refused, usage
from tuiparallel.cli.listing import cluster_row


def start(
    call: Call, n: int | None, name: str | None, restart: str | None, ip: str | None, scheme: str | None
) -> int:
    """Start a detached cluster, wait for its engines, print its name."""
    from tuiparallel.cluster.cluster import Cluster

    if call.file is not None:
        raise usage("start has no --file: it makes one")
    try:
        cluster = Cluster(n, name=name or call.named, restart=restart, ip=ip, scheme=scheme, shutdown_atexit=False)
    except (ValueError, TypeError) as error:
        raise usage(str(error)) from error
    with cluster.start_and_connect_sync():
        record = cluster.record
        addresses = cluster.addresses
    assert record is not None
    call.out.cluster = cluster.name
    call.out.both(cluster_row(record, cluster.connection_file), cluster.name)
    if not call.out.as_json:
        for role, opened in addresses.items():
            call.out.note(f"open for {role}s, encrypted: {', '.join(opened)}")
        call.out.note(
            f"{cluster.n} engines; connect with Client({cluster.name!r}), end with: tuipar stop {cluster.name} --yes"
        )
    return ExitCode.DONE


def stop(call: Call, names: list[str], yes: bool) -> int:
    """End clusters by name; all names are looked at before the first one is ended."""
    from tuiparallel.cluster.cluster import Cluster
    from tuiparallel.cluster.running import not_running

    try:
        found = [Cluster.from_name(name) for name in dict.fromkeys(names)]
    except ValueError as error:
        raise usage(str(error)) from error
    for cluster in found:
        if not cluster.running:
            raise not_running(cluster.name)
    if not yes:
        what = ", ".join(f"{cluster.name} ({cluster.n} engines, pids {_pids(cluster.pids)})" for cluster in found)
        raise refused(f"this would end {what}; nothing was done. Say --yes to do it")
    for cluster in found:
        record, file = cluster.record, cluster.connection_file
        cluster.stop()
        call.out.cluster = cluster.name
        if record is not None:
            call.out.both(cluster_row(record, file), cluster.name)
    return ExitCode.DONE


def _pids(pids: dict[str, Any]) -> str:
    return ", ".join(str(pid) for pid in pids.values())
