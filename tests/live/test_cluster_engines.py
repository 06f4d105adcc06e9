"""A cluster's engines: more, fewer, signalled, restarted, by set and one by one."""

from __future__ import annotations

import os
import signal

import pytest

from tests.conftest import PATIENCE, wait_until
from tests.live.conftest import PrivateCluster
from tuiparallel.errors import NoSuchEngine


async def test_coroutines(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1)
    await cluster.start_cluster()
    client = await cluster.connect_client()
    client.wait_for_engines(1, timeout=PATIENCE)
    added = await cluster.start_engines(1)
    wait_until(lambda: client.ids == [0, 1])  # it hears by itself, as it is not the cluster's own client
    await cluster.signal_engines(signal.SIGCONT)
    await cluster.signal_engine("SIGCONT", 0)
    assert await cluster.restart_engine(1) == 2
    assert await cluster.restart_engines(added) == {2: 3}
    await cluster.stop_engine(0)
    await cluster.stop_engines(added)
    client.close()
    await cluster.stop_controller()
    await cluster.stop_cluster()
    assert not cluster.running


def test_engines_by_set(private_cluster: PrivateCluster) -> None:
    cluster = private_cluster(1)
    cluster.start_controller_sync()
    with cluster.connect() as client:
        assert client.ids == []
        first, second = cluster.start_engines_sync(1), cluster.start_engines_sync(2)
        wait_until(lambda: client.ids == [0, 1, 2])
        cluster.stop_engines_sync(second)
        wait_until(lambda: client.ids == [0])
        cluster.stop_engines_sync(second)  # they are gone already
        assert cluster.scale(2) == [0, 3]
        assert cluster.restart_engines_sync(first) == {0: 4}
        with pytest.raises(NoSuchEngine, match="known are '0', '1'"):
            cluster.stop_engines_sync("nope")
        cluster.stop_engines_sync()
        wait_until(lambda: client.ids == [])
    with pytest.raises(ValueError, match="0 or more"):
        cluster.scale(-1)


def test_engines_share_the_session_of_their_starter(private_cluster: PrivateCluster) -> None:
    """Linux shares cores among sessions first: a client that waits must not take half of a core from its engines."""
    with private_cluster(1) as client:
        assert client[0].apply_sync(os.getsid, 0) == os.getsid(0)
        assert client[0].apply_sync(os.getpgrp) != os.getpgrp()
